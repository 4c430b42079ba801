"""Cloudflare's edge with real processes, for who has to work on failover: real probes, and a real proxy.

`start` has the sandbox's proxied names answered, as its load balancers, pools and records have it:

    names     HAProxy takes requests by Host, and sends each to an origin: steering, weights, affinity, fallback
    health    real probes, as the monitors declare them; what they find is what the cloud's API says, too
    records   are told over DNS: where the edge is, of proxied names; else what they say
    workers   Node.js runs the scripts of Workers that have a route
    log       the access log says of every request when it came, for whom, and which site and address answered what

`host` follows the model, `probes` finds out, `steering` decides, `edge` is the proxy. Light to import: tasks do.
"""
# ruff: noqa: PLC0415

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import locks, process

FOLDER = "front"
LOG = "access.log"
STATUS = "status.json"
READY_WITHIN = 120.0  # seconds; it needs as long as the monitors need to find a pool well


@dataclass(frozen=True)
class Front:
    """What runs: where the edge listens (plain HTTP, and DNS over UDP), its names, whether each pool is well, its log.

    A pool's health is None where it is not known: it is disabled, has no monitor, or has not been probed enough yet.
    """

    host: str
    port: int
    dns_port: int
    names: tuple[str, ...]
    pools: Mapping[str, bool | None]
    log: Path

    @property
    def url(self) -> str:
        """Where requests are taken, with a name's own as their Host."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Request:
    """A request that was answered: when it came (seconds since 1970), for which name, and with which status.

    `pool`, `site` (the origin's name), `region` (Linode's) and `address` (the public one) say whom the edge has asked;
    they are empty where it has asked nobody.
    """

    time: float
    host: str
    method: str
    path: str
    status: int
    milliseconds: int
    pool: str
    site: str
    region: str
    address: str


def start(folder: Path, say: Callable[[str], None]) -> Front:
    """Starts the front of a folder's sandbox, and the machines behind it, unless they run.

    Returns once all is as the model has it, and the health of every pool is known. Raises SandboxError where no sandbox
    runs, or they do not come up; CommandError where the tools can't be had.
    """
    from sandbox import following, machines
    from sandbox.data import digest
    from sandbox.front import workers

    machines.start(folder, say)

    def is_ready(control: following.Control) -> bool:
        shown, told = control.ask("/edge"), _told(folder)
        if shown and shown["scripts"]:
            workers.ensure(say)
        return bool(shown and told and told["of"] == digest(shown) and told["known"])

    following.start(folder, process.FRONT, READY_WITHIN, is_ready)
    return _front(folder, _told(folder) or {})


def stop(folder: Path) -> None:
    """Stops the front of a folder's sandbox, if it runs; the machines and the log stay. Raises SandboxError."""
    process.stop_follower(folder, process.FRONT)


def status(folder: Path) -> Front | None:
    """The front of a folder's sandbox, if it runs."""
    told = _told(folder)
    return _front(folder, told) if told else None


def requests(folder: Path, since: float = 0.0) -> Iterator[Request]:
    """What the edge of a folder's sandbox was asked since a time, in the order of the answers."""
    with (folder / FOLDER / LOG).open(encoding="utf-8") as log:
        for line in log:
            if not (line.startswith("{") and line.endswith("}\n")):  # HAProxy speaks of itself, or is just writing
                continue
            said: dict[str, Any] = {name: "" if value == "-" else value for name, value in json.loads(line).items()}
            if said["time"] >= since:
                yield Request(**said)


def _front(folder: Path, told: Mapping[str, Any]) -> Front:
    return Front(
        told["host"], told["port"], told["dns_port"], tuple(told["names"]), told["pools"], folder / FOLDER / LOG
    )


def _told(folder: Path) -> dict[str, Any] | None:
    if locks.holder(folder / process.FRONT.lock) is None:
        return None
    try:
        return dict(json.loads((folder / FOLDER / STATUS).read_text()))
    except FileNotFoundError:
        return None
