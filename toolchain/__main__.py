"""What `./inv` runs: invoke under this project's name, and exit code 2 where it can't parse the command."""

from collections.abc import Iterator
from contextlib import contextmanager

from invoke import __version__
from invoke.exceptions import Exit, ParseError
from invoke.program import Program


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


if __name__ == "__main__":
    _Inv(version=__version__, name="Invoke", binary="./inv", binary_names=["inv"]).run()
