"""Cloud-init user data from a server: in which order it is closed, filled and opened.

1. `bootcmd`, the first thing of cloud-init's network stage: close.sh shuts the server. That stage comes before
   sysinit.target, so no ordinary service has started yet; the network is up. It has to be the server itself:
   the Cloud Firewall is attached only once the server exists. And it can't rely on nftables: Debian installs it
   by default, but nothing says that Linode's image has it. So sshd, all that listens on that image, is first of
   all forbidden to start unless the firewall is up, whatever goes wrong; then nftables is installed if missing.
2. The same stage: files, the user `ops`, the SSH host key. sshd starts with all of it, still unreachable.
3. The last stage: updates and packages; then `runcmd` loads the firewall, which opens SSH to its sources, and
   starts the role's units. 443 opens when the gate has seen the application answer.

At every later boot nftables.service has loaded the firewall before the network, the units start by themselves,
and of all this only close.sh runs again, and finds the server closed.
"""

import base64
import gzip
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.user_data.contents import HOST_KEY, File, born_with
from components.user_data.server import OpsServer, RoleServer, Server

LIMIT = 16_384
"""The most bytes of user data, before base64.

Linode's reference for POST /linode/instances says "must not exceed 65535 bytes, or about 16kb encoded", which is
two limits; Linode's own cluster-api-provider-linode refuses more than this (maxBootstrapDataBytesCloudInit).
"""

_LEGIBLE = 256
"""The most bytes of a file that are never compressed."""

_USUAL = File("", "")
"""Mode and owner that cloud-init gives a file by itself."""

_PACKAGES = ("nftables", "sudo", "unattended-upgrades")
_ROLE_PACKAGES = ("curl", "podman")
_UNITS = ("reboot-window.timer",)
_ROLE_UNITS = ("app.service", "caddy.service", "gate.service")
_OPS_UNITS = ("copies.target",)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes text of several lines as a block, as a person would. In C where PyYAML has it: five times as fast."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def render(server: Server) -> str:
    """Return the user data of `server`: a cloud-config, as text.

    Raises ValueError, naming the server, when it is larger than LIMIT.
    """
    text = "#cloud-config\n" + yaml.dump(_document(server), Dumper=_Dumper, sort_keys=False, width=2**16)
    size = len(compressed(text) if isinstance(server, OpsServer) else text.encode())
    if size > LIMIT:
        raise ValueError(
            f"user data of {server.hostname} has {size} bytes, and Linode takes {LIMIT}: "
            "shorten its settings, authorized keys or certificates (ECDSA ones are a third of RSA's)"
        )
    return text


def compressed(text: str) -> bytes:
    """Return user data as an ops server gets it.

    On Linode, cloud-init takes that from 24.4 on (canonical/cloud-init commit ce807814). Debian 13, which ops servers
    have, has 25.1; Debian 12 has an older one, so role servers have their long files compressed one by one.
    """
    return gzip.compress(text.encode(), mtime=0)


def _document(server: Server) -> dict[str, Any]:
    contents = {file.path: file for file in born_with(server)}
    # cloud-init's ssh module deletes the image's host keys, so it has to write ours too, after that. It derives
    # the public half, and makes no key of another kind.
    host_key = {"ed25519_private": contents.pop(HOST_KEY).content}
    is_role = isinstance(server, RoleServer)
    return {
        "bootcmd": [Path(__file__).with_name("close.sh").read_text()],
        "hostname": server.hostname,
        "manage_etc_hosts": "localhost",
        "write_files": [_entry(file, packs=is_role) for file in contents.values()],
        "users": [{"name": "ops", "shell": "/bin/bash", "lock_passwd": True, "sudo": "ALL=(ALL) NOPASSWD:ALL"}],
        "ssh_deletekeys": True,
        "ssh_keys": host_key,
        "package_update": True,
        "package_upgrade": True,
        "packages": sorted(_PACKAGES + (_ROLE_PACKAGES if is_role else ())),
        "runcmd": [
            "systemctl enable nftables.service",
            # Reloaded where the image's nftables is running already, with rules of its own.
            "systemctl reload-or-restart nftables.service",
            f"systemctl enable --now --no-block {' '.join(_UNITS + (_ROLE_UNITS if is_role else _OPS_UNITS))}",
            *(() if is_role else ("/usr/local/sbin/copies-programs",)),
        ],
    }


def _entry(file: File, *, packs: bool) -> dict[str, str]:
    """Return `file` as an item of write_files, without what cloud-init takes for granted; `packs`: long ones small."""
    entry = {"path": file.path}
    if file.mode != _USUAL.mode:
        entry["permissions"] = f"{file.mode:04o}"
    if file.owner != _USUAL.owner:
        entry["owner"] = file.owner
    if packs and len(file.content) > _LEGIBLE and len(packed := _packed(file.content)) < len(file.content):
        return {**entry, "encoding": "gz+b64", "content": packed}
    return {**entry, "content": file.content}


@cache
def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
