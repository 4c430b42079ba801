"""An environment: a whole platform that shares nothing with its neighbours but the zone and the ops server.

The order is database and copies, the ops server, servers, the database's allow list, balancers, names: each waits for
what it needs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import front, labels
from components.alarms import Alarms, AlarmsArgs
from components.birth import Birth, BirthArgs, user_data_of
from components.copies import Copies, CopiesArgs
from components.database import Database, DatabaseArgs, Origin
from components.dns import BalancedName, NameArgs, ProxiedName
from components.inputs import Inputs
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.network import firewall, server_doors
from components.ops import OpsServer
from components.outfit import Copied
from components.servers import Server, ServerGroup, ServerGroupArgs
from components.topology import MAX_SERVERS, Stack


@dataclass(frozen=True)
class EnvironmentArgs:
    """An environment of a stack, by its name in the settings.

    `public_sources` are the networks, in CIDR, that reach a published environment's balancers: Cloudflare's.
    People reach these from `admin_sources` besides.
    `copies_provider` is the copies account's, where the stack has copies.
    """

    stack_name: str
    stack: Stack
    environment: str
    inputs: Inputs
    public_sources: Sequence[str]
    copies_provider: pulumi.ProviderResource | None


class Environment(pulumi.ComponentResource):
    """One environment: its data, which the ops server is told of, and what serves it, once there is an ops server.

    The servers' Firewall, and components: Database, Copies, for each role a ServerGroup, a LoadBalancer and its
    name, and Alarms.

    Attributes:
        copied: what an ops server needs to copy the database; None where it has no copies.
        servers: label and public address of every server, by role.
        balancers: public address of each role's balancer.
        pools: by role, the id of each site's pool, by site; empty where no name is balanced over sites.
        copies: bucket and endpoint of the database copies; empty where there are none.
        contents: by role, a digest of what its servers are to hold, whatever they hold now. A secret. It is that
            of the last server that may be, whose window moves with any change of when servers reboot.
    """

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:environment:Environment", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._settings = args.stack.environments[args.environment]
        self._parts = (args.stack.label, self._settings.label)
        lifetime = args.stack.lifetime.model_dump() if args.stack.lifetime else {}
        self._tags = {"stack": args.stack_name, "environment": args.environment, **lifetime}
        self._data = self._databases()
        self._serving = self._data.get(self._settings.database.serves)  # none at a standby that is a pilot light
        copies = self._copies()
        self.copies = {"bucket": copies.bucket, "endpoint": copies.endpoint} if copies else {}
        self.copied: pulumi.Output[Copied] | None = (
            pulumi.Output.all(self._serving.connection, copies.store).apply(lambda known: Copied(*known))
            if copies and self._serving
            else None
        )

    def serve(self, ops: OpsServer | None) -> None:
        """Declare servers, balancers and names; the ops server reaches the servers, and the database where it copies.

        Sets the attributes that are not of data.
        """
        ssh_addresses = [ops.address] if ops else []
        births = self._births(ssh_addresses)
        groups = self._groups(births, ssh_addresses)
        self._admit(groups, ssh_addresses)
        balancers = {role: self._balancer(role, servers) for role, servers in groups.items()}
        self.pools: dict[str, dict[str, pulumi.Output[str]]] = {}
        if self._settings.publish != "none" and self._args.stack.has_front:
            self._publish(balancers)
        self.servers: dict[str, list[dict[str, pulumi.Input[str]]]] = {
            role: [{"label": server.label, "address": server.address} for server in servers]
            for role, servers in groups.items()
        }
        self.balancers: dict[str, pulumi.Output[str]] = {role: each.address for role, each in balancers.items()}
        last = {role: labels.server(*self._parts, role, 1, MAX_SERVERS) for role in groups}
        self.contents = {role: births[role](label).apply(_digest) for role, label in last.items()}
        self.register_outputs({"servers": self.servers, "balancers": self.balancers, "copies": self.copies})

    def _databases(self) -> dict[int, Database]:
        """Return the database by generation. The first one has the name that it had before there were any others."""
        settings, made = self._settings.database, dict[int, Database]()
        forks = {int(generation): fork for generation, fork in settings.forks.items()}
        for generation in sorted(settings.generations, key=lambda each: each in forks):  # a fork after its source
            origin = None
            if fork := forks.get(generation):
                at = labels.moment_of(fork.at).strftime("%Y-%m-%dT%H:%M:%SZ")
                origin = Origin(made[fork.of].resource.id.apply(int), at)
            label = labels.database(*self._parts, generation)
            made[generation] = Database(
                f"{self._name}-database" if generation == 1 else f"{self._name}-database-g{generation}",
                DatabaseArgs(label, self._args.stack.region, settings, origin),
                self._child,
            )
        return made

    def _admit(self, groups: Mapping[str, Sequence[Server]], ops: Sequence[pulumi.Output[str]]) -> None:
        """Let servers reach the database that serves. The ops server reaches all that are copied.

        Nothing else reaches one that does not serve: what still has its address writes into nothing that is lost.
        """
        settings, roles = self._settings.database, self._args.stack.roles
        servers = [server.address for role, group in groups.items() for server in group if roles[role].database]
        besides = ops if settings.copies else []
        for generation, database in self._data.items():
            database.admit([*(servers if generation == settings.serves else []), *besides])

    def _copies(self) -> Copies | None:
        args, stack = self._args, self._args.stack
        first, second = stack.copy_region(), stack.second_copy_region()
        if not self._settings.database.copies or first is None or second is None:
            return None
        return Copies(
            f"{self._name}-copies",
            CopiesArgs(self._parts, first, second),
            pulumi.ResourceOptions(parent=self, providers=[args.copies_provider] if args.copies_provider else None),
        )

    def _births(self, ssh_addresses: Sequence[pulumi.Output[str]]) -> dict[str, Birth]:
        """Return by role what renders the user data of a server from its label."""
        args = self._args
        if self._serving is None:
            return {}
        return {
            role: user_data_of(BirthArgs(args.stack, args.environment, role, args.inputs, self._serving, ssh_addresses))
            for role in self._settings.groups
        }

    def _groups(
        self, births: Mapping[str, Birth], ssh_addresses: Sequence[pulumi.Output[str]]
    ) -> dict[str, tuple[Server, ...]]:
        stack = self._args.stack
        label = labels.label("firewall", *self._parts, "servers")
        doors = server_doors(stack.admin_sources, ssh_addresses)
        shared = firewall(f"{self._name}-servers-firewall", label, labels.tags(**self._tags), doors, self)
        return {
            role: ServerGroup(
                f"{self._name}-{role}",
                ServerGroupArgs(
                    parts=self._parts,
                    role=role,
                    region=stack.region,
                    group=group,
                    images=stack.generations,
                    tags=self._tags,
                    authorized_keys=self._args.inputs.authorized_keys(),
                    firewall=shared,
                    user_data=births[role],
                ),
                self._child,
            ).servers
            for role, group in self._settings.groups.items()
        }

    def _balancer(self, role: str, servers: Sequence[Server]) -> LoadBalancer:
        stack = self._args.stack
        public = () if self._settings.publish == "none" else self._args.public_sources
        return LoadBalancer(
            f"{self._name}-{role}-lb",
            LoadBalancerArgs(
                parts=self._parts,
                role=role,
                region=stack.region,
                tags=self._tags,
                check=stack.balancer_check,
                # A move and a rebuild ask balancers themselves, so people get in as well; with the client certificate.
                sources=(*public, *stack.admin_sources),
                servers=servers,
            ),
            self._child,
        )

    def _publish(self, balancers: dict[str, LoadBalancer]) -> None:
        stack, inputs = self._args.stack, self._args.inputs
        account_id = inputs.plain("cloudflareAccountId")
        names = {
            role: NameArgs(
                host=host,
                label=(*self._parts, role),
                zone=stack.zone or "",
                zone_id=inputs.plain("cloudflareZoneId"),
                account_id=account_id,
                probe_regions=stack.probe_regions(),
                site=self._args.stack_name,
                served=front.served(stack, self._args.stack_name, self._args.environment, role),
                affinity=stack.roles[role].affinity == "site",
                health=stack.health,
                address=balancer.address,
            )
            for role, balancer in balancers.items()
            if (host := stack.host(self._args.environment, role))
        }
        check_ids: list[pulumi.Output[str]] = []
        for role, name in names.items():
            if self._settings.publish == "load-balancer":
                self.pools[role] = BalancedName(f"{self._name}-{role}-name", name, self._child).pools
            else:
                check_ids.append(ProxiedName(f"{self._name}-{role}-name", name, self._child).check_id)
        pool_ids = [pool for pools in self.pools.values() for pool in pools.values()]
        if stack.alarms:
            Alarms(
                f"{self._name}-alarms",
                AlarmsArgs(account_id, "-".join(self._parts), stack.alarms, pool_ids, check_ids),
                self._child,
            )


def _digest(user_data: str) -> str:
    return hashlib.sha256(user_data.encode()).hexdigest()
