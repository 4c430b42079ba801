"""Proof that copies restore: a drill where the data is, and the evidence that it leaves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from components.settings import Stack
from operations import runs, stacks
from operations import sandbox as local
from operations.alarms import Job
from operations.backups import reach
from operations.console import say
from operations.errors import Failed, Refused
from operations.incidents import Incident
from operations.project import Project

FOLDER = "evidence"
"""Where evidence is published: in `docs` of the checkout; that of the sandbox proves nothing, and stays there."""

_PROVED = "proved"
_PUBLISHED = ("format", "at", "stack", "environment", "result", "versions", "compared", "seconds")
_OF_THE_COPY = ("id", "taken", "day", "age_hours", "size", "rows", "version", "by_hand")
"""What leaves: times, counts and versions. What is not named here stays, whatever evidence may hold some day."""

Evidence = Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What was said on the command line: one environment or all with copies, one copy or the newest."""

    environment: str = ""
    copy: str = ""
    publish: bool = False


def run(root: Path, stack: str, wanted: Wanted, *, on_sandbox: bool) -> tuple[int, list[Evidence]]:
    """Drill, and return the evidence of each environment; and 1 where one is not proved.

    Raises:
        Refused: the configuration is wrong, the environment has no copies, or a copy is named and no environment.
        Failed: the engine does not answer.
    """
    chosen = stacks.select(root, stack)
    projects = runs.for_servers(root, chosen, on_sandbox=on_sandbox)
    drills = [
        (project, chosen[project.stack], name)
        for project in projects
        for name in reach.environments(project, chosen[project.stack], wanted.environment)
    ]
    if wanted.copy and len(drills) != 1:
        raise Refused(f"{stack}: the copy {wanted.copy} is of one environment; say which with --environment")
    found = [_drilled(project, settings, name, wanted) for project, settings, name in drills]
    if wanted.publish:
        for each in found:
            _publish(root / local.FOLDER if on_sandbox else root / "docs", each)
    return int(any(each["result"] != _PROVED for each in found)), found


def tell(job: Job, found: Sequence[Evidence]) -> None:
    """Report the copies that are not proved to restore."""
    for each in found:
        stack = each["stack"]
        of = f"{stack} {each['environment']}"
        failed = Incident(
            f"drill {of}",
            f"{of}: the copy {each['copy']['id']} is not proved to restore",
            f"mend what the reason says; `{job.command(f'backups.drill {stack}')}` tries again, and "
            f"`{job.command(f'backups.status {stack}')}` says what other copies there are.",
            "a drill proves one",
            str(each.get("reason", "")),
        )
        job.report(stack, failed.key, [failed] if each["result"] != _PROVED else [])


def table(found: Sequence[Evidence]) -> Table:
    """Return the evidence for people."""
    shown = Table("Stack", "Environment", "Copy", "Taken", "Result", "Rows", "Seconds", "Reason")
    for each in found:
        copy, rows = each["copy"], each.get("compared", {}).get("rows", "")
        seconds = each.get("seconds", {}).get("total", "")
        told = (copy["id"], copy.get("taken", ""), each["result"], str(rows), str(seconds), each.get("reason", ""))
        shown.add_row(each["stack"], each["environment"], *told, style="" if each["result"] == _PROVED else "red")
    return shown


def _drilled(project: Project, stack: Stack, environment: str, wanted: Wanted) -> Evidence:
    try:
        chosen = ("--copy", wanted.copy) if wanted.copy else ()
        return dict(reach.program(project, stack)(environment, "drill", *chosen).found)
    except Failed as error:  # keeps no other from being drilled
        copy = {"id": wanted.copy or "newest"}
        place = {"stack": project.stack, "environment": environment}
        return {**place, "copy": copy, "result": "failed", "reason": str(error.message)}


def _publish(under: Path, evidence: Evidence) -> None:
    """Write what may leave of a proof to a file of its day."""
    if evidence["result"] != _PROVED:
        return
    told = {name: evidence[name] for name in _PUBLISHED if name in evidence}
    told["copy"] = {name: evidence["copy"][name] for name in _OF_THE_COPY if name in evidence["copy"]}
    told["queries"] = len(evidence.get("queries", ()))
    file = under / FOLDER / f"{evidence['stack']}-{evidence['environment']}-{evidence['at'][:10]}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    say(f"{evidence['stack']}: {file} has the evidence")
