"""What a file full of objects costs a call at the API door: a hundred objects against ten thousand."""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.report import Rate, Row
from operations.console import say
from sandbox import cloudflare, linode, process
from sandbox.linode import instances
from sandbox.model import Model
from sandbox.store import Store

SMALL, LARGE = 100, 10_000
LIMIT = 2.0
TURNS, CALLS = 20, 50  # of each size, turn by turn, and calls of each kind in a turn
PAGE = 25
_RULES = {"inbound_policy": "DROP", "outbound_policy": "ACCEPT"}
BODY = {"type": "g6-nanode-1", "region": "us-central"}

Call = Callable[["Filled", int], httpx.Response]


@dataclass
class Filled:
    """A sandbox with so many objects, a client of it, and how long each kind's calls took, in seconds."""

    objects: int
    client: httpx.Client
    ids: list[int]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def an_id(self, number: int) -> int:
        """Return one of the ids, whatever the number."""
        return self.ids[number % len(self.ids)]

    def time(self, kind: str, call: Call, number: int) -> None:
        """Make one call and note its time."""
        began = time.perf_counter()
        call(self, number).raise_for_status()
        self.seconds.setdefault(kind, []).append(time.perf_counter() - began)


READS: tuple[Call, ...] = (
    lambda at, number: at.client.get(f"/linode/instances/{at.an_id(number)}"),
    lambda at, number: at.client.get(
        "/linode/instances", params={"page": number % (len(at.ids) // PAGE) + 1, "page_size": PAGE}
    ),
    lambda at, number: at.client.get(
        "/linode/instances", headers={"X-Filter": f'{{"label": "server-{number % len(at.ids)}"}}'}
    ),
)
WRITES: tuple[Call, ...] = (
    lambda at, number: at.client.post("/networking/firewalls", json={"label": f"made-{number}", "rules": _RULES}),
    lambda at, number: at.client.put(
        f"/linode/instances/{at.ids[number % len(at.ids)]}", json={"tags": [f"turn-{number}"]}
    ),
    lambda at, number: at.client.delete(f"/networking/firewalls/{_made(at, number)}"),
)


def run() -> Iterator[Row | Rate]:
    """Measure, and yield throughput, and the comparison of the slowest calls."""
    with ExitStack() as stack:
        small, large = (stack.enter_context(_filled(objects)) for objects in (SMALL, LARGE))
        order = random.Random(1)  # noqa: S311 (repeatable)
        for turn in range(1, TURNS + 1):
            for at in (small, large):
                for number in range((turn - 1) * CALLS, turn * CALLS):
                    at.time("reads", READS[number % len(READS)], order.randrange(10**6))
                    for call in WRITES:  # what one makes the last one takes away
                        at.time("writes", call, number)
            say(f"  {turn} of {TURNS}: {2 * CALLS * (1 + len(WRITES))} calls")
        for kind in small.seconds:
            for at in (small, large):
                yield Rate(f"{kind}, {at.objects} objects", *_figures(at.seconds[kind]))
            slowest = [_figures(at.seconds[kind])[2] for at in (large, small)]
            ours, against = (f"{seconds * 1000:.1f} ms" for seconds in slowest)
            yield Row(f"p99 of {kind}, {LARGE} objects against {SMALL}", ours, against, slowest[0] / slowest[1], LIMIT)


@contextmanager
def _filled(objects: int) -> Iterator[Filled]:
    with tempfile.TemporaryDirectory(prefix="chat-tonic-bench-") as folder:
        box = Path(folder)
        known = process.tokens(box)
        ids = _fill(box, objects)
        running = process.start(box)
        headers = {"Authorization": f"Bearer {known.linode_platform}"}
        try:
            with httpx.Client(base_url=running.linode_url, headers=headers, trust_env=False) as client:
                yield Filled(objects, client, ids)
        finally:
            process.stop(box)


def _fill(box: Path, objects: int) -> list[int]:
    store = Store(process.file_of(box))
    model = Model(store, (*linode.KINDS, *cloudflare.KINDS))
    made = [
        model.create(process.PLATFORM, instances.NAME, {**BODY, "label": f"server-{number}"})
        for number in range(objects)
    ]
    store.close()
    return [int(each["id"]) for each in made]


def _made(at: Filled, number: int) -> Any:
    found = at.client.get("/networking/firewalls", headers={"X-Filter": f'{{"label": "made-{number}"}}'}).json()
    return found["data"][0]["id"]


def _figures(seconds: list[float]) -> tuple[float, float, float]:
    """Return calls a second, and the seconds that half and 99 of a hundred calls need at most."""
    cuts = statistics.quantiles(seconds, n=100)
    return len(seconds) / sum(seconds), statistics.median(seconds), cuts[98]
