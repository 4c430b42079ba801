"""A region: everything that a stack has, in one data center."""

from dataclasses import dataclass

import pulumi

from components import outfit, user_data
from components.edge import Edge, EdgeArgs
from components.environment import Environment, EnvironmentArgs
from components.inputs import Inputs
from components.ops import OpsServer, OpsServerArgs
from components.sdk import cloudflare, linode
from components.topology import Stack


@dataclass(frozen=True)
class RegionArgs:
    """A stack's name, its settings and its inputs."""

    stack_name: str
    stack: Stack
    inputs: Inputs


class Region(pulumi.ComponentResource):
    """The ops server, the zone's settings and the environments of a stack.

    Attributes:
        environments: by name.
        ops: the ops server, or None.
    """

    def __init__(self, name: str, args: RegionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:region:Region", name, None, opts)
        stack = args.stack
        child = pulumi.ResourceOptions(parent=self)
        self.ops = self._ops(name, args) if stack.ops else None
        if stack.zone is not None:
            Edge(
                f"{name}-edge",
                EdgeArgs(
                    zone_id=args.inputs.plain("cloudflareZoneId"),
                    pull_certificate=args.inputs.plain("pullCertificate"),
                    pull_key=args.inputs.secret("pullKey"),
                ),
                child,
            )
        public_sources = _cloudflare_networks() if stack.zone is not None else ()
        copies_provider = (
            linode.Provider(f"{name}-copies", token=args.inputs.secret("copiesToken"), opts=child)
            if stack.copies is not None
            else None
        )
        self.environments = {
            environment: Environment(
                f"{name}-{environment}",
                EnvironmentArgs(
                    stack_name=args.stack_name,
                    stack=stack,
                    environment=environment,
                    inputs=args.inputs,
                    public_sources=public_sources,
                    ops=self.ops,
                    copies_provider=copies_provider,
                ),
                child,
            )
            for environment in stack.environments
        }
        self.register_outputs({"ops": self.ops.address if self.ops else None})

    def _ops(self, name: str, args: RegionArgs) -> OpsServer:
        stack, inputs = args.stack, args.inputs
        if stack.ops is None:
            raise ValueError(f"the stack '{args.stack_name}' has no ops server")
        return OpsServer(
            f"{name}-ops",
            OpsServerArgs(
                stack=stack.label,
                region=stack.region,
                settings=stack.ops,
                tags={"stack": args.stack_name},
                sources=stack.admin_sources,
                authorized_keys=inputs.authorized_keys(),
                user_data=inputs.secret("hostKey-ops").apply(
                    lambda host_key: user_data.render(
                        outfit.ops_server(
                            stack, {"hostKey-ops": host_key, "authorizedKeys": inputs.plain("authorizedKeys")}
                        )
                    )
                ),
            ),
            pulumi.ResourceOptions(parent=self),
        )


def _cloudflare_networks() -> tuple[str, ...]:
    """Return the networks that Cloudflare connects from, as it publishes them, sorted so that order is no change."""
    ranges = cloudflare.get_ip_ranges()
    return (*sorted(ranges.ipv4_cidrs), *sorted(ranges.ipv6_cidrs))
