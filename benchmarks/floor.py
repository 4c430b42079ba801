"""What our program adds to the least that a run can take: the engine, and a program that imports both SDKs."""

from collections.abc import Iterator
from functools import partial

from benchmarks.measuring import in_turns
from benchmarks.report import Row, compared
from benchmarks.site import OURS, STACK, prepared

TIMES = 7
LIMIT = 1.2


def run() -> Iterator[Row]:
    """Measure, and yield the comparison."""
    with prepared() as site:
        runs = {program: partial(site.preview, program) for program in (OURS, "floor")}
        in_turns(runs, 1)  # the first run of each writes the bytecode of what it imports
        done = in_turns(runs, TIMES)
    yield compared(f"preview {STACK}, against a program that only imports", done[OURS], done["floor"], LIMIT)
