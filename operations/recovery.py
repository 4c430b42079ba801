"""Going on after a run that was cut off: what it made is taken over, never made twice.

A run that is killed leaves operations in the state of which nobody knows how they ended; one whose cloud did the work
and did not answer leaves nothing at all. Either way only the cloud knows what exists, so it is asked, and each object
is told by what names it (`clouds.Kind`).
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from components import settings
from operations import clouds, engine
from operations.clouds import Found
from operations.errors import Refused
from operations.project import Project

Say = Callable[[str], None]
Resource = dict[str, Any]

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's mark of a value that is not known before the update (sdk/python/lib/pulumi/runtime/rpc.py)."""


@dataclass(frozen=True)
class Stray:
    """An object that no state knows, and the resource that the program would make it as."""

    found: Found
    resource: Resource


def settle(project: Project, say: Say) -> None:
    """Find out what became of the operations that a killed run left in the state, and clear them from it.

    What was made is taken into the state; what can't be read again is deleted at its cloud, and is made anew; what
    was changed or deleted is read again.

    Raises:
        Failed: the engine or a cloud does not answer.
    """
    exported = _export(project)
    pending = exported["deployment"].get("pending_operations") or []
    if not pending:
        return
    say(f"{project.stack}: a run was cut off; {len(pending)} of its operations have no known end. Asking the clouds.")
    begun = [each["resource"] for each in pending if each["type"] == "creating"]
    exist = _by_key(_census(project, {each["type"] for each in begun}))
    known = {(each["type"], each.get("id")) for each in exported["deployment"].get("resources") or []}
    made = []
    for resource in begun:
        found = exist.get(_key(resource))
        if resource["type"] not in clouds.KINDS:
            say(f"{project.stack}: {_name(resource)} is always there, and will be set again")
        elif found is None or (found.type, found.id) in known:
            say(f"{project.stack}: {_name(resource)} was not made")
        else:
            made.append(Stray(found, resource))
    again = [each["resource"] for each in pending if each["type"] in ("updating", "deleting")]
    exported["deployment"]["pending_operations"] = []
    _take_over(project, exported, made, [each["urn"] for each in again], say)
    if again:
        left = {each["urn"] for each in engine.resources(project)}
        for each in again:
            say(f"{project.stack}: {_name(each)} {'was read again' if each['urn'] in left else 'is gone'}")


def strays(project: Project) -> list[Stray]:
    """Return the objects that the next `up` would make again: they exist, and no stack knows them.

    Raises:
        Failed: the engine or a cloud does not answer.
    """
    unknown = _by_key(without_stack(project, _census(project)))
    if not unknown:
        return []
    return [Stray(unknown[key], each) for each in _planned(project) if (key := _key(each)) in unknown]


def without_stack(project: Project, found: Iterable[Found]) -> list[Found]:
    """Return what no stack's state knows, of all the stacks that have a file here.

    Raises:
        Failed: a state can't be read.
    """
    left = list(found)
    others = (name for name in settings.stack_names(project.root) if name != project.stack)
    for stack in (project.stack, *others):
        if left:  # reading a state takes a moment: the others' are read only where something is left
            known = {(each["type"], each.get("id")) for each in engine.resources(replace(project, stack=stack))}
            left = [each for each in left if (each.type, each.id) not in known]
    return left


def adopt(project: Project, found: Sequence[Stray], say: Say) -> None:
    """Take strays into the stack's state.

    Raises:
        Refused: the state has nothing to put one under.
        Failed: the engine or a cloud does not answer.
    """
    exported = _export(project)
    present = {each["urn"] for each in exported["deployment"].get("resources") or []}
    names = [each.found.name for each in found if not _has_place(each.resource, present)]
    if names:
        raise Refused(
            f"{project.stack}: {', '.join(names)}: exists already, and the stack's state has nothing to take it over "
            "into; bring the state back, or delete or rename what exists. Nothing was changed"
        )
    _take_over(project, exported, found, (), say)


