"""A region: everything that a stack has, in one data center."""

from dataclasses import dataclass

import pulumi

from components import user_data
from components.birth import OpsBirthArgs, ops_server_of
from components.edge import Edge, EdgeArgs
from components.environment import Environment, EnvironmentArgs
from components.inputs import Inputs
from components.metadata import Metadata, MetadataArgs
from components.ops import OpsServer, OpsServerArgs
from components.sdk import cloudflare, linode
from components.topology import Ops, Stack
from components.voice import Voice, VoiceArgs


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
        contents: a digest of what the ops server is to hold, where it is born without most of it: the program of the
            copies; None elsewhere. A secret.
    """

    def __init__(self, name: str, args: RegionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:region:Region", name, None, opts)
        stack = args.stack
        child = pulumi.ResourceOptions(parent=self)
        if stack.has_front:
            Edge(
                f"{name}-edge",
                EdgeArgs(
                    zone_id=args.inputs.plain("cloudflareZoneId"),
                    pull_certificate=args.inputs.plain("pullCertificate"),
                    pull_key=args.inputs.secret("pullKey"),
                ),
                child,
            )
        if stack.voice is not None:
            Voice(
                f"{name}-voice",
                VoiceArgs(
                    stack=stack.label,
                    zone_id=args.inputs.plain("cloudflareZoneId"),
                    account_id=args.inputs.plain("cloudflareAccountId"),
                    probe_regions=stack.probe_regions(),
                    health=stack.health,
                    alarms=stack.alarms,
                    settings=stack.voice,
                    hosts=stack.voice_hosts(),
                ),
                child,
            )
        if stack.failover is not None:
            Metadata(
                f"{name}-metadata",
                MetadataArgs(
                    stack_name=args.stack_name,
                    stack=stack,
                    zone_id=args.inputs.plain("cloudflareZoneId"),
                    account_id=args.inputs.plain("cloudflareAccountId"),
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
                    copies_provider=copies_provider,
                ),
                child,
            )
            for environment in stack.environments
        }
        self.ops: OpsServer | None = None
        self.contents: pulumi.Output[str] | None = None
        if stack.ops is not None:
            self.ops, contents = self._ops(name, args, stack.ops)
            self.contents = contents if stack.copies else None
        for environment in self.environments.values():
            environment.serve(self.ops)
        self.register_outputs({"ops": self.ops.address if self.ops else None})

    def _ops(self, name: str, args: RegionArgs, settings: Ops) -> tuple[OpsServer, pulumi.Output[str]]:
        """Return the ops server, and a digest of what it is to hold."""
        stack, inputs = args.stack, args.inputs
        copied = {each: environment.copied for each, environment in self.environments.items() if environment.copied}
        born = ops_server_of(OpsBirthArgs(args.stack_name, stack, inputs, copied))
        server = OpsServer(
            f"{name}-ops",
            OpsServerArgs(
                stack=stack.label,
                region=stack.region,
                settings=settings,
                tags={"stack": args.stack_name},
                sources=stack.admin_sources,
                authorized_keys=inputs.authorized_keys(),
                user_data=born.apply(user_data.render),
            ),
            pulumi.ResourceOptions(parent=self),
        )
        return server, born.apply(user_data.digest)


def _cloudflare_networks() -> tuple[str, ...]:
    """Return the networks that Cloudflare connects from, as it publishes them, sorted so that order is no change."""
    ranges = cloudflare.get_ip_ranges()
    return (*sorted(ranges.ipv4_cidrs), *sorted(ranges.ipv6_cidrs))
