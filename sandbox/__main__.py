"""`python -m sandbox FOLDER`: runs the sandbox of a folder in the foreground."""

import argparse
import sys
from pathlib import Path

from sandbox.process import SandboxError
from sandbox.server import serve


def main() -> int:
    """Runs until stopped; 1 when it can't."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("folder", type=Path, help="where its files are")
    parser.add_argument("--linode-port", type=int, default=0, help="0 (the default): any free one")
    parser.add_argument("--cloudflare-port", type=int, default=0, help="0 (the default): any free one")
    parser.add_argument("--api-port", type=int, default=0, help="0 (the default): any free one")
    parser.add_argument("--latency", type=float, default=0.0, help="how much of the clouds' own times to take (0 to 1)")
    given = parser.parse_args()
    given.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        serve(given.folder, (given.linode_port, given.cloudflare_port, given.api_port), given.latency)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
