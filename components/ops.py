"""The ops server of a stack: people reach servers through it, and jobs that belong to no environment run on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import labels
from components.network import Door, firewall
from components.servers import ServerArgs, declare_server
from components.topology import Ops


@dataclass(frozen=True)
class OpsServerArgs:
    """The ops server of the stack with the label `stack`; `sources` are the networks, in CIDR, that reach its SSH."""

    stack: str
    region: str
    settings: Ops
    tags: dict[str, str]
    sources: Sequence[str]
    authorized_keys: Sequence[str]
    user_data: pulumi.Input[str]


class OpsServer(pulumi.ComponentResource):
    """A server that is reached by SSH only, with a firewall of its own.

    Resources: Firewall, Instance, FirewallDevice.

    Attributes:
        address: its public IPv4 address, which servers admit to SSH and databases to copies.
    """

    def __init__(self, name: str, args: OpsServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:ops:OpsServer", name, None, opts)
        tags = labels.tags(**args.tags, role="ops")
        label = labels.label("firewall", args.stack, "ops")
        own = firewall(f"{name}-firewall", label, tags, [Door("ssh", 22, args.sources)], self)
        server = declare_server(
            f"{name}-server",
            ServerArgs(
                label=labels.label("server", args.stack, "ops"),
                region=args.region,
                plan=args.settings.plan,
                image=args.settings.image,
                tags=tags,
                authorized_keys=args.authorized_keys,
                user_data=args.user_data,
                compressed=True,
                firewall=own,
            ),
            self,
        )
        self.address: pulumi.Output[str] = server.address
        self.register_outputs({"address": self.address})