def _take_over(
    project: Project, exported: dict[str, Any], made: Sequence[Stray], again: Iterable[str], say: Say
) -> None:
    """Write what was made into the state, and read it and the resources `again` from the clouds."""
    resources = exported["deployment"].setdefault("resources", [])
    taken = []
    for stray in _ordered(made):
        if not clouds.KINDS[stray.found.type].readable:
            stray.found.delete()
            say(f"{project.stack}: deleted {stray.found.name}: its secret can't be read again, so it is made anew")
            continue
        resource = _depending_on(stray.resource, {each["urn"] for each in resources})
        _insert(resources, {**resource, "id": stray.found.id, "outputs": resource["inputs"]})
        taken.append(stray.resource["urn"])
        say(f"{project.stack}: took over {stray.found.name}, which exists already")
    engine.ask(project, "stack", "import", text=json.dumps(exported))
    present = {each["urn"] for each in resources}
    targets = [urn for urn in dict.fromkeys((*taken, *again)) if urn in present]
    if targets:
        options = [argument for urn in targets for argument in ("--target", urn)]
        engine.ask(project, "refresh", "--yes", "--skip-preview", *options)


def _ordered(strays: Iterable[Stray]) -> list[Stray]:
    """Return the strays in an order in which each comes after those that it depends on, as a state has them."""
    by_urn = {each.resource["urn"]: each for each in strays}
    awaited = {urn: by_urn.keys() & set(each.resource.get("dependencies") or ()) for urn, each in by_urn.items()}
    return [by_urn[urn] for urn in TopologicalSorter(awaited).static_order()]


def _has_place(resource: Resource, present: AbstractSet[str]) -> bool:
    """Whether the parent and the provider of a resource are in the state."""
    above = [resource.get("parent"), str(resource.get("provider", "")).rpartition("::")[0]]
    return all(urn in present for urn in above if urn)


def _depending_on(resource: Resource, present: AbstractSet[str]) -> Resource:
    """Return a resource that depends only on what is in the state: the next update adds the rest."""
    properties = (resource.get("propertyDependencies") or {}).items()
    return {
        **resource,
        "dependencies": [urn for urn in resource.get("dependencies") or () if urn in present],
        "propertyDependencies": {name: [urn for urn in urns or () if urn in present] for name, urns in properties},
    }


def _insert(resources: list[Resource], new: Resource) -> None:
    """Put a resource where an older one of its name stands, which it replaces, else behind all others."""
    position = next((at for at, each in enumerate(resources) if each["urn"] == new["urn"]), None)
    if position is None:
        resources.append(new)
        return
    older = resources[position]
    # One that was deleted first is only remembered; one that is still there has to be deleted yet.
    resources[position : position + 1] = [new] if older.get("pendingReplacement") else [new, {**older, "delete": True}]


def _planned(project: Project) -> list[Resource]:
    """Return the resources that an update would make, as the state would hold them; unknown inputs are left out."""
    with tempfile.TemporaryDirectory(prefix="chat-tonic-") as folder:
        file = Path(folder, "plan.json")
        engine.ask(project, "preview", "--save-plan", str(file))
        plans: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["resourcePlans"]
    return [
        _resource(urn, plan["goal"])
        for urn, plan in plans.items()
        if "create" in " ".join(plan.get("steps") or ()) and plan.get("goal", {}).get("custom")
    ]


def _resource(urn: str, goal: Mapping[str, Any]) -> Resource:
    inputs = _without_unknown(goal["inputDiff"].get("adds") or {})
    kept = ("type", "custom", "parent", "provider", "dependencies", "propertyDependencies", "protect", "deletedWith")
    return {"urn": urn, "inputs": inputs, **{name: goal[name] for name in kept if goal.get(name)}}


def _without_unknown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_unknown(item) for name, item in value.items() if item != UNKNOWN}
    if isinstance(value, list):
        return [_without_unknown(item) for item in value if item != UNKNOWN]
    return value


def _key(resource: Resource) -> tuple[str, str]:
    kind = clouds.KINDS.get(resource["type"])
    return resource["type"], kind.key(resource.get("inputs") or {}) if kind else resource["urn"]


def _by_key(found: Iterable[Found]) -> dict[tuple[str, str], Found]:
    return {(each.type, each.key): each for each in found}


def _census(project: Project, types: Iterable[str] | None = None) -> list[Found]:
    return clouds.census(clouds.connect(project), types)


def _name(resource: Resource) -> str:
    return f"{resource['type'].rpartition(':')[2]} {resource['urn'].rpartition('::')[2]}"


def _export(project: Project) -> dict[str, Any]:
    return dict(json.loads(engine.ask(project, "stack", "export")))
