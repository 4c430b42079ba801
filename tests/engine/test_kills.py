"""The sandbox is killed right after a write that the engine knows of: nothing is lost, and the next `up` goes on."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
    """A small stack that holds every kind and is not there yet, and the writes that make it, in their order."""

    checkout: Checkout
    writes: tuple[Write, ...]

    def known(self) -> set[str]:
        return {each["urn"] for each in self.checkout.resources()}

    def kill_after(self, write: Write) -> None:
        """Go on to bring the stack up, a call at a time, and kill the sandbox once the engine knows of the write."""
        before = self.known()
        process.stop(self.checkout.folder)
        target = (write.action, write.kind, write.id)
        command = [sys.executable, "-m", "tests.engine.stalling", *target, str(self.checkout.folder)]
        acknowledged, said = set(before), []
        with subprocess.Popen(command, cwd=ROOT) as stalling:
            try:
                until = time.monotonic() + READY_WITHIN
                while not process.status(self.checkout.folder):
                    assert time.monotonic() < until, "the sandbox does not listen"
                    time.sleep(0.02)
                for line in self.checkout.follow(*UP):
                    said.append(line)
                    if urn := written(line):
                        acknowledged.add(urn)
                    if urn == write.urn:
                        stalling.kill()
            finally:
                stalling.kill()
        assert write.urn in acknowledged, "".join(said)[-4000:]
        was_last = acknowledged >= {each.urn for each in self.writes}
        assert (self.checkout.code == 0) == was_last, "an update whose cloud is gone cannot succeed"
        assert acknowledged == self.known(), "the engine knows what was acknowledged, and nothing else"
        self.checkout.assert_objects_are_resources()


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
        checkout.restore(empty)
        yield Small(checkout, writes)
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


def test_a_kill_after_an_acknowledged_write_loses_nothing(
    small: Small, exhaustive: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {write.type for write in small.writes} == set(KINDS)
    chosen = small.writes if exhaustive else small.writes[::6]
    for number, write in enumerate(chosen, start=1):
        small.kill_after(write)
        if exhaustive:
            with capsys.disabled():
                print(f"\nkilled after write {number} of {len(chosen)}, {write.type}: went on", end="")
    ended = small.checkout.up()
    assert ended.code == 0, ended.said
    assert small.known() == {write.urn for write in small.writes}
    small.checkout.assert_objects_are_resources()
    assert small.checkout.preview().code == 0
