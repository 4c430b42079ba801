"""Who may reach what: Cloud Firewalls for servers and balancers."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import catalog
from components.sdk import linode


@dataclass(frozen=True)
class Door:
    """A port that is open, to sources in CIDR. `addresses` are single IPv4 addresses known only to the cloud."""

    label: str
    port: int
    sources: Sequence[str]
    addresses: Sequence[pulumi.Input[str]] = ()


def firewall(
    name: str, label: str, tags: Sequence[str], doors: Sequence[Door], parent: pulumi.Resource
) -> pulumi.CustomResource:
    """Declare a Cloud Firewall: all but its doors is dropped inbound, outbound is open.

    Servers and balancers are put behind it by `attach`, never by the firewall's own lists.
    """
    declared: pulumi.CustomResource = linode.Firewall(
        name,
        label=label,
        tags=list(tags),
        inbound_policy="DROP",
        outbound_policy="ACCEPT",
        inbounds=[_inbound(door) for door in doors],
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
    return declared


def attach(
    name: str,
    firewall: pulumi.CustomResource,
    entity: pulumi.CustomResource,
    entity_type: str,
    parent: pulumi.Resource,
) -> pulumi.CustomResource:
    """Put a server (entity type `linode`) or a balancer (`nodebalancer`) behind a firewall."""
    device: pulumi.CustomResource = linode.FirewallDevice(
        name,
        firewall_id=firewall.id.apply(int),
        entity_id=entity.id.apply(int),
        entity_type=entity_type,
        # The device goes with its entity, and can be neither read nor deleted once that is gone.
        opts=pulumi.ResourceOptions(parent=parent, deleted_with=entity),
    )
    return device


def server_doors(ssh_sources: Sequence[str], ssh_addresses: Sequence[pulumi.Input[str]]) -> tuple[Door, ...]:
    """Return the doors of role servers: 443 for balancers, SSH for configured networks and the ops server."""
    return (Door("balancers", 443, [catalog.BALANCER_NETWORK]), Door("ssh", 22, ssh_sources, ssh_addresses))


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
