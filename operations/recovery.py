"""Going on after a run that was cut off: what it made is taken over, never made twice.

A run that is killed leaves operations in the state of which nobody knows how they ended; one whose cloud did the work
and did not answer leaves nothing at all. Either way only the cloud knows what exists, so it is asked, and each object
is told by what names it (`clouds.Kind`).
"""

import json
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from operations import clouds, engine, notes, state
from operations.clouds import Found
from operations.errors import Failed, Refused
from operations.plans import UNKNOWN
from operations.project import Project
from operations.servers import kept

Say = Callable[[str], None]
Resource = dict[str, Any]

NOT_READ = "taken over, and not read from its cloud yet"
"""The mark of such a resource in the state, among the errors of its making: the engine keeps it until a refresh."""

SUPERSEDED = "superseded"
"""The note, beside the state, of what was there before it was lost, and can't be taken over."""

_STACK = "stack:"
"""How the tag begins that says whose an object is."""

_KEPT = (
    *("type", "custom", "parent", "provider", "dependencies", "propertyDependencies"),
    *("protect", "deletedWith", "additionalSecretOutputs"),
)
"""What the state holds of a resource's plan."""


@dataclass(frozen=True)
class Stray:
    """An object that no state knows, and the resource that the program would make it as.

    `above` are the components and providers that it needs, and that the state lacks as well: its stack's state is lost.
    `whole`: all its inputs are known; others become known when what they come from is taken over.
    """

    found: Found
    resource: Resource
    above: tuple[Resource, ...] = ()
    whole: bool = True

    @property
    def readable(self) -> bool:
        """Whether all of it can be read again."""
        return clouds.KINDS[self.found.type].readable

    @property
    def elsewhere(self) -> str:
        """Say what the object is of, where that is another stack or region than the resource's; else nothing."""
        body, inputs = self.found.body, self.resource["inputs"]
        theirs, ours = ({tag for tag in each.get("tags") or () if tag.startswith(_STACK)} for each in (body, inputs))
        if theirs and ours and theirs != ours:
            return ", ".join(sorted(theirs))
        if {"region"} <= body.keys() & inputs.keys() and body["region"] != inputs["region"]:
            return str(body["region"])
        return ""

    @property
    def is_superseded(self) -> bool:
        """Whether another is made, and this one stays: who has its secret is unknown, and may be at work with it."""
        return not self.readable and bool(self.above)


def settle(project: Project, say: Say) -> None:
    """Find out what became of the operations that a killed run left in the state, and clear them from it.

    What was made is taken into the state; what can't be read again is deleted at its cloud, and is made anew; what
    was changed or deleted is read again. Nobody else may be at work: the stack's lock is free.

    Raises:
        Refused: what was made can't be told from what was not.
        Failed: the engine or a cloud does not answer, or somebody else changed the state meanwhile.
    """
    exported = _export(project)
    deployment = exported["deployment"]
    pending = deployment.get("pending_operations") or []
    unread = [each for each in deployment.get("resources") or [] if NOT_READ in (each.get("initErrors") or ())]
    if not pending and not unread:
        return
    say(f"{project.stack}: a run was cut off; {len(pending)} of its operations have no known end. Asking the clouds.")
    made = _made(project, [each["resource"] for each in pending if each["type"] == "creating"], say)
    again = [each["resource"] for each in pending if each["type"] in ("updating", "deleting")]
    _take_over(project, exported, made, [each["urn"] for each in (*again, *unread)], say)
    left = {each["urn"] for each in engine.resources(project)} if again else set()
    for each in again:
        say(f"{project.stack}: {_name(each)} {'was read again' if each['urn'] in left else 'is gone'}")


def _made(project: Project, begun: Sequence[Resource], say: Say) -> list[Stray]:
    """Return those of the resources of which the making was begun that exist, and that no stack knows."""
    exist = _by_key(_unknown(project, {each["type"] for each in begun}))
    made = []
    for resource in begun:
        found = exist.get(_key(resource))
        if resource["type"] not in clouds.KINDS:
            say(f"{project.stack}: {_name(resource)} is always there, and will be set again")
        elif found is None:
            say(f"{project.stack}: {_name(resource)} was not made")
        elif len(found) > 1:
            names = ", ".join(each.name for each in found)
            raise Refused(f"{project.stack}: {names}: one of them was made by the run that was cut off; delete it")
        else:
            made.append(Stray(found[0], resource))
    return _require_own(project, made)


