"""`python -m sandbox.front FOLDER`: runs the front of a folder's sandbox in the foreground."""

import argparse
import sys
from pathlib import Path

from sandbox.front.host import follow
from sandbox.process import SandboxError
from toolchain.progress import CommandError


def main() -> int:
    """Runs until stopped, or until the sandbox is; 1 when it can't."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.front", description=__doc__)
    parser.add_argument("folder", type=Path, help="the sandbox's own")
    try:
        follow(parser.parse_args().folder.resolve())
    except (SandboxError, CommandError) as error:
        print(f"front: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
