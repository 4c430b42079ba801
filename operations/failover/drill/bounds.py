"""What has to come of an incident: each bound with what was found, and whether it holds."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from operations.failover.drill.incidents import Incident
from operations.failover.drill.measures import NOWHERE

LATE = 1.2
"""How many times what is computed it may take to detect."""


@dataclass(frozen=True)
class Found:
    """What was measured in an incident; times in seconds, by name where they are several.

    `lost` are the times of answers to messages that are lost, `copied` is when the last copy was begun. `hit` are the
    names whose every server was out of reach, so that the front had to find that. `regions` are requests by the region
    of their backend. `died` is what clients ended of that they should have met.
    """

    sent: int
    failed: int
    detected: Mapping[str, float]
    hit: Collection[str]
    computed: float
    moves: Mapping[str, int]
    stateful: Collection[str]
    lost: Collection[float]
    copied: float
    regions: Mapping[str, int]
    allowed: Collection[str]
    died: Collection[str] = ()


def broken(incident: Incident, found: Found) -> list[str]:
    """Return in words the bounds that do not hold."""
    return [each for bound in _BOUNDS for each in bound(incident, found)]


def _died(_: Incident, found: Found) -> Iterator[str]:
    for error in found.died:
        yield f"a client ended of what it should have met: {error}"


def _failed(incident: Incident, found: Found) -> Iterator[str]:
    if not found.sent:
        yield "nobody asked anything"
    if incident.spared is not None and found.failed > incident.spared * found.sent:
        yield f"{found.failed} of {found.sent} messages failed in spite of retries; at most {incident.spared:.0%} may"


def _detected(_: Incident, found: Found) -> Iterator[str]:
    most = LATE * found.computed
    for name in found.hit:
        took = found.detected.get(name)
        if took is None:
            yield f"{name}: it was never found to be down"
        elif took > most:
            yield f"{name}: it took {took:.1f} s to detect; {most:.1f} s are {LATE} times what is computed"


def _moved(incident: Incident, found: Found) -> Iterator[str]:
    for name, moves in found.moves.items():
        wanted = incident.moved if name in found.stateful else incident.fails_over
        allowed = (0, 1) if wanted is None else (int(wanted),)
        if moves not in allowed:
            yield f"{name}: it moved {moves} times, and not {' or '.join(map(str, allowed))}"


def _lost(incident: Incident, found: Found) -> Iterator[str]:
    lost = [at for at in found.lost if incident.keeps or at < found.copied]
    if lost:
        though = "" if incident.keeps else ", although they are older than the last copy"
        yield f"{len(lost)} messages that were answered are lost{though}"


def _places(_: Incident, found: Found) -> Iterator[str]:
    for region, requests in found.regions.items():
        if region not in found.allowed:
            where = "at an address that nobody has" if region == NOWHERE else f"in '{region}'"
            yield f"{requests} requests had a backend {where}, outside the jurisdiction"


_BOUNDS: tuple[Callable[[Incident, Found], Iterator[str]], ...] = (_died, _failed, _detected, _moved, _lost, _places)
