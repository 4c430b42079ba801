"""Downloads the official release of the engine; a process of its own, so that it can be given up."""

import subprocess
import sys

from pulumi.automation import InvalidVersionError, PulumiCommand
from semver import VersionInfo


def main(root: str, version: str) -> int:
    """Install the engine's release `version` into `root`/bin; return the exit code, the reason printed."""
    try:
        PulumiCommand.install(root=root, version=VersionInfo.parse(version))
    except subprocess.CalledProcessError as error:
        print(error.output.decode(errors="replace") if error.output else error)
    except (OSError, InvalidVersionError) as error:
        print(error)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
