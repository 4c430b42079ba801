"""The guard of what can't be had again: replacements and deletions that nobody asked for by name are refused.

A generation that leaves as a whole while another of its group stays is asked for by the configuration itself, which
names it, and by `settings.check_step`, which wants the other one to have run before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from operations import engine, plans
from operations.errors import Refused
from operations.plans import DELETE, REPLACE, SAME, UPDATE, Plan, Step
from operations.project import Project

ASKED_BY: Mapping[str, str] = {REPLACE: REPLACE, UPDATE: REPLACE, DELETE: DELETE}
"""By one of the engine's operations, the option that asks for it: an update is under guard where a server goes off."""


@dataclass(frozen=True)
class Asked:
    """What is asked for by name: that of the object, by which people know it, or of its resource in the program."""

    replace: frozenset[str] = frozenset()
    delete: frozenset[str] = frozenset()

    def of(self, op: str) -> frozenset[str]:
        """Return the names for one of the engine's operations."""
        return {REPLACE: self.replace, DELETE: self.delete}[ASKED_BY[op]]


@dataclass(frozen=True)
class Guarded:
    """A kind of object under guard: what it is called, the property that people know it by, what is lost with it."""

    noun: str
    named: str
    loses: str


OFF_BY = frozenset({"type", "region"})
"""Properties of a server that its cloud changes in place while it is off."""

Place = tuple[frozenset[str], str]
"""A group of servers, by the tags that all of them share, and the tag of a generation; empty without one."""

SERVER = "linode:index/instance:Instance"
DATABASE = "linode:index/databasePostgresqlV2:DatabasePostgresqlV2"
GUARDED: Mapping[str, Guarded] = {
    SERVER: Guarded("server", "label", "its backups and addresses"),
    DATABASE: Guarded("database", "label", "all its data and backups"),
    "linode:index/objectStorageBucket:ObjectStorageBucket": Guarded("bucket", "label", "all that is in it"),
    "linode:index/nodeBalancer:NodeBalancer": Guarded("load balancer", "label", "its address"),
    "cloudflare:index/loadBalancer:LoadBalancer": Guarded("load balancer", "name", "its name's answers meanwhile"),
}


def parse(replace: Iterable[str], delete: Iterable[str]) -> Asked:
    """Return what options of a task ask for: each is one name, or names joined by commas."""

    def names(options: Iterable[str]) -> frozenset[str]:
        return frozenset(name.strip() for option in options for name in option.split(",")) - {""}

    return Asked(names(replace), names(delete))


def require(project: Project, plan: Plan, asked: Asked) -> None:
    """Refuse a plan that replaces or deletes what is under guard and was not asked for, or not what was.

    Raises:
        Refused: with everything that it would replace or delete, why, and the task that asks for it.
        Failed: the engine does not give the state.
    """
    steps = unasked(plan, asked)
    state = {each["urn"]: each for each in engine.resources(project)} if steps else {}
    # A run that was cut off has deleted these already, after it was asked for; they only have to be made again.
    steps = [step for step in steps if not state.get(step.urn, {}).get("pendingReplacement")]
    if problems := [*_complaints(project, plan, steps, state, asked), *_unplanned(project, plan, asked)]:
        raise Refused("\n".join(problems))


@contextmanager
def lifted(project: Project, asked: Asked) -> Iterator[None]:
    """Have databases that are to be deleted by name unprotected meanwhile, where another of their environment stays.

    The engine stops at what is protected. What is still there afterwards is protected again.

    Raises:
        Failed: the engine does not answer.
    """
    urns: set[str] = set()
    for databases in _databases(engine.resources(project)) if asked.delete else ():
        named = {urn for urn, each in databases.items() if asked.delete & {_name(urn), _label(each)}}
        urns |= {urn for urn in named if databases[urn].get("protect")} if len(named) < len(databases) else set()
    if not urns:
        yield
        return
    engine.ask(project, "state", "unprotect", *sorted(urns), "--yes")
    try:
        yield
    finally:
        if left := urns & {each["urn"] for each in engine.resources(project)}:
            engine.ask(project, "state", "protect", *sorted(left), "--yes")


def unasked(plan: Plan, asked: Asked) -> list[Step]:
    """Return the steps that replace or delete what is under guard and was not asked for."""
    leaving = _leaving_generations(plan)
    return [
        step
        for step in _under_guard(plan)
        if not asked.of(step.op) & {step.name, name_of(step)} and not (step.op == DELETE and _place(step) in leaving)
    ]


def options(steps: Sequence[Step], asked: Asked) -> str:
    """Return the options of `up` that ask for these steps, and for what was asked for already."""
    names = {
        op: {*asked.of(op), *(name_of(step) for step in steps if ASKED_BY[step.op] == op)} for op in (REPLACE, DELETE)
    }
    return " ".join(f"--{op} {','.join(sorted(some))}" for op, some in names.items() if some)


