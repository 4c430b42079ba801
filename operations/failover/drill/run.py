"""The drill: with each mode of the standby everything that the table has goes wrong, and what comes of it is measured.

All of it happens in a work tree of the commit, with a sandbox of its own that ends with it.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.catalog import REGIONS
from components.settings import Stack
from operations import console, engine, evidence, sandbox, stacks, updates, worktree
from operations.console import say
from operations.errors import NotBegun, Refused, why
from operations.failover import simulation
from operations.failover.drill import bounds, measures, report
from operations.failover.drill.clients import Clients
from operations.failover.drill.incidents import INCIDENTS, MODES, Incident
from operations.failover.drill.measures import Attempt, Verdict
from operations.failover.drill.scene import Scene
from operations.failover.drill.stage import Stage
from sandbox.machines import Endpoint

CLIENTS = 3
"""How many clients ask each name."""
STEADY = 2.0
"""Seconds for which they ask before something goes wrong, and after it is over."""
SHARED = 25
"""A site that shares a name's requests is out where it has none of so many in a row."""


@dataclass(frozen=True)
class Asked:
    """What was said on the command line: these modes and incidents only, or all."""

    modes: Collection[str] = ()
    incidents: Collection[str] = ()
    publish: bool = False
    yes: bool = False
    on_sandbox: bool = False


def run(root: Path, wanted: str, asked: Asked) -> tuple[int, dict[str, Any]]:
    """Drill; return the exit code and the evidence.

    Raises:
        Refused: what is asked for can't be.
        NotBegun: somebody said no.
    """
    modes, incidents = _chosen("mode", asked.modes, MODES), _chosen("incident", asked.incidents, INCIDENTS)
    if not asked.on_sandbox:
        raise Refused(
            f"failover.drill {wanted}: nothing is broken on real accounts; add --sandbox. For real, rehearse a planned "
            "move, and the way back: `failover.engage`, then `failover.failback` (docs/failover.md)"
        )
    updates.require_consent(f"failover.drill {wanted}", on_sandbox=True, yes=asked.yes)
    name, stack, standby = _sites(root, wanted)
    dirty = worktree.git(root, "status", "--porcelain").splitlines()
    for line in dirty:
        say(f"{name}: not committed, so it is not in what is drilled: {line}")
    if not asked.yes and not console.agrees(
        f"{name}: {len(modes) * len(incidents)} incidents, of some minutes at most, in a sandbox of their own; begin?"
    ):
        raise NotBegun(f"{name}: declined; nothing was begun")
    found: dict[str, Any] = {
        "kind": "failover",
        "began": evidence.now(),
        "stack": name,
        "standby": standby,
        "place": "sandbox",
        "commit": worktree.git(root, "rev-parse", "HEAD"),
        "uncommitted": dirty,
        "background": _background(stack),
        "steps": [],
        "incidents": [],
    }
    with worktree.at(root, found["commit"], "failover") as folder:
        drill = _Drill(Stage(folder, name, standby), found)
        try:
            drill.carry_out(modes, incidents)
        except BaseException as error:  # noqa: BLE001 (whatever it is, there is evidence, and the sandbox ends)
            found["reason"] = why(error)
        finally:
            sandbox.reset(folder)
    found["ended"] = evidence.now()
    broken = report.broken(found)
    found["result"] = report.FAILED if broken else report.HELD
    console.show(report.table(found))
    for line in broken:
        say(f"{name}: {line}")
    if asked.publish and not broken:
        say(f"{name}: the evidence is in {evidence.publish(root, found)}")
    return (engine.FAILED if broken else 0), found


def _chosen(what: str, wanted: Collection[str], known: Mapping[str, Any]) -> list[str]:
    """Return the wanted ones in the table's order, or all.

    Raises:
        Refused: one is not known.
    """
    if unknown := [each for each in wanted if each not in known]:
        raise Refused(f"--{what} {unknown[0]}: there is none; known are {', '.join(known)}")
    return [each for each in known if each in wanted or not wanted]


