"""How often a monitor's settings would move traffic for nothing, and how soon they notice an outage: simulated.

Cloudflare's rule (developers.cloudflare.com, load-balancing: "How endpoints and pools become unhealthy", and the API's
`consecutive_down` and `consecutive_up`): three data centers of each probe region ask an endpoint once an interval; a
region is healthy where most of its data centers are answered, the endpoint where most regions are healthy. It changes
its health after so many results in a row. The pages do not say whose results are counted: those of each data center,
which asks at a time of its own, or what they find together when all of them have asked at once. Both are simulated
here, and the worse one counts.

Retries are made at once, so what lasts longer than a moment meets all of them: they help against errors that stand
alone, and not in a burst. A year is counted in about a tenth of a second: only what fails is drawn.
"""

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from components.topology import Health

DATA_CENTERS = 3  # of each region, that probe
YEAR = 365 * 24 * 3600.0

Span = tuple[float, float]
"""From a time to another one, in seconds."""


@dataclass(frozen=True)
class Background:
    """What goes wrong while nothing is broken.

    `errors` is the share of all requests of probes that fail. `in_bursts` of these fail because the way of one data
    center is disturbed for up to twice `burst` seconds, and `at_origin` of the bursts disturb the origin itself, so
    that all data centers meet them: nobody is to move for a moment that is over before anything could be.
    """

    errors: float = 0.001
    in_bursts: float = 0.5
    at_origin: float = 0.1
    burst: float = 10.0


@dataclass(frozen=True)
class Finding:
    """What a simulation of a monitor found.

    `false_moves` are the times when the pool was marked down although it was well, in seconds; `failed` of `probes`
    failed. `detected` and `returned` are the longest times, in seconds, in which an outage, and its end, was noticed.
    """

    years: float
    probes: int
    failed: int
    false_moves: tuple[float, ...]
    detected: float
    returned: float


@dataclass
class Streak:
    """Health that changes after so many results in a row that say otherwise."""

    down: int
    up: int
    healthy: bool = True
    against: int = 0

    def saw(self, passed: bool) -> bool:
        """Take in a result; return the health."""
        self.against = 0 if passed == self.healthy else self.against + 1
        if self.against >= (self.up if passed else self.down):
            self.healthy, self.against = passed, 0
        return self.healthy

    @property
    def calm(self) -> bool:
        """Whether nothing but good results is behind it."""
        return self.healthy and not self.against


@dataclass
class Pool:
    """The health of a pool with one origin, by a monitor that probes from so many regions.

    `each` counts the results in a row of each data center; otherwise what they find together is counted, when the last
    of them has said it.
    """

    health: Health
    regions: int
    each: bool
    streaks: list[Streak] = field(init=False)
    votes: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        """Begin healthy."""
        self.votes = [True] * (self.regions * DATA_CENTERS)
        counted = len(self.votes) if self.each else 1
        self.streaks = [Streak(self.health.consecutive_down, self.health.consecutive_up) for _ in range(counted)]

    def saw(self, center: int, passed: bool) -> bool:
        """Take in what a data center found, in the order of time; return whether the pool is healthy."""
        if self.each:
            self.votes[center] = self.streaks[center].saw(passed)
            return self.together
        self.votes[center] = passed
        if center == len(self.votes) - 1:
            self.streaks[0].saw(self.together)
        return self.streaks[0].healthy

    @property
    def together(self) -> bool:
        """Whether most regions have most of their data centers say that it is well."""
        regions = [self.votes[first : first + DATA_CENTERS] for first in range(0, len(self.votes), DATA_CENTERS)]
        return _most(_most(region) for region in regions)

    @property
    def calm(self) -> bool:
        """Whether it is as it began."""
        return all(streak.calm for streak in self.streaks)


