"""The loopback addresses that play the machines' and the balancers' own: one each, the same at every start."""

import hashlib
from pathlib import Path


def loopback(folder: Path, kind: str, identity: str) -> str:
    """The address that something has in the sandbox of a folder: 127.1.0.1 to 127.254.255.254."""
    digest = hashlib.sha256(f"{folder}\0{kind}\0{identity}".encode()).digest()
    return f"127.{digest[0] % 254 + 1}.{digest[1]}.{digest[2] % 254 + 1}"
