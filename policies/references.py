"""What resources name is this stack's own: traffic and data of a jurisdiction end inside it (P7)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components import catalog, labels
from policies import networks
from policies.resource import UNKNOWN, Resource
from policies.rule import Context, StackRule


@dataclass(frozen=True)
class Reference:
    """Addresses, in a property of a kind, that have to be those of `owners` in this stack; `what` says it in words.

    `addresses` returns UNKNOWN for one that only the update will know. Those inside the networks `besides` are as good
    in a resource.
    """

    kind: str
    property: str
    addresses: Callable[[Resource], list[Any]]
    owners: Callable[[Resource], bool]
    what: str
    besides: Callable[[Resource, Context], Iterable[str]] = lambda *_: ()

    def strangers(self, every: Sequence[Resource], context: Context) -> Iterator[tuple[Resource, str]]:
        """Yield the resources that name an address of none of the owners."""
        owners = [each for each in every if self.owners(each)]
        urns, own = {each.urn for each in owners}, [address for each in owners for address in _addresses(each)]
        for each in every:
            for address in self.addresses(each) if each.kind == self.kind else ():
                if address is UNKNOWN:
                    # It is told by where it will come from.
                    if urns.isdisjoint(each.sources.get(self.property, ())):
                        yield each, f"`{self.property}` will have an address that is not {self.what} of this stack"
                elif not (
                    (network := networks.parse(address))
                    and networks.inside(network, (*own, *self.besides(each, context)))
                ):
                    yield each, f"`{self.property}` has {address}, which is not {self.what} of this stack; leave it out"


def rule(name: str, promise: str, *references: Reference) -> StackRule:
    """Return the rule that all of these hold."""

    def check(every: Sequence[Resource], context: Context) -> Iterator[tuple[Resource, str]]:
        for each in references:
            yield from each.strangers(every, context)

    return StackRule(name, promise, check)


def _addresses(owner: Resource) -> Iterator[str]:
    """Yield a resource's own addresses, each as a network."""
    for name in ("ipAddress", "ipv4", "ipv4s", "ipv6"):
        for each in _listed(owner.get(name)):
            if isinstance(each, str):
                yield each.partition("/")[0]


def _is_balancer(resource: Resource) -> bool:
    return resource.kind == "linode:NodeBalancer"


def _is_server(resource: Resource) -> bool:
    return resource.kind == "linode:Instance"


def _is_ops(resource: Resource) -> bool:
    return _is_server(resource) and "role:ops" in resource.known("tags")


def _ssh_addresses(firewall: Resource) -> list[Any]:
    rules = [rule for rule in firewall.known("inbounds") if rule.get("ports") == "22" and rule.get("action") != "DROP"]
    sources = [each for rule in rules for name in ("ipv4s", "ipv6s") for each in _listed(rule.get(name))]
    return [each for each in sources if each is UNKNOWN or networks.is_address(networks.parse(each))]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _content(record: Resource) -> list[Any]:
    return _listed(record.get("content")) if record.get("type") in ("A", "AAAA", "CNAME") else []


def _edges(_: Resource, context: Context) -> list[str]:
    voice = context.settings.voice
    return [address for site in voice.sites.values() for address in site.edges.values()] if voice else []


def _of_its_name(record: Resource, context: Context) -> list[str]:
    """Return where else a record may lead: a phone name to its edges, and the metadata's, which a Worker answers."""
    settings, name = context.settings, record.get("name")
    if settings.failover and name == f"{settings.failover.host}.{settings.zone}":
        return [catalog.NOWHERE]
    sites = settings.voice.sites if settings.voice else {}
    hosts = settings.voice_hosts()
    return [address for site, each in sites.items() if hosts[site] == name for address in each.edges.values()]


def _of_its_site(pool: Resource, context: Context) -> Iterator[str]:
    """Yield what settings say is another site's address for the name that a pool is for."""
    settings = context.settings
    for site, each in settings.sites(context.stack).items():
        for environment, roles in each.addresses.items():
            parts = (settings.label, settings.environments[environment].label)
            yield from (a for role, a in roles.items() if pool.get("name") == labels.pool(*parts, role, site=site))


# Where a load balancer of Cloudflare sends visitors.
_STEERING = ("defaultPools", "fallbackPool", "regionPools", "countryPools", "popPools")


def pools_are_own(every: Sequence[Resource], _: Context) -> Iterator[tuple[Resource, str]]:
    """Each pool that a load balancer names is one that this stack declares."""
    pools = {each.urn for each in every if each.kind == "cloudflare:LoadBalancerPool"}
    for each in every:
        for name in _STEERING if each.kind == "cloudflare:LoadBalancer" else ():
            # Where nothing is declared, the cloud fills in what it thinks, and a preview does not know it.
            named, sources = set(_leaves(each.get(name))), each.sources.get(name, ())
            if (sources or named - {UNKNOWN}) and len(pools.intersection(sources)) < len(named):
                yield each, f"`{name}` names a pool that this stack does not declare; use its own pools"


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    elif value is not None:
        yield value


RULES = (
    rule(
        "origins",
        "Public names lead to balancers of the stack and of its sites, phones' also to its SIP edges, so traffic stays "
        "in its jurisdiction.",
        Reference(
            "cloudflare:LoadBalancerPool",
            "origins",
            lambda pool: [each.get("address") for each in pool.known("origins")],
            _is_balancer,
            "a balancer's",
            _of_its_site,
        ),
        Reference("cloudflare:DnsRecord", "content", _content, _is_balancer, "a balancer's", besides=_of_its_name),
        Reference(
            "cloudflare:Healthcheck",
            "address",
            lambda check: _listed(check.get("address")),
            _is_balancer,
            "a balancer's",
            besides=_edges,
        ),
    ),
    StackRule("pools", "Load balancers of Cloudflare use pools of the stack, also as a last resort.", pools_are_own),
    rule(
        "ssh",
        "Of single addresses, SSH admits the ops server's and those in `admin_sources`.",
        Reference(
            "linode:Firewall",
            "inbounds",
            _ssh_addresses,
            _is_ops,
            "the ops server's",
            besides=lambda _, context: context.settings.admin_sources,
        ),
    ),
    rule(
        "database-access",
        "Databases admit servers of the stack.",
        Reference(
            "linode:DatabaseAccessControls",
            "allowLists",
            lambda controls: _listed(controls.get("allowLists")),
            _is_server,
            "a server's",
        ),
    ),
)
