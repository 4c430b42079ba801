"""A move of the stateful names from the site that serves them to another one, with their data.

The stack files are the journal: the front's says where to, and into which databases; how far it is, these files and the
clouds say. So a run that was cut off anywhere goes on when it is repeated, or goes back, as long as no traffic moved.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit
from rich.table import Table

from components import labels, settings
from components.settings import Stack
from components.topology import Moving, server_numbers
from operations import alarms, console, engine, guards, updates
from operations.backups import reach, writers
from operations.console import say
from operations.errors import Failed, NotBegun, Refused
from operations.failover import cost, data, front, journal
from operations.failover.cost import Cost
from operations.failover.data import Bringing
from operations.failover.sites import Site, Sites
from operations.incidents import Incident
from operations.rebuild import health
from operations.servers import births
from operations.servers import fleet as fleets
from operations.servers.fleet import OPS
from operations.updates import Agreed

ACTIVE = "active"
"""The mode of a standby that is whole."""


@dataclass(frozen=True)
class Asked:
    """What was said on the command line: where to, or to go back, and what was agreed to.

    `last_copy`: take the last copy, also where the database answers. `data_is_there`: bring nothing, as the data was
    restored at the other site by hand. `with_other_changes`: the front is changed even where other changes wait in its
    stack. `lossless`: only with every row.
    """

    to: str = ""
    back: bool = False
    last_copy: bool = False
    data_is_there: bool = False
    with_other_changes: bool = False
    lossless: bool = False
    yes: bool = False
    on_sandbox: bool = False
    local_state: bool = False

    @property
    def options(self) -> str:
        """Return the options as they are written again, but for --sandbox and --yes: ` --to us-standby --last-copy`."""
        options = {
            f"--to {self.to}": bool(self.to),
            "--back": self.back,
            "--last-copy": self.last_copy,
            "--data-is-there": self.data_is_there,
            "--with-other-changes": self.with_other_changes,
            "--local-state": self.local_state,
        }
        return "".join(f" {option}" for option, said in options.items() if said)

    def read(self, root: Path, wanted: str) -> Sites:
        """Return the sites as the files say now; raises as `Sites.read` does."""
        return Sites.read(root, wanted, on_sandbox=self.on_sandbox, local_state=self.local_state)


def go(sites: Sites, to: Site, asked: Asked) -> int:
    """Move the stateful names to a site, or go on with that; return the exit code.

    Raises:
        Refused: it can't be, or another move is under way.
        NotBegun: somebody said no.
        Failed: a step failed.
    """
    moving = sites.moving
    if moving and moving.to != to.name:
        under_way = task(sites, sites.members[moving.to], replace(asked, lossless=moving.lossless))
        raise Refused(
            f"{sites.front.name}: a move to {moving.to} is under way; `{under_way}` goes on with it, "
            f"`{under_way} --back` goes back"
        )
    journal.require_current(sites)
    if sites.active.name != to.name:
        _require_front(sites, to, asked)
    if moving is None:
        moving = _begun(sites, to, asked)
    else:
        say(f"{sites.front.name}: going on with the move to {to.name}, which began {moving.since}")
        if asked.data_is_there and moving.databases:
            raise Refused(f"{sites.front.name}: --data-is-there: that move brings data; `--back` first")
        if asked.lossless and sites.active.name == moving.source and not moving.databases and sites.environments():
            there = replace(asked, lossless=False, data_is_there=True)
            raise Refused(
                f"{sites.front.name}: that move brings no data, and every row of {moving.source} is wanted: "
                f"`{task(sites, to, asked)} --back` first, or `{task(sites, to, there)}` goes on and gives it up"
            )
        if moving.lossless and asked.last_copy and sites.active.name == moving.source:
            moving = _given_up(sites, to, moving, asked)
    journal.noted(sites, moving)
    asked = replace(asked, lossless=asked.lossless or moving.lossless)
    try:
        sites = _go_on(sites.again(), moving, asked)
    except Exit:
        again = task(sites, to, asked)
        say(f"{sites.front.name}: not finished. `{again}` goes on; until traffic moves, `{again} --back` goes back.")
        raise
    # People first: a copy takes as long as the data is large. Whoever is cut off in here does both again.
    problems = [*told(sites), *_copies(sites)]
    journal.ended(sites)
    return finished(problems)


def _require_front(sites: Sites, to: Site, asked: Asked) -> None:
    """Refuse to do anything for a move where the front could not be changed in the end.

    Raises:
        Refused: changes wait in its stack, or it can't be.
        Failed: it can't be found out.
    """
    if to.name != sites.front.name:
        front.require_updatable(sites.front, with_others=asked.with_other_changes)
    elif asked.with_other_changes:
        raise Refused(
            f"{to.name}: --with-other-changes: a move to the front's own stack brings that up whole, so nothing would "
            "go on waiting there; bring it up first, or take back what is not to be changed"
        )
    elif sites.moving is None:  # its file says by then what the move has written
        front.require_updatable(sites.front, with_others=False)


def task(sites: Sites, to: Site, asked: Asked) -> str:
    """Return the command line that goes on with a move, as it was begun."""
    if asked.lossless:
        return (
            sites.front.project.task("failover.failback") + replace(asked, to="", back=False, last_copy=False).options
        )
    return sites.front.project.task("failover.engage") + replace(asked, to=to.name, back=False).options


def _begun(sites: Sites, to: Site, asked: Asked) -> Moving:
    """Show what will happen and what it costs, ask, and write down that it is under way; return that.

    Raises:
        Refused: it can't be.
        NotBegun: somebody said no.
        Failed: what is there can't be asked.
    """
    source, whole = sites.active, settings.declared(sites.root, to.name, settings.differences(sites.root, to.name))
    _require_names(sites, to, whole)
    if asked.data_is_there:
        filled, costs = dict[str, int](), list[Cost]()
        data.require_held(to, sites.environments())
    else:
        filled, costs = _brought(sites, to, whole, asked)
    new = {each: labels.database(whole.label, whole.environments[each].label, filled[each]) for each in filled}
    console.show(_plan(sites, to, asked, new, costs))
    if not asked.yes and not console.agrees(f"{sites.front.name}: move the stateful names to {to.name}?"):
        raise NotBegun(f"{sites.front.name}: declined; nothing was changed")
    now = labels.moment(dt.datetime.now(dt.UTC))
    return Moving(source=source.name, to=to.name, since=now, databases=filled, lossless=asked.lossless)


def _brought(sites: Sites, to: Site, whole: Stack, asked: Asked) -> tuple[dict[str, int], list[Cost]]:
    """Return by environment the generation of the database that takes the data, and what that costs.

    Raises:
        Refused: the data can't be brought.
        Failed: what is there can't be asked.
    """
    source = sites.active
    for environment in sites.environments():
        data.require_copies(source, source.stack, environment)
        data.require_copies(to, whole, environment)
    filled = {each: data.room(to, whole, each) for each in sites.environments()}
    costs = [*cost.costs(sites, to)]
    if asked.lossless and (silent := [f"{each.environment}: {each.silence}" for each in costs if each.silence]):
        raise Refused(
            f"{source.name}: its database does not answer, and every row of it is wanted: {'; '.join(silent)}. "
            f"`{task(sites, to, Asked(local_state=asked.local_state))}` moves with the last copy of it"
        )
    if empty := [each.environment for each in costs if (each.silence or asked.last_copy) and each.has_none]:
        raise Refused("\n".join(data.no_copy(source, to, each, sites.since) for each in empty))
    return filled, costs


def _given_up(sites: Sites, to: Site, moving: Moving, asked: Asked) -> Moving:
    """Ask whether a failback may lose what was written since the last copy, and write that down; return the move.

    Raises:
        NotBegun: somebody said no.
    """
    known = [replace(each, silence="--last-copy") for each in cost.costs(sites, to)]
    lost = "; ".join(f"{each.environment}: {each.lost(cost.now())}" for each in known)
    say(f"{sites.front.name}: it would go home with the last copy, and this is LOST: {lost}")
    if not asked.yes and not console.agrees(f"{sites.front.name}: give that up?"):
        raise NotBegun(f"{sites.front.name}: declined; nothing was changed")
    return moving.model_copy(update={"lossless": False})


def _require_names(sites: Sites, to: Site, whole: Stack) -> None:
    missing = [
        f"{name.role} of {name.environment}"
        for name in sites.names()
        if name.stateful
        and (name.environment not in whole.environments or name.role not in whole.environments[name.environment].groups)
    ]
    if missing:
        raise Refused(f"{settings.stack_file(to.name)}: the site has no {', '.join(missing)}; declare them there")


def _plan(sites: Sites, to: Site, asked: Asked, new: Mapping[str, str], costs: Sequence[Cost]) -> Table:
    """Return what will happen. `new` are by environment the labels of the databases that take the data."""
    source = sites.active
    shown = Table("Step", "What", title=f"{sites.front.name}: the stateful names from {source.name} to {to.name}")
    if to.stack.standby and to.stack.standby.mode != ACTIVE:
        off = "servers of stateful roles that get another plan are powered off for that"
        shown.add_row("up to size", f"{to.name} is '{to.stack.standby.mode}', and becomes '{ACTIVE}'; {off}")
    for environment in sites.environments():
        shown.add_row(
            "stopped", f"the applications of {environment} at {source.name} that use the database; it is closed"
        )
        label = new.get(environment)
        brought = f"{label} gets what {source.name} has, compared table by table" if label else "nothing is brought"
        shown.add_row("data", brought)
    for name in sites.names():
        if name.stateful:
            shown.add_row("moved", f"{name.host}, and the metadata tells clients")
    if asked.data_is_there:
        shown.add_row("lost", f"all that {source.name} has, and {to.name} has not", style="bold red")
    for each in costs:
        said = replace(each, silence="--last-copy") if asked.last_copy else each
        then = "nothing moves" if asked.lossless else "all that was written since its last copy"
        otherwise = "" if said.silence else f"; if it does not answer any more by then, {then}"
        shown.add_row("lost", f"{each.environment}: {said.lost(cost.now())}{otherwise}", style="bold red")
        shown.add_row("takes", each.takes())
    return shown


def _go_on(sites: Sites, moving: Moving, asked: Asked) -> Sites:
    """Go through the steps that are left until traffic has moved; return the sites as they are then.

    Raises:
        Refused, Failed: a step failed.
    """
    if sites.active.name != moving.to:
        sites = _ready(sites, moving, asked)
        sites = _chosen(sites, moving.to)
    front.update(sites.front, with_others=asked.with_other_changes)
    say(f"{sites.front.name}: {moving.to} serves the stateful names")
    # A copy of its own is made after this; what its bucket has of before is what it held as a standby, or long ago.
    return sites.written(since=labels.moment(cost.now()))


def _ready(sites: Sites, moving: Moving, asked: Asked) -> Sites:
    """Have the other site be whole, with the data, and answer; nobody writes at the one that serves any more.

    Raises:
        Refused, Failed: it can't be.
    """
    to = moving.to
    sites = _sized(sites, moving)
    updates.settle(sites.members[to].project)  # a run that was cut off may have resized servers that the state has not
    known = _servers(sites.members[to])
    bring_up(sites, to, _resized(sites.members[to], known))
    _require_born(sites, sites.members[to], known)
    for environment in sites.environments():
        serves = sites.members[to].stack.environments[environment].database.serves
        brought, generation = environment in moving.databases, moving.databases.get(environment, serves)
        given_up = asked.last_copy or not brought
        bringing = Bringing(sites.active, sites.members[to], environment, generation, given_up, sites.since)
        data.stop(bringing, lossless=asked.lossless)
        if brought:
            writers.stop(sites.members[to].project, sites.members[to].stack, environment)
            data.bring(bringing, lossless=asked.lossless)
        if serves != generation:
            place = ("environments", environment, "database")
            sites = sites.said_of(sites.members[to], {place: {"serving": generation}})
            bring_up(sites, to)
        site = sites.members[to]
        data.open_again(site, environment)
        writers.start(site.project, site.stack, environment, task(sites, site, asked))
    site = sites.members[to]
    proved = {(name.environment, name.role): name.stateful for name in sites.names()}
    for environment, roles in health.wait(site.project, site.stack, sites.front.project, proved).items():
        for role, said in roles.items():
            left = "" if health.serves(said) else "; it is stateless, so the move goes on without it"
            say(f"{to}: {environment}: {role} answers: {said}{left}")
    return sites


def _sized(sites: Sites, moving: Moving) -> Sites:
    """Write into a site's file that it is whole, with the databases that take the data."""
    to = moving.to
    standby = sites.members[to].stack.standby
    if standby and standby.mode != ACTIVE:
        sites = sites.said_of(sites.members[to], {("standby",): {"mode": ACTIVE}})
    for environment, generation in moving.databases.items():
        database = sites.members[to].stack.environments[environment].database
        if generation not in database.generations:
            generations = {"generations": [*database.generations, generation], "serving": database.serves}
            sites = sites.said_of(sites.members[to], {("environments", environment, "database"): generations})
    return sites


