"""The sandbox is killed right after a write that the engine knows of: nothing is lost, and the next `up` converges."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox import process
from sandbox.cloudflare import STANDING
from tests.configuration import ROOT
from tests.engine.checkout import ACCESS, KINDS, Checkout, make_small

UP = ("up", "--yes", "--skip-preview", "--parallel", "1")
READY_WITHIN = 60.0  # seconds


@dataclass(frozen=True)
class Write:
    """A resource that an `up` makes, and the event of the clouds' log that makes it."""

    urn: str
    type: str
    action: str
    kind: str
    id: str


@dataclass(frozen=True)
class Small:
    """A small stack that holds every kind, an empty world to begin from, and its writes in their order."""

    checkout: Checkout
    empty: Path
    writes: tuple[Write, ...]

    def kill_after(self, write: Write) -> None:
        """Bring the stack up, a call at a time, and kill the sandbox once the engine knows of the write."""
        self.checkout.restore(self.empty)
        target = (write.action, write.kind, write.id)
        command = [sys.executable, "-m", "tests.engine.stalling", *target, str(self.checkout.folder)]
        acknowledged, said = set(), []
        with subprocess.Popen(command, cwd=ROOT) as stalling:
            try:
                until = time.monotonic() + READY_WITHIN
                while not process.status(self.checkout.folder):
                    assert time.monotonic() < until, "the sandbox does not listen"
                    time.sleep(0.02)
                for line in self.checkout.follow(*UP):
                    said.append(line)
                    acknowledged.add(written(line))
                    if written(line) == write.urn:
                        stalling.kill()
            finally:
                stalling.kill()
        assert write.urn in acknowledged, "".join(said)[-4000:]
        was_last = acknowledged >= {each.urn for each in self.writes}
        assert (self.checkout.code == 0) == was_last, "an update whose cloud is gone cannot succeed"
        known = {each["urn"] for each in self.checkout.resources()}
        assert acknowledged - {None} == known, "the engine knows what was acknowledged, and nothing else"
        self.checkout.assert_objects_are_resources()

    def assert_converges(self) -> None:
        """Bring the stack up again: what was there stays, what was missing is made, nothing twice."""
        again = self.checkout.up()
        assert again.code == 0, again.said
        self.checkout.assert_objects_are_resources()
        assert {each["urn"] for each in self.checkout.resources()} == {write.urn for write in self.writes}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    checkout = make_small(tmp_path_factory.mktemp("kills") / "checkout")
    try:
        checkout.project()
        empty = checkout.snapshot()
        lines = list(checkout.follow(*UP))
        assert checkout.code == 0, "".join(lines)[-4000:]
        made = {each["urn"]: each for each in checkout.resources()}
        order = [urn for line in lines if (urn := written(line))]
        writes = tuple(write_of(made[urn]) for urn in order)
        log = {(event.action, event.kind, event.id) for event in checkout.events()}
        assert {(write.action, write.kind, write.id) for write in writes} <= log
        yield Small(checkout, empty, writes)
    finally:
        process.stop(checkout.folder)


def write_of(resource: dict[str, Any]) -> Write:
    kind = KINDS[resource["type"]]
    updates = resource["type"] == ACCESS or kind in STANDING  # of a database and of a zone that are there
    id_ = resource["id"].removesuffix(":postgresql")
    if kind == "cloudflare.zone_setting":
        id_ = f"{resource['inputs']['zoneId']}/{id_}"
    return Write(resource["urn"], resource["type"], "update" if updates else "create", kind, id_)


def written(line: str) -> str | None:
    """Return the resource that an event of the engine says was made."""
    metadata = json.loads(line).get("resOutputsEvent", {}).get("metadata", {}) if line.startswith("{") else {}
    return metadata["urn"] if metadata.get("type") in KINDS else None


def test_a_kill_after_an_acknowledged_write_of_every_kind_loses_nothing(
    small: Small, exhaustive: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {write.type for write in small.writes} == set(KINDS)
    first_of_each_kind = {write.type: write for write in reversed(small.writes)}
    chosen = small.writes if exhaustive else tuple(first_of_each_kind.values())
    for number, write in enumerate(chosen, start=1):
        small.kill_after(write)
        small.assert_converges()
        if exhaustive:
            with capsys.disabled():
                print(f"\nkilled after write {number} of {len(chosen)}, {write.type}: converged", end="")