def name_of(step: Step) -> str:
    """Return the name by which people know an object under guard: its label, or its host name."""
    return str(step.inputs.get(GUARDED[step.type].named) or step.name)


def _under_guard(plan: Plan) -> list[Step]:
    guarded = [
        step
        for step in plan.steps
        if step.type in GUARDED and (step.op in (REPLACE, DELETE) or (step.op == UPDATE and _goes_off(step)))
    ]
    return sorted(guarded, key=lambda step: (step.op, GUARDED[step.type].noun, name_of(step)))


def _goes_off(step: Step) -> bool:
    """Whether an update powers a server off: its cloud resizes it, or migrates it, in place."""
    return step.type == SERVER and not OFF_BY.isdisjoint(step.diff)


def _complaints(
    project: Project, plan: Plan, steps: Sequence[Step], state: Mapping[str, Mapping[str, Any]], asked: Asked
) -> Iterator[str]:
    replaced = {step.urn: step for step in plan.steps if step.op == REPLACE}
    spare = {urn for databases in _databases(state.values()) if len(databases) > 1 for urn in databases}
    for step in steps:
        kind = GUARDED[step.type]
        if step.op == UPDATE:
            yield (
                f"{project.stack}: this would power the server {name_of(step)} off, to change its "
                f"{' and '.join(sorted(OFF_BY & step.diff.keys()))}, with all others of its role at once; a new "
                "generation comes without that (docs/servers.md)"
            )
            continue
        why = _why(step, replaced, state)
        yield f"{project.stack}: this would {step.op} the {kind.noun} {name_of(step)}, and lose {kind.loses}: {why}"
        if step.protected and not (step.op == DELETE and step.urn in spare):  # for which its name is enough: `lifted`
            yield (
                f"{project.stack}: {name_of(step)} is protected besides; lift that first: "
                f"pulumi state unprotect '{step.urn}' --stack {project.stack}"
            )
    if steps:
        task = f"{project.task('up')} {options(steps, asked)}"
        yield f"{project.stack}: nothing was changed; if that is meant: {task}"


def _why(step: Step, replaced: Mapping[str, Step], state: Mapping[str, Mapping[str, Any]]) -> str:
    if step.op == DELETE:
        return "the configuration does not declare it any more"
    cause = plans.root_cause(step, replaced, state)
    if cause is None:
        return "the engine does not say why"
    properties = f"{', '.join(cause.reasons)} can't be changed in place"
    return properties if cause is step else f"it needs {cause.kind} {cause.name}, which is replaced: {properties} there"


def _unplanned(project: Project, plan: Plan, asked: Asked) -> Iterator[str]:
    """Say what was asked for and is not in the plan; only of a whole plan can that be said."""
    if not plan.complete:
        return
    steps = _under_guard(plan)
    for op in (REPLACE, DELETE):
        names = {name for step in steps if ASKED_BY[step.op] == op for name in (step.name, name_of(step))}
        for name in sorted(asked.of(op) - names):
            yield (
                f"{project.stack}: --{op} {name}: the plan does not {op} anything of that name; leave it out, or write "
                f"one of: {', '.join(sorted(name_of(step) for step in steps if ASKED_BY[step.op] == op)) or 'none'}"
            )


def _leaving_generations(plan: Plan) -> frozenset[Place]:
    """Return the generations of which every server goes, where another of the same group stays."""
    places = [(step.op, place) for step in plan.steps if step.type == SERVER and (place := _place(step))[1]]
    gone = {place for op, place in places if op == DELETE}
    there = {place for op, place in places if op != DELETE}
    groups = {group for op, (group, _) in places if op in (SAME, UPDATE)}
    return frozenset(place for place in gone - there if place[0] in groups)


def _databases(resources: Iterable[Mapping[str, Any]]) -> list[dict[str, Mapping[str, Any]]]:
    """Return the databases of each environment, by URN; each is in a component of its own, inside the environment's."""
    by_urn = {each["urn"]: each for each in resources if not each.get("delete")}
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for urn, each in by_urn.items():
        if each["type"] == DATABASE:
            component = by_urn.get(each.get("parent", ""), {})
            found.setdefault(component.get("parent", urn), {})[urn] = each
    return list(found.values())


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _label(resource: Mapping[str, Any]) -> str:
    return str(resource.get("inputs", {}).get(GUARDED[DATABASE].named))


def _place(step: Step) -> Place:
    tags = frozenset(str(tag) for tag in step.inputs.get("tags") or ())
    generation = next((tag for tag in tags if tag.startswith("generation:")), "")
    return tags - {generation}, generation