def _servers(site: Site) -> dict[str, str]:
    """Return the plans of a site's servers by label, as its state says.

    Raises:
        Failed: the engine does not give the state.
    """
    found = (each["inputs"] for each in engine.resources(site.project) if each["type"] == guards.SERVER)
    return {each["label"]: each["type"] for each in found}


def _resized(site: Site, known: Mapping[str, str]) -> frozenset[str]:
    """Return the labels of the servers that are given another plan, of roles that serve nobody at a site yet.

    That powers them off, which is nobody's loss. A stateless role may serve there, and stays under guard.
    """
    wanted = {
        labels.server(site.stack.label, environment.label, role, *number): group.plan
        for _, environment, role, group in site.stack.groups()
        if site.stack.roles[role].state == "stateful"
        for number in server_numbers(group)
    }
    return frozenset(label for label, plan in wanted.items() if known.get(label, plan) != plan)


def bring_up(sites: Sites, name: str, resized: frozenset[str] = frozenset()) -> None:
    """Bring a site up to what its file says.

    Raises:
        Refused, Failed: it can't be.
    """
    site, asked = sites.members[name], guards.Asked(replace=resized)
    if code := updates.bring_up(site.project, Agreed(yes=True, local_state=sites.local_state, asked=asked)):
        raise Failed(f"{name}: the update ended with {code}; mend what it says above")


