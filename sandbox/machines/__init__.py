"""Real local processes in the place of the sandbox's servers and NodeBalancers, for who has to work on them.

`start` has a machine run for each running instance of the model, and keeps them as the model has them:

    ssh         a real OpenSSH server, with the host key and the authorized keys of the server's user data
    files       those of the user data, below a folder that plays `/`: sessions find it in `DESTDIR`
    programs    `systemctl`, `apt-get`, `podman` and others on the sessions' PATH, which play a server's
    answers     a role's application answers HTTP, and its gate opens and closes its port to balancers

`host` follows the model, `machine` is one of them, `units`, `packages` and `images` are what is on it.
Light to import: tasks do.
"""
# ruff: noqa: PLC0415

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import locks, process
from sandbox.addresses import port_for

FOLDER = "machines"
ENDPOINTS = "endpoints.json"
KEY = "machines.key"
NEEDED = ("curl", "haproxy", "libnss_wrapper.so", "sshd")
READY_WITHIN = 60.0  # seconds; it needs a few


@dataclass(frozen=True)
class Endpoint:
    """Where something listens, and for SSH who may log in."""

    host: str
    port: int
    user: str = ""


@dataclass(frozen=True)
class Machines:
    """What runs: SSH by a server's public IPv4 address, balancers by theirs, and the private key that logs in."""

    ssh: Mapping[str, Endpoint]
    balancers: Mapping[str, Endpoint]
    key: Path


def start(folder: Path, say: Callable[[str], None]) -> Machines:
    """Starts the machines of a folder's sandbox, unless they run, and returns once all that runs in the model is up.

    Raises SandboxError where no sandbox runs, or they do not come up; CommandError where the tools can't be had.
    """
    from sandbox import following
    from toolchain import debian

    debian.ensure(say, NEEDED)
    login(folder)

    def is_ready(control: following.Control) -> bool:
        fleet, told = control.ask("/fleet"), _told(folder)
        return bool(fleet and told and _is_all_up(fleet, told))

    following.start(folder, process.MACHINES, READY_WITHIN, is_ready)
    return _machines(folder, _told(folder) or {"machines": {}, "balancers": {}})


def stop(folder: Path) -> None:
    """Stops the machines of a folder's sandbox, if they run; their files stay. Raises SandboxError."""
    process.stop_follower(folder, process.MACHINES)


def status(folder: Path) -> Machines | None:
    """The machines of a folder's sandbox that are up now, if they run."""
    told = _told(folder)
    return _machines(folder, told) if told else None


def login(folder: Path) -> str:
    """The public half of the key that logs in, as OpenSSH writes it; made now if there is none yet."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / KEY
    if not file.exists():
        made = ed25519.Ed25519PrivateKey.generate()
        private = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        process.write_private(file, private.decode(), into=os.link)
    key = serialization.load_ssh_private_key(file.read_bytes(), None).public_key()
    public = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{public.decode()} operations@sandbox"


def publish(folder: Path, package: str, version: str, *, reboot: bool = False) -> None:
    """Puts a version of a package into the archive of all machines: they see it after `apt-get update`."""
    from sandbox.machines import packages

    packages.publish(_own(folder) / packages.ARCHIVE, package, version, reboot=reboot)


def mark_sick(folder: Path, image: str, *, sick: bool = True) -> None:
    """Has the application of an image, wherever it is started from now on, not be healthy; or takes that back."""
    from sandbox.machines import images

    images.put(_own(folder) / images.SICK, image, on=sick)


def mark_lost(folder: Path, image: str, *, lost: bool = True) -> None:
    """Has an image not be pulled; or takes that back."""
    from sandbox.machines import images

    images.put(_own(folder) / images.LOST, image, on=lost)


def _own(folder: Path) -> Path:
    own = folder / FOLDER
    own.mkdir(mode=0o700, exist_ok=True)
    return own


def _told(folder: Path) -> dict[str, Any] | None:
    if locks.holder(folder / process.MACHINES.lock) is None:
        return None
    try:
        return dict(json.loads((folder / FOLDER / ENDPOINTS).read_text()))
    except FileNotFoundError:
        return None


def _is_all_up(fleet: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether what is told is what the fleet is now, and all of it is up."""
    wanted = {each["id"]: each for each in fleet["instances"] if _is_on(each)}
    up = {identity: each for identity, each in told["machines"].items() if each["up"]}
    return (
        wanted.keys() == up.keys()
        and all(up[identity][name] == each[name] for identity, each in wanted.items() for name in ("booted", "disk"))
        and {each["ipv4"] for each in fleet["balancers"] if each["configs"]} == told["balancers"].keys()
        and all(_listens(*endpoint) for endpoint in told["balancers"].values())
        and all(_is_judged(config, node, up, told["nodes"]) for config, node in _nodes(fleet))
    )


def _nodes(fleet: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for balancer in fleet["balancers"]:
        for config in balancer["configs"]:
            yield from ((config, node) for node in config["nodes"])


def _is_judged(
    config: Mapping[str, Any], node: Mapping[str, Any], up: Mapping[str, Any], told: Mapping[str, Any]
) -> bool:
    """Whether its balancer treats a node as it is told, and knows whether it takes connections."""
    known = told.get(node["id"], {})
    if any(known.get(name) != node[name] for name in ("mode", "weight")):
        return False
    if config["check"] == "none" or node["mode"] == "reject":  # it is not checked
        return True
    machine = up.get(node["instance"])
    is_open = machine is not None and _listens(machine["ssh"][0], port_for(node["port"]))
    return bool(known["status"] == ("UP" if is_open else "DOWN"))


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_on(instance: Mapping[str, Any]) -> bool:
    return bool(instance["status"] == "running" and instance["disk"] and instance["boots"])


def _machines(folder: Path, told: Mapping[str, Any]) -> Machines:
    return Machines(
        {each["ipv4"]: Endpoint(*each["ssh"]) for each in told["machines"].values()},
        {address: Endpoint(*found) for address, found in told["balancers"].items()},
        folder / KEY,
    )
