"""What a front sends where, how its sites do, and what a move would cost now. Nothing is changed, or refreshed.

Health is what Cloudflare finds. What does not answer is said, and is no reason to say nothing about the rest.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cloudflare
from rich.table import Table

from components import detection, labels, standby
from components.detection import Times
from components.settings import Stack
from operations import clouds, engine, stacks
from operations.alarms import Job
from operations.backups.status import DAILY
from operations.clouds import Clouds
from operations.errors import Refused
from operations.failover import cost
from operations.failover.cost import Cost
from operations.failover.gaps import Gap, gaps
from operations.failover.sites import Name, Sites
from operations.incidents import Incident

GOOD, WARNING, DOWN = "good", "warning", "down"
_STYLES = {GOOD: "", WARNING: "yellow", DOWN: "red"}
_NOT_THERE = "not there"


@dataclass(frozen=True)
class Pool:
    """A site's pool of a name, as Cloudflare has it; `healthy` is None where its health is not known."""

    site: str
    enabled: bool
    healthy: bool | None
    id: str = ""

    def __str__(self) -> str:
        """Return it in a few words."""
        if not self.id:
            return f"{self.site}: {_NOT_THERE}"
        if not self.enabled:
            return f"{self.site}: held back"
        return f"{self.site}: {'unknown' if self.healthy is None else 'healthy' if self.healthy else 'down'}"


@dataclass(frozen=True)
class Row:
    """A public name: what serves it now, its pools, and what is wrong with it.

    `kind` is how it moves; `state` is one of GOOD, WARNING, DOWN, `says` why and `do` what to do.
    """

    name: str
    environment: str
    role: str
    kind: str
    serving: tuple[str, ...] = ()
    pools: tuple[Pool, ...] = ()
    state: str = GOOD
    says: str = ""
    do: str = ""


@dataclass(frozen=True)
class Edge:
    """An SIP edge of a phone name, as its health check finds it."""

    name: str
    site: str
    edge: str
    state: str
    says: str


@dataclass(frozen=True)
class Report:
    """All of a front. `sites` are what each is worth, by name; `moving` is where to, if a move is under way.

    `detect_within` is None where the files don't bound it.
    """

    front: str
    active: str
    home: str
    moving: str
    version: int
    sites: Mapping[str, str]
    times: Times
    detect_within: int | None
    names: tuple[Row, ...]
    edges: tuple[Edge, ...]
    costs: tuple[Cost, ...]
    at: dt.datetime

    @property
    def is_down(self) -> bool:
        """Whether somebody has to see to it."""
        states = [each.state for each in self.names], [each.state for each in self.edges]
        return DOWN in (*states[0], *states[1], *map(self.state_of, self.costs))

    def state_of(self, each: Cost) -> str:
        """Return the state of an environment's data: its database answers, and has a copy that is not overdue."""
        age = each.age(self.at)
        return DOWN if each.silence or age is None or age > DAILY else GOOD


def report(root: Path, wanted: str, *, on_sandbox: bool) -> tuple[int, list[Report]]:
    """Return what there is to say of each front; and 1 where something is down, or a copy overdue.

    Raises:
        Refused: the configuration is wrong, or a stack has no front.
        Failed: the engine does not answer.
    """
    chosen = stacks.select(root, wanted)
    fronts = dict.fromkeys(each.standby.of if each.standby else name for name, each in chosen.items())
    if wanted == stacks.ALL:
        fronts = {name: None for name in fronts if chosen[name].has_front}
    found = [_look(Sites.read(root, name, on_sandbox=on_sandbox, alone=True)) for name in fronts]
    return engine.FAILED if any(each.is_down for each in found) else 0, found


def _look(sites: Sites) -> Report:
    front = sites.front
    others = [each for name, each in sites.members.items() if name != sites.active.name]
    opened = clouds.connect(front.project)
    return Report(
        front=front.name,
        active=sites.active.name,
        home=sites.home.name,
        moving=sites.moving.to if sites.moving else "",
        version=sites.failover.version,
        sites={name: standby.describe(each.stack) or "the front's own" for name, each in sites.members.items()},
        times=detection.times(front.stack.health),
        detect_within=front.stack.failover.detect_within if front.stack.failover else None,
        names=tuple(_names(sites, opened)),
        edges=tuple(_edges(front.stack, opened)),
        costs=tuple(each for to in others for each in cost.costs(sites, to)),
        at=cost.now(),
    )


