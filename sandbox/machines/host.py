"""The process that keeps the machines as the sandbox's model has them: born, booted, rebooted and gone.

A machine is a process of its own, forked from this one: it shares this one's memory and is up in an instant. This
process has one thread, so that forking is safe, and the kernel ends its children when it ends.

The files of a machine are in a folder with its server's id: a label may change, and is a link to it.
"""

import gc
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import children, following, process
from sandbox.addresses import loopback
from sandbox.machines import ENDPOINTS, FOLDER, NEEDED, backups, births, machine, programs, sshd
from sandbox.machines.balancers import Balancers
from sandbox.machines.units import AILS
from toolchain import debian
from toolchain.debian import Tools

_REBOOT_TAKES = 0.3  # seconds, here; a server takes a minute
_HOLDS = 10.0  # seconds that a verdict on a node counts; given again well before
_RUNNING = "running"
_DISK = "disk"  # the file that says whose disk a machine's folder is


def follow(folder: Path) -> None:
    """Runs the machines of the sandbox in a folder until told to stop, or until there is no sandbox any more.

    Raises SandboxError where other machines of it run, or there is no sandbox; and CommandError of the tools.
    """
    own = folder / FOLDER

    def make(control: following.Control) -> following.Host:
        own.mkdir(mode=0o700, exist_ok=True)
        os.chdir(own)
        host = _Host(own, debian.ensure(print, NEEDED), control)
        gc.freeze()  # what is here is shared with the machines as long as nobody writes on it
        return host

    following.run(folder, process.MACHINES, make)


@dataclass
class _Playing:
    """A machine that is on, or is off for a moment."""

    instance: Mapping[str, Any]
    address: str
    pid: int | None = None
    returns: float = 0.0


