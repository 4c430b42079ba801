"""Bringing test environments up, and ending them: by name, or all those that are over their time."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

from components import cost, labels, reference, settings
from components.settings import Stack
from operations import clouds, costs, edits, engine, preflight, recovery, runs, stacks, state, updates
from operations.console import agrees, say, show
from operations.environments import files, found, names, report
from operations.environments.found import Environment
from operations.errors import NotBegun, Refused
from operations.project import Project
from operations.updates import Agreed


@dataclass(frozen=True)
class Wanted:
    """An environment that is asked for.

    `ttl` is how long it is to live from now; empty: as long as it has yet, or as is usual. `allow` are the networks
    that reach it; none: those that do, or that reach the test stack. `owner` is somebody else than who is at work.
    """

    name: str
    ttl: str = ""
    allow: tuple[str, ...] = ()
    owner: str = ""


@dataclass(frozen=True)
class _Place:
    """Where environments are: the checkout, and the test stack's project, which opens the clouds and the backend."""

    root: Path
    test: Project

    @property
    def option(self) -> str:
        """What a command line has for it."""
        return " --sandbox" if self.test.sandbox else ""


@dataclass(frozen=True)
class _Declared:
    """An environment's differences, and the stack that they make."""

    stack: Stack
    differences: Mapping[str, Any]


def up(root: Path, wanted: Wanted, agreed: Agreed, *, on_sandbox: bool) -> int:
    """Bring an environment up, or go on with it; return the exit code. Its cost is shown before it asks.

    Raises:
        Refused: the name can't be had, or the configuration is wrong.
        Failed: the engine or a cloud does not answer.
    """
    names.check(root, wanted.name)
    owner = names.owner(root, wanted.owner)
    length = names.lifetime(wanted.ttl) if wanted.ttl else None
    updates.require_consent(f"env.up {wanted.name}", on_sandbox=on_sandbox, yes=agreed.yes)
    place = _open(root, agreed, on_sandbox=on_sandbox)
    existing = found.find(place.test).get(wanted.name)
    if existing:
        _require_to_go_on(place, existing, owner)
    now = dt.datetime.now(dt.UTC)
    ends = existing.ends if existing and existing.has_file and not existing.is_over(now) else None
    ends = now + (length or names.USUAL) if length or not ends else ends
    declared = _declared(place, wanted, {"owner": owner, "ends": labels.moment(ends)}, existing)
    _show(wanted.name, declared, ends, now)
    file = files.beside(place.test, wanted.name).stack_file
    before = file.read_text(encoding="utf-8") if file.exists() else None
    project = _prepare(place, wanted.name, declared)
    try:
        code = _bring_up(place, project, declared.stack, agreed)
    except Exit:  # the update was not begun: its end and its addresses are what they were
        if before is not None:
            edits.write_private(file, before)
        _leave(place, wanted.name)
        raise
    if code:
        _leave(place, wanted.name)
    return code


def down(root: Path, name: str, owner: str, agreed: Agreed, *, on_sandbox: bool) -> int:
    """End an environment; return the exit code. What goes away is shown before it asks.

    Raises:
        Refused: there is none of the name, or it is somebody else's.
        NotBegun: somebody said no.
        Failed: the engine or a cloud does not answer.
    """
    updates.require_consent(f"env.down {name}", on_sandbox=on_sandbox, yes=agreed.yes)
    place = _open(root, agreed, on_sandbox=on_sandbox)
    known = found.find(place.test)
    if name not in known:
        raise Refused(f"there is no test environment '{name}'; {reference.nearest(name, known)}")
    environment = known[name]
    if environment.owner not in ("", names.owner(root, owner)):
        command = f"./inv env.down {name}{place.option} --owner {environment.owner}"
        raise Refused(f"{name}: it is {environment.owner}'s; `{command}` ends it all the same")
    _require_agreement([environment], agreed)
    return _end(place, environment)


def sweep(root: Path, agreed: Agreed, *, on_sandbox: bool) -> tuple[int, list[Environment]]:
    """End every environment that is over its time; return the exit code, and those that are left.

    One that can't be ended stops no other.

    Raises:
        Refused: there is nobody to ask.
        NotBegun: somebody said no.
        Failed: the engine or a cloud does not answer.
    """
    updates.require_consent("env.sweep", on_sandbox=on_sandbox, yes=agreed.yes)
    place = _open(root, agreed, on_sandbox=on_sandbox)
    over = _over(place)
    if not over:
        say("No test environment is over its time.")
        return 0, []
    _require_agreement(over, agreed)
    codes = []
    for each in over:
        # Its owner may have prolonged it while somebody was asked, or another one was ended.
        if still := next((now for now in _over(place) if now.name == each.name), None):
            try:
                codes.append(_end(place, still))
            except Exit as ended:
                say(f"{each.name}: not ended: {ended.message}")
                codes.append(engine.FAILED)
    return (engine.FAILED, _over(place)) if any(codes) else (0, [])


def _open(root: Path, agreed: Agreed, *, on_sandbox: bool) -> _Place:
    chosen = stacks.select(root, names.TEST)
    (test,) = runs.for_clouds(root, chosen, on_sandbox=on_sandbox, local_state=agreed.local_state)
    return _Place(root, test)


def _over(place: _Place) -> list[Environment]:
    now = dt.datetime.now(dt.UTC)
    return [each for each in found.find(place.test).values() if each.is_over(now)]


def _require_to_go_on(place: _Place, existing: Environment, owner: str) -> None:
    """Refuse a name that is taken, and what can't be gone on with from here.

    Raises:
        Refused: with what to do instead.
    """
    if existing.owner not in ("", owner):
        raise Refused(f"{existing.name}: it is {existing.owner}'s; choose another name")
    if (existing.objects or existing.has_state) and not (existing.has_state and existing.has_file):
        lacking = "its stack file is not here" if existing.has_state else "its state is missing"
        command = f"./inv env.down {existing.name}{place.option}"
        raise Refused(f"{existing.name}: it exists, and {lacking}; choose another name, or end it: `{command}`")