def simulate(
    health: Health, regions: int, background: Background | None = None, *, years: float = 1.0, seed: int = 1
) -> Finding:
    """Return what a monitor with these settings does in years of background errors, and in outages.

    The same seed gives the same years.
    """
    drawn = random.Random(seed)  # noqa: S311 (nothing secret is drawn)
    failed: list[set[int]] = []
    moves: list[list[float]] = []
    for each in (True, False):
        pool, phases = Pool(health, regions, each), _phases(health, regions, each, drawn)
        failed = _failures(health, phases, background or Background(), years * YEAR, drawn)
        moves.append([time for time, healthy in _changes(pool, health, phases, failed) if not healthy])
    outages = [_outage(health, regions, each, drawn) for each in (True, False) for _ in range(200)]
    return Finding(
        years=years,
        probes=regions * DATA_CENTERS * int(years * YEAR // health.interval),
        failed=sum(map(len, failed)),
        false_moves=max(map(tuple, moves), key=len),
        detected=max(detected for detected, _ in outages),
        returned=max(returned for _, returned in outages),
    )


def _phases(health: Health, regions: int, each: bool, drawn: random.Random) -> list[float]:
    """Return when in an interval each data center asks, the earliest first."""
    together = drawn.uniform(0, health.interval)
    many = regions * DATA_CENTERS
    return sorted(drawn.uniform(0, health.interval) for _ in range(many)) if each else [together] * many


def _failures(
    health: Health, phases: Sequence[float], background: Background, until: float, drawn: random.Random
) -> list[set[int]]:
    """Return by data center the numbers of its probes that fail, in the background."""
    bursts = background.errors * background.in_bursts
    common = list(_bursts(bursts * background.at_origin, background.burst, until, drawn))
    # A probe fails by errors that stand alone where it and every retry does.
    alone = (background.errors * (1 - background.in_bursts)) ** (health.retries + 1)
    probes = int(until // health.interval)
    failed = []
    for phase in phases:
        own = _bursts(bursts * (1 - background.at_origin), background.burst, until, drawn)
        met = {number for span in (*common, *own) for number in _within(span, phase, health.interval)}
        failed.append({number for number in {*met, *_rare(alone, probes, drawn)} if number < probes})
    return failed


def _changes(
    pool: Pool, health: Health, phases: Sequence[float], failed: Sequence[set[int]]
) -> Iterator[tuple[float, bool]]:
    """Yield when the pool's health changes, and to what. Where nothing failed lately, nothing is to be counted."""
    healthy, number = True, -1
    for first in sorted(set().union(*failed)):
        number = max(number, first)
        while number == first or not pool.calm:
            for center, phase in enumerate(phases):
                now = pool.saw(center, number not in failed[center])
                if now != healthy:
                    healthy = now
                    yield number * health.interval + phase, healthy
            number += 1


def _outage(health: Health, regions: int, each: bool, drawn: random.Random) -> tuple[float, float]:
    """Return the time in which an outage is noticed, and then its end; each begins at any time of an interval.

    In an outage nothing answers, so that a probe ends when its last retry's time is over; what is well answers within
    the timeout, at the latest.
    """
    pool, phases = Pool(health, regions, each), _phases(health, regions, each, drawn)
    detected, returned = (
        _until(pool, phases, health.interval, drawn.uniform(0, health.interval), well=well) for well in (False, True)
    )
    return detected + health.timeout * (health.retries + 1), returned + health.timeout


def _until(pool: Pool, phases: Sequence[float], interval: float, begins: float, *, well: bool) -> float:
    """Return how long after a time of an interval the probe begins by which the pool's health is what it is then on."""
    for number in itertools.count():
        for center, phase in enumerate(phases):
            probed = number * interval + phase
            if pool.saw(center, well is (probed >= begins)) is well and probed >= begins:
                return probed - begins
    raise AssertionError("the intervals do not end")


def _bursts(share: float, length: float, until: float, drawn: random.Random) -> Iterator[Span]:
    """Yield spans that cover a share of the time until then, up to twice a length each, at random."""
    time = 0.0
    while share and (time := time + drawn.expovariate(share / length)) < until:
        yield time, time + drawn.uniform(0, 2 * length)


def _within(span: Span, phase: float, interval: float) -> range:
    """Return the numbers of the probes of a data center that begin in a span."""
    return range(max(0, math.ceil((span[0] - phase) / interval)), max(0, math.ceil((span[1] - phase) / interval)))


def _rare(chance: float, many: int, drawn: random.Random) -> Iterator[int]:
    """Yield which of many tries hit, each with a small chance, by the gaps between hits."""
    number = -1
    while chance and (number := number + 1 + int(drawn.expovariate(1) / -math.log1p(-chance))) < many:
        yield number


def _most(votes: Iterable[bool]) -> bool:
    cast = list(votes)
    return 2 * sum(cast) > len(cast)
