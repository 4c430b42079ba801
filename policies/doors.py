"""Who gets in: nothing is open to the world, and each door is open to those it is for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components import catalog
from components.topology import WIDEST
from policies import networks, required
from policies.required import Required
from policies.resource import UNKNOWN, Resource
from policies.rule import Context, ResourceRule, StackRule


@dataclass(frozen=True)
class Door:
    """A port that firewalls may open, and the networks that may use it; `of_ops`: also the ops server's address."""

    purpose: str
    users: Callable[[Context], Sequence[str]]
    of_ops: bool = False

    def admits(self, network: networks.Network, context: Context) -> bool:
        """Whether the door is for a network. Which single address is the ops server's, the rule `ssh` knows."""
        single = self.of_ops and context.settings.ops is not None and networks.is_address(network)
        return single or networks.inside(network, self.users(context))


def _web(context: Context) -> Sequence[str]:
    published = catalog.CLOUDFLARE_NETWORKS if context.settings.zone else ()
    return (catalog.BALANCER_NETWORK, *context.settings.admin_sources, *published)


DOORS: Mapping[str, Door] = {
    "22": Door("the ops server and `admin_sources`", lambda context: context.settings.admin_sources, of_ops=True),
    "443": Door("balancers, Cloudflare where the stack has a zone, and `admin_sources`", _web),
}


def firewalls_open_doors(resource: Resource, context: Context) -> Iterator[str]:
    """A firewall is on, and lets in by known doors whom these are for."""
    if resource.kind != "linode:Firewall":
        return
    if resource.get("disabled") is True:
        yield "it is disabled, so everything behind it is open; leave `disabled` out"
    for rule in resource.known("inbounds"):
        if rule.get("action") != "DROP":
            for what in _admitted(rule, context):
                yield f"its rule '{rule.get('label')}' {what}"


def _admitted(rule: Mapping[str, Any], context: Context) -> Iterator[str]:
    protocol, port = rule.get("protocol"), rule.get("ports")
    lists = [rule.get("ipv4s"), rule.get("ipv6s")]
    if not any(lists):
        yield "names no sources; name the networks that it is for"
    is_known = UNKNOWN not in (protocol, port)
    door = DOORS.get(str(port)) if protocol == "TCP" else None
    if is_known and door is None:
        yield f"opens {protocol} {port or 'on all ports'}; open one of {', '.join(f'TCP {each}' for each in DOORS)}"
    for source in (each for some in lists if isinstance(some, list) for each in some if isinstance(each, str)):
        network = networks.parse(source)
        if network is None:
            yield f"admits '{source}', which is no network; write one in CIDR"
        elif network.prefixlen < WIDEST[network.version]:
            yield f"admits {source}, which is the world; name the networks that it is for"
        elif is_known and door and not door.admits(network, context):
            yield f"admits {source} to port {port}, which is for {door.purpose}; leave it out, or configure it there"


def allow_lists_are_narrow(resource: Resource, _: Context) -> Iterator[str]:
    """A database is reached from single addresses."""
    if resource.kind not in ("linode:DatabaseAccessControls", "linode:DatabasePostgresqlV2", "linode:DatabaseMysqlV2"):
        return
    for source in resource.known("allowLists"):
        if not networks.is_address(networks.parse(source)):
            yield f"its allow list admits {source}; write the addresses of servers, one by one"


def everything_is_behind_a_firewall(every: Sequence[Resource], _: Context) -> Iterator[tuple[Resource, str]]:
    """Each server and balancer is what some FirewallDevice puts behind a firewall."""
    devices = [each for each in every if each.kind == "linode:FirewallDevice"]
    behind = {urn for device in devices for urn in device.sources.get("entityId", ())}
    for each in every:
        if each.kind in ("linode:Instance", "linode:NodeBalancer") and each.urn not in behind:
            yield each, "no firewall is before it; declare a FirewallDevice for it"


def leads_to_an_edge(record: Resource, context: Context) -> bool:
    """Whether a record is one of a phone name (F8), DNS only: no proxy of Cloudflare's speaks SIP."""
    voice, name = context.settings.voice, record.get("name")
    sites = {host: voice.sites[site] for site, host in context.settings.voice_hosts().items()} if voice else {}
    return record.get("proxied") is False and name in sites and record.get("content") in sites[name].edges.values()


RULES = (
    required.rule(
        "closed",
        "What is no door is shut: firewalls drop, buckets are private, names but phones' go through Cloudflare, "
        "strictly.",
        Required("linode:Firewall", "inboundPolicy", "DROP"),
        Required("linode:ObjectStorageBucket", "acl", "private"),
        Required("cloudflare:LoadBalancer", "proxied", value=True),
        Required(
            "cloudflare:DnsRecord",
            "proxied",
            value=True,
            given={"type": ("A", "AAAA", "CNAME")},
            unless=leads_to_an_edge,
        ),
        Required("cloudflare:ZoneSetting", "value", "strict", given={"settingId": ("ssl",)}),
        Required("cloudflare:AuthenticatedOriginPullsSettings", "enabled", value=True),
    ),
    ResourceRule(
        "doors",
        "Firewalls open TCP 22 and 443 only, each to those it is for, and nothing to the world.",
        firewalls_open_doors,
    ),
    ResourceRule("allow-lists", "Databases are reached from single addresses.", allow_lists_are_narrow),
)
STACK_RULES = (
    StackRule("firewalls", "Every server and balancer is behind a firewall.", everything_is_behind_a_firewall),
)
