"""The birth of a machine: what cloud-init would make of its user data, in a folder that plays `/`."""

import base64
import gzip
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

HOST_KEY = "etc/ssh/ssh_host_ed25519_key"
_MODE = 0o644


def write(root: Path, user_data: str | None) -> None:
    """Makes the folder `root` from user data (base64 of a cloud-config), whole at once, in the place of any before."""
    unfinished = root.with_name(f"{root.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("", "etc", "home/ops", "proc", "run", "tmp", "var/lib"):
        (unfinished / folder).mkdir(mode=0o700, parents=True)
    _put(unfinished, _files(user_data))
    unfinished.rename(root)


def renew(root: Path, user_data: str | None) -> None:
    """Does it once more on a disk that another server was born on: to cloud-init, that is a new server.

    Where it is told no host key it makes one of its own, as it deletes those that it finds (`ssh_deletekeys`).
    """
    files = [*_files(user_data)]
    if all(path != HOST_KEY for path, _, _ in files):
        key = ed25519.Ed25519PrivateKey.generate()
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
        files.append((HOST_KEY, key.private_bytes(*form).decode(), 0o600))
    _put(root, files)


def _put(root: Path, files: Iterable[tuple[str, str, int]]) -> None:
    for path, content, mode in files:
        file = root / path.lstrip("/")
        if not file.resolve().is_relative_to(root.resolve()):
            continue  # no file of ours is outside of a server's `/`
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write(content)
        file.chmod(mode)


def _files(user_data: str | None) -> Iterator[tuple[str, str, int]]:
    document = _document(user_data)
    yield "etc/hostname", f"{document.get('hostname', '')}\n", _MODE
    for entry in document.get("write_files") or ():
        yield entry["path"], _content(entry), int(entry.get("permissions", f"{_MODE:o}"), 8)
    host_key = (document.get("ssh_keys") or {}).get("ed25519_private")
    if host_key:
        yield HOST_KEY, host_key, 0o600


def _document(user_data: str | None) -> dict[str, Any]:
    """The cloud-config; empty where it is none, of which cloud-init makes nothing either."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = base64.b64decode(user_data or "")
        text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        found = yaml.load(text, loader)  # noqa: S506 - it is safe, and fast
    except yaml.YAMLError:
        found = None
    return found if isinstance(found, dict) else {}


def _content(entry: dict[str, Any]) -> str:
    content = str(entry.get("content", ""))
    encoding = entry.get("encoding", "")
    if encoding == "gz+b64":
        return gzip.decompress(base64.b64decode(content)).decode()
    return base64.b64decode(content).decode() if encoding in ("b64", "base64") else content
