"""Servers: a group for each role, in generations that are added, proved and removed."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi

from components import catalog, labels, user_data
from components.network import attach
from components.sdk import linode
from components.topology import Group, server_numbers

# What counts at birth only: a change would replace the server, and its backups would die with it. Images change by
# generations; what is in the user data is pushed to living servers instead.
_BIRTH_ONLY = ["authorizedKeys", "image", "metadatas"]


@dataclass(frozen=True)
class ServerArgs:
    """One server. `user_data` is cloud-init's text, a secret, which `compressed` ones get smaller.

    `authorized_keys` are public SSH keys: an image needs them or a root password, and with them nobody has one.
    """

    label: str
    region: str
    plan: str
    image: str
    tags: Sequence[str]
    authorized_keys: Sequence[str]
    user_data: pulumi.Input[str]
    firewall: pulumi.CustomResource
    placement_group_id: pulumi.Input[int] | None = None
    compressed: bool = False


@dataclass(frozen=True)
class Server:
    """A declared server: its label, and its public and private IPv4 addresses."""

    label: str
    address: pulumi.Output[str]
    private_address: pulumi.Output[str]


def declare_server(name: str, args: ServerArgs, parent: pulumi.Resource) -> Server:
    """Declare a server with daily backups, an encrypted disk and a private address, behind a firewall.

    Resources: Instance, FirewallDevice. No component of their own: a thousand of them would be a thousand more
    resources in the state, which the engine writes again after every step.
    """
    instance = linode.Instance(
        name,
        label=args.label,
        region=args.region,
        type=args.plan,
        image=args.image,
        tags=list(args.tags),
        authorized_keys=list(args.authorized_keys),
        backups_enabled=True,
        disk_encryption="enabled",
        watchdog_enabled=True,
        # A NodeBalancer reaches private IPv4 only, which the newer Linode Interfaces do not have.
        interface_generation="legacy_config",
        private_ip=True,
        placement_group=(
            linode.InstancePlacementGroupArgs(id=args.placement_group_id) if args.placement_group_id else None
        ),
        metadatas=[linode.InstanceMetadataArgs(user_data=_encoded(args))],
        opts=pulumi.ResourceOptions(
            parent=parent,
            delete_before_replace=True,
            ignore_changes=_BIRTH_ONLY,
            additional_secret_outputs=["metadatas"],
        ),
    )
    attach(f"{name}-firewall", args.firewall, instance, "linode", parent)
    return Server(args.label, instance.ipv4s.apply(catalog.public_address), instance.private_ip_address)


@dataclass(frozen=True)
class ServerGroupArgs:
    """The servers of one role in one environment.

    `parts` are the label parts of stack and environment; `images` the operating system image by generation;
    `user_data` renders a server's cloud-init from its label.
    """

    parts: tuple[str, str]
    role: str
    region: str
    group: Group
    images: dict[str, str]
    tags: dict[str, str]
    authorized_keys: Sequence[str]
    firewall: pulumi.CustomResource
    user_data: Callable[[str], pulumi.Input[str]]


class ServerGroup(pulumi.ComponentResource):
    """The servers of a role, no two of a generation's five on one host.

    Resources: for each generation, a PlacementGroup for every five servers; Instance and FirewallDevice of each server.

    Attributes:
        servers: in the group's order, by generation and number.
    """

    def __init__(self, name: str, args: ServerGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:servers:ServerGroup", name, None, opts)
        size = catalog.PLACEMENT_GROUP_SIZE
        placements = {
            (generation, first): linode.PlacementGroup(
                f"{name}-g{generation}-p{first // size + 1}",
                label=labels.label(
                    "placement group", *args.parts, args.role, f"g{generation}", f"p{first // size + 1}"
                ),
                region=args.region,
                placement_group_type="anti_affinity:local",
                placement_group_policy="strict",
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            ).id.apply(int)
            for generation in args.group.generations
            for first in range(0, args.group.count, size)
        }
        self.servers: tuple[Server, ...] = tuple(
            declare_server(
                f"{name}-g{generation}-{number}",
                ServerArgs(
                    label=(label := labels.server(*args.parts, args.role, generation, number)),
                    region=args.region,
                    plan=args.group.plan,
                    image=args.images[str(generation)],
                    tags=labels.tags(**args.tags, role=args.role, generation=str(generation)),
                    authorized_keys=args.authorized_keys,
                    user_data=args.user_data(label),
                    firewall=args.firewall,
                    placement_group_id=placements[generation, (number - 1) // size * size],
                ),
                self,
            )
            for generation, number in server_numbers(args.group)
        )
        self.register_outputs({"servers": [server.label for server in self.servers]})


def _encoded(args: ServerArgs) -> pulumi.Output[str]:
    pack = user_data.compressed if args.compressed else str.encode
    return pulumi.Output.secret(args.user_data).apply(lambda text: base64.b64encode(pack(text)).decode())
