"""`python -m sandbox.machines FOLDER`: runs the machines of a folder's sandbox in the foreground."""

import sys

from sandbox import following, process
from sandbox.machines.host import follow

if __name__ == "__main__":
    sys.exit(following.main(process.MACHINES, __doc__, follow))
