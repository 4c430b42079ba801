"""Up and destroy: the engine's own runs, one stack after the other.

What changes a cloud stops at the first stack that fails.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from invoke.exceptions import Exit

from operations import clouds, engine, guards, plans, policy, preflight, recovery, runs, stacks, state
from operations.console import agrees, has_terminal, require_name, say
from operations.errors import Failed, NotBegun, Refused
from operations.guards import Asked
from operations.project import Project
from operations.recovery import Stray
from operations.servers import applied, kept, windows

PRODUCTION = "production"
NAMED = 12
"""How many objects a question names."""


@dataclass(frozen=True)
class Agreed:
    """What was agreed to beforehand, on the command line.

    `yes`: the changes. `local_state`: a state that only this machine has. `adopt`: what exists under the label of
    something that would be made, and belongs to no stack, is taken over; otherwise nothing is made. `asked`: what is
    under guard and is replaced or deleted, by name.
    """

    yes: bool = False
    local_state: bool = False
    adopt: bool = False
    asked: Asked = field(default_factory=Asked)


def up(root: Path, wanted: str, agreed: Agreed, *, on_sandbox: bool) -> int:
    """Bring stacks to what the configuration says; return the exit code. Shows each one's plan and asks.

    Raises:
        Refused, Failed.
    """
    chosen = stacks.select(root, wanted)
    for name, stack in chosen.items():
        if stack.failover and stack.failover.moving:
            moving = stack.failover.moving
            verb = "failback" if moving.lossless else "engage"
            task = _command(f"failover.{verb} {name}", on_sandbox=on_sandbox)
            raise Refused(
                f"{name}: a move to {moving.to} is under way, and brings up itself what it needs: `{task}` goes on "
                f"with it, `{task} --back` goes back, and then `up` works (docs/failover.md)"
            )
    if len(chosen) > 1 and agreed.asked != Asked():
        raise Refused("--replace and --delete name what one stack holds; name that stack, one at a time")
    require_consent(f"up {wanted}", on_sandbox=on_sandbox, yes=agreed.yes)
    projects = runs.for_up(root, chosen, on_sandbox=on_sandbox, local_state=agreed.local_state)
    preflight.require(projects, chosen)

    return _in_turn(projects, "up", lambda project: bring_up_whole(project, agreed))


def bring_up_whole(project: Project, agreed: Agreed) -> int:
    """Bring one stack up as `bring_up` does; the exit code says as well where a backup window could not be set.

    Raises:
        Refused, NotBegun, Failed: as `bring_up`.
    """
    return _update(project, agreed) or _keep_windows(project)


def bring_up(project: Project, agreed: Agreed, *options: str) -> int:
    """Bring one stack to what the configuration says, as a step of a task; return the exit code.

    A backup window that could not be set is said, and is no reason to stop in the middle of the task.

    Raises:
        Refused: the plan replaces or deletes what was not asked for by name, or something exists already.
        NotBegun: somebody said no, or took so long that the plan is out of date.
        Failed: the engine or a cloud does not answer.
    """
    code = _update(project, agreed, *options)
    if not code:
        _keep_windows(project)
    return code


def _keep_windows(project: Project) -> int:
    try:
        windows.keep(project, say)
    except Failed as failed:
        say(str(failed.message))
        return engine.FAILED
    return 0


def _update(project: Project, agreed: Agreed, *options: str) -> int:
    """Bring one stack to what the configuration says, after its plan was shown, guarded and agreed to.

    `options` are further ones of the engine's previews and updates.

    The update makes its own plan again, under the state's lock: what the guard let pass is not what it is bound to. So
    where somebody was asked, and took time, state and files have to be as they were; without that it follows at once.

    Raises:
        Refused: the plan replaces or deletes what was not asked for by name, or something exists already.
        NotBegun: somebody said no, or took so long that the plan is out of date.
        Failed: the engine or a cloud does not answer.
    """
    go_on(project, agreed)
    pack = (*policy.arguments(project), *options)
    with guards.lifted(project, agreed.asked):
        basis = "" if agreed.yes else plans.basis(project)
        code, plan = plans.preview(project, engine.run, *pack)
        guards.require(project, plan, agreed.asked)
        if code:
            return code
        if not plan.complete:
            raise Failed("\n".join(f"{project.stack}: {each}" for each in plan.errors))
        if plan.changes and not agreed.yes:
            if not agrees(
                f"{project.stack}: perform this update?", lambda: engine.run(project, "preview", *pack, "--diff")
            ):
                raise NotBegun(f"{project.stack}: declined; nothing was changed")
            if plans.basis(project) != basis:
                changed = "its state or the files have changed since this plan was made; repeat it"
                raise NotBegun(f"{project.stack}: {changed}")
        if code := engine.run(project, "up", *pack, "--yes", "--skip-preview"):
            return code
    applied.tell(project, say)
    return 0


def destroy(root: Path, wanted: str, agreed: Agreed, *, on_sandbox: bool) -> int:
    """Remove everything that stacks hold; return the exit code. The stacks stay, empty, with their history.

    Protection is lifted in the state first, for the engine stops half way at a protected resource. On real
    accounts somebody has to type the stack's name before that; `agreed.yes` spares it where nothing is production.

    Raises:
        Refused, Failed.
    """
    chosen = stacks.select(root, wanted)
    require_consent(f"destroy {wanted}", on_sandbox=on_sandbox, yes=agreed.yes)
    to_type = [
        n for n, stack in chosen.items() if not on_sandbox and (PRODUCTION in stack.environments or not agreed.yes)
    ]
    if to_type and not has_terminal():
        raise Refused(f"{', '.join(to_type)}: destroying it for real needs a terminal, to type its name on")
    projects = runs.for_destroy(root, chosen, on_sandbox=on_sandbox, local_state=agreed.local_state)
    for name in to_type:
        require_name(name, f"{name}: all its servers with their backups, databases and copies will be deleted.")

    return _in_turn(projects, "destroy", lambda project: empty(project, yes=agreed.yes))


def empty(project: Project, *, yes: bool) -> int:
    """Remove everything that one stack holds, going on where a run was cut off; return the exit code.

    Raises:
        Refused, Failed.
    """
    settle(project)
    if code := _destroy(project, yes=yes):
        return code
    for each in clouds.census(clouds.connect(project), [guards.SERVER]):
        if kept.is_kept(each.body, project.stack):
            say(f"{each.key}: it was replaced by a restore, and stays, off and billed: delete it at its cloud")
    return 0


def settle(project: Project) -> None:
    """Settle what a run that was cut off left behind: its lock, and the operations of which nobody knows the end.

    Raises:
        Refused: what was made can't be told from what was not.
        Failed: somebody holds the lock, or the engine or a cloud does not answer.
    """
    state.require_free_lock(project, say)
    recovery.settle(project, say)


def go_on(project: Project, agreed: Agreed, types: Collection[str] | None = None) -> None:
    """Settle what a run that was cut off left behind, and take over what exists already.

    With `types` of resources, the clouds are asked of these only, and what was left of others may stay unsettled.

    Raises:
        Refused: something exists that nobody said to take over.
        Failed: the engine or a cloud does not answer.
    """
    try:
        settle(project)
    except (Failed, Refused) as ended:
        if types is None:
            raise
        state.require_free_lock(project, say)
        say(f"{project.stack}: what a run that was cut off left elsewhere stays unsettled: {ended.message}")
    seen: set[tuple[str, str]] = set()
    while found := recovery.strays(project, types):  # more than once: what is taken over may be the parent of another
        if not seen.isdisjoint((each.found.type, each.found.id) for each in found):
            raise Failed(
                f"{project.stack}: {found[0].found.name} was taken over, and is still unknown; repeat it later"
            )
        if foreign := [_offered(each) for each in found if not each.found.ours]:
            _require_adoption(project, foreign, agreed)
            agreed = replace(agreed, adopt=True)  # one answer is for all of it
        # Inputs that come from another stray are known once that is taken over; those that never are, are left out.
        taken = [each for each in found if each.whole or each.is_superseded] or found
        seen.update((each.found.type, each.found.id) for each in taken)
        applied.doubt(project, _groups(taken))
        recovery.adopt(project, taken, say)
        _say_unread(project, taken)
    _say_superseded(project)


def _groups(taken: Sequence[Stray]) -> set[applied.Group]:
    """Return the groups of servers that were taken over."""
    servers = (each.resource["inputs"] for each in taken if each.found.type == guards.SERVER)
    return {group for each in servers if (group := applied.group_of(each.get("tags") or ()))}


def _offered(stray: Stray) -> str:
    if stray.readable:
        return stray.found.name
    what = "to be made a second time" if stray.is_superseded else "to be DELETED and made anew"
    return f"{stray.found.name}, {what}, as nobody can read its secret"


def _require_adoption(project: Project, names: Sequence[str], agreed: Agreed) -> None:
    shown = [*names[:NAMED], *([f"{len(names) - NAMED} others"] if len(names) > NAMED else [])]
    exist = f"{project.stack}: {', '.join(shown)}: exists already, and belongs to no stack"
    if not agreed.adopt and not (has_terminal() and agrees(f"{exist}. Take it over?")):
        raise Refused(f"{exist}; `{project.task('up')} --adopt` takes it over, else rename it or make room for it")


def _say_unread(project: Project, taken: Sequence[Stray]) -> None:
    for type_, count in Counter(each.found.type for each in taken).items():
        if unread := clouds.KINDS[type_].unread:
            say(f"{project.stack}: {unread} of {count} {type_.rpartition(':')[2]} can't be read: taken as configured")


def _say_superseded(project: Project) -> None:
    for each in recovery.superseded(project):
        say(
            f"{project.stack}: {each.name} is from before the state was lost, and nobody can read its secret: another "
            "is made; delete this one at its cloud once servers have the other"
        )


def _destroy(project: Project, *, yes: bool) -> int:
    protected = {each["urn"] for each in engine.resources(project) if each.get("protect")}
    code, _, errors = engine.answer(project, "state", "unprotect", "--all", "--yes")
    if code:
        say(f"{project.stack}: {errors.strip()}")
        return code
    code = engine.run(project, "destroy", *_consent(yes))
    left = [each["urn"] for each in engine.resources(project)]
    if not left:
        return code
    if again := [urn for urn in left if urn in protected]:
        engine.ask(project, "state", "protect", *again, "--yes")
    say(f"{project.stack}: {len(left)} resources are left, and what was protected of them is protected again.")
    # A destroy that is stopped between two deletions ends with 0 by itself.
    return code or engine.FAILED


def _in_turn(projects: Sequence[Project], verb: str, change: Callable[[Project], int]) -> int:
    for position, project in enumerate(projects, start=1):
        begun = True
        try:
            code = change(project)
        except Exit as ended:  # what was refused for a later stack does not undo the earlier ones
            say(str(ended.message))
            begun = isinstance(ended, Failed)
            code = ended.code if position == 1 else engine.FAILED
        if code and begun:
            # On a terminal the engine takes Ctrl-C for itself, so an interruption looks like any other failure.
            say(f"{project.stack}: not finished; what was done is recorded. `{project.task(verb)}` goes on from there.")
        if code:
            if rest := projects[position:]:
                say(f"Not begun: {', '.join(each.stack for each in rest)}.")
            return code
    return 0


def require_consent(task: str, *, on_sandbox: bool, yes: bool) -> None:
    """Refuse to begin what asks, where there is nobody to ask and nothing was agreed to beforehand.

    Raises:
        Refused: with the command line that agrees.
    """
    if not (yes or has_terminal()):
        raise Refused(
            "this asks before it changes anything, and there is no terminal to ask on; if it is agreed: "
            f"{_command(task, on_sandbox=on_sandbox)} --yes"
        )


def _command(task: str, *, on_sandbox: bool) -> str:
    """Return the command line of a task, where there is no project yet that says it."""
    return f"./inv {task}{' --sandbox' if on_sandbox else ''}"


def _consent(yes: bool) -> tuple[str, ...]:
    return ("--yes",) if yes else ()
