"""Makes the project's Python environment, `.venv`, from requirements.lock.

`./inv` runs this when the stamp differs, with whatever Python 3.11 or newer it found: only the standard library
is used here. The stamp `.venv/stamp` is written last, so that an interrupted start is made again. It holds
what the environment was made from: the project's folder (scripts in an environment name it), the lock, and this file.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from toolchain import cache, progress

# The engine has pip list the packages at the beginning of each run, and pip would ask its index for news of itself.
_PIP = "[global]\ndisable-pip-version-check = true\nno-input = true\n"


def is_current(root: Path) -> bool:
    """Whether `.venv` of the project `root` was made to its end, here, as it would be made now."""
    stamp = root / ".venv" / "stamp"
    return stamp.exists() and stamp.read_bytes() == _stamp(root)


def make(root: Path, say: cache.Say) -> None:
    """Make `.venv` of the project `root`, each package checked against its hash in the lock file.

    Two processes at once make it once. Raises progress.CommandError.
    """
    with cache.held(root, say):
        if is_current(root):
            return
        environment, lock = root / ".venv", root / "requirements.lock"
        if environment.is_symlink():  # what it leads to belongs to another checkout
            environment.unlink()
        (environment / "stamp").unlink(missing_ok=True)
        # The interpreter's real name holds its version: when the system moves on to another version, the link
        # to it leads nowhere, and ./inv makes the environment again.
        python = Path(sys.executable).resolve()
        progress.Command(
            f"making the Python environment {environment}", [python, "-m", "venv", "--clear", environment]
        ).run(say)
        (environment / "pip.conf").write_text(_PIP)
        progress.Command(
            f"installing the packages of {lock.name}",
            [environment / "bin" / "python", "-m", "pip", "install", "--require-hashes", "-r", lock],
            measure=_packages,
        ).run(say)
        (environment / "stamp").write_bytes(_stamp(root))


def _stamp(root: Path) -> bytes:
    made_from = (root / "requirements.lock", root / "toolchain" / "environment.py")
    return os.fsencode(root) + b"\n" + b"".join(each.read_bytes() for each in made_from)


def _packages(lines: Sequence[str]) -> str:
    count = sum(line.startswith("Collecting ") for line in lines)
    unpacking = any(line.startswith("Installing collected packages") for line in lines)
    return f"{count} packages, {'unpacking' if unpacking else 'downloading'}"


def main() -> int:
    """Make the environment of the project in the current folder; return the exit code."""
    try:
        make(Path.cwd(), lambda text: print(text, file=sys.stderr, flush=True))
    except progress.CommandError as error:
        print(f"inv: {error}\n.venv is not complete: mend this, then run ./inv again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("inv: interrupted; run ./inv again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