def _require_born(sites: Sites, to: Site, known: Collection[str]) -> None:
    """Wait until the servers of a site are born that are to serve; that takes minutes, in which the other one serves.

    Those that are known already are waited for only where none of their role answers: they may be ill.

    Raises:
        Failed: none of a role answers in time, or one shows another host key or lets nobody in.
    """
    environments = {name.environment for name in sites.names()}
    needed = fleets.load(to.project, to.stack).of(
        lambda each: each.place.environment in environments or each.place.role == OPS
    )
    late = births.late(needed, lambda silent: bool(silent.keys() - known) or bool(needed.lost(silent)))
    for label, why in late.items():
        say(f"{label}: does not answer over SSH ({why})")
    if gone := needed.lost(late):
        raise Failed(f"{to.name}: no server of {gone} answers over SSH; mend that, and repeat it")


def _chosen(sites: Sites, to: str) -> Sites:
    """Write that the other site serves, and where its balancers are: both at once, or nothing."""
    serves = {"active": None if to == sites.home.name else to, "version": sites.failover.version + 1}
    at: dict[tuple[str, ...], dict[str, Any]] = {("failover",): serves}
    if to != sites.front.name:
        at[("failover", "sites", to)] = {"addresses": sites.addresses(sites.members[to])}
    return sites.said_of(sites.front, at)


