"""`python -m benchmarks [NAME ...]`: measures, prints tables; 1 where anything takes longer than it may."""

import argparse
import signal
import sys

from benchmarks import asking, copies, door, flat, floor, report, startup, waiting
from operations.console import say, show
from operations.errors import Failed

BENCHMARKS = {
    "startup": startup,
    "floor": floor,
    "waiting": waiting,
    "flat": flat,
    "door": door,
    "asking": asking,
    "copies": copies,
}


def main() -> int:
    """Run the benchmarks that are named, or all; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or [*BENCHMARKS]
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark '{unknown[0]}'; there are {', '.join(BENCHMARKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what is under way is cleared away
    found: list[report.Row | report.Load | report.Rate | report.Peak] = []
    try:
        for name in names:
            say(f"{name}: {BENCHMARKS[name].__doc__}")
            found += BENCHMARKS[name].run()
    except Failed as error:
        say(str(error.message))
        return 1
    if loads := [each for each in found if isinstance(each, report.Load)]:
        show(report.loads(loads))
    if rates := [each for each in found if isinstance(each, report.Rate)]:
        show(report.rates(rates))
    if peaks := [each for each in found if isinstance(each, report.Peak)]:
        show(report.peaks(peaks))
    rows = [each for each in found if isinstance(each, report.Row)]
    show(report.ratios(rows))
    return int(any(row.verdict == "over" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
