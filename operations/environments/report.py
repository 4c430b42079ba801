"""What people and programs are told of the test environments: age, owner, cost so far, end."""

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table

from operations import runs, stacks
from operations.alarms import Job
from operations.environments import found, names
from operations.environments.found import Environment
from operations.incidents import Incident


def report(root: Path, *, on_sandbox: bool) -> list[dict[str, Any]]:
    """Return what is known of every test environment, also of those whose state is missing. Times are UTC, ISO 8601.

    `over` says that it is over its time; `state` and `file` whether the backend has its stack, and this folder its
    stack file. Costs are dollars.

    Raises:
        Refused: the test stack's configuration is wrong, or it has no token.
        Failed: a cloud or the engine does not answer.
    """
    (test,) = runs.for_clouds(root, stacks.select(root, names.TEST), on_sandbox=on_sandbox)
    return data(found.find(test).values())


def data(environments: Iterable[Environment]) -> list[dict[str, Any]]:
    """Return environments for programs."""
    now = dt.datetime.now(dt.UTC)
    return [
        {
            "name": each.name,
            "owner": each.owner or None,
            "began": each.began and each.began.isoformat(),
            "ends": each.ends and each.ends.isoformat(),
            "over": each.is_over(now),
            "objects": len(each.objects),
            "monthly": float(each.monthly),
            "so_far": float(each.so_far(now)),
            "state": each.has_state,
            "file": each.has_file,
        }
        for each in environments
    ]


def table(report: Iterable[dict[str, Any]]) -> Table:
    """Return a report for people."""
    now = dt.datetime.now(dt.UTC)
    shown = Table("Environment", "Owner", "Age", "Ends", title="Test environments; dollars before tax and traffic")
    for heading in ("Objects", "So far", "A month"):
        shown.add_column(heading, justify="right")
    shown.add_column("State")
    for each in report:
        ends = dt.datetime.fromisoformat(each["ends"]) if each["ends"] else None
        shown.add_row(
            each["name"],
            each["owner"] or "?",
            length(now - dt.datetime.fromisoformat(each["began"])) if each["began"] else "",
            _end(ends, now) if ends else "?",
            str(each["objects"]),
            f"{each['so_far']:,.2f}",
            f"{each['monthly']:,.2f}",
            "known" if each["state"] else "missing",
        )
    return shown


def tell(job: Job, left: Iterable[Environment]) -> None:
    """Report the environments that are over their time, and that a sweep could not end."""
    job.report(
        names.TEST,
        "environments",
        [
            Incident(
                f"environment {each.name}",
                f"{each.name}: this test environment is over its time, and could not be ended",
                f"`{job.command(f'env.down {each.name}')}` says what is in the way; the log of the sweep as well.",
                "a sweep finds it gone, or prolonged",
                f"Its owner is {each.owner or 'unknown'}; it was to end at {at(each.ends)}, and costs "
                f"{each.monthly:,.2f} dollars a month.",
            )
            for each in left
            if each.ends
        ],
    )


def at(moment: dt.datetime) -> str:
    """Return a time for people."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def length(of: dt.timedelta) -> str:
    """Return a length of time for people, `1d 3h`, `2h 5m` or `40s`: its two largest units."""
    seconds = max(int(of.total_seconds()), 0)
    units = {"d": seconds // 86400, "h": seconds // 3600 % 24, "m": seconds // 60 % 60, "s": seconds % 60}
    some = [f"{count}{unit}" for unit, count in units.items() if count]
    return " ".join(some[:2]) or "0s"


def _end(ends: dt.datetime, now: dt.datetime) -> str:
    return f"{at(ends)}, {'in ' + length(ends - now) if ends > now else 'over'}"
