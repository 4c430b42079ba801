"""What our components cost: a flat program that declares the same resources, at sizes that grow."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.measuring import Run, in_turns, median
from benchmarks.recording import record
from benchmarks.report import Load, Row, compared
from benchmarks.site import OURS, STACK, Site, prepared
from operations import engine
from operations.errors import Failed

PLAIN, FAST = "flat", "flat_fast"
LIMIT = 1.1
SIZES = {"preview": {50: 5, 1000: 2}, "up": {20: 3, 100: 2}}
"""Servers, and how many times each program runs with them."""


@dataclass(frozen=True)
class Measured:
    """The runs of each program with a number of servers, which are a number of resources at the clouds."""

    servers: int
    resources: int
    runs: dict[str, list[Run]]

    def seconds(self, program: str) -> float:
        """Return the median of a program's seconds."""
        return median(self.runs[program])


def run() -> Iterator[Row | Load]:
    """Measure, and yield comparisons, throughput and memory, and growth from the smaller size to the larger."""
    for verb, sizes in SIZES.items():
        small, large = (_measured(verb, servers, times) for servers, times in sizes.items())
        for each in (small, large):
            what = f"{verb}, {each.servers} servers"
            yield compared(f"{what}, against a flat program", each.runs[OURS], each.runs[PLAIN], LIMIT)
            yield compared(f"{what}, ... with our imports", each.runs[OURS], each.runs[FAST], None)
            for program, runs in each.runs.items():
                yield Load(what, program, each.resources, runs)
        ours, flat = (large.seconds(program) - small.seconds(program) for program in (OURS, PLAIN))
        added = large.servers - small.servers
        what = f"{verb}, for each server from {small.servers} to {large.servers}"
        yield Row(what, f"{ours / added:.3f} s", f"{flat / added:.3f} s", ours / flat, LIMIT)


def _measured(verb: str, servers: int, times: int) -> Measured:
    with prepared(servers) as site:
        resources = _write_list(site)
        made: dict[str, set[tuple[str, str]]] = {}

        def up(program: str) -> Run:
            fresh = site.fresh()
            result = fresh.up(program)
            made[program] = _at_the_clouds(fresh)
            return result

        turn = {"preview": site.preview, "up": up}[verb]
        done = in_turns({program: partial(turn, program) for program in (OURS, PLAIN, FAST)}, times)
    if any(each != made[OURS] for each in made.values()):
        raise Failed("the flat program made other resources than ours; mend benchmarks/recording.py")
    return Measured(servers, resources, done)


def _write_list(site: Site) -> int:
    """Write the list of resources that the flat programs declare; return how many they are."""
    values = json.loads(engine.ask(site.project, "config", "--json", "--show-secrets"))
    resources = record(
        site.install(OURS),
        STACK,
        {key: each["value"] for key, each in values.items()},
        [key for key, each in values.items() if each["secret"]],
    )
    (site.root / "resources.json").write_text(json.dumps(resources), encoding="utf-8")
    return len(resources)


def _at_the_clouds(site: Site) -> set[tuple[str, str]]:
    """Return type and id of every resource that a cloud has; the sandbox makes ids of names, not of the order."""
    return {
        (each["type"], each["id"]) for each in site.state() if each["custom"] and not each["type"].startswith("pulumi:")
    }
