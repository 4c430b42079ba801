"""What Cloudflare's probes find at an address: the conditions decide, as nothing answers there."""

from sandbox.linode.instances import PUBLIC
from sandbox.model import Body, conditions
from sandbox.store import Transaction

NO_FAILURE = "No failures"
FAILURE = "TCP connection failed"


def reached(tx: Transaction, *names: str) -> bool:
    """Whether what is known by these names and addresses answers: it is well, and the region of its address is up."""
    wrong = conditions(tx)
    homes = {str(holder.body.get("region")) for name in names for holder in tx.linked(PUBLIC, name)}
    return homes.isdisjoint(wrong["regions_down"]) and set(names).isdisjoint(wrong["unhealthy"])


def finding(address: str, healthy: bool) -> Body:
    """What one region's probe says of an origin."""
    said = {"failure_reason": NO_FAILURE, "response_code": 200, "rtt": "12.1ms"}
    failed = {"failure_reason": FAILURE, "response_code": 0, "rtt": "0s"}
    return {address: {"healthy": healthy, **(said if healthy else failed)}}
