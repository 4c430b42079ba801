"""Phone (F8): a name a site for its SIP edges, and a health check of each edge. docs/voice.md says what trunks need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import labels, topology
from components.alarms import Alarms, AlarmsArgs
from components.dns import connection_check, record


@dataclass(frozen=True)
class VoiceArgs:
    """The edges of every site, whose names are `hosts`, and how they are probed. `stack` is the stack's label."""

    stack: str
    zone_id: str
    account_id: str
    probe_regions: Sequence[str]
    health: topology.Health
    alarms: topology.Alarms | None
    settings: topology.Voice
    hosts: Mapping[str, str]


class Voice(pulumi.ComponentResource):
    """Names of SIP edges. A name has a record for each edge of its site, so resolvers hand them out in turn.

    Nothing takes an edge that fails out of its name: a trunk tries the next address by itself, and the other site by
    its second route. The checks tell people. The records are DNS only, as Cloudflare's proxy speaks no SIP.

    Resources: DnsRecord and Healthcheck for each edge. Component: Alarms.
    """

    def __init__(self, name: str, args: VoiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:voice:Voice", name, None, opts)
        settings = args.settings
        checks: list[pulumi.Output[str]] = []
        for site, edges in settings.sites.items():
            for edge, address in edges.edges.items():
                child, label = f"{name}-{site}-{edge}", labels.voice(args.stack, site, edge)
                record(
                    f"{child}-record",
                    self,
                    label,
                    zone_id=args.zone_id,
                    name=args.hosts[site],
                    type="A",
                    content=address,
                    proxied=False,
                    ttl=settings.ttl,
                )
                check = connection_check(
                    f"{child}-check",
                    self,
                    args.health,
                    zone_id=args.zone_id,
                    name=label,
                    description=f"{args.hosts[site]}: the edge {edge} at {site}",
                    address=address,
                    port=settings.port,
                    check_regions=list(args.probe_regions),
                )
                checks.append(check.id)
        if args.alarms:
            alarms = AlarmsArgs(args.account_id, labels.voice(args.stack), args.alarms, check_ids=checks)
            Alarms(f"{name}-alarms", alarms, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"hosts": dict(args.hosts)})
