"""The NodeBalancer of a role: it passes TLS on, unread, to the servers that accept connections."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import labels
from components.network import Door, attach, firewall
from components.sdk import linode
from components.servers import Server
from components.topology import BalancerCheck


@dataclass(frozen=True)
class LoadBalancerArgs:
    """A role's balancer. `sources` are the networks, in CIDR, that may reach its port 443."""

    parts: tuple[str, str]
    role: str
    region: str
    tags: dict[str, str]
    check: BalancerCheck
    sources: Sequence[str]
    servers: Sequence[Server]


class LoadBalancer(pulumi.ComponentResource):
    """A NodeBalancer on port 443 with a firewall of its own, and a node for each server, in the group's order.

    Resources: Firewall and its FirewallDevice, NodeBalancer, NodeBalancerConfig, a NodeBalancerNode a server.

    Attributes:
        address: its public IPv4 address.
    """

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:load_balancer:LoadBalancer", name, None, opts)
        tags = labels.tags(**args.tags, role=args.role)
        label = labels.label("firewall", *args.parts, args.role, "lb")
        own = firewall(f"{name}-firewall", label, tags, [Door("https", 443, args.sources)], self)
        balancer = linode.NodeBalancer(
            f"{name}-balancer",
            label=labels.label("balancer", *args.parts, args.role),
            region=args.region,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        closed = attach(f"{name}-firewall-device", own, balancer, "nodebalancer", self)
        balancer_id = balancer.id.apply(int)
        config = linode.NodeBalancerConfig(
            f"{name}-https",
            nodebalancer_id=balancer_id,
            port=443,
            protocol="tcp",
            proxy_protocol="v2",
            algorithm="roundrobin",
            stickiness="none",
            # An HTTP check would speak plain HTTP to a port that speaks TLS. A server's gate closes the port instead.
            check="connection",
            check_interval=args.check.interval,
            check_timeout=args.check.timeout,
            check_attempts=args.check.attempts,
            check_passive=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        for server in args.servers:
            linode.NodeBalancerNode(
                f"{name}-{server.label}",
                nodebalancer_id=balancer_id,
                config_id=config.id.apply(int),
                label=labels.label("balancer node", server.label),
                address=pulumi.Output.concat(server.private_address, ":443"),
                mode="accept",
                weight=100,
                # Operations drain and re-admit servers; an update leaves their work alone.
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=["mode"]),
            )
        self.address: pulumi.Output[str] = balancer.ipv4
        self.register_outputs({"address": self.address})