def _declared(place: _Place, wanted: Wanted, lifetime: Mapping[str, str], existing: Environment | None) -> _Declared:
    """Return an environment's differences and the stack that they make.

    Raises:
        Refused: with all that is wrong.
    """
    stack = names.stack_of(wanted.name)
    try:
        sources = wanted.allow
        if not sources and existing and existing.has_file:
            sources = settings.differences(place.test.folder, stack).get("admin_sources") or ()
        differences = files.differences(place.root, wanted.name, lifetime, sources)
        return _Declared(settings.resolve(place.root, stack, differences), differences)
    except settings.ConfigurationError as error:
        raise Refused(str(error)) from None


def _show(name: str, declared: _Declared, ends: dt.datetime, now: dt.datetime) -> None:
    stack = declared.stack
    show(costs.table(costs.of({names.stack_of(name): stack})))
    total, length = cost.total(stack), ends - now
    spent = cost.over(total, Decimal(length.total_seconds()) / 3600)
    owner, sources = declared.differences["lifetime"]["owner"], ", ".join(stack.admin_sources)
    say(f"{name}: of {owner}, until {report.at(ends)}; reachable from {sources} only")
    say(f"{name}: {total:,.2f} dollars a month, {spent:,.2f} for {report.length(length)}")


def _prepare(place: _Place, name: str, declared: _Declared) -> Project:
    """Return an environment's project, with its stack file made or brought up to date.

    Raises:
        Failed: the engine refuses.
    """
    project = files.beside(place.test, name)
    if place.test.sandbox:
        files.declare(project, declared.differences)
        return runs.for_sandbox(place.root, {project.stack: declared.stack})[0]
    if engine.answer(project, "stack", "output", "--json")[0] == engine.STACK_NOT_FOUND:
        files.make_stack(project, place.test)
    files.declare(project, declared.differences)
    files.fill_in(project, declared.stack, place.test)
    state.mend(project, say)
    return project


def _bring_up(place: _Place, project: Project, stack: Stack, agreed: Agreed) -> int:
    chosen = {project.stack: stack}
    (project,) = runs.for_up(place.root, chosen, on_sandbox=project.sandbox, local_state=agreed.local_state)
    preflight.require([project], chosen)
    # What bears its label is its own: nobody else may have such a label.
    return updates.bring_up_whole(project, replace(agreed, adopt=True))


def _leave(place: _Place, name: str) -> None:
    """Leave nothing of an environment whose run failed, or say what it leaves and how to go on.

    Raises:
        Failed: the engine or a cloud does not answer.
    """
    if not _forget_if_empty(place, name):
        say(
            f"{name}: not finished, and what exists of it costs. `./inv env.up {name}{place.option}` goes on, "
            f"`./inv env.down {name}{place.option}` takes it away."
        )


def _forget_if_empty(place: _Place, name: str) -> bool:
    """Forget an environment that has nothing at all, so that its name is free; whether it had nothing.

    Raises:
        Failed: the engine or a cloud does not answer.
    """
    project = files.beside(place.test, name)
    deployment = json.loads(engine.ask(project, "stack", "export"))["deployment"]
    known = [each for each in deployment.get("resources") or () if each["type"] in clouds.KINDS]
    if known or deployment.get("pending_operations") or found.find(place.test)[name].objects:
        return False
    _forget(project, "--force")  # a run that failed early leaves components without anything below them
    return True


def _forget(project: Project, *options: str) -> None:
    engine.ask(project, "stack", "rm", "--yes", "--remove-backups", *options)
    project.stack_file.unlink(missing_ok=True)


def _require_agreement(environments: Sequence[Environment], agreed: Agreed) -> None:
    show(report.table(report.data(environments)))
    for environment in environments:
        for each in environment.objects:
            say(f"{environment.name}: {each.name} will be deleted")
    if not agreed.yes and not agrees("Delete all of it?"):
        raise NotBegun("declined; nothing was changed")


def _end(place: _Place, environment: Environment) -> int:
    """Delete all that an environment has, by its state and then by its labels, and forget it; return the exit code.

    Raises:
        Refused, Failed.
    """
    name, now = environment.name, dt.datetime.now(dt.UTC)
    if environment.has_state:
        project = _prepare(place, name, _as_it_is(place, environment))
        if code := updates.empty(project, yes=True):
            return code
    # What a state does not know: its run was killed, or the whole state is missing.
    unknown = [each for each in clouds.census(clouds.connect(place.test), found.KINDS) if found.name_of(each) == name]
    for each in recovery.without_stack(place.test, unknown):
        clouds.delete(each)
        say(f"{name}: deleted {each.name}, which no state knew")
    if environment.has_state:
        _forget(files.beside(place.test, name))
    files.beside(place.test, name).stack_file.unlink(missing_ok=True)
    say(f"{name}: ended. It cost {environment.so_far(now):,.2f} dollars.")
    return 0


def _as_it_is(place: _Place, environment: Environment) -> _Declared:
    """Return what an environment's file says; where it is on another machine, what opens the same state as well."""
    test, project = settings.load(place.root, names.TEST), files.beside(place.test, environment.name)
    if environment.has_file:
        return _Declared(test, settings.differences(project.folder, project.stack))
    ends = environment.ends or dt.datetime.now(dt.UTC)
    lifetime = {"owner": environment.owner or "unknown", "ends": labels.moment(ends)}
    return _Declared(test, files.differences(place.root, environment.name, lifetime))
