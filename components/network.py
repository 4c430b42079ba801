"""Who may reach what: Cloud Firewalls for servers and balancers."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import labels
from components.sdk import linode

# NodeBalancers reach their backends, and only theirs, from this network of the data center.
BALANCER_NETWORK = "192.168.255.0/24"


@dataclass(frozen=True)
class Door:
    """A port that is open, to sources in CIDR. `addresses` are single IPv4 addresses known only to the cloud."""

    label: str
    port: int
    sources: Sequence[str]
    addresses: Sequence[pulumi.Input[str]] = ()


@dataclass(frozen=True)
class FirewallArgs:
    """A firewall's label, its tags and the doors it leaves open inbound; all else is dropped, outbound is open."""

    label: str
    tags: Sequence[str]
    doors: Sequence[Door]


class Firewall(pulumi.ComponentResource):
    """A Cloud Firewall. Servers and balancers are put behind it by `attach`, never by the firewall's own lists.

    Resources: Firewall.

    Attributes:
        id: the firewall's number.
    """

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:network:Firewall", name, None, opts)
        firewall = linode.Firewall(
            f"{name}-rules",
            label=args.label,
            tags=list(args.tags),
            inbound_policy="DROP",
            outbound_policy="ACCEPT",
            inbounds=[_inbound(door) for door in args.doors],
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.id: pulumi.Output[int] = firewall.id.apply(int)
        self.register_outputs({"id": self.id})


def attach(
    name: str, firewall: Firewall, entity: pulumi.CustomResource, entity_type: str, parent: pulumi.Resource
) -> pulumi.CustomResource:
    """Put a server (entity type `linode`) or a balancer (`nodebalancer`) behind a firewall."""
    device: pulumi.CustomResource = linode.FirewallDevice(
        name,
        firewall_id=firewall.id,
        entity_id=entity.id.apply(int),
        entity_type=entity_type,
        # The device goes with its entity, and can be neither read nor deleted once that is gone.
        opts=pulumi.ResourceOptions(parent=parent, deleted_with=entity),
    )
    return device


def server_doors(ssh_sources: Sequence[str], ssh_addresses: Sequence[pulumi.Input[str]]) -> tuple[Door, ...]:
    """Return the doors of role servers: 443 for balancers, SSH for configured networks and the ops server."""
    return (Door("balancers", 443, [BALANCER_NETWORK]), Door("ssh", 22, ssh_sources, ssh_addresses))


def _inbound(door: Door) -> object:
    networks = [ipaddress.ip_network(source) for source in door.sources]
    ipv4 = [str(network) for network in networks if network.version == 4]  # noqa: PLR2004
    ipv6 = [str(network) for network in networks if network.version == 6]  # noqa: PLR2004
    return linode.FirewallInboundArgs(
        label=door.label,
        action="ACCEPT",
        protocol="TCP",
        ports=str(door.port),
        ipv4s=[*ipv4, *(pulumi.Output.concat(address, "/32") for address in door.addresses)] or None,
        ipv6s=ipv6 or None,
    )


def firewall_label(*parts: str) -> str:
    """Compose a firewall's label."""
    return labels.label("firewall", *parts)
