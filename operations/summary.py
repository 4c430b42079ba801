"""A preview for people who decide on it: Markdown for a pull request, by stack, environment and role.

What is alike is said once, with a count. Values are shown of updates and of what a replacement is for, in code, so that
nothing in them is Markdown or calls anybody; secrets are masked by the engine, by the names of properties and, where
they have moved, by value (`redaction`).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from components import cost
from operations import guards, plans
from operations.guards import Asked
from operations.plans import CREATE, DELETE, REPLACE, SECRET, UNKNOWN, UPDATE, Plan, Step
from operations.redaction import Redactor

LONGEST = 60_000
"""Bytes of a document: a comment on GitHub has up to 65,536 characters, and a job puts words of its own around it."""
LONGEST_VALUE = 120
TITLE = "## What `up` would change"
NAMES = 6
"""How many resources of a kind are named that are planned the same."""

ORDER = (DELETE, REPLACE, CREATE, UPDATE)
DONE = {DELETE: "deleted", REPLACE: "replaced", CREATE: "created", UPDATE: "changed"}

_ENVIRONMENT, _REGION = "chat-tonic:environment:Environment", "chat-tonic:region:Region"
_OF_A_ROLE = {
    "chat-tonic:servers:ServerGroup": "",
    "chat-tonic:load_balancer:LoadBalancer": "-lb",
    "chat-tonic:dns:BalancedName": "-name",
    "chat-tonic:dns:ProxiedName": "-name",
}
"""Components of one role, and what their names end with behind the role's."""

_SENSITIVE = re.compile(r"pass|secret|token|private|credential|user_?data|metadata|access_?key", re.IGNORECASE)
"""Properties whose values are never shown, marked as secret or not."""

_ABSENT = object()


@dataclass(frozen=True)
class Section:
    """What is said of one stack: a heading, a sentence, and lines under it."""

    heading: str
    lines: tuple[str, ...]


def of_plan(plan: Plan, state: Sequence[Mapping[str, Any]], redactor: Redactor, remarks: Sequence[str] = ()) -> Section:
    """Return what is said of a plan; `state` are the resources of the stack as it is, `remarks` lines beside it."""
    lines = [
        _counts(plan),
        "",
        _costs(plan),
        *(line for each in remarks for line in ("", f"{each[0].upper()}{each[1:]}.")),
    ]
    if guarded := guards.unasked(plan, Asked()):
        lines += ["", _guard(guarded)]
    if not plan.complete:
        said = (_code(redactor.text(each)) for each in plan.errors)
        lines += ["", "**The preview failed**, so this may not be all:", *(f"- {each}" for each in said)]
    lines += ["", *_policies(plan, redactor)]
    by_urn = {step.urn: step for step in plan.steps}
    known = {each["urn"]: each for each in state}
    for (environment, role), steps in _by_place(_shown(plan), by_urn):
        lines += ["", f"#### {environment}{f', {role}' if role else ''}", ""]
        lines += _alike(_line(step, plan, known, redactor) for step in steps)
    return Section(f"### {plan.stack}", tuple(redactor.text(line) for line in lines))


def failed(stack: str, why: str) -> Section:
    """Return what is said of a stack that can't be previewed."""
    return Section(f"### {stack}", ("It can't be previewed:", *(f"- {_code(line)}" for line in why.splitlines())))


def markdown(sections: Iterable[Section]) -> str:
    """Return one document of at most LONGEST bytes; of what is too long, each section has its share."""
    every = tuple(sections)
    share = (LONGEST - _size(TITLE) - 10) // max(len(every), 1)
    # What short sections leave, the long ones may use.
    sizes = [_size(_whole(each)) for each in every]
    spare = sum(max(share - size, 0) for size in sizes)
    long = sum(size > share for size in sizes)
    limit = share + (spare // long if long else 0)
    return "\n".join([TITLE, *(_cut(each, limit) for each in every)]) + "\n"


def write(file: Path, sections: Iterable[Section]) -> None:
    """Write one document to a file."""
    file.write_text(markdown(sections), encoding="utf-8")


def _whole(section: Section) -> str:
    return "\n".join(["", section.heading, "", *section.lines])


def _cut(section: Section, limit: int) -> str:
    if _size(_whole(section)) <= limit:
        return _whole(section)
    kept: list[str] = []
    left = limit - _size(section.heading) - 120  # for what is said of the rest
    for line in section.lines:
        left -= _size(line) + 1
        if left < 0:
            break
        kept.append(line)
    more = len(section.lines) - len(kept)
    return _whole(Section(section.heading, (*kept, "", f"_{more} more lines do not fit here; `preview` shows them._")))


def _size(text: str) -> int:
    return len(text.encode())


def _shown(plan: Plan) -> list[Step]:
    """Return the steps that change a cloud: components, providers and the stack itself are in none."""
    return [step for step in plan.changes if not step.type.startswith(("chat-tonic:", "pulumi:"))]


def _counts(plan: Plan) -> str:
    steps = _shown(plan)
    counts = [f"**{count} {DONE[op]}**" for op in ORDER if (count := sum(step.op == op for step in steps))]
    return f"{', '.join(counts)}." if counts else "No resource changes."


def _costs(plan: Plan) -> str:
    """Say what the stack's resources cost before and after.

    From the plan, which has all of them with their inputs, not from configuration: before is what is deployed.
    """
    before, unknown = cost.of_resources((step.type, step.old) for step in plan.steps if step.old)
    after, unknown_after = cost.of_resources(
        (step.type, step.new) for step in plan.steps if step.new and step.op != DELETE
    )
    text = f"Dollars a month: {before:,.2f} before, {after:,.2f} after ({_signed(after - before)})."
    if missing := sorted({*unknown, *unknown_after}):
        text += f" Without {', '.join(_code(each) for each in missing)}, of which the catalog has no price."
    return text


def _signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}" if amount else "no change"


