"""From wanted stacks to projects in which the engine may run: what has to be refused is refused here."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from components import settings
from components.settings import Stack
from operations import checks, engine, sandbox, state
from operations.console import say
from operations.errors import Refused
from operations.project import Project, without_sandbox

Stacks = Mapping[str, Stack]
Check = Callable[[checks.Intent], Iterable[str]]


def for_preview(root: Path, stacks: Stacks, *, on_sandbox: bool) -> list[Project]:
    """Return the projects in which a preview of `up` may run.

    Raises:
        Refused: with all that is wrong, of all stacks.
        Failed: the engine or the sandbox can't be had.
    """
    return _for_update(root, stacks, (checks.configuration, checks.state), on_sandbox=on_sandbox)


def for_up(root: Path, stacks: Stacks, *, on_sandbox: bool, local_state: bool) -> list[Project]:
    """Return the projects in which `up` may run; raises as `for_preview` does."""
    return _for_update(root, stacks, (checks.configuration, *_to_change(local_state)), on_sandbox=on_sandbox)


def for_clouds(root: Path, stacks: Stacks, *, on_sandbox: bool, local_state: bool = True) -> list[Project]:
    """Return the projects whose tokens open the clouds, to see what is there; raises as `for_preview` does."""
    return for_sandbox(root, stacks) if on_sandbox else _of_real_state(root, stacks, _to_change(local_state))


def for_servers(root: Path, stacks: Stacks, *, on_sandbox: bool, local_state: bool = True) -> list[Project]:
    """Return the projects whose servers are worked on; raises as `for_preview` does.

    Their generations may be on the way from some to others. `local_state` matters where the stack is updated, too.
    """
    if on_sandbox:
        return for_sandbox(root, stacks)
    return _of_real_state(root, stacks, (checks.configuration, *_to_change(local_state)))


def for_destroy(root: Path, stacks: Stacks, *, on_sandbox: bool, local_state: bool) -> list[Project]:
    """Return the projects in which `destroy` may run; raises as `for_preview` does.

    A stack that no sandbox run ever made is left out: there is nothing to destroy.
    """
    if not on_sandbox:
        return _of_real_state(root, stacks, _to_change(local_state))
    for name in stacks:
        if not sandbox.has_stack(root, name):
            say(f"{name}: the sandbox has none, so there is nothing to destroy")
    return for_sandbox(root, {name: stack for name, stack in stacks.items() if sandbox.has_stack(root, name)})


def for_reading(root: Path, stacks: Stacks) -> list[Project]:
    """Return the projects in which the engine may be asked what real stacks hold; raises as `for_preview` does."""
    return _real(root, stacks, (checks.state,))


def _for_update(root: Path, stacks: Stacks, objections: Iterable[Check], *, on_sandbox: bool) -> list[Project]:
    projects = for_sandbox(root, stacks) if on_sandbox else _real(root, stacks, objections)
    _refuse(problem for each in projects for problem in _of_state(each, stacks[each.stack]))
    return projects


def _of_real_state(root: Path, stacks: Stacks, objections: Iterable[Check]) -> list[Project]:
    projects = _real(root, stacks, objections)
    _refuse(problem for each in projects for problem in checks.real_state(each.stack, engine.outputs(each)))
    return projects


def _to_change(local_state: bool) -> tuple[Check, ...]:
    return (checks.state,) if local_state else (checks.state, checks.shared_state)


def _real(root: Path, stacks: Stacks, objections: Iterable[Check]) -> list[Project]:
    environment = without_sandbox(os.environ)
    intents = [checks.Intent(root, name, stack, environment) for name, stack in stacks.items()]
    _refuse(problem for intent in intents for check in objections for problem in check(intent))
    found = engine.ensure(say)
    environment |= found.environment
    folder = checks.state_folder(root, environment)
    return _whole(Project(root, root, name, found.pulumi, environment, sandbox=False, state=folder) for name in stacks)


def for_sandbox(root: Path, stacks: Stacks) -> list[Project]:
    """Return the projects of stacks on the sandbox, which is started.

    Raises:
        Failed: the engine or the sandbox can't be had.
    """
    if not stacks:
        return []
    found = engine.ensure(say)
    return _whole(sandbox.project(root, name, stack, found, say) for name, stack in stacks.items())


def _whole(projects: Iterable[Project]) -> list[Project]:
    """Return the projects, each with a state that can be read."""
    mended = list(projects)
    for each in mended:
        state.mend(each, say)
    return mended


def _of_state(project: Project, stack: Stack) -> Iterator[str]:
    outputs = engine.outputs(project)
    if not project.sandbox:
        yield from checks.real_state(project.stack, outputs)
    try:
        settings.check_step(project.stack, stack, outputs)
    except settings.ConfigurationError as error:
        yield from map(str, error.problems)


def _refuse(problems: Iterable[str]) -> None:
    if found := list(dict.fromkeys(problems)):
        raise Refused("\n".join(found))
