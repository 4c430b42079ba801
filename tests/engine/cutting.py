"""Cutting off a run of the engine in the middle of its calls, and going on as the tasks do."""

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from operations import engine, state, updates
from operations.updates import Agreed
from sandbox import process
from tests.engine.checkout import ACCESS, KINDS, Checkout

HELD = 60.0  # seconds that a call is held, unless what waits for it is killed
PATIENCE = 120.0  # seconds
UP, DESTROY = ("up", "--yes", "--skip-preview"), ("destroy", "--yes", "--skip-preview")


@dataclass
class Cut:
    """The small stack, and a way to kill its engine in the middle of calls."""

    checkout: Checkout

    def control(self, method: str, what: str, body: Any = None) -> Any:
        running, known = process.status(self.checkout.folder), process.tokens(self.checkout.folder)
        assert running is not None
        headers = {"Authorization": f"Bearer {known.control}"}
        answer = requests.request(method, f"{running.control_url}/{what}", json=body, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def kill_during(self, command: Sequence[str], faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Run the engine, and kill it as soon as one of the faults holds a call; which have struck."""
        project = self.checkout.project()
        self.control("PUT", "faults", faults)
        with subprocess.Popen(
            [project.pulumi, *command, "--stack", self.checkout.stack, "--non-interactive"],
            cwd=project.folder,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        ) as running:
            until = time.monotonic() + PATIENCE
            while not (struck := [each for each in self.control("GET", "faults") if each["struck"]]):
                if running.poll() is not None:
                    assert running.returncode == 0, running.stdout and running.stdout.read()[-4000:]
                    break
                assert time.monotonic() < until
                time.sleep(0.02)
            else:
                time.sleep(0.2)  # what else is under way may end, or not
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
        struck = [each for each in self.control("GET", "faults") if each["struck"]]
        self.control("PUT", "faults", [])
        return struck

    def go_on(self, agreed: Agreed = Agreed()) -> None:  # noqa: B008 (frozen)
        """Do what `up` does before the engine."""
        project = self.checkout.project()
        state.mend(project, lambda _: None)
        updates.go_on(project, agreed)

    def settle(self) -> None:
        """Do what `destroy` does before the engine."""
        project = self.checkout.project()
        state.mend(project, lambda _: None)
        updates.settle(project)

    def prepare(self, verb: str) -> None:
        """Go on as the task does that makes such calls, and see that every object is known."""
        if verb == "Delete":
            self.settle()  # a device that only goes with its server is left to that
        else:
            self.go_on()
            self.assert_known()

    def cut_once_for_each(self, verb: str, kinds: set[str], command: Sequence[str]) -> set[str]:
        """Kill the engine once during this call of each kind, and go on each time; the kinds that had such a call.

        Every second is killed after the cloud did the work and before it answered, the others before the work.
        """
        struck: set[str] = set()
        left = sorted(kinds)
        holds = dict(zip(left, itertools.cycle(("hold_after", "hold_before")), strict=False))
        while True:
            found = self.kill_during(command, [held(verb, kind, holds[kind]) for kind in left])
            if not found:
                return struck
            struck |= {each["where"].partition(" ")[2] for each in found}
            left = [kind for kind in left if kind not in struck]
            self.prepare(verb)

    def cut_everywhere(self, verb: str, command: Sequence[str]) -> int:
        """Kill the engine during every single call of this verb, one at a time; how many there were.

        A call that has to be made again whatever became of it (settings, what can't be read) passes the third time.
        """
        cut: list[str] = []
        skip = 0
        while True:
            hold = "hold_after" if len(cut) % 2 == 0 else "hold_before"
            if not self.kill_during((*command, "--parallel", "1"), [{**held(verb, "*", hold), "skip": skip}]):
                return len(cut)
            urn = self.pending()
            self.prepare(verb)
            skip = int(urn in cut)
            if not skip:
                cut.append(urn)

    def pending(self) -> str:
        """The resource of the one call that was cut off."""
        project = self.checkout.project()
        state.mend(project, lambda _: None)
        deployment = json.loads(engine.ask(project, "stack", "export"))["deployment"]
        (operation,) = deployment["pending_operations"]
        return str(operation["resource"]["urn"])

    def assert_known(self) -> None:
        """Assert that every object is a resource of the state; and none of them is twice."""
        known = [(KINDS[each["type"]], each["id"]) for each in self.checkout.resources() if each["type"] != ACCESS]
        assert len(known) == len(set(known))
        assert self.checkout.objects() <= set(known)


def held(verb: str, kind: str, what: str) -> dict[str, Any]:
    return {"what": what, "where": f"{verb} {kind}", "seconds": HELD, "count": 1}
