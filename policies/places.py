"""Where things are: inside the stack's jurisdiction."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from components import catalog
from policies.resource import UNKNOWN, Resource
from policies.rule import Context, ResourceRule

# Without one the provider chooses by itself: for a balancer us-east, wherever the stack is.
NEED_A_REGION = frozenset(
    {
        "linode:DatabaseMysqlV2",
        "linode:DatabasePostgresqlV2",
        "linode:Instance",
        "linode:NodeBalancer",
        "linode:ObjectStorageBucket",
        "linode:PlacementGroup",
        "linode:Volume",
        "linode:Vpc",
    }
)
NEED_PROBE_REGIONS = frozenset({"cloudflare:Healthcheck", "cloudflare:LoadBalancerPool"})


def in_the_jurisdiction(resource: Resource, context: Context) -> Iterator[str]:
    """P7: data stays in its jurisdiction."""
    jurisdiction = context.settings.jurisdiction
    if resource.kind in NEED_A_REGION and resource.get("region") is None:
        yield f"it says no region, and the provider would choose one; write `region='{context.settings.region}'`"
    if resource.kind.startswith("linode:"):
        for region in _regions(resource.properties):
            known = catalog.REGIONS.get(region)
            if known is None or known.jurisdiction != jurisdiction:
                inside = ", ".join(name for name, each in catalog.REGIONS.items() if each.jurisdiction == jurisdiction)
                yield f"the region '{region}' is outside the jurisdiction '{jurisdiction}'; inside are {inside}"
    if resource.kind in NEED_PROBE_REGIONS:
        probes = catalog.JURISDICTIONS[jurisdiction].probed_from
        if resource.get("checkRegions") in (None, []):
            yield f"it says no `check_regions`, and would be probed from everywhere; write some of {', '.join(probes)}"
        for region in resource.known("checkRegions"):
            if region not in probes:
                yield f"it is probed from '{region}', outside '{jurisdiction}'; use {', '.join(probes)}"


def _regions(value: Any) -> Iterator[str]:
    """Yield every region that is named anywhere in a value, and known."""
    if isinstance(value, list):
        for each in value:
            yield from _regions(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in ("region", "regions"):
                yield from (one for one in (each if isinstance(each, list) else [each]) if one not in (None, UNKNOWN))
            else:
                yield from _regions(each)


def in_the_own_zone(resource: Resource, context: Context) -> Iterator[str]:
    """P7: a jurisdiction has a zone of its own; nothing of a stack touches another's."""
    if not resource.kind.startswith("cloudflare:"):
        return
    for name, key, own in (
        ("zoneId", "cloudflareZoneId", context.zone_id),
        ("accountId", "cloudflareAccountId", context.account_id),
    ):
        if (value := resource.get(name)) not in (None, UNKNOWN, own):
            yield f"its `{name}` is '{value}', and the stack's is '{own}'; use the stack's `chat-tonic:{key}`"


def in_its_pool(resource: Resource, _: Context) -> Iterator[str]:
    """P7, F5: no request goes to another site than steering chose, whatever that one answers."""
    routing = resource.get("adaptiveRouting")
    across = routing.get("failoverAcrossPools") if isinstance(routing, dict) else None
    if resource.kind == "cloudflare:LoadBalancer" and across not in (None, False, UNKNOWN):
        yield "its `adaptive_routing` has `failover_across_pools` on; leave it out, or write False"


@dataclass(frozen=True)
class Capability:
    """What a region has to have for a kind of resource, or for one of its properties where that is set."""

    what: str
    has: Callable[[catalog.Region], bool]
    kind: str
    property: str | None = None


CAPABILITIES = (
    Capability("object storage", lambda region: region.object_storage, "linode:ObjectStorageBucket"),
    Capability("VPCs", lambda region: region.vpcs, "linode:Vpc"),
    Capability("VPCs", lambda region: region.vpcs, "linode:NodeBalancer", "vpcs"),
    Capability("VPCs", lambda region: region.vpcs, "linode:DatabasePostgresqlV2", "privateNetwork"),
    Capability("VPCs", lambda region: region.vpcs, "linode:DatabaseMysqlV2", "privateNetwork"),
)


def capable(resource: Resource, context: Context) -> Iterator[str]:
    """A region has what is declared in it; the API would say so half way through an update."""
    for each in CAPABILITIES:
        if resource.kind != each.kind or (each.property and not resource.get(each.property)):
            continue
        region = catalog.REGIONS.get(resource.get("region"))
        if region and not each.has(region):
            able = [
                name
                for name, known in catalog.REGIONS.items()
                if each.has(known) and known.jurisdiction == context.settings.jurisdiction
            ]
            yield f"'{resource.get('region')}' has no {each.what}; these have: {', '.join(able)}"


def apart(resource: Resource, context: Context) -> Iterator[str]:
    """P4: a data center that is gone takes no copy with it."""
    if resource.kind == "linode:ObjectStorageBucket" and resource.get("region") == context.settings.region:
        yield f"it is in '{context.settings.region}', as the databases are whose copies it keeps; use another region"


RULES = (
    ResourceRule("copies", "Buckets are in another data center than the databases.", apart),
    ResourceRule(
        "jurisdiction",
        "Every resource, probe and copy is in the stack's jurisdiction, and says its region.",
        in_the_jurisdiction,
    ),
    ResourceRule("zone", "What is made at Cloudflare is in the stack's own zone and account.", in_the_own_zone),
    ResourceRule("steering", "Load balancers of Cloudflare never retry a request in another site's pool.", in_its_pool),
    ResourceRule("capabilities", "A region has what is declared in it.", capable),
)