class _Host:
    def __init__(self, folder: Path, tools: Tools, control: following.Control) -> None:
        self._folder, self._tools, self._control = folder, tools, control
        self._playing: dict[str, _Playing] = {}
        self._told = ""
        self._balancers = Balancers(folder, tools)
        self._keeper = children.keep(folder)
        self._judged: tuple[float, dict[str, str]] = (0.0, {})
        programs.install(folder / machine.BIN, tools, machine.PLAYED)

    def look(self) -> None:
        """Brings everything to what the model says now. Raises GoneError."""
        self._bury()
        fleet = self._control.ask("/fleet")
        if fleet is None:
            return
        wanted = {each["id"]: each for each in fleet["instances"]}
        for identity in [each for each in self._playing if each not in wanted]:
            self._off(self._playing.pop(identity))
        self._clear(wanted)
        running = [each for each in wanted.values() if each["status"] == _RUNNING and each["disk"]]
        self._bear([each for each in running if not each["restored"]])
        for identity, instance in wanted.items():
            backups.follow(self._folder / backups.FOLDER / identity, instance["backups"], self._folder / identity)
        self._bear([each for each in running if each["restored"]])
        self._link(wanted)
        for identity, instance in wanted.items():
            if identity in self._playing:
                self._keep(self._playing[identity], instance)
        self._balancers.follow(fleet["balancers"])
        verdicts = self._balancers.verdicts(fleet["balancers"])
        self._judge(verdicts)
        self._tell(fleet["balancers"], verdicts)

    def end(self) -> None:
        """Ends every machine; of its nodes, the model says again what is usual."""
        with suppress(following.GoneError):
            self._control.ask("/verdicts", {"seconds": 0, "nodes": {}})
        for playing in self._playing.values():
            self._off(playing)
        self._balancers.end()
        children.sweep(self._folder)
        os.kill(self._keeper, signal.SIGKILL)
        os.waitpid(self._keeper, 0)
        (self._folder / ENDPOINTS).unlink(missing_ok=True)

    def _bear(self, running: list[Mapping[str, Any]]) -> None:
        """Gives each instance that runs a machine, and one that has none yet, or other disks, its first files."""
        new = [each for each in running if _disk(self._folder / each["id"]) != _disk_of(each)]
        user_data = self._control.ask("/births") if new else {}
        if user_data is None:
            return
        for instance in new:
            folder = self._folder / instance["id"]
            if instance["id"] in self._playing:
                self._off(self._playing[instance["id"]])
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            self._fill(folder, instance, user_data.get(instance["id"]))
            (folder / _DISK).write_text(_disk_of(instance))
        for instance in running:
            identity = instance["id"]
            self._playing.setdefault(identity, _Playing(instance, loopback(self._folder, "instance", identity)))

    def _fill(self, folder: Path, instance: Mapping[str, Any], user_data: str | None) -> None:
        """Gives a machine its first files: those of a backup, or of its birth."""
        source = instance["restored"]
        copy = self._folder / backups.FOLDER / source["instance"] / str(source["backup"]) if source else None
        if copy is None or not copy.exists():
            births.write(folder / "root", user_data)
            return
        backups.put(copy, folder)
        if source["instance"] != instance["id"]:
            births.renew(folder / "root", user_data)

    def _keep(self, playing: _Playing, instance: Mapping[str, Any]) -> None:
        """Has a machine on where its instance is, and off where not; off and on again where that was so."""
        is_on, rebooted = instance["status"] == _RUNNING, instance["booted"] != playing.instance["booted"]
        playing.instance = instance
        self._ail(self._folder / instance["id"], instance["ails"])
        if playing.pid and (rebooted or not is_on):
            self._off(playing)
            playing.returns = time.monotonic() + _REBOOT_TAKES
        if playing.pid is None and is_on and instance["boots"] and time.monotonic() >= playing.returns:
            self._boot(playing)

    @staticmethod
    def _ail(folder: Path, ails: Mapping[str, float]) -> None:
        """Says what ails the application of a machine, which looks at each request."""
        text = json.dumps(ails)
        if not (folder / AILS).exists() or (folder / AILS).read_text() != text:
            draft = folder / f".{AILS}"
            draft.write_text(text)
            draft.replace(folder / AILS)

    def _boot(self, playing: _Playing) -> None:
        folder = self._folder / playing.instance["id"]
        (folder / machine.UP).unlink(missing_ok=True)

        def play() -> None:
            children.name(playing.instance["label"])
            machine.run(folder, playing.address, self._tools)

        playing.pid = children.fork(play)

    def _off(self, playing: _Playing) -> None:
        """Switches a machine off, hard."""
        if playing.pid:
            os.kill(playing.pid, signal.SIGKILL)
            os.waitpid(playing.pid, 0)
            playing.pid = None
            children.sweep(self._folder / playing.instance["id"])

    def _bury(self) -> None:
        """Notes which machines are off: they come back in a moment."""
        if os.waitpid(self._keeper, os.WNOHANG)[0]:
            self._keeper = children.keep(self._folder)
        for playing in self._playing.values():
            if playing.pid and os.waitpid(playing.pid, os.WNOHANG)[0]:
                playing.pid = None
                playing.returns = time.monotonic() + _REBOOT_TAKES
                (self._folder / playing.instance["id"] / machine.UP).unlink(missing_ok=True)
                children.sweep(self._folder / playing.instance["id"])

    def _clear(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Removes the files of servers that are no more, and of their backups: secrets are among them."""
        labels = {each["label"] for each in wanted.values()}
        copies = self._folder / backups.FOLDER
        for folder in (*self._folder.iterdir(), *(copies.iterdir() if copies.exists() else ())):
            if folder.is_symlink() and folder.name not in labels:
                folder.unlink()
            elif folder.is_dir() and not folder.is_symlink() and folder.name not in {machine.BIN, copies.name, *wanted}:
                shutil.rmtree(folder, ignore_errors=True)

    def _link(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Has the files of each machine be found by its server's label, too."""
        for identity, instance in wanted.items():
            link = self._folder / instance["label"]
            if (self._folder / identity).exists() and not (link.is_symlink() and str(link.readlink()) == identity):
                draft = self._folder / f".{identity}"
                draft.unlink(missing_ok=True)
                draft.symlink_to(identity)
                draft.replace(link)

    def _judge(self, verdicts: dict[str, str]) -> None:
        """Tells the model what its nodes really are."""
        told, before = self._judged
        if verdicts != before or time.monotonic() > told + _HOLDS / 3:
            self._control.ask("/verdicts", {"seconds": _HOLDS, "nodes": verdicts})
            self._judged = (time.monotonic(), verdicts)

    def _tell(self, balancers: Sequence[Mapping[str, Any]], verdicts: Mapping[str, str]) -> None:
        """Writes where everything is, for `machines.status`."""
        known = {
            "machines": {
                identity: {
                    "ipv4": playing.instance["ipv4"][0],
                    "booted": playing.instance["booted"],
                    "disk": playing.instance["disk"],
                    "up": bool(playing.pid) and (self._folder / playing.instance["id"] / machine.UP).exists(),
                    "ssh": [playing.address, sshd.PORT, sshd.USER],
                }
                for identity, playing in self._playing.items()
            },
            "balancers": self._balancers.endpoints(balancers),
            "nodes": {
                node["id"]: {"mode": node["mode"], "weight": node["weight"], "status": verdicts[node["id"]]}
                for each in balancers
                for config in each["configs"]
                for node in config["nodes"]
            },
        }
        text = json.dumps(known, indent=1)
        if text != self._told:
            draft = self._folder / f".{ENDPOINTS}"
            draft.write_text(text)
            draft.replace(self._folder / ENDPOINTS)
            self._told = text


def _disk(folder: Path) -> str:
    """Which disk a machine's files are those of."""
    file = folder / _DISK
    return file.read_text() if file.exists() else ""


def _disk_of(instance: Mapping[str, Any]) -> str:
    return f"{instance['id']}/{instance['disk']}"
