"""The process that keeps databases and buckets as the sandbox's model has them: made, served, down and gone.

What takes a while (a cluster's making, its server) is a process of its own, forked from this one.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sandbox import following, process
from sandbox.addresses import loopback
from sandbox.data import FOLDER, STATUS, Bucket, Database, digest, home
from sandbox.data.cluster import Cluster, Wanted
from sandbox.data.gateway import Gateway
from toolchain import postgresql, tools
from toolchain.progress import CommandError

_S3_PORT = 9000
_AGAIN_AFTER = 0.5  # seconds after which what has ended by itself is tried again
_TROUBLE = 6  # so often in a row is no accident
_STOPS_WITHIN = 10.0  # seconds


def follow(folder: Path) -> None:
    """Runs the databases and buckets of the sandbox in a folder until told to stop, or until there is no sandbox.

    Raises SandboxError where others of it run, or there is no sandbox; and CommandError of the tools.
    """
    following.run(folder, process.DATA, lambda control: _Host(folder, control))


class _Task:
    """What is done for one thing of the model: a process at a time."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.pid: int | None = None
        self._failures = 0
        self._after = 0.0

    def begin(self, start: Callable[[], int]) -> None:
        """Starts a process, unless one runs, or has just ended by itself."""
        if self.pid is None and time.monotonic() >= self._after:
            self.pid = start()

    def look(self) -> None:
        """Notes whether it has ended."""
        ended, status = os.waitpid(self.pid, os.WNOHANG) if self.pid else (0, 0)
        if ended:
            self.pid = None
            self._failures += status != 0
            self._after = time.monotonic() + _AGAIN_AFTER if status else 0.0

    @property
    def is_in_trouble(self) -> bool:
        """Whether it ends by itself again and again."""
        return self._failures >= _TROUBLE

    def succeed(self) -> None:
        """Notes that it does what it should."""
        self._failures = 0

    def tell(self, number: int) -> None:
        """Sends it a signal."""
        if self.pid:
            os.kill(self.pid, number)

    def end(self, number: int, until: float | None = None) -> None:
        """Tells it to end, and waits; not for long, or not after a time."""
        self.tell(number)
        until = until or time.monotonic() + _STOPS_WITHIN
        while self.pid and not os.waitpid(self.pid, os.WNOHANG)[0]:
            if time.monotonic() > until:
                self.tell(signal.SIGKILL)
            time.sleep(0.01)
        self._clear()


class _Playing(Protocol):
    """What plays one thing of the model, which is told by `wanted`."""

    wanted: Wanted
    task: _Task

    @property
    def is_up(self) -> bool:
        """Whether it takes connections."""


@dataclass
class _Base:
    """A cluster, which plays a database."""

    cluster: Cluster
    wanted: Wanted
    task: _Task = field(default_factory=_Task)

    @property
    def is_up(self) -> bool:
        """Whether it takes connections."""
        return bool(self.cluster.is_whole and self.task.pid and self.cluster.is_up(self.task.pid))


@dataclass
class _Door:
    """A gateway, which plays an S3 host."""

    gateway: Gateway
    wanted: Wanted
    task: _Task = field(default_factory=_Task)
    admitted: Any = None

    @property
    def is_up(self) -> bool:
        """Whether it takes connections."""
        return self.task.pid is not None and self.gateway.is_up