def _names(sites: Sites, opened: Clouds) -> Iterator[Row]:
    """Yield every name that is balanced over sites."""
    stack = sites.front.stack
    names = [(each, Row(each.host, each.environment, each.role, _kind(stack, each))) for each in sites.names()]
    try:
        pools, balancers = _pools(opened), _balancers(opened)
    except (cloudflare.CloudflareError, OSError, Refused) as error:
        for _, row in names:
            said = f"Cloudflare does not say: {error}"
            do = "repeat it later, or see to the stack's token"
            yield replace(row, serving=(sites.active.name,), state=WARNING, says=said, do=do)
        return
    known_gaps = gaps(sites)
    for name, row in names:
        label = stack.label, stack.environments[name.environment].label, name.role
        known = {
            site: _pool(site, pools.get(labels.pool(*label, site="" if site == sites.front.name else site)))
            for site in stack.sites(sites.front.name)
        }
        there = tuple(each for each in known.values() if each.id or _is_expected(sites, name, each.site))
        yield _judged(sites, name, replace(row, pools=there), balancers.get(name.host), known_gaps.get(name))


def _kind(stack: Stack, name: Name) -> str:
    role = stack.roles[name.role]
    return role.state if name.stateful else f"{role.state}, {role.sites}"


def _is_expected(sites: Sites, name: Name, site: str) -> bool:
    """Whether a name has a pool for a site: its own, and others that have an address for it."""
    addresses = sites.failover.sites[site].addresses if site in sites.failover.sites else {}
    return site == sites.front.name or name.role in addresses.get(name.environment, {})


def _pools(opened: Clouds) -> dict[str, Pool]:
    """Return the pools that Cloudflare has, by name, with their health; their site is not known yet."""
    edge = _edge(opened)
    found = {}
    for each in edge.load_balancers.pools.list(account_id=opened.account_id):
        health = edge.load_balancers.pools.health.get(str(each.id), account_id=opened.account_id).to_dict()
        found[str(each.name)] = Pool("", bool(each.enabled), majority(health.get("pop_health")), str(each.id))
    return found


def _pool(site: str, found: Pool | None) -> Pool:
    return replace(found, site=site) if found else Pool(site, enabled=False, healthy=None)


def majority(found: object) -> bool | None:
    """Return what most regions find of a pool; None where none has found anything.

    Cloudflare's examples have a finding for each region; its schema, which its SDK is made of, has one for all.
    """
    if not isinstance(found, dict):
        return None
    each = [found] if isinstance(found.get("healthy"), bool) else found.values()
    healthy = [one["healthy"] for one in each if isinstance(one, dict) and isinstance(one.get("healthy"), bool)]
    return 2 * sum(healthy) > len(healthy) if healthy else None


def _balancers(opened: Clouds) -> dict[str, list[str]]:
    """Return by name the pools that a load balancer sends to, in its order, and last its last resort."""
    listed = _edge(opened).load_balancers.list(zone_id=opened.zone_id)
    return {str(each.name): [*map(str, each.default_pools or ()), str(each.fallback_pool)] for each in listed}


def _edge(opened: Clouds) -> cloudflare.Cloudflare:
    if opened.edge is None:
        raise Refused("the stack has no token for it")
    return opened.edge


def _judged(sites: Sites, name: Name, row: Row, balancer: list[str] | None, gap: Gap | None) -> Row:
    """Return a row with what serves the name, and what is wrong with it."""
    verb = "failback" if sites.moving and sites.moving.lossless else "engage"
    engage, up = sites.front.project.task(f"failover.{verb}"), sites.front.project.task("up")
    if balancer is None:
        return replace(row, state=DOWN, says="there is no such load balancer", do=f"`{up}`")
    sent = [pool for id_ in balancer[:-1] for pool in row.pools if pool.id == id_ and pool.enabled]
    well = [pool for pool in sent if pool.healthy is not False]
    last = [pool for pool in row.pools if pool.id == balancer[-1]]
    shared = sites.front.stack.roles[name.role].sites == "active-active"
    serving = tuple(pool.site for pool in (well if shared else well[:1]) or last)
    row = replace(row, serving=serving)
    wanted = sites.active.name
    if name.stateful and serving != (wanted,):
        said = f"Cloudflare sends it to {', '.join(serving) or 'nowhere'}, and {wanted} is to serve it"
        return replace(row, state=DOWN, says=said, do=f"`{engage}` goes on with a move, `{up}` without one")
    if not well:
        said = "no pool is healthy: it is the last resort that is asked"
        moved = f"mend first what can be mended in the minutes that a move takes; `{engage}` moves it, with its data"
        can_move = name.stateful and len(sites.members) > 1
        do = moved if can_move else gap.do if gap else "nothing else is left to ask: mend a site"
        return replace(row, state=DOWN, says=said, do=do)
    if sick := [pool.site for pool in sent if pool.healthy is False]:
        said = f"{', '.join(sick)} is down, and Cloudflare sends nothing there until it is well again"
        return replace(row, state=DOWN, says=said, do="mend it; traffic goes back by itself")
    unsure = [str(pool) for pool in row.pools if not pool.id or (pool.enabled and pool.healthy is None)]
    gap = gap or (Gap(", ".join(unsure), f"wait for the first probes, or `{up}`") if unsure else None)
    return replace(row, state=WARNING, says=gap.says, do=gap.do) if gap else row


