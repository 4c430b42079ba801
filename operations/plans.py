"""Plans: what a preview of the engine says it would do, step by step, from its log of events.

The log holds what neither the terminal nor `preview --json` does at once: the plan is shown to people and read here in
one run, with what the policies say. It is kept in a folder of its owner's alone, and only while it is read, for debug
messages are in it.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from operations import engine
from operations.project import Project

Result = TypeVar("Result")

SECRET = "[secret]"  # noqa: S105 - what stands for one
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's mark of a value that is not known before the update (sdk/python/lib/pulumi/runtime/rpc.py)."""

CREATE, UPDATE, REPLACE, DELETE, SAME = "create", "update", "replace", "delete", "same"
CHANGES = (CREATE, UPDATE, REPLACE, DELETE)

_PROGRAM = ("*.yaml", "__main__.py", "components/**/*", "copies/*.py")
"""What a plan is made of besides the state, as patterns in the checkout."""


@dataclass(frozen=True)
class Step:
    """What is planned for one resource: `op` is one of CHANGES, SAME, or another of the engine's operations.

    `old` and `new` are its inputs before and after, secrets masked. `diff` has what differs: by path of a property,
    the kind of difference. `reasons` are the properties that a replacement is for; a replacement without any comes from
    that of another resource. `protected`: the engine refuses to delete it.
    """

    op: str
    urn: str
    type: str
    parent: str
    old: Mapping[str, Any] = field(default_factory=dict)
    new: Mapping[str, Any] = field(default_factory=dict)
    diff: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    protected: bool = False

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return self.urn.rpartition("::")[2]

    @property
    def kind(self) -> str:
        """The last part of its type: `Instance`."""
        return self.type.rpartition(":")[2]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What it is now; what it will be, where it is not there yet."""
        return self.old or self.new


@dataclass(frozen=True)
class Violation:
    """What a policy says of a resource, or of the stack as a whole (`urn` is the stack's)."""

    policy: str
    level: str
    urn: str
    message: str


@dataclass(frozen=True)
class Plan:
    """A stack's plan. One that is not `complete` ends where the preview failed, for what `errors` say.

    `packs` are the policy packs that were asked.
    """

    stack: str
    steps: tuple[Step, ...]
    violations: tuple[Violation, ...]
    errors: tuple[str, ...]
    complete: bool
    packs: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change anything."""
        return tuple(step for step in self.steps if step.op in CHANGES)


def preview(project: Project, run: Callable[..., Result], *arguments: str) -> tuple[Result, Plan]:
    """Run a preview by `engine.run` or `engine.answer`; return what that returned, and the plan."""
    # The engine has the option for those who develop programs around it; its own Automation API uses it so.
    environment = {**project.environment, "PULUMI_DEBUG_COMMANDS": "true"}
    with tempfile.TemporaryDirectory(prefix="chat-tonic-") as folder:
        log = Path(folder, "events.json")
        result = run(replace(project, environment=environment), "preview", *arguments, "--event-log", str(log))
        return result, read(project.stack, log)


def read(stack: str, log: Path) -> Plan:
    """Return the plan that a log of events holds; an incomplete one where it can't be read, or has no end."""
    try:
        events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        return Plan(stack, (), (), (f"the engine left no plan that can be read: {error}",), complete=False)
    steps, violations, errors, ended, packs = [], [], [], "", ()
    for event in events:
        match event:
            case {"resourcePreEvent": {"metadata": {"logical": True} as metadata}}:
                steps.append(_step(metadata))
            case {"policyEvent": each}:
                message = each["message"].strip()
                violations.append(
                    Violation(each["policyName"], each["enforcementLevel"], each.get("resourceUrn", ""), message)
                )
            case {"diagnosticEvent": {"severity": "error", "message": message}}:
                errors.append(message.strip())
            case {"summaryEvent": summary}:
                ended, packs = summary["result"], tuple(sorted(summary.get("PolicyPacks") or ()))
    if not ended:
        errors.append("the engine left no plan that can be read: it ended before its plan did")
    return Plan(stack, tuple(steps), tuple(violations), tuple(errors), ended == "succeeded", packs)


def dependencies(resource: Mapping[str, Any]) -> AbstractSet[str]:
    """Return the URNs that a resource of a state needs: as they are replaced it may have to be as well."""
    by_property = resource.get("propertyDependencies") or {}
    of_properties = (urn for urns in by_property.values() for urn in urns or ())
    return {*(resource.get("dependencies") or ()), *of_properties, resource.get("deletedWith") or ""} - {""}


def root_cause(step: Step, replaced: Mapping[str, Step], state: Mapping[str, Mapping[str, Any]]) -> Step | None:
    """Return the nearest replacement with reasons that a step's own comes from, itself perhaps; None if there is none.

    `replaced` are the plan's replacements, `state` the state's resources, both by URN.
    """
    seen, level = {step.urn}, [step]
    while level:
        if caused := [each for each in level if each.reasons]:
            return min(caused, key=lambda each: each.urn)
        needed = {urn for each in level for urn in dependencies(state.get(each.urn, {}))} - seen
        seen |= needed
        level = [replaced[urn] for urn in needed if urn in replaced]
    return None


def basis(project: Project) -> str:
    """Return a digest of what a plan is made from: the stack's state, the configuration and the program.

    Raises:
        Failed: the engine does not give the state.
    """
    digest = hashlib.sha256(engine.ask(project, "stack", "export").encode())
    for path in sorted({path for pattern in _PROGRAM for path in project.root.glob(pattern) if path.is_file()}):
        if "__pycache__" not in path.parts:
            digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def masked(value: Any) -> Any:
    """Return a value of the log with SECRET for what is secret; so for all of which JSON does not say everything."""
    if isinstance(value, dict):
        return SECRET if engine.SPECIAL in value else {name: masked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def _step(metadata: Mapping[str, Any]) -> Step:
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    diff = {path: each["diffKind"] for path, each in (metadata.get("detailedDiff") or {}).items()}
    return Step(
        op=metadata["op"],
        urn=metadata["urn"],
        type=metadata["type"],
        parent=(new or old).get("parent") or "",
        old=masked(old.get("inputs") or {}),
        new=masked(new.get("inputs") or {}),
        diff=diff,
        reasons=tuple(sorted(_reasons(metadata, diff))),
        protected=bool(old.get("protect")),
    )


def _reasons(metadata: Mapping[str, Any], diff: Mapping[str, str]) -> Iterator[str]:
    if metadata["op"] == REPLACE:
        paths = [path for path, kind in diff.items() if kind.endswith("-replace")]
        yield from paths or metadata.get("keys") or ()
