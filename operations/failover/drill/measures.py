"""What clients, the front's log and its verdicts tell of an incident: arithmetic. Times are seconds since 1970."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise

GOOD = 200
NOWHERE = "nowhere"


@dataclass(frozen=True)
class Attempt:
    """One call that a client made: for which name and message (its idempotency key), and the status; 0: no answer."""

    name: str
    key: str
    began: float
    ended: float
    status: int


@dataclass(frozen=True)
class Served:
    """A line of the front's log: when it took a request for a name, and of which site and region the backend was."""

    at: float
    name: str
    site: str
    region: str


@dataclass(frozen=True)
class Verdict:
    """What a site's pool of a name was found to be, from a time on."""

    at: float
    name: str
    site: str
    healthy: bool


def acknowledged(attempts: Iterable[Attempt]) -> dict[str, float]:
    """Return the messages that were answered well, each with the time of the first such answer."""
    found: dict[str, float] = {}
    for each in attempts:
        if each.status == GOOD:
            found[each.key] = min(each.ended, found.get(each.key, each.ended))
    return found


def failed(attempts: Collection[Attempt]) -> set[str]:
    """Return the messages that were never answered well, whatever was tried."""
    return {each.key for each in attempts} - acknowledged(attempts).keys()


def outage(attempts: Iterable[Attempt], since: float, until: float) -> float:
    """Return the longest time between two times in which no call was answered well: how long nothing was served."""
    good = sorted(each.ended for each in attempts if each.status == GOOD and since < each.ended < until)
    return max(after - before for before, after in pairwise([since, *good, until]))


def detected(verdicts: Iterable[Verdict], site: str, since: float) -> dict[str, float]:
    """Return by name how long it took until a site's pool was found to be down; without those of which it was not."""
    found: dict[str, float] = {}
    for each in sorted(verdicts, key=lambda verdict: verdict.at):
        if each.site == site and not each.healthy and each.at >= since:
            found.setdefault(each.name, each.at - since)
    return found


def moves(served: Iterable[Served], home: str, least: int = 1) -> int:
    """Return how often a name's requests left a site for others.

    A site that shares them is not missed for a few of them: only for `least` in a row.
    """
    in_order = sorted(served, key=lambda each: each.at)
    runs = [(site, len([*several])) for site, several in groupby(each.site == home for each in in_order)]
    return sum(1 for is_home, length in runs if not is_home and length >= least)


def lost(answered: Mapping[str, float], held: Collection[str]) -> dict[str, float]:
    """Return the messages, with the times of their answers, that the serving database does not have."""
    return {key: at for key, at in answered.items() if key not in held}


def where(served: Iterable[Served]) -> dict[str, int]:
    """Return how many requests had a backend in each region; one at an address that nobody has is 'nowhere'."""
    return dict(sorted(Counter(each.region or NOWHERE for each in served).items()))
