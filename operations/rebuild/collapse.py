"""The total collapse of a region of the sandbox: what a stack has on the platform's account and at the edge is gone.

The copies account is another one, somewhere else: its buckets and keys stay.
"""

from collections.abc import Collection

from components.settings import Stack
from operations import clouds, engine
from operations.clouds import Found
from operations.errors import Refused
from operations.project import Project

# What is used by another can't be deleted before it. What else there is goes with these.
_ORDER = (
    "cloudflare:index/notificationPolicy:NotificationPolicy",
    "cloudflare:index/loadBalancer:LoadBalancer",
    "cloudflare:index/loadBalancerPool:LoadBalancerPool",
    "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor",
    "cloudflare:index/healthcheck:Healthcheck",
    "cloudflare:index/dnsRecord:DnsRecord",
    "cloudflare:index/workersRoute:WorkersRoute",
    "cloudflare:index/workersScript:WorkersScript",
    "linode:index/nodeBalancer:NodeBalancer",
    "linode:index/instance:Instance",
    "linode:index/firewall:Firewall",
    "linode:index/databasePostgresqlV2:DatabasePostgresqlV2",
    "linode:index/placementGroup:PlacementGroup",
)


def what(project: Project, stack: Stack) -> list[Found]:
    """Return what goes, in the order in which it can: what the state knows, and what bears the stack's label.

    Raises:
        Failed: the engine or a cloud does not answer.
    """
    known = {(each["type"], each.get("id")) for each in engine.resources(project)}
    found = [
        each
        for each in clouds.census(clouds.connect(project), _ORDER)
        if (each.type, each.id) in known or each.key.startswith(f"{stack.label}-")
    ]
    return sorted(found, key=lambda each: _ORDER.index(each.type))


def empty(project: Project, found: Collection[Found]) -> None:
    """Have all of it be gone.

    Raises:
        Refused: it is no sandbox's.
        Failed: a cloud refuses, or does not answer.
    """
    if not project.sandbox:
        raise Refused(f"{project.stack}: only a region of the sandbox collapses at will")
    for each in found:
        clouds.delete(each)