def strays(project: Project, types: Iterable[str] | None = None) -> list[Stray]:
    """Return the objects, of all types or of some, that the next `up` would make again: no stack knows them.

    Where nothing at all is in the state, that is the whole stack.

    Raises:
        Refused: several have one name, or one is another stack's, of a state that this backend does not have.
        Failed: the engine or a cloud does not answer.
    """
    unknown = _by_key(_unknown(project, types))
    planned = _planned(project) if unknown else {}
    found = [(unknown[key], each) for each in planned.values() if (key := _key(each.resource)) in unknown]
    present = {each["urn"] for each in engine.resources(project)} if found else set()
    strays = [
        [Stray(one, each.resource, tuple(_above(each.resource, planned, present)), each.whole) for one in some]
        for some, each in found
    ]
    # Whoever lost the state twice has several keys of one name: all of them are superseded.
    if names := [each.found.name for some in strays for each in some if len(some) > 1 and not each.is_superseded]:
        raise Refused(
            f"{project.stack}: {', '.join(names)}: exists already, and can't be taken over: several have one name; "
            "rename what is not the stack's"
        )
    return _require_own(project, [each for some in strays for each in some])


def _require_own(project: Project, strays: list[Stray]) -> list[Stray]:
    """Return strays, none of which is another stack's, or in another region."""
    if others := [f"{each.found.name} is of {each.elsewhere}" for each in strays if each.elsewhere]:
        raise Refused(
            f"{project.stack}: {', '.join(others)}, and has the name of what would be made: it is never taken over; "
            "give the stack another label, or rename that"
        )
    return strays


def superseded(project: Project) -> list[Found]:
    """Return what was there before the state was lost, of which another was made, and that is still there.

    Raises:
        Failed: the engine or a cloud does not answer.
    """
    known = _superseded(project)
    return [each for each in _census(project, known) if each.id in known[each.type]] if known else []


def without_stack(project: Project, found: Iterable[Found]) -> list[Found]:
    """Return what no stack's state knows, of all the stacks that the backend has.

    Raises:
        Failed: a state can't be read.
    """
    left = list(found)
    if not left:
        return left
    for stack in dict.fromkeys((project.stack, *state.stacks(project))):
        if left:  # reading a state takes a moment: the others' are read only where something is left
            known = {(each["type"], each.get("id")) for each in engine.resources(replace(project, stack=stack))}
            left = [each for each in left if (each.type, each.id) not in known]
    return left


def adopt(project: Project, found: Sequence[Stray], say: Say) -> None:
    """Take strays into the stack's state; note those that are superseded, which `strays` never returns again.

    Raises:
        Failed: the engine or a cloud does not answer, or somebody else changed the state meanwhile.
    """
    exported = _export(project)
    if old := [stray.found for stray in found if stray.is_superseded]:
        known = _superseded(project)
        for each in old:
            known[each.type] = sorted({*known.get(each.type, ()), each.id})
        notes.write(project, SUPERSEDED, known)  # before the state is written: from then on they would have a place
    _take_over(project, exported, [stray for stray in found if not stray.is_superseded], (), say)


@dataclass(frozen=True)
class Moved:
    """What a resource of a state stands for from now on: another object of the same kind; `inputs` differ for it."""

    id: str
    inputs: Mapping[str, Any]


def move(project: Project, moved: Mapping[str, Moved]) -> None:
    """Have resources of the stack's state, by URN, stand for other objects, and read these from their clouds.

    Raises:
        Failed: the engine or a cloud does not answer, or somebody else changed the state meanwhile.
    """
    exported = _export(project)
    before = json.dumps(exported)
    targets = [
        each
        for each in exported["deployment"].get("resources") or []
        if each["urn"] in moved and not each.get("delete")
    ]
    for each in targets:
        to = moved[each["urn"]]
        inputs = {**each["inputs"], **to.inputs}
        each |= {"id": to.id, "inputs": inputs, "outputs": inputs}
    _write(project, before, exported, targets)
    read(project, moved)


def _take_over(
    project: Project, exported: dict[str, Any], made: Sequence[Stray], again: Iterable[str], say: Say
) -> None:
    """Write what was made into the state, and read it and the resources `again` from the clouds.

    Until they are read they carry a mark in the state, by which the next run reads them where this one is cut off.
    Only when the state is written, which takes the lock, is anything deleted.
    """
    before = json.dumps(exported)
    deployment = exported["deployment"]
    deployment["pending_operations"] = []
    resources = deployment.setdefault("resources", [])
    readable = [stray for stray in made if stray.readable]
    new = {each["urn"]: _placed(each) for stray in readable for each in stray.above}
    new |= {stray.resource["urn"]: {**stray.resource, "id": stray.found.id} for stray in readable}
    for each in _ordered(new):
        resource = _depending_on(_with_provider(each, new), {each["urn"] for each in resources})
        _insert(resources, {**resource, "outputs": resource["inputs"]})
    urns = {*again, *(stray.resource["urn"] for stray in readable)}
    targets = [each for each in resources if each["urn"] in urns and not each.get("delete")]
    _write(project, before, exported, targets)
    for stray in made:
        if stray in readable:
            say(f"{project.stack}: took over {stray.found.name}, which exists already")
        else:
            clouds.delete(stray.found)
            say(f"{project.stack}: deleted {stray.found.name}: its secret can't be read again, so it is made anew")
    read(project, [each["urn"] for each in targets])