def _guard(steps: Sequence[Step]) -> str:
    return (
        "> [!CAUTION]\n> `up` refuses this until it is asked for by name, but for a generation that leaves as a whole: "
        f"{_code(guards.options(steps, Asked()))}"
    )


def _policies(plan: Plan, redactor: Redactor) -> list[str]:
    if not plan.complete and not plan.violations:
        return ["Policies: not all were asked."]
    if not plan.packs and not plan.violations:
        return ["Policies: no pack was asked."]
    if not plan.violations:
        return ["Policies: nothing is against them."]
    said = sorted({(each.level, each.policy, redactor.text(each.message)) for each in plan.violations})
    return [
        f"Policies: **{len(said)} against them**",
        *(f"- {level}, {_code(policy)}: {_code(message)}" for level, policy, message in said),
    ]


def _by_place(steps: Iterable[Step], by_urn: Mapping[str, Step]) -> Iterator[tuple[tuple[str, str], list[Step]]]:
    def place(step: Step) -> tuple[str, str]:
        return _place(step, by_urn)

    for key, some in groupby(sorted(steps, key=place), place):
        yield key, list(some)


def _place(step: Step, by_urn: Mapping[str, Step]) -> tuple[str, str]:
    """Return the environment and the role that a resource belongs to, by the components that it is in."""
    above: list[Step] = []
    while (parent := by_urn.get((above[-1] if above else step).parent)) is not None:
        above.append(parent)
    region = next((each.name for each in above if each.type == _REGION), "")
    environment = next((each.name for each in above if each.type == _ENVIRONMENT), "")
    if not environment:
        return "The region", ""
    role = next(
        (
            each.name.removeprefix(f"{environment}-").removesuffix(_OF_A_ROLE[each.type])
            for each in above
            if each.type in _OF_A_ROLE
        ),
        "",
    )
    return f"Environment {_code(environment.removeprefix(f'{region}-'))}", f"role {_code(role)}" if role else ""


@dataclass(frozen=True)
class _Line:
    """What is planned for one resource, but for its name: `op` and `kind`, and why or what."""

    op: str
    kind: str
    details: tuple[str, ...]
    name: str


def _line(step: Step, plan: Plan, state: Mapping[str, Mapping[str, Any]], redactor: Redactor) -> _Line:
    name = guards.name_of(step) if step.type in guards.GUARDED else step.name
    details: list[str] = []
    if step.op == UPDATE:
        details = [_change(step, path, redactor) for path in _paths(step)]
    elif step.op == REPLACE:
        cause = plans.root_cause(step, {each.urn: each for each in plan.steps if each.op == REPLACE}, state)
        if cause is None:
            details = ["the engine does not say why"]
        elif cause is step:
            details = [_change(step, path, redactor) for path in step.reasons]
        else:
            details = [f"needs a {cause.kind} that is replaced for {', '.join(map(_code, cause.reasons))}"]
    return _Line(step.op, step.kind, tuple(details), name)


def _alike(lines: Iterable[_Line]) -> Iterator[str]:
    def key(line: _Line) -> tuple[int, str, tuple[str, ...]]:
        return ORDER.index(line.op), line.kind, line.details

    for (order, kind, details), some in groupby(sorted(lines, key=lambda line: (key(line), line.name)), key):
        names = [line.name for line in some]
        more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
        count = f"{len(names)} " if len(names) > 1 else ""
        yield f"- **{DONE[ORDER[order]]}** {count}{kind} {', '.join(map(_code, names[:NAMES]))}{more}" + (
            ":" if details else ""
        )
        yield from (f"  - {each}" for each in details)


def _paths(step: Step) -> list[str]:
    """Return the paths of properties that an update changes, by its provider or else by value."""
    names = (name for name in {*step.old, *step.new} if step.old.get(name) != step.new.get(name))
    return sorted(step.diff) or sorted(names)


def _change(step: Step, path: str, redactor: Redactor) -> str:
    old, new = _at(step.old, path), _at(step.new, path)
    if _SENSITIVE.search(path) or _has_secret(old) or _has_secret(new):
        return f"{_code(path)}: {_code(SECRET)}, changed"
    if old == new:
        return _code(path)
    before, after = (_code(_shown_value(redactor.value(each))) for each in (old, new))
    return f"{_code(path)}: {before} → {after}"


def _at(inputs: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path as the engine writes it: `inbounds[1].ipv4s[0]`, `header["Host"]`."""
    value: Any = inputs
    for name, quoted, index in re.findall(r'([^.\[\]"]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]', path):
        if value == SECRET:
            return SECRET
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _has_secret(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_has_secret(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and SECRET in value


def _shown_value(value: Any) -> str:
    if value is _ABSENT or value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    text = text.replace(UNKNOWN, "known after the update")
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _code(text: str) -> str:
    """Return a text as code of one line, in which nothing is Markdown."""
    line = " ".join(text.split()) or "''"
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    blank = " " if "`" in line else ""
    return f"{fence}{blank}{line}{blank}{fence}"
