"""How much of an `up` is not the clouds' own time, where each kind of resource takes the time it takes there."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchmarks.measuring import in_turns, median
from benchmarks.report import Row, spread
from benchmarks.site import OURS, STACK, prepared
from sandbox.engine import cloudflare, linode

TIMES = 2
LATENCY = 1 / 8
"""Of the clouds' own times: a database takes 98 s then, beside which what the engine itself needs weighs little."""
LIMIT = 1.1


def run() -> Iterator[Row]:
    """Measure, and yield the comparison."""
    seconds = {each.token: each.seconds.create * LATENCY for each in (*linode.RESOURCES, *cloudflare.RESOURCES)}
    with prepared() as site:
        site.preview(OURS)  # the first run writes the bytecode of what it imports
        runs = in_turns({OURS: lambda: site.fresh(LATENCY).up(OURS)}, TIMES)[OURS]
        state = site.state()
    chain = longest_chain(state, seconds)
    what = f"up {STACK} with the clouds' times / {1 / LATENCY:.0f}, against the longest chain"
    yield Row(what, spread(runs), f"{chain:.2f} s", median(runs) / chain, LIMIT)


def longest_chain(resources: Iterable[Mapping[str, Any]], seconds: Mapping[str, float]) -> float:
    """Return the seconds of the longest chain of resources that wait for one another.

    `resources` are a state's, each after all that it waits for; `seconds` is how long a type takes to create.
    """
    ends: dict[str, float] = {}
    for each in resources:
        provider = each.get("provider", "").rpartition("::")[0]
        awaited = [ends[urn] for urn in (*each.get("dependencies", ()), provider) if urn]
        ends[each["urn"]] = max(awaited, default=0.0) + seconds.get(each["type"], 0.0)
    return max(ends.values())