def _sites(root: Path, wanted: str) -> tuple[str, Stack, str]:
    """Return a front's stack by name, and the standby that is declared first.

    Raises:
        Refused: it has no other site, or another one serves or is the primary, or a move is under way.
    """
    ((name, stack), *others) = stacks.select(root, wanted).items()
    inside = [site for site, each in stack.other_sites().items() if stack.is_inside(each)]
    if others or not inside:
        raise Refused(f"failover.drill {wanted}: name one stack that has 'failover' with another site in its file")
    if first := " and ".join(f"`./inv {task}`" for task in _first(name, stack)):
        raise Refused(
            f"{name}: a drill begins where its own site serves and is the primary, and nothing moves: {first} first"
        )
    return name, stack, inside[0]


def _first(name: str, stack: Stack) -> list[str]:
    """Return the tasks that have a front's own site serve and be the primary; none where that is so."""
    if stack.failover and stack.failover.moving:
        return [f"failover.engage {name}"]
    away = stack.active(name) != name
    if stack.home(name) != name:
        return [*([f"failover.engage {name} --to {name}"] if away else []), f"failover.keep {name}"]
    return [f"failover.failback {name}"] if away else []


def _background(stack: Stack) -> dict[str, Any]:
    """Return what a year of background errors does, simulated, and how long a total outage goes unnoticed."""
    found = simulation.simulate(stack.health, len(stack.probe_regions()))
    return {
        "years": found.years,
        "probes": found.probes,
        "failed": found.failed,
        "moves": len(found.false_moves),
        "seconds_to_detect": round(found.detected, 1),
        "detect_within": stack.failover.detect_within if stack.failover else None,
    }


class _Drill:
    """A drill on a stage; `found` is its evidence, which grows."""

    def __init__(self, stage: Stage, found: dict[str, Any]) -> None:
        self._stage, self._found = stage, found

    def carry_out(self, modes: Collection[str], incidents: Collection[str]) -> None:
        """Have every incident happen with every mode.

        One that does not come to its end is broken, and the next one begins with sites that are made anew.
        """
        for mode in modes:
            is_set = False
            for name in incidents:
                try:
                    if not is_set:
                        with evidence.step(f"{mode}: the sites are made", self._found["steps"]):
                            self._stage.set(mode, MODES[mode])
                    with evidence.step(f"{mode}: {INCIDENTS[name].what}", self._found["steps"]):
                        told = self._happens(INCIDENTS[name])
                    # A standby that was moved to is a whole one from then on, and each site has a database to spare.
                    is_set = not INCIDENTS[name].moved
                except Exception as error:  # noqa: BLE001 (whatever it is, the others are drilled; interruptions end it)
                    told, is_set = {"broken": [f"it did not come to its end: {why(error)}"]}, False
                    say(f"-- {mode}: {name}: {told['broken'][0]}")
                self._found["incidents"].append({"mode": mode, "incident": name, **told})

    def _happens(self, incident: Incident) -> dict[str, Any]:
        scene = self._stage.scene()
        door, home = sandbox.front(scene.folder, say), scene.sites.active.name
        clients, copied = Clients(Endpoint(door.host, door.port), scene.metadata_host), 0.0
        with scene.watched() as verdicts, clients.asking(scene.names, CLIENTS):
            began = time.time()
            time.sleep(STEADY)
            if not incident.keeps:
                copied = time.time()
                self._stage.task("backups.copy", home, yes=False)
                time.sleep(STEADY)
            since = time.time()
            with scene.broken(incident.conditions, flaps=incident.flaps):
                moving = self._goes_on(scene, incident, verdicts, since)
            scene.wait("what is well again is found to be", bounds.LATE * scene.returning, scene.is_well)
            lost = self._lost(scene, [*clients.attempts])
            back = time.time()
            if incident.moved:
                self._stage.task("failover.failback", self._stage.front)
                time.sleep(STEADY)
            until = time.time()
        lost |= self._lost(scene, clients.attempts)
        if incident.moved:
            self._stage.require_no_changes()
        seen = _Seen(clients.attempts, clients.died, verdicts, lost, began, since, back, until, copied, moving)
        return _measured(scene, incident, seen)

    def _lost(self, scene: Scene, attempts: list[Attempt]) -> dict[str, float]:
        """Return the messages that were answered and that the databases which serve by now do not have."""
        kept = {each.host for each in scene.names if each.stateful}
        answered = measures.acknowledged(each for each in attempts if each.name in kept)
        return measures.lost(answered, self._stage.scene().held())

    def _goes_on(self, scene: Scene, incident: Incident, verdicts: list[Verdict], since: float) -> float:
        """Wait for what the front does, and do what people would; return the seconds that this took."""
        hit = {each.host for each in scene.subjects} if incident.fails_over else set()
        home = scene.sites.active.name
        if hit:
            found = lambda: hit <= measures.detected([*verdicts], home, since).keys()  # noqa: E731
            scene.wait("the front finds it", 2 * scene.computed, found)
        elif not incident.moved:
            time.sleep(scene.computed)
        began = time.monotonic()
        if incident.moved:
            self._stage.move(incident, scene)
        took = time.monotonic() - began
        time.sleep(STEADY)
        return took


