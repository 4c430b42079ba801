"""The sandbox is killed right after a write that the engine knows of: nothing is lost, and the next `up` converges."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import process
from tests.engine.checkout import KINDS, Checkout, make_small

# The engine may be quicker with its next call than we with the kill. Then that call was cut off, which is another
# story; the run is made again.
TRIES = 5


@dataclass(frozen=True)
class Small:
    """A small stack that holds every kind, an empty world to begin from, and its writes in their order."""

    checkout: Checkout
    empty: Path
    writes: tuple[tuple[str, str], ...]  # kind and URN

    def kill_after(self, urn: str) -> bool:
        """Bring the stack up, a call at a time, and kill the sandbox once that resource's write is acknowledged.

        Return whether no other call was under way.
        """
        self.checkout.restore(self.empty)
        acknowledged = set()
        killed = False
        said = []
        for line in self.checkout.follow("up", "--yes", "--skip-preview", "--parallel", "1"):
            said.append(line)
            if (write := written(line)) and not killed:
                acknowledged.add(write[1])
                if write[1] == urn:
                    self.checkout.kill_sandbox()
                    killed = True
        assert killed, "".join(said)[-4000:]
        assert self.checkout.code != 0 or urn == self.writes[-1][1], "an update whose cloud is gone cannot succeed"
        known = {each["urn"]: (KINDS[each["type"]], each["id"]) for each in self.checkout.resources()}
        assert acknowledged <= known.keys(), "the engine lost a write that it knew of"
        objects = self.checkout.objects()
        assert known.keys() <= {urn for _, urn in self.writes}
        return objects <= set(known.values())

    def assert_converges(self) -> None:
        again = self.checkout.up()
        assert again.code == 0, again.said
        self.checkout.assert_objects_are_resources()
        assert {each["urn"] for each in self.checkout.resources()} == {urn for _, urn in self.writes}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    checkout = make_small(tmp_path_factory.mktemp("kills") / "checkout")
    try:
        checkout.project()
        empty = checkout.snapshot()
        lines = list(checkout.follow("up", "--yes", "--skip-preview", "--parallel", "1"))
        assert checkout.code == 0, "".join(lines)[-4000:]
        yield Small(checkout, empty, tuple(write for line in lines if (write := written(line))))
    finally:
        process.stop(checkout.folder)


def written(line: str) -> tuple[str, str] | None:
    """Return kind and URN of the resource that an event of the engine says was made."""
    metadata = json.loads(line).get("resOutputsEvent", {}).get("metadata", {}) if line.startswith("{") else {}
    return (metadata["type"], metadata["urn"]) if metadata.get("type") in KINDS else None


def test_a_kill_after_an_acknowledged_write_of_every_kind_loses_nothing(
    small: Small, exhaustive: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {kind for kind, _ in small.writes} == set(KINDS)
    chosen = small.writes if exhaustive else tuple(dict(reversed(small.writes)).items())
    for number, (_, urn) in enumerate(chosen, start=1):
        assert any(small.kill_after(urn) for _ in range(TRIES)), f"{urn}: every kill came too late"
        small.assert_converges()
        if exhaustive:
            with capsys.disabled():
                print(f"killed after {number} of {len(chosen)} writes: converged")
