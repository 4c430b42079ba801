"""Drift: what the clouds hold and the program does not say, found without writing anything."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from operations import clouds, engine, plans, policy, recovery, runs, stacks
from operations.alarms import Job
from operations.console import say
from operations.errors import Failed
from operations.incidents import Incident
from operations.project import Project
from operations.servers import kept

ORPHAN, MISSING = "orphan", "missing"
MEANS = {
    "create": "is gone",
    MISSING: "is declared, and was not made",
    "update": "differs",
    "replace": "differs, and would be replaced",
    "create-replacement": "differs, and would be replaced",
    "delete": "is in the state, and not declared",
    ORPHAN: "exists, and no stack knows it",
}
"""The engine's steps, and what each says of the clouds."""


@dataclass(frozen=True)
class Difference:
    """One property of a resource, or an object as a whole (`property` is empty): what is there, what is declared.

    `means` is one of MEANS. Secret values are masked by the engine.
    """

    resource: str
    type: str
    means: str
    property: str = ""
    there: Any = None
    declared: Any = None


def report(root: Path, wanted: str, *, on_sandbox: bool) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Return the exit code, and by stack what differs between the clouds and the program.

    Raises:
        Refused: the configuration is wrong, or something is missing.
        Failed: the engine or a cloud does not answer.
    """
    projects = runs.for_preview(root, stacks.select(root, wanted), on_sandbox=on_sandbox)
    found = {project.stack: [asdict(each) for each in _differences(project)] for project in projects}
    return engine.CHANGES if any(found.values()) else 0, found


def tell(job: Job, found: Mapping[str, list[dict[str, Any]]]) -> None:
    """Report the drift of each stack to those whom its alarms go to: without values, as mail goes far."""
    for stack, differences in found.items():
        shown = [f"  {each['resource']} {each['means']} {each['property']}".rstrip() for each in differences]
        drifted = Incident(
            f"drift {stack}",
            f"{stack}: the clouds and the program differ ({len(shown)} found)",
            f"`{job.command(f'drift {stack}')}` shows the values; `{job.command(f'up {stack}')}` brings the clouds to "
            "what the program says, or write what is wanted into the configuration.",
            "nothing differs any more",
            "\n".join(shown),
        )
        job.report(stack, drifted.key, [drifted] if shown else [])


def table(found: Mapping[str, list[dict[str, Any]]]) -> Table:
    """Return the report for people."""
    shown = Table("Stack", "Resource", "What", "Property", "There", "Declared")
    for stack, differences in found.items():
        for each in differences:
            values = ("" if each[side] is None else json.dumps(each[side]) for side in ("there", "declared"))
            shown.add_row(stack, each["resource"], each["means"], each["property"], *values)
        if not differences:
            shown.add_row(stack, "", "no drift", "", "", "")
    return shown


def _differences(project: Project) -> Iterator[Difference]:
    arguments = ("--refresh", "--expect-no-changes", "--json", *policy.arguments(project))
    (code, output, errors), plan = plans.preview(project, engine.answer, *arguments)
    if code not in (0, engine.CHANGES):
        violations = "\n".join(f"{each.policy}: {each.message}" for each in plan.violations)
        why = violations or errors.strip() or output.strip()
        raise Failed(f"{project.stack}: the clouds can't be compared: {why}")
    known = {each["urn"] for each in engine.resources(project)}
    for step in json.loads(output)["steps"]:
        if step["op"] in MEANS:
            yield from _of_step(step, known)
    unknown = recovery.without_stack(project, clouds.census(clouds.connect(project)))
    for each in kept.of(unknown):
        say(f"{each.key}: it was replaced by a restore, and is kept, off and billed (docs/servers.md)")
    for each in kept.without(unknown):
        yield Difference(each.name, each.type, MEANS[ORPHAN])


def _of_step(step: Mapping[str, Any], known: Collection[str]) -> Iterator[Difference]:
    means = MEANS[MISSING if step["op"] == "create" and step["urn"] not in known else step["op"]]
    name = step["urn"].rpartition("::")[2]
    type_ = step["urn"].split("::")[2].rpartition("$")[2]
    there, declared = ((step.get(state) or {}).get("inputs") or {} for state in ("oldState", "newState"))
    properties = sorted({path.partition(".")[0].partition("[")[0] for path in step.get("detailedDiff") or {}})
    for each in properties or [""]:
        yield Difference(name, type_, means, each, there.get(each), declared.get(each))
