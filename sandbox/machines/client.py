"""A stand-in's own half: `client.py PROGRAM ARGUMENT ...` has the session's machine play the program.

It runs by itself (`python -IS`), a few dozen times in a patch of one server, and so imports next to nothing.
"""

import json
import os
import socket
import sys

SOCKET = "control"


def main() -> int:
    """The program's exit code; 1 where the machine is gone, as it is when it reboots."""
    os.chdir(os.path.join(os.environ["DESTDIR"], os.pardir))  # a socket's path has 107 bytes at most  # noqa: PTH118
    request = json.dumps({"program": sys.argv[1], "arguments": sys.argv[2:]})
    try:
        with socket.socket(socket.AF_UNIX) as machine:
            machine.connect(SOCKET)
            machine.sendall(request.encode() + b"\n")
            said = b"".join(iter(lambda: machine.recv(65536), b""))
        ended = json.loads(said)
    except (OSError, ValueError):
        print(f"{sys.argv[1]}: the machine is going down", file=sys.stderr)
        return 1
    sys.stdout.write(ended["output"])
    sys.stdout.flush()
    sys.stderr.write(ended["errors"])
    return int(ended["code"])


if __name__ == "__main__":
    sys.exit(main())