class _Host:
    def __init__(self, folder: Path, control: following.Control) -> None:
        self._folder, self._control = folder / FOLDER, control
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._home = home.ensure(folder)
        self._versitygw = tools.ensure("versitygw", print)
        self._programs: dict[int, postgresql.Programs | CommandError] = {}
        self._bases: dict[str, _Base] = {}
        self._doors: dict[str, _Door] = {}
        self._told = ""
        (self._folder / STATUS).unlink(missing_ok=True)  # of one that was killed

    def look(self) -> None:
        """Brings everything to what the model says now. Raises GoneError."""
        for each in self._playing():
            each.task.look()
        holdings = self._control.ask("/holdings")
        if holdings is None:
            return
        troubles = [*self._follow_databases(holdings["databases"]), *self._follow_hosts(holdings["hosts"])]
        self._tell(holdings, troubles)

    def end(self) -> None:
        """Stops everything; nothing of what was written is lost."""
        for base in self._bases.values():
            base.task.tell(signal.SIGINT if base.cluster.is_whole else signal.SIGKILL)
        until = time.monotonic() + _STOPS_WITHIN  # all of them at once
        for base in self._bases.values():
            base.task.end(0, until)
        for door in self._doors.values():
            door.task.end(signal.SIGKILL)
        (self._folder / STATUS).unlink(missing_ok=True)

    def _playing(self) -> Iterator[_Playing]:
        yield from self._bases.values()
        yield from self._doors.values()

    def _follow_databases(self, wanted: Sequence[Wanted]) -> Iterator[str]:
        """Makes, serves and stops clusters; says what went wrong."""
        for each in wanted:
            try:
                yield from self._keep(each)
            except CommandError as error:  # there is no PostgreSQL of that version
                yield f"database {each['label']}: {error}"
        # A fork is of its source as long as that has files, whether it is in the model or not.
        kept = {each["id"] for each in wanted}
        kept |= {base.wanted["source"] for base in self._bases.values() if not base.cluster.is_whole}
        for identity in self._bases.keys() - kept:
            self._bases.pop(identity).task.end(signal.SIGQUIT)
        for found in self._home.iterdir():
            if found.stem.isdigit() and found.stem not in kept:
                shutil.rmtree(found, ignore_errors=True)
                (self._folder / f"{found.stem}.log").unlink(missing_ok=True)

    def _keep(self, wanted: Wanted) -> Iterator[str]:
        identity = wanted["id"]
        if identity not in self._bases:
            self._bases[identity] = _Base(self._cluster(wanted), wanted)
        base = self._bases[identity]
        base.wanted = wanted
        if not base.cluster.is_whole:
            source = self._bases.get(wanted["source"])
            if wanted["on"] and (source is None or source.cluster.is_whole):
                files = self._home / str(wanted["source"])
                base.task.begin(lambda: base.cluster.make(wanted, files if files.exists() else None))
        elif wanted["on"]:
            base.task.begin(lambda: base.cluster.serve(wanted))
        else:
            base.task.end(signal.SIGQUIT)
        if base.task.is_in_trouble:
            yield f"database {wanted['label']}: see {base.cluster.log}"

    def _cluster(self, wanted: Wanted) -> Cluster:
        identity = wanted["id"]
        # Files are those of the version that has made them, also where the model has another one by now.
        made = (self._home / str(each) / "data/PG_VERSION" for each in (identity, wanted["source"]))
        version = next((int(file.read_text()) for file in made if file.exists()), wanted["version"])
        address = loopback(self._folder, "database", identity)
        return Cluster(self._home / identity, self._found(version), address, self._folder / f"{identity}.log")

    def _found(self, version: int) -> postgresql.Programs:
        """The programs of a version, which are looked for once. Raises CommandError where there are none."""
        if version not in self._programs:
            try:
                found = postgresql.find(version, print).within(self._home / f"programs-{version}")
                self._programs[version] = found
            except CommandError as error:
                self._programs[version] = error
        known = self._programs[version]
        if isinstance(known, CommandError):
            raise known
        return known

    def _follow_hosts(self, wanted: Mapping[str, Wanted]) -> Iterator[str]:
        """Serves buckets, and brings in and removes them and their keys; says what went wrong."""
        for name, each in wanted.items():
            if name not in self._doors:
                address = loopback(self._folder, "s3", name)
                self._doors[name] = _Door(Gateway(self._folder / "s3" / name, address, _S3_PORT, each["region"]), each)
            door = self._doors[name]
            door.wanted = each
            if door.admitted != (each["keys"], each["buckets"]):
                door.gateway.admit(each["keys"], each["buckets"])
                door.admitted = (each["keys"], each["buckets"])
            if each["on"]:
                door.task.begin(partial(door.gateway.serve, self._versitygw))
            else:
                door.task.end(signal.SIGKILL)
            if door.task.is_in_trouble:
                yield f"S3 host {name}: see {door.gateway.log}"
        for name in self._doors.keys() - wanted.keys():
            self._doors.pop(name).task.end(signal.SIGKILL)
        for found in (self._folder / "s3").glob("*"):
            if found.name not in wanted:
                shutil.rmtree(found)

    def _tell(self, holdings: Mapping[str, Any], troubles: Sequence[str]) -> None:
        """Writes where everything is, for `data.status`."""
        up = [each for each in self._playing() if each.is_up]
        for each in up:
            each.task.succeed()
        known = {
            "of": digest(holdings) if all((each in up) == each.wanted["on"] for each in self._playing()) else None,
            "troubles": troubles,
            "databases": {base.wanted["label"]: asdict(_database(base)) for base in self._bases.values() if base in up},
            "buckets": {
                bucket: asdict(Bucket(door.gateway.url, door.gateway.region))
                for door in self._doors.values()
                if door in up
                for bucket in door.wanted["buckets"]
            },
        }
        text = json.dumps(known, indent=1, default=str)
        if text != self._told:
            process.write_private(self._folder / STATUS, text)
            self._told = text


def _database(base: _Base) -> Database:
    cluster = base.cluster
    return Database(
        host=base.wanted["hosts"][0],
        hostaddr=cluster.address,
        port=base.wanted["port"],
        version=cluster.programs.major,
        sslmode=cluster.sslmode,
        programs=cluster.programs.folder,
        environment=cluster.programs.environment,
        admits=base.wanted["admits"],
    )
