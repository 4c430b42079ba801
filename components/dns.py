"""Public names, and the health checks behind them: Cloudflare in front of a role's balancer."""

from dataclasses import dataclass
from typing import Any

import pulumi

from components import labels
from components.front import Served
from components.sdk import cloudflare
from components.topology import Health

_SESSION_HOURS = 23


@dataclass(frozen=True)
class NameArgs:
    """A public name: `host` answers from the balancer at `address`, at the front's own `site`.

    `label` names its objects; `served` says which other sites there are; `affinity` keeps visitors at a site;
    `probe_regions` are Cloudflare's, from which its sites are probed.
    """

    host: str
    label: tuple[str, str, str]
    zone: str
    zone_id: str
    account_id: str
    probe_regions: tuple[str, ...]
    site: str
    served: Served
    affinity: bool
    health: Health
    address: pulumi.Input[str]

    @property
    def name(self) -> str:
        """What its objects are called that have no rules for labels."""
        return "-".join(self.label)


class BalancedName(pulumi.ComponentResource):
    """A name with a load balancer over sites; one of those that serve it is also the last resort.

    Resources: LoadBalancerMonitor, a LoadBalancerPool a site, LoadBalancer.

    Attributes:
        pools: by site, the id of its pool.
    """

    def __init__(self, name: str, args: NameArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:dns:BalancedName", name, None, opts)
        self._name, self._args = name, args
        monitor = self._monitor()
        addresses = {args.site: args.address, **args.served.addresses}
        self.pools: dict[str, pulumi.Output[str]] = {
            site: self._pool(site, address, monitor) for site, address in addresses.items()
        }
        order, weights = args.served.order, args.served.weights
        pools = [self.pools[site] for site in order]
        cloudflare.LoadBalancer(
            f"{name}-name",
            zone_id=args.zone_id,
            name=args.host,
            description=f"{args.host} ({args.name})",
            default_pools=pools,
            fallback_pool=self.pools[args.served.last],
            proxied=True,
            steering_policy="random" if weights else "off",
            random_steering=cloudflare.LoadBalancerRandomSteeringArgs(
                default_weight=1,  # of no pool: each has its own. The API takes tenths only
                pool_weights=pulumi.Output.all(*pools).apply(lambda ids: dict(zip(ids, weights.values(), strict=True))),
            )
            if weights
            else None,
            session_affinity="cookie" if args.affinity else "none",
            session_affinity_ttl=_SESSION_HOURS * 3600 if args.affinity else None,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.register_outputs({"pools": self.pools})

    def _monitor(self) -> "cloudflare.LoadBalancerMonitor":
        name, args, health = f"{self._name}-monitor", self._args, self._args.health
        return cloudflare.LoadBalancerMonitor(
            name,
            account_id=args.account_id,
            description=identified(
                f"{args.name}: https://{args.host}{health.path}",
                self,
                name,
                "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor",
            ),
            type="https",
            method="GET",
            port=443,
            path=health.path,
            header={"Host": [args.host]},
            expected_codes=health.codes,
            follow_redirects=False,
            allow_insecure=False,
            # The probe presents the zone's pull certificate, without which the servers refuse it.
            probe_zone=args.zone,
            interval=health.interval,
            timeout=health.timeout,
            retries=health.retries,
            consecutive_down=health.consecutive_down,
            consecutive_up=health.consecutive_up,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _pool(
        self, site: str, address: pulumi.Input[str], monitor: "cloudflare.LoadBalancerMonitor"
    ) -> pulumi.Output[str]:
        args = self._args
        other = "" if site == args.site else site  # the front's own is called as if there were no others
        pool = cloudflare.LoadBalancerPool(
            f"{self._name}-pool-{other}" if other else f"{self._name}-pool",
            account_id=args.account_id,
            name=labels.pool(*args.label, site=other),
            description=f"{args.host} at {site}",
            enabled=site in args.served.order,
            monitor=monitor.id,
            check_regions=list(args.probe_regions),
            minimum_origins=1,
            # The API returns origins sorted by name; in another order they would differ forever.
            origins=[cloudflare.LoadBalancerPoolOriginArgs(name=site, address=address, enabled=True)],
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return pool.id


class ProxiedName(pulumi.ComponentResource):
    """A proxied record, with a standalone health check of the balancer's port.

    The check is TCP: a standalone check cannot present our pull certificate. So it notices the loss of the balancer or
    of the way to it, not that no server behind accepts: a balancer answers a connection by itself.

    Resources: DnsRecord, Healthcheck.

    Attributes:
        check_id: the health check, for alarms.
    """

    def __init__(self, name: str, args: NameArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:dns:ProxiedName", name, None, opts)
        record(
            f"{name}-record",
            self,
            args.name,
            zone_id=args.zone_id,
            name=args.host,
            type="A",
            content=args.address,
            proxied=True,
            ttl=1,  # a proxied record's TTL is automatic
        )
        check = connection_check(
            f"{name}-check",
            self,
            args.health,
            zone_id=args.zone_id,
            name=args.name,
            description=f"{args.host} at {args.site}",
            address=args.address,
            port=443,
            check_regions=list(args.probe_regions),
        )
        self.check_id: pulumi.Output[str] = check.id
        self.register_outputs({"check_id": self.check_id})


def record(resource: str, parent: pulumi.Resource, about: str, **inputs: Any) -> "cloudflare.DnsRecord":
    """Return a record with these inputs, whose comment says what it is about, and which is found again by it."""
    return cloudflare.DnsRecord(
        resource,
        comment=identified(about, parent, resource, "cloudflare:index/dnsRecord:DnsRecord"),
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
        **inputs,
    )


def connection_check(
    resource: str, parent: pulumi.Resource, health: Health, *, port: int, **inputs: Any
) -> "cloudflare.Healthcheck":
    """Return a standalone check, with these inputs, of whether a port takes connections, as often as `health` says."""
    return cloudflare.Healthcheck(
        resource,
        type="TCP",
        tcp_config=cloudflare.HealthcheckTcpConfigArgs(method="connection_established", port=port),
        interval=health.interval,
        timeout=health.timeout,
        retries=health.retries,
        consecutive_fails=health.consecutive_down,
        consecutive_successes=health.consecutive_up,
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
        **inputs,
    )


def identified(text: str, parent: pulumi.Resource, name: str, type_: str) -> pulumi.Output[str]:
    """Append the identity of a resource that has no label of its own, so that it is found again without the state."""

    async def described() -> str:
        # Awaited, not applied: as an output it would make the child depend on its parent, which waits for its children.
        return f"{text} [{labels.identity(await pulumi.create_urn(name, type_, parent).future() or '')}]"

    return pulumi.Output.from_input(described())
