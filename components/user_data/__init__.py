"""What a server is born with: the files on it, and the cloud-init user data that puts them there.

Pure: frozen dataclasses in, text out. Files that are the same on every server of a kind are kept as they are,
comments and all, under `static/`, at their paths on the server; what differs between servers or changes
during a server's life is in files of its own (see `contents.effect`), so that a change is: replace a file, then
restart or reload its unit.
"""

from components.user_data.cloud_config import LIMIT, compressed, render
from components.user_data.contents import Effect, File, digest, effect, files
from components.user_data.server import (
    Alarm,
    Copied,
    Copies,
    Database,
    Gate,
    OpsServer,
    Registry,
    RoleServer,
    Server,
    Store,
)

__all__ = [
    "LIMIT",
    "Alarm",
    "Copied",
    "Copies",
    "Database",
    "Effect",
    "File",
    "Gate",
    "OpsServer",
    "Registry",
    "RoleServer",
    "Server",
    "Store",
    "compressed",
    "digest",
    "effect",
    "files",
    "render",
]
