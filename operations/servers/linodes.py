"""Servers at their cloud, beside what the engine does with them: made without a disk, filled from a backup, renamed."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import linode_api4

from operations import clouds
from operations.errors import Failed

T = TypeVar("T")
Body = Mapping[str, Any]
OFFLINE, RUNNING = "offline", "running"
_RESTORING = "restoring"
_TAKEN_NOW = frozenset({"pending", "running", "needsPostProcessing"})
_PATH = "/linode/instances"
_BUSY, _REFUSED = "Linode busy.", 400


@dataclass(frozen=True)
class Waits:
    """Seconds: how often a server is asked how far it is, and how long it may take for what."""

    asks: float = 5.0
    moment: float = 900.0  # to be made, to boot, to go off
    restore: float = 6 * 3_600.0


@dataclass(frozen=True)
class Exchange:
    """The disks of a server that a restore deletes, by id, and how many take their place."""

    old: frozenset[int]
    new: int


QUICK = Waits(asks=0.2, moment=60.0, restore=60.0)
"""For the sandbox's."""


@dataclass(frozen=True)
class Linodes:
    """The servers of an account. Every method raises Failed where the cloud refuses, or does not answer."""

    client: linode_api4.LinodeClient
    waits: Waits = Waits()

    def all(self) -> list[Body]:
        """Return every server."""
        return self._do("the servers can't be listed", lambda: list(clouds.pages(self.client, _PATH)))

    def get(self, identity: int) -> Body:
        """Return one as it is now."""
        return self._get(f"{_PATH}/{identity}")

    def named(self, label: str) -> Body | None:
        """Return the one of that label."""
        return next((each for each in self.all() if each["label"] == label), None)

    def room(self, plan: str) -> int:
        """Return the space, in MB, that a plan has for disks."""
        return int(self._get(f"/linode/types/{plan}")["disk"])

    def backups(self, identity: int) -> list[Body]:
        """Return a server's backups, the automatic ones and those by hand."""
        found = self._get(f"{_PATH}/{identity}/backups")
        return [each for each in (*found["automatic"], *found["snapshot"].values()) if each]

    def make(self, given: Body) -> Body:
        """Make a server, and wait until it is there."""
        made = self._do(f"{given['label']} can't be made", lambda: self.client.post(_PATH, data=dict(given)))
        return self.until(made["id"], OFFLINE)

    def change(self, identity: int, **given: Any) -> None:
        """Change a server's fields."""
        path = f"{_PATH}/{identity}"
        self._do(f"server {identity} can't be changed", lambda: self.client.put(path, data=given))

    def tag(self, identity: int, *add: str, remove: Iterable[str] = ()) -> None:
        """Add tags to a server, and remove others."""
        there = self.get(identity)["tags"]
        wanted = sorted({*there, *add} - set(remove))
        if wanted != sorted(there):
            self.change(identity, tags=wanted)

    def boot(self, identity: int) -> None:
        """Boot a server that is off, and wait until it is on."""
        if self.get(identity)["status"] == OFFLINE:
            self._post(f"{_PATH}/{identity}/boot", f"server {identity} can't be booted")
        self.until(identity, RUNNING)

    def shut_down(self, identity: int) -> None:
        """Shut a server down, and wait until it is off."""
        if self.get(identity)["status"] not in (OFFLINE, "shutting_down"):
            self._post(f"{_PATH}/{identity}/shutdown", f"server {identity} can't be shut down")
        self.until(identity, OFFLINE)

    def disks(self, identity: int) -> list[int]:
        """Return the ids of a server's disks."""
        return [each["id"] for each in self._disks(identity)]

    def is_filled(self, identity: int, exchange: Exchange) -> bool:
        """Whether a server has all of its new disks, and none of the old: Linode makes and deletes one at a time."""
        disks = self._disks(identity)
        is_new = len(disks) >= exchange.new and exchange.old.isdisjoint(each["id"] for each in disks)
        is_ready = all(each["status"] == "ready" for each in disks)
        return is_new and is_ready and not self._is_restoring(identity)

    def is_begun(self, identity: int, exchange: Exchange) -> bool:
        """Whether a server's disks are being restored, or are."""
        return self._is_restoring(identity) or self.is_filled(identity, exchange)

    def is_backed_up_now(self, identity: int) -> bool:
        """Whether a backup of a server is being taken, while which nothing can be restored to it."""
        return any(each["status"] in _TAKEN_NOW for each in self.backups(identity))

    def restore(self, source: int, backup: int, target: int, exchange: Exchange) -> None:
        """Have a backup's disks take the place of all that a server has, and wait until they are there.

        Where that was asked for already, by a run that was cut off, it is only waited for.
        """
        if not self.is_begun(target, exchange):
            self.shut_down(target)
            given = {"linode_id": target, "overwrite": True}
            self._post(f"{_PATH}/{source}/backups/{backup}/restore", f"backup {backup} can't be restored", given)
        text = f"backup {backup} is not restored to server {target}"
        self._wait(lambda: self.is_filled(target, exchange), self.waits.restore, text)

    def guard(self, identity: int, firewall: int) -> int:
        """Put a server behind a firewall, unless it is there already; return the id of its device."""
        path = f"/networking/firewalls/{firewall}/devices"
        for each in self._do("the firewall's devices can't be listed", lambda: list(clouds.pages(self.client, path))):
            if (each["entity"]["type"], each["entity"]["id"]) == ("linode", identity):
                return int(each["id"])
        given = {"type": "linode", "id": identity}
        made = self._post(path, f"server {identity} can't be put behind its firewall", given)
        return int(made["id"])

    def leave(self, identity: int, group: int) -> None:
        """Take a server out of its placement group, unless it is out already."""
        if (self.get(identity)["placement_group"] or {}).get("id") == group:
            path = f"/placement/groups/{group}/unassign"
            self._post(path, f"server {identity} can't leave its placement group", {"linodes": [identity]})

    def admit(self, database: int, network: str) -> None:
        """Let a network reach a database, besides those that do."""
        path = f"/databases/postgresql/instances/{database}"
        there = self._get(path)["allow_list"]
        if network not in there:
            given = {"allow_list": [*there, network]}
            self._do(f"database {database} can't admit {network}", lambda: self.client.put(path, data=given))

    def delete(self, identity: int) -> None:
        """Delete a server, and its backups with it."""
        self._do(f"server {identity} can't be deleted", lambda: self.client.delete(f"{_PATH}/{identity}"))

    def until(self, identity: int, status: str) -> Body:
        """Wait until a server has a status; return it."""
        text = f"server {identity} is not {status}"
        self._wait(lambda: self.get(identity)["status"] == status, self.waits.moment, text)
        return self.get(identity)

    def _is_restoring(self, identity: int) -> bool:
        return bool(self.get(identity)["status"] == _RESTORING)

    def _get(self, path: str) -> Body:
        found: Body = self._do(f"Linode does not answer {path}", lambda: self.client.get(path))
        return found

    def _disks(self, identity: int) -> list[Body]:
        return list(self._get(f"{_PATH}/{identity}/disks")["data"])

    def _post(self, path: str, what: str, given: Body | None = None) -> Body:
        answered: Body = self._do(what, lambda: self.client.post(path, data=dict(given or {})))
        return answered

    def _do(self, what: str, call: Callable[[], T]) -> T:
        """Call the API, for as long as the server is busy with something else."""
        until = time.monotonic() + self.waits.moment
        while True:
            with clouds.reported(what):
                try:
                    return call()
                except linode_api4.ApiError as error:
                    if error.status != _REFUSED or _BUSY not in str(error) or time.monotonic() > until:
                        raise
            time.sleep(self.waits.asks)

    def _wait(self, is_so: Callable[[], bool], seconds: float, text: str) -> None:
        until = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > until:
                raise Failed(f"{text} after {seconds:.0f} s")
            time.sleep(self.waits.asks)
