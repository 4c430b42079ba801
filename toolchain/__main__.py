"""What `./inv` runs: invoke under this project's name, and exit code 2 where it can't parse the command."""

from collections.abc import Iterator
from contextlib import contextmanager

from invoke._version import __version__
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

# Invoke's own options about commands that it runs: our tasks run theirs otherwise, and somebody who asks for a dry run
# must not get a real one.
_WITHOUT_EFFECT = ("command-timeout", "dry", "echo", "hide", "prompt-for-sudo-password", "pty", "warn-only")


@contextmanager
def _wrong_use() -> Iterator[None]:
    try:
        yield
    except ParseError as error:
        raise Exit(f"inv: {error}", code=2) from error


class _Inv(Program):
    def parse_core(self, argv: list[str] | None) -> None:
        with _wrong_use():
            super().parse_core(argv)

    def parse_tasks(self) -> None:
        with _wrong_use():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        with _wrong_use():
            super().parse_cleanup()
        for name in _WITHOUT_EFFECT:
            if self.args[name].value:
                raise Exit(f"inv: --{name} has no effect on these tasks; leave it out", code=2)


if __name__ == "__main__":
    _Inv(version=__version__, name="Invoke", binary="./inv", binary_names=["inv"]).run()