@dataclass(frozen=True)
class _Seen:
    """What was seen of an incident; `died` are errors of clients, `lost` messages with the times of their answers.

    The times are when clients began, it went wrong, it was over, clients ended, and the last copy was begun; and the
    seconds of a move.
    """

    attempts: list[Attempt]
    died: list[str]
    verdicts: list[Verdict]
    lost: Mapping[str, float]
    began: float
    since: float
    back: float
    until: float
    copied: float
    moving: float


def _measured(scene: Scene, incident: Incident, seen: _Seen) -> dict[str, Any]:
    attempts = seen.attempts
    home, keys = scene.sites.active.name, {each.host: f"{each.environment}/{each.role}" for each in scene.names}
    served = scene.served(seen.began)
    sharing = {each.host for each in scene.names if scene.is_shared(each)}
    detected = measures.detected(seen.verdicts, home, seen.since)
    found = bounds.Found(
        sent=len({each.key for each in attempts}),
        failed=len(measures.failed(attempts)),
        detected={keys[host]: seconds for host, seconds in detected.items()},
        hit=[keys[each.host] for each in scene.subjects] if incident.fails_over else [],
        computed=scene.computed,
        moves={
            key: measures.moves([each for each in served if each.name == host], home, SHARED if host in sharing else 1)
            for host, key in keys.items()
        },
        stateful=[keys[each.host] for each in scene.names if each.stateful],
        lost=sorted(seen.lost.values()),
        copied=seen.copied,
        regions=measures.where(served),
        allowed=[name for name, each in REGIONS.items() if each.jurisdiction == scene.sites.front.stack.jurisdiction],
        died=seen.died,
    )
    unserved = {
        key: [
            round(measures.outage([each for each in attempts if each.name == host], *span), 1)
            for span in ((seen.since, seen.back), (seen.back, seen.until))
        ]
        for host, key in keys.items()
    }
    return {
        "messages": found.sent,
        "failed": found.failed,
        "calls": len(attempts),
        "failed_calls": sum(each.status != measures.GOOD for each in attempts),
        # A move stops the other names, too: that is found as well, and is nothing that had to be detected.
        "seconds_to_detect": {name: round(found.detected[name], 1) for name in found.hit if name in found.detected},
        "seconds_to_detect_computed": round(found.computed, 1),
        "seconds_unserved": {name: away for name, (away, _) in unserved.items()},
        "seconds_unserved_on_the_way_back": {name: back for name, (_, back) in unserved.items()},
        "seconds_of_the_move": round(seen.moving, 1),
        "moves": dict(found.moves),
        "lost": len(found.lost),
        "requests_by_region": dict(found.regions),
        "broken": bounds.broken(incident, found),
    }