def _write(project: Project, before: str, exported: dict[str, Any], unread: Iterable[Resource]) -> None:
    """Put a state into the place of the one `before`, with the mark on those resources that have to be read yet."""
    for each in unread:
        each["initErrors"] = [NOT_READ]
    if json.dumps(_export(project)) != before:
        raise Failed(f"{project.stack}: somebody else changed its state meanwhile; nothing was changed here. Repeat it")
    engine.ask(project, "stack", "import", text=json.dumps(exported))


def read(project: Project, urns: Iterable[str]) -> None:
    """Have the state say of some resources what their clouds do.

    Raises:
        Failed: the engine or a cloud does not answer.
    """
    if options := [argument for urn in urns for argument in ("--target", urn)]:
        engine.ask(project, "refresh", "--yes", "--skip-preview", *options)


def _ordered(new: Mapping[str, Resource]) -> list[Resource]:
    """Return resources, given by URN, so that each comes after those that it needs, as a state has them."""
    awaited = {urn: new.keys() & {*(each.get("dependencies") or ()), *_held_by(each)} for urn, each in new.items()}
    return [new[urn] for urn in TopologicalSorter(awaited).static_order()]


def _held_by(resource: Resource) -> list[str]:
    """Return the URNs of a resource's parent and provider, as far as it has them."""
    urns = (resource.get("parent"), _provider(resource))
    return [urn for urn in urns if urn]


def _provider(resource: Resource) -> str:
    return str(resource.get("provider", "")).rpartition("::")[0]


def _above(resource: Resource, planned: Mapping[str, "_Planned"], present: AbstractSet[str]) -> Iterator[Resource]:
    """Yield what a resource needs above it, and the state lacks: parents and providers, and theirs."""
    for urn in _held_by(resource):
        if urn not in present:
            yield planned[urn].resource
            yield from _above(planned[urn].resource, planned, present)


def _placed(resource: Resource) -> Resource:
    """Return a component, or a provider, as the state holds it: a provider has an id of its own making."""
    return {**resource, "id": str(uuid.uuid4())} if resource.get("custom") else resource


def _with_provider(resource: Resource, new: Mapping[str, Resource]) -> Resource:
    """Return a resource with the id of its provider, where that is new to the state as well."""
    urn = _provider(resource)
    return {**resource, "provider": f"{urn}::{new[urn]['id']}"} if urn in new else resource


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


@dataclass(frozen=True)
class _Planned:
    """A resource that an update would make, as the state would hold it; `whole` where none of its inputs is unknown."""

    resource: Resource
    whole: bool


def _planned(project: Project) -> dict[str, _Planned]:
    """Return what an update would make, by URN; unknown inputs are left out."""
    with tempfile.TemporaryDirectory(prefix="chat-tonic-") as folder:
        file = Path(folder, "plan.json")
        engine.ask(project, "preview", "--save-plan", str(file))
        plans: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["resourcePlans"]
    return {
        urn: _of_goal(urn, plan["goal"])
        for urn, plan in plans.items()
        if "create" in " ".join(plan.get("steps") or ()) and plan.get("goal")
    }


def _of_goal(urn: str, goal: Mapping[str, Any]) -> _Planned:
    inputs = goal["inputDiff"].get("adds") or {}
    kept = {name: goal[name] for name in _KEPT if goal.get(name)}
    return _Planned({"urn": urn, "inputs": _without_unknown(inputs), **kept}, UNKNOWN not in json.dumps(inputs))


def _without_unknown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_unknown(item) for name, item in value.items() if item != UNKNOWN}
    if isinstance(value, list):
        return [_without_unknown(item) for item in value if item != UNKNOWN]
    return value


def _key(resource: Resource) -> tuple[str, str]:
    kind = clouds.KINDS.get(resource["type"])
    return resource["type"], kind.key(resource.get("inputs") or {}) if kind else resource["urn"]


def _by_key(found: Iterable[Found]) -> dict[tuple[str, str], list[Found]]:
    """Return the objects by type and key; those without a key can't be told."""
    known: dict[tuple[str, str], list[Found]] = {}
    for each in found:
        if each.key:
            known.setdefault((each.type, each.key), []).append(each)
    return known


def _unknown(project: Project, types: Iterable[str] | None = None) -> list[Found]:
    """Return what exists, and neither a state nor the note of what is superseded knows; without servers kept."""
    found = without_stack(project, kept.without(_census(project, types)))
    known = _superseded(project) if any(not clouds.KINDS[each.type].readable for each in found) else {}
    return [each for each in found if each.id not in known.get(each.type, ())]


def _superseded(project: Project) -> dict[str, list[str]]:
    """Return by type the ids of what is superseded."""
    return notes.read(project, SUPERSEDED)


def _census(project: Project, types: Iterable[str] | None = None) -> list[Found]:
    return clouds.census(clouds.connect(project), types)


def _name(resource: Resource) -> str:
    return f"{resource['type'].rpartition(':')[2]} {resource['urn'].rpartition('::')[2]}"


def _export(project: Project) -> dict[str, Any]:
    return dict(json.loads(engine.ask(project, "stack", "export")))
