"""Parity (F3): how a stack differs from its peer, which of that nobody wants, and for how long it has been so.

Compared are what the last updates left in the stacks' outputs, and what the files say, which may not be brought up yet.
No cloud is asked, and of a stack nothing but its settings is read: they hold no secret and nobody's data.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rich.table import Table

from components import parity, settings
from components.settings import Stack
from operations import engine, runs, stacks
from operations.alarms import Job
from operations.incidents import Incident
from operations.project import Project

DEPLOYED = "deployed"
"""What stands for a key where one of two stacks was never brought up, or by a program that kept no settings."""


@dataclass(frozen=True)
class Difference:
    """A key in which two stacks differ.

    `deployed` and `files` are its values by stack. `since` and `age`, in days, are of a difference that is deployed;
    one that only the files have has none.
    """

    key: str
    deployed: Mapping[str, Any]
    files: Mapping[str, Any]
    since: str | None = None
    age: float | None = None
    too_old: bool = False


@dataclass(frozen=True)
class Pair:
    """A stack and its peer: the differences that nobody wants.

    `wanted` are the keys that differ as the configuration says they may, `unneeded` the patterns there that no
    difference matches.
    """

    stack: str
    peer: str
    largest_age: int
    differences: list[Difference] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    unneeded: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Site:
    """A stack with what its files say, and the record of what was brought up: empty where nothing was."""

    name: str
    files: Mapping[str, Any]
    record: parity.Record

    @property
    def deployed(self) -> dict[str, Any]:
        return parity.current(self.record)


def report(root: Path, *, on_sandbox: bool, now: dt.datetime | None = None) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit code, and a Pair for each stack that names a peer.

    Raises:
        Refused: the configuration is wrong, or something is missing.
        Failed: the engine does not answer.
    """
    chosen = stacks.select(root, stacks.ALL)
    peers = {name: stack.parity.peer for name, stack in chosen.items() if stack.parity.peer}
    paired = {name: chosen[name] for name in chosen if name in {*peers, *peers.values()}}
    projects = runs.for_clouds(root, paired, on_sandbox=on_sandbox)
    sites = {project.stack: _site(project) for project in projects}
    now = now or dt.datetime.now(dt.UTC)
    pairs = [_pair(chosen[name], sites[name], sites[peer], now) for name, peer in peers.items()]
    code = engine.CHANGES if any(pair.differences for pair in pairs) else 0
    return code, [asdict(pair) for pair in pairs]


def table(pairs: list[dict[str, Any]]) -> Table:
    """Return a report for people: two rows a difference, under its key how old it is."""
    shown = Table()
    for heading in ("Key", "Stack", "Deployed", "In the files"):
        shown.add_column(heading, overflow="fold", no_wrap=heading == "Stack")
    for pair in pairs:
        names = (pair["stack"], pair["peer"])
        for each in pair["differences"]:
            for first, name in zip((each["key"], _age(each)), names, strict=True):
                values = (_shown(each[side].get(name)) for side in ("deployed", "files"))
                shown.add_row(first, name, *values, end_section=name == pair["peer"])
        if not pair["differences"]:
            shown.add_row("no difference", "\n".join(names), end_section=True)
    return shown


def notes(pairs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what else there is to say of a report, a line each."""
    if not pairs:
        yield "No stack names another in `parity.peer`, so there is nothing to compare."
    for pair in pairs:
        if pair["wanted"]:
            yield f"{pair['stack']}: differs from {pair['peer']} as it should in {', '.join(pair['wanted'])}."
        for pattern in pair["unneeded"]:
            key = f"{settings.STACK_KEY}.parity.wanted"
            yield f"{settings.stack_file(pair['stack'])}: {key}: '{pattern}' matches no difference; remove it"


def tell(job: Job, pairs: list[dict[str, Any]]) -> None:
    """Report the differences that are too old to those whom the stack's alarms go to: without values."""
    for pair in pairs:
        stack, peer = pair["stack"], pair["peer"]
        old = [f"  {each['key']}, since {each['since']}" for each in pair["differences"] if each["too_old"]]
        differs = Incident(
            f"parity {stack}",
            f"{stack}: it differs from {peer} for more than {pair['largest_age']} days ({len(old)} found)",
            f"`{job.command('parity')}` shows the values; bring up the one that is behind, or write what is wanted "
            f"into `parity.wanted` of {settings.stack_file(stack)}.",
            "no difference is that old any more",
            "\n".join(old),
        )
        job.report(stack, differs.key, [differs] if old else [])


def _site(project: Project) -> _Site:
    # What a standby is when it serves, whatever there is of it by now.
    root, name = project.root, project.stack
    stack = settings.declared(root, name, settings.differences(root, name))
    return _Site(name, parity.comparable(stack), engine.outputs(project).get(parity.OUTPUT) or {})


def _pair(stack: Stack, site: _Site, peer: _Site, now: dt.datetime) -> Pair:
    allowed = stack.parity
    pair = Pair(site.name, peer.name, allowed.largest_age)
    used = set()
    for each in _differences(site, peer, now, allowed.largest_age):
        if matching := [pattern for pattern in allowed.wanted if fnmatchcase(each.key, pattern)]:
            used.update(matching)
            pair.wanted.append(each.key)
        else:
            pair.differences.append(each)
    pair.unneeded.extend(pattern for pattern in allowed.wanted if pattern not in used)
    return pair


def _differences(site: _Site, peer: _Site, now: dt.datetime, largest_age: int) -> Iterator[Difference]:
    both = (site, peer)
    there = {each.name: each.deployed for each in both if each.record}
    everywhere = len(there) == len(both)
    if there and not everywhere:
        since = min(parity.begins(each.record) for each in both if each.record)
        yield _aged(Difference(DEPLOYED, {each.name: each.name in there for each in both}, {}), since, now, largest_age)
    for key in sorted({key for each in both for key in (*each.deployed, *each.files)}):
        deployed = {name: values.get(key) for name, values in there.items()}
        files = {each.name: each.files.get(key) for each in both}
        found = Difference(key, deployed, files)
        if everywhere and deployed[site.name] != deployed[peer.name]:
            yield _aged(found, parity.differs_since(key, site.record, peer.record), now, largest_age)
        elif files[site.name] != files[peer.name]:
            yield found


def _aged(found: Difference, since: dt.datetime, now: dt.datetime, largest_age: int) -> Difference:
    age = now - since
    return Difference(
        found.key,
        found.deployed,
        found.files,
        parity.written(since),
        round(age / dt.timedelta(days=1), 2),
        age > dt.timedelta(days=largest_age),
    )


def _age(difference: Mapping[str, Any]) -> str:
    if difference["age"] is None:
        return "  not deployed yet"
    return f"  for {difference['age']:.1f} days{', too old' if difference['too_old'] else ''}"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return re.sub(r"(@sha256:[0-9a-f]{12})[0-9a-f]*", r"\1", value if isinstance(value, str) else json.dumps(value))
