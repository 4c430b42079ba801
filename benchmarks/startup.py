"""How soon a task answers: `./inv --list` against a Python that imports no more than invoke."""

import sys
from collections.abc import Iterator

from benchmarks.measuring import command, in_turns
from benchmarks.report import Row, compared
from benchmarks.site import ROOT

TIMES = 15
LIMIT = 1.5


def run() -> Iterator[Row]:
    """Measure, and yield the comparison."""
    runs = in_turns(
        {
            "ours": lambda: command("./inv", "--list", folder=ROOT),
            "bare": lambda: command(sys.executable, "-c", "import invoke", folder=ROOT),
        },
        TIMES,
    )
    yield compared("./inv --list, against python -c 'import invoke'", runs["ours"], runs["bare"], LIMIT)