def _edges(stack: Stack, opened: Clouds) -> Iterator[Edge]:
    """Yield the edges of the phone names."""
    if stack.voice is None:
        return
    try:
        checks = {str(each.name): each for each in _edge(opened).healthchecks.list(zone_id=opened.zone_id)}
    except (cloudflare.CloudflareError, OSError, Refused) as error:
        checks, missing = {}, (WARNING, f"Cloudflare does not say: {error}")
    else:
        missing = (DOWN, "there is no such health check")
    hosts = stack.voice_hosts()
    for site, settings in stack.voice.sites.items():
        for edge in settings.edges:
            check = checks.get(labels.voice(stack.label, site, edge))
            states = {"healthy": GOOD, "unhealthy": DOWN}
            said = (states.get(str(check.status), WARNING), str(check.failure_reason or "")) if check else missing
            yield Edge(hosts[site], site, edge, *said)


def tell(job: Job, found: Iterable[Report]) -> None:
    """Report what is down or overdue: an incident for each name, phone edge, and environment's data."""
    for each in found:
        do = f"`{job.command(f'failover.status {each.front}')}` shows all"
        incidents = [
            Incident(f"name {row.name}", f"{row.name}: {row.says}", f"{row.do}. {do}.", "its pools are healthy")
            for row in each.names
            if row.state == DOWN
        ]
        incidents += [
            Incident(
                f"edge {edge.name} {edge.edge}",
                f"{edge.name}: edge {edge.edge} of {edge.site}: {edge.says or 'its health check fails'}",
                f"have it answer Cloudflare's health check (docs/voice.md). {do}.",
                "its health check is good",
            )
            for edge in each.edges
            if edge.state == DOWN
        ]
        incidents += [
            Incident(
                f"data {data.environment}",
                f"{each.front}: {data.environment}: {_wrong(data, each.at)}",
                f"{data.silence or data.unlisted or 'find out why no copy is made'}. {do}.",
                "the database answers, and its last copy is of today",
            )
            for data in each.costs
            if each.state_of(data) == DOWN
        ]
        job.report(each.front, f"failover.status {each.front}", incidents)


def _wrong(data: Cost, at: dt.datetime) -> str:
    if data.silence:
        return f"a move to {data.to} would lose {data.lost(at)}"
    if data.copied is None:
        return "no copy of its database is known"
    return f"the last copy of its database is of {data.copied:%Y-%m-%d %H:%M} UTC"


def data(found: Iterable[Report]) -> dict[str, dict[str, Any]]:
    """Return the report for programs, by front; times are UTC, ISO 8601, or seconds."""
    return {each.front: _data(each) for each in found}


def _data(found: Report) -> dict[str, Any]:
    of_data = [
        {
            **asdict(each),
            "copied": each.copied and each.copied.isoformat(),
            "state": found.state_of(each),
            "lost": each.lost(found.at),
        }
        for each in found.costs
    ]
    return {**asdict(found), "at": found.at.isoformat(), "costs": of_data}


def tables(found: Report) -> Iterator[Table]:
    """Yield the report for people: names, phone names, and what a move would cost."""
    moving = f", a move to {found.moving} is under way" if found.moving else ""
    title = f"{found.front}: {found.active} serves the stateful names, {found.home} is the primary{moving}"
    names = Table("Name", "Moves", "Serving", "Pools", "State", title=title)
    names.columns[0].no_wrap = True
    for row in found.names:
        pools, state = "\n".join(map(str, row.pools)), "; ".join(filter(None, (row.state, row.says, row.do)))
        names.add_row(row.name, row.kind, "\n".join(row.serving), pools, state, style=_STYLES[row.state])
    names.caption = str(found.times)
    if found.detect_within:
        names.caption += f"; {found.detect_within} s are allowed to find it"
    yield names
    if found.edges:
        edges = Table("Phone name", "Edge", "State", title="Edges of phone names")
        for edge in found.edges:
            said = f"{edge.state}: {edge.says}" if edge.says else edge.state
            edges.add_row(edge.name, f"{edge.edge} of {edge.site}", said, style=_STYLES[edge.state])
        yield edges
    costs = Table("Data of", "To", "The last copy", "Would be lost", "Would take", title="A move now")
    for each in found.costs:
        to = f"{each.to}, {found.sites[each.to]}"
        style = _STYLES[found.state_of(each)]
        costs.add_row(each.environment, to, each.newest(found.at), each.lost(found.at), each.takes(), style=style)
    if found.costs:
        yield costs
