"""What the benchmarks found, as tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks.measuring import Run, median, ratio


@dataclass(frozen=True)
class Row:
    """One comparison. Ours may take `limit` times as long as the other; without a limit it only informs."""

    what: str
    ours: str
    against: str
    ratio: float
    limit: float | None

    @property
    def verdict(self) -> str:
        """Return `ok`, `over`, or nothing where there is no limit."""
        if self.limit is None:
            return ""
        return "ok" if self.ratio <= self.limit else "over"


@dataclass(frozen=True)
class Load:
    """A program's runs at a number of cloud resources."""

    what: str
    program: str
    resources: int
    runs: Sequence[Run]


@dataclass(frozen=True)
class Peak:
    """The peak memory of some work, in MB by program (None: not known)."""

    what: str
    memory: Mapping[str, float | None]


@dataclass(frozen=True)
class Rate:
    """Calls a second, one after the other, and the seconds that half of them and 99 of a hundred need at most."""

    what: str
    a_second: float
    half: float
    most: float


def compared(what: str, ours: Sequence[Run], against: Sequence[Run], limit: float | None) -> Row:
    """Return the comparison of runs that took turns."""
    return Row(what, spread(ours), spread(against), ratio(ours, against), limit)


def spread(runs: Sequence[Run]) -> str:
    """Return the median of the runs' seconds, with the least and the most."""
    seconds = [run.seconds for run in runs]
    return f"{median(runs):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})"


def ratios(rows: Iterable[Row]) -> Table:
    """Return the comparisons as a table."""
    table = Table("What", "Ours", "Against", title="Median (least-most)")
    for heading in ("Ratio", "Limit"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:.2f}"
        style = "bold red" if row.verdict == "over" else None
        table.add_row(row.what, row.ours, row.against, f"{row.ratio:.2f}", limit, row.verdict, style=style)
    return table


def loads(rows: Iterable[Load]) -> Table:
    """Return throughput and memory as a table."""
    table = Table("What", "Program", title="Throughput, and peak memory in MB")
    for heading in ("Resources", "Resources a second", "Engine", "Program"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.what,
            row.program,
            str(row.resources),
            f"{row.resources / median(row.runs):.1f}",
            _megabytes([run.engine for run in row.runs]),
            _megabytes([run.program for run in row.runs]),
        )
    return table


def rates(rows: Iterable[Rate]) -> Table:
    """Return calls a second and their times as a table."""
    table = Table("What", title="Calls, one after the other")
    for heading in ("A second", "p50, ms", "p99, ms"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row.what, f"{row.a_second:.0f}", f"{row.half * 1000:.1f}", f"{row.most * 1000:.1f}")
    return table


def peaks(rows: Iterable[Peak]) -> Table:
    """Return peak memory as a table."""
    table = Table("What", "Program", title="Peak memory")
    table.add_column("MB", justify="right")
    for row in rows:
        for program, memory in row.memory.items():
            table.add_row(row.what, program, _megabytes([memory]))
    return table


def _megabytes(peaks: Iterable[float | None]) -> str:
    known = [peak for peak in peaks if peak is not None]
    return f"{max(known):.0f}" if known else "not known"
