"""The process that keeps the front as the sandbox's model has it, and tells the model what its probes find."""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sandbox import children, following, machines, process
from sandbox.cloudflare.probes import most
from sandbox.data import digest
from sandbox.front import FOLDER, STATUS, edge, names, probes, steering, workers
from toolchain import debian

_HOLDS = 10.0  # seconds that what was found counts; said again well before

Found = Mapping[str, Mapping[str, Mapping[str, Any]]]


def follow(folder: Path) -> None:
    """Runs the front of the sandbox in a folder until told to stop, or until there is no sandbox any more.

    Raises SandboxError where another front of it runs, or there is no sandbox; and CommandError of the tools.
    """
    own = folder / FOLDER

    def make(control: following.Control) -> following.Host:
        own.mkdir(mode=0o700, exist_ok=True)
        os.chdir(own)
        for left in (STATUS, probes.WATCHED, probes.FOUND, names.RECORDS):  # of one that was killed
            (own / left).unlink(missing_ok=True)
        return _Host(folder, own, control)

    following.run(folder, process.FRONT, make)


class _Host:
    def __init__(self, folder: Path, own: Path, control: following.Control) -> None:
        self._own, self._machines, self._control = own, folder / machines.FOLDER, control
        self._edge = edge.Edge(folder, own, debian.ensure(print, machines.NEEDED))
        self._workers = workers.Workers(own)
        self._children: dict[str, int] = {}
        self._written: dict[str, str] = {}
        self._said: tuple[float, Mapping[Any, bool]] = (0.0, {})

    def look(self) -> None:
        """Brings everything to what the model says now. Raises GoneError."""
        self._children = {name: pid for name, pid in self._children.items() if not os.waitpid(pid, os.WNOHANG)[0]}
        shown = self._control.ask("/edge")
        if shown is None:
            return
        self._write(probes.WATCHED, {"watches": shown["watches"], "blind": shown["blind"]})
        self._write(names.RECORDS, names.records(shown, self._edge.address))
        for name, work in {"prober": self._probe, "resolver": self._resolve}.items():
            if name not in self._children:
                self._children[name] = children.fork(partial(self._play, name, work))
        found, is_current = self._read(shown["watches"])
        well = {watch: most([each["healthy"] for each in regions.values()]) for watch, regions in found.items()}
        running = self._workers.follow(shown["scripts"])
        answered = self._edge.names(shown, well, running)
        self._edge.follow(answered)
        self._say(found)
        self._tell(shown, answered, well, is_current=is_current and self._workers.are_current)

    def end(self) -> None:
        """Ends everything; of health, the model says again what is usual."""
        with suppress(following.GoneError):
            self._control.ask("/probes", {"seconds": 0, "found": {}})
        for pid in self._children.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._workers.end()
        self._edge.end()
        (self._own / STATUS).unlink(missing_ok=True)

    @staticmethod
    def _play(name: str, work: Callable[[], None]) -> None:
        children.name(name)
        work()

    def _probe(self) -> None:
        probes.run(self._own, self._machines)

    def _resolve(self) -> None:
        names.run(self._own, self._edge.address)

    def _read(self, watches: Sequence[Mapping[str, Any]]) -> tuple[Found, bool]:
        """What was found of the watches of which every region knows, and whether that is of these watches as they are.

        A change of them takes the prober a moment.
        """
        try:
            said = json.loads((self._own / probes.FOUND).read_text())
        except FileNotFoundError:
            return {}, False
        found = {each["id"]: said["found"].get(each["id"], {}) for each in watches}
        known = {each["id"]: found[each["id"]] for each in watches if {*each["regions"]} == found[each["id"]].keys()}
        return known, said["of"] == digest(self._written[probes.WATCHED])

    def _say(self, found: Found) -> None:
        """Tells the model what was found."""
        verdicts = {(watch, region): each["healthy"] for watch in found for region, each in found[watch].items()}
        when, before = self._said
        if verdicts != before or time.monotonic() > when + _HOLDS / 3:
            self._control.ask("/probes", {"seconds": _HOLDS, "found": found})
            self._said = (time.monotonic(), verdicts)

    def _tell(
        self, shown: Mapping[str, Any], answered: list[edge.Name], well: Mapping[str, bool], *, is_current: bool
    ) -> None:
        """Writes where it listens, and what it does, for `front.status`."""
        known = {
            "host": self._edge.address,
            "port": edge.PORT,
            "dns_port": names.PORT,
            "of": digest(shown),
            "known": is_current and all(each["id"] in well for each in shown["watches"]),
            "names": [each.host for each in answered],
            "pools": {
                pool["name"]: steering.is_well(pool, well)
                if pool["enabled"]
                and pool["monitor"]
                and all(o["watch"] in well for o in pool["origins"] if o["enabled"])
                else None
                for pool in shown["pools"].values()
            },
        }
        self._write(STATUS, known)

    def _write(self, name: str, content: Any) -> None:
        text = json.dumps(content, indent=1)
        if text != self._written.get(name):
            draft = self._own / f".{name}"
            draft.write_text(text)
            draft.replace(self._own / name)
            self._written[name] = text
