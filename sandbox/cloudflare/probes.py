"""What Cloudflare's probes find: what was really found, where somebody probes (see `edge`), else what is usual.

Three data centers of each probe region judge an origin. A region is well where most of its data centers are, an origin
where most of the regions are (cloudflare-docs: load-balancing, partials/health-check-regions); most are more than half.
That each data center counts `consecutive_down` and `consecutive_up` for itself is our reading: it is nowhere said.
"""

import time
from collections.abc import Collection
from typing import Any

from sandbox.linode.instances import PUBLIC
from sandbox.model import Body, conditions
from sandbox.store import Transaction

DATA_CENTERS = 3  # of a region
FOUND = "probed"  # the setting of what was really found
FAILURE = "TCP connection failed"
_WELL: Body = {"failure_reason": "No failures", "response_code": 200, "rtt": "12.1ms"}
_NOTHING: Body = {"failure_reason": FAILURE, "response_code": 0, "rtt": "0s"}
# An origin that is monitored counts as down until its health is known (cloudflare-docs: health-details).
_UNKNOWN: Body = {"healthy": False, "failure_reason": "Health unknown", "response_code": 0, "rtt": "0s"}


def most(votes: Collection[bool]) -> bool:
    """Whether more than half are for it."""
    return sum(votes) * 2 > len(votes)


def findings(tx: Transaction, watch: str, regions: Collection[str], *names: str) -> dict[str, Body]:
    """What each region's probes find of a watch, by region; `names` are what the watched is known by."""
    known = tx.setting(FOUND)
    if known and time.time() < known["until"]:
        found = known["found"].get(watch, {})
        return {region: found.get(region, _UNKNOWN) for region in regions}
    healthy = _is_usual(tx, *names)
    return {region: {"healthy": healthy, **(_WELL if healthy else _NOTHING)} for region in regions}


def is_unknown(finding: Body) -> bool:
    """Whether a finding says that nothing was found yet."""
    return finding == _UNKNOWN


def set_found(tx: Transaction, given: Any) -> Body:
    """Takes what was really found by watch and region, for some seconds. Raises KeyError and TypeError otherwise."""
    found = {str(watch): dict(regions) for watch, regions in dict(given["found"]).items()}
    tx.set(FOUND, {"until": time.time() + float(given["seconds"]), "found": found})
    return {"found": found}


def _is_usual(tx: Transaction, *names: str) -> bool:
    wrong = conditions(tx)
    homes = {str(holder.body.get("region")) for name in names for holder in tx.linked(PUBLIC, name)}
    return homes.isdisjoint(wrong["regions_down"]) and set(names).isdisjoint(wrong["unhealthy"])