def _copies(sites: Sites) -> list[str]:
    """Make a copy of each database that serves now, which has none of its own yet; return what went wrong."""
    site, problems = sites.active, []
    for environment in sites.environments():
        try:
            made = reach.program(site.project, site.stack)(environment, "copy", "--by-hand").found
            say(f"{site.name}: {environment}: it has a copy of its own, {made['id']}")
        except (Failed, Refused) as error:
            again = f"{site.project.task('backups.copy')} --environment {environment}"
            problems.append(f"{site.name}: {environment}: it has no copy of its own yet: {error.message}; `{again}`")
    return problems


def told(sites: Sites) -> list[str]:
    """Tell the board and those on call where the stateful names are, if not at home; return what went wrong."""
    away = sites.front.project.task("failover.failback"), sites.front.project.task("failover.keep")
    incident = Incident(
        f"failover {sites.front.name}",
        f"{sites.front.name}: {sites.active.name} serves the stateful names, and not {sites.home.name}",
        f"once {sites.home.name} is well again, `{away[0]}` goes back with every row; `{away[1]}` has "
        f"{sites.active.name} stay the primary (docs/failover.md).",
        f"{sites.home.name} serves them again, or it was decided that it stays so",
    )
    current = [] if sites.active.name == sites.home.name else [incident]
    try:
        line = f"failover.engage {sites.front.name}"
        with alarms.Job(sites.root, line, sites.front.name, True, sites.front.project.sandbox) as job:
            job.report(sites.front.name, f"failover {sites.front.name}", current)
    except Failed as failed:
        return [str(failed.message)]
    return []


def finished(problems: Sequence[str]) -> int:
    """Return the exit code of what is done, but for problems on the way.

    Raises:
        Failed: there are any.
    """
    if problems:
        raise Failed("\n".join(problems))
    return 0
