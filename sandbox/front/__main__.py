"""`python -m sandbox.front FOLDER`: runs the front of a folder's sandbox in the foreground."""

import sys

from sandbox import following, process
from sandbox.front.host import follow

if __name__ == "__main__":
    sys.exit(following.main(process.FRONT, __doc__, follow))
