"""Public names, and the health checks behind them: Cloudflare in front of a role's balancer."""

from dataclasses import dataclass

import pulumi

from components import catalog, labels
from components.sdk import cloudflare
from components.topology import Health

_SESSION_HOURS = 23


@dataclass(frozen=True)
class NameArgs:
    """A public name: `host` answers from the balancer at `address`.

    `label` names its objects; `site` is the name of the region that answers; `affinity` keeps visitors at a site.
    """

    host: str
    label: str
    zone: str
    zone_id: str
    account_id: str
    jurisdiction: str
    site: str
    affinity: bool
    health: Health
    address: pulumi.Input[str]


class BalancedName(pulumi.ComponentResource):
    """A name with a load balancer over sites; only this site's pool is in it, also as the last resort.

    Resources: LoadBalancerMonitor, LoadBalancerPool, LoadBalancer.

    Attributes:
        pool_id: the pool, for alarms.
    """

    def __init__(self, name: str, args: NameArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:dns:BalancedName", name, None, opts)
        health = args.health
        monitor = cloudflare.LoadBalancerMonitor(
            f"{name}-monitor",
            account_id=args.account_id,
            description=identified(
                f"{args.label}: https://{args.host}{health.path}",
                self,
                f"{name}-monitor",
                "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor",
            ),
            type="https",
            method="GET",
            port=443,
            path=health.path,
            header={"Host": [args.host]},
            expected_codes="200",
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
        pool = cloudflare.LoadBalancerPool(
            f"{name}-pool",
            account_id=args.account_id,
            name=labels.label("pool", args.label),
            description=f"{args.host} at {args.site}",
            monitor=monitor.id,
            check_regions=list(catalog.JURISDICTIONS[args.jurisdiction].probe_regions),
            minimum_origins=1,
            # The API returns origins sorted by name; in another order they would differ forever.
            origins=[cloudflare.LoadBalancerPoolOriginArgs(name=args.site, address=args.address, enabled=True)],
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        cloudflare.LoadBalancer(
            f"{name}-name",
            zone_id=args.zone_id,
            name=args.host,
            description=f"{args.host} ({args.label})",
            default_pools=[pool.id],
            fallback_pool=pool.id,
            proxied=True,
            steering_policy="off",
            session_affinity="cookie" if args.affinity else "none",
            session_affinity_ttl=_SESSION_HOURS * 3600 if args.affinity else None,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.pool_id: pulumi.Output[str] = pool.id
        self.register_outputs({"pool_id": self.pool_id})


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
        health = args.health
        cloudflare.DnsRecord(
            f"{name}-record",
            zone_id=args.zone_id,
            name=args.host,
            type="A",
            content=args.address,
            proxied=True,
            ttl=1,  # a proxied record's TTL is automatic
            comment=identified(args.label, self, f"{name}-record", "cloudflare:index/dnsRecord:DnsRecord"),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        check = cloudflare.Healthcheck(
            f"{name}-check",
            zone_id=args.zone_id,
            name=args.label,
            description=f"{args.host} at {args.site}",
            address=args.address,
            type="TCP",
            tcp_config=cloudflare.HealthcheckTcpConfigArgs(method="connection_established", port=443),
            check_regions=list(catalog.JURISDICTIONS[args.jurisdiction].probe_regions),
            interval=health.interval,
            timeout=health.timeout,
            retries=health.retries,
            consecutive_fails=health.consecutive_down,
            consecutive_successes=health.consecutive_up,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.check_id: pulumi.Output[str] = check.id
        self.register_outputs({"check_id": self.check_id})


def identified(text: str, parent: pulumi.Resource, name: str, type_: str) -> pulumi.Output[str]:
    """Append the identity of a resource that has no label of its own, so that it is found again without the state."""

    async def described() -> str:
        # Awaited, not applied: as an output it would make the child depend on its parent, which waits for its children.
        return f"{text} [{labels.identity(await pulumi.create_urn(name, type_, parent).future() or '')}]"

    return pulumi.Output.from_input(described())
