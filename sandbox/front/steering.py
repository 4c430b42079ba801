"""Which of a load balancer's origins take requests, and how much: a pure function of what is declared and was found.

As Cloudflare says it (cloudflare-docs: load-balancing, standard-options, health-details, session-affinity):

    off             the first pool that is well, in the order of the default pools
    random          every pool that is well, by weight
    fallback pool   where none is well; its health is not asked
    affinity        whoever has a cookie stays at an origin that is well, also where it is not its pool's turn
    no monitor      a pool's health is not considered

Other policies are played as `off`: they look at places and times, which the loopback has not.
"""

from collections.abc import Mapping
from typing import Any

HEAVIEST = 256  # the largest weight that HAProxy knows

Shown = Mapping[str, Any]


def weights(balancer: Shown, pools: Mapping[str, Shown], well: Mapping[str, bool]) -> dict[str, int]:
    """The weight of each origin that may be asked, by its watch: 0 where only who has been there before may.

    `pools` is by id; `well` says of watches whether what they watch is.
    """
    usable = {each: found for each in balancer["default_pools"] if (found := _usable(pools[each], well))}
    if not usable:
        fallback = pools[balancer["fallback_pool"]]
        return _divided(_enabled(fallback), 1.0) if fallback["enabled"] else {}
    shares = dict.fromkeys(usable, 0.0)
    if balancer["steering_policy"] == "random":
        said = balancer["random_steering"]
        shares = {each: (said.get("pool_weights") or {}).get(each, said["default_weight"]) for each in usable}
    if not any(shares.values()):
        shares[next(iter(shares))] = 1.0
    heaviest = max(shares.values())
    return {
        origin: weight for each in usable for origin, weight in _divided(usable[each], shares[each] / heaviest).items()
    }


def is_well(pool: Shown, well: Mapping[str, bool]) -> bool:
    """Whether a pool is well: as many of its origins are as it needs. One that nobody watches always is."""
    return not pool["monitor"] or len(_well(pool, well)) >= pool["minimum_origins"]


def _usable(pool: Shown, well: Mapping[str, bool]) -> dict[str, float]:
    """The origins of a pool to which requests may go, with their weights."""
    if not (pool["enabled"] and is_well(pool, well)):
        return {}
    return _well(pool, well) if pool["monitor"] else _enabled(pool)


def _well(pool: Shown, well: Mapping[str, bool]) -> dict[str, float]:
    return {origin: weight for origin, weight in _enabled(pool).items() if well.get(origin)}


def _enabled(pool: Shown) -> dict[str, float]:
    return {origin["watch"]: origin["weight"] for origin in pool["origins"] if origin["enabled"]}


def _divided(origins: Mapping[str, float], share: float) -> dict[str, int]:
    """A pool's share, divided among its origins by their weights."""
    whole = sum(origins.values())
    return {origin: round(HEAVIEST * share * weight / whole) if whole else 0 for origin, weight in origins.items()}
