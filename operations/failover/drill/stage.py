"""The stage of a drill: a work tree with a sandbox of its own, whose tasks are run as people run them."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components import document, settings
from components.settings import STACK_KEY
from operations import edits, sandbox, worktree
from operations.console import say
from operations.errors import Failed
from operations.failover.drill.incidents import Incident
from operations.failover.drill.scene import Scene
from operations.failover.sites import Sites

PATIENCE = 900.0
"""Seconds for a task."""
KILLS = 30
"""How often the task of a move is killed at most."""
TOLD, KEPT = 60, 3
"""Lines of a failure that are shown, and of them those that are kept as its reason."""
_TASKS = (sys.executable, "-m", "toolchain")


@dataclass(frozen=True)
class Stage:
    """The folder of the work tree, and the stacks by name."""

    folder: Path
    front: str
    standby: str

    def scene(self) -> Scene:
        """Return the sandbox with its sites, as the files say now."""
        return Scene(self.folder, Sites.read(self.folder, self.front, on_sandbox=True))

    def set(self, mode: str, sites: str) -> None:
        """Make both sites anew, with the standby in a mode, and stateless names served by one site or all.

        Raises:
            Failed: they can't be made.
        """
        sandbox.reset(self.folder)
        worktree.git(self.folder, "checkout", "--quiet", "--", ".")
        self._lay_over(self.standby, {"standby": {"mode": mode}})
        roles = settings.load(self.folder, self.front).roles
        stateless = {name: {"sites": sites} for name, each in roles.items() if each.state == "stateless"}
        self._lay_over(self.front, {"roles": stateless})
        self.task("up", self.standby)
        if mode != "pilot-light":  # nobody has moved there yet, so what a move would write is written
            known = self.scene().sites
            addresses = known.addresses(known.members[self.standby])
            self._lay_over(self.front, {"failover": {"sites": {self.standby: {"addresses": addresses}}}})
        self.task("up", self.front)
        sandbox.data(self.folder, say)
        sandbox.front(self.folder, say)

    def move(self, incident: Incident, scene: Scene) -> None:
        """Move the stateful names to the standby, as often as it takes where the incident is in the way.

        Raises:
            Failed: they don't move; or the incident was not in the way.
        """
        command = ("failover.engage", self.front, "--to", self.standby, "--sandbox", "--yes")
        if incident.cut:
            self._cut_off(command)
        elif incident.faults:
            scene.tell("/faults", list(incident.faults))
            code, _ = self._run(command)
            scene.tell("/faults", [])
            if not code:
                raise Failed(f"{self.front}: the move did not meet what was to be in its way")
            self.task(*command[:-2])
        else:
            self.task(*command[:-2])

    def require_no_changes(self) -> None:
        """See that nothing is left to change.

        Raises:
            Failed: something is.
        """
        self.task("preview", f"{self.front},{self.standby}", "--expect-no-changes", yes=False)

    def task(self, verb: str, *arguments: str, yes: bool = True) -> None:
        """Run a task on the sandbox to its end.

        Raises:
            Failed: it did not end well.
        """
        say(f"{verb} {' '.join(arguments)}")
        code, said = self._run((verb, *arguments, "--sandbox", *(["--yes"] if yes else [])))
        if code:
            raise _failed(f"{verb} {' '.join(arguments)}", code, said)

    def _cut_off(self, command: Sequence[str]) -> None:
        """Kill a task at each of its steps, one a time; it ends well where it has no other any more.

        Raises:
            Failed: there is no end of that, or it ended otherwise.
        """
        seen: set[str] = set()

        def is_new(line: str) -> bool:
            """Whether a line says that a step is done which was not done before."""
            step = step_of(line) if line.startswith((f"{self.front}: ", f"{self.standby}: ")) else ""
            new = bool(step) and step not in seen
            seen.add(step)
            return new

        for _ in range(KILLS):
            code, said = self._run(command, is_new)
            if code != -signal.SIGKILL or self._has_moved():
                break
        if code and not self._has_moved():
            raise _failed(" ".join(command), code, said)
        say(f"{self.front}: moved, although it was killed at each of {len(seen - {''})} lines")

    def _has_moved(self) -> bool:
        """Whether the standby serves, and no move is under way."""
        sites = self.scene().sites
        return sites.active.name == self.standby and sites.moving is None

    def _run(self, command: Sequence[str], kills: Callable[[str], bool] = lambda _: False) -> tuple[int, list[str]]:
        """Run a task, killed at a line that it says where it is to be; return its exit code and its last lines."""
        said: deque[str] = deque(maxlen=TOLD)
        with subprocess.Popen(
            [*_TASKS, *command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            clock = threading.Timer(PATIENCE, _end, (process, signal.SIGTERM))
            clock.start()
            try:
                for line in process.stdout or ():
                    said.append(line.rstrip())
                    if kills(line):
                        _end(process, signal.SIGKILL)
            except BaseException:
                _end(process, signal.SIGTERM)
                raise
            finally:
                clock.cancel()
        return process.returncode, [*said]

    def _lay_over(self, stack: str, values: dict[str, Any]) -> None:
        """Write settings into a stack's file."""
        path = self.folder / settings.stack_file(stack)
        content = document.read(path)
        content["config"][STACK_KEY] = settings.lay_over(content["config"][STACK_KEY], values)
        edits.write_private(path, yaml.safe_dump(content, sort_keys=False))


def _failed(what: str, code: int, said: Sequence[str]) -> Failed:
    """Show what a task said last, and return its failure with the end of that."""
    for line in said:
        say(f"   {line}")
    last = " / ".join([line.strip() for line in said if line.strip()][-KEPT:])
    return Failed(f"`{what}` ended with {code}: {last}")


def step_of(line: str) -> str:
    """Return what a line says without what differs each time: numbers, and names of copies, which are hexadecimal."""
    return re.sub(r"\b[0-9a-f]{8,64}\b|\d+", "", line)


def _end(process: "subprocess.Popen[str]", number: int) -> None:
    """Tell a task, and all that it has started in its group, to end."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
