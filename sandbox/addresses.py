"""The loopback addresses and ports that play those of servers, balancers and databases: the same at every start."""

import hashlib
from pathlib import Path

_PRIVILEGED = 1024


def loopback(folder: Path, kind: str, identity: str) -> str:
    """The address that something has in the sandbox of a folder: from 127.1.0.1 on."""
    digest = hashlib.sha256(f"{folder}\0{kind}\0{identity}".encode()).digest()
    return f"127.{digest[0] % 254 + 1}.{digest[1]}.{digest[2] % 254 + 1}"


def port_for(port: int) -> int:
    """The port that plays another, which only root may have."""
    return port + 10_000 if port < _PRIVILEGED else port
