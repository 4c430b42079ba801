"""`python -m sandbox.data FOLDER`: runs the databases and buckets of a folder's sandbox in the foreground."""

import sys

from sandbox import following, process
from sandbox.data.host import follow

if __name__ == "__main__":
    sys.exit(following.main(process.DATA, __doc__, follow))
