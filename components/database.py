"""The managed PostgreSQL of an environment, and who may reach it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import outfit
from components.sdk import linode
from components.topology import MAINTENANCE_HOURS
from components.topology import Database as Settings

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Origin:
    """What a new database is a fork of: the other one's id, and the time (RFC 3339)."""

    id: pulumi.Input[int]
    at: str


@dataclass(frozen=True)
class DatabaseArgs:
    """A database's label, region and settings, and what it is a fork of; None is born empty."""

    label: str
    region: str
    settings: Settings
    fork: Origin | None = None


class Database(pulumi.ComponentResource):
    """A managed PostgreSQL that nobody may reach until `admit` is called. It is protected: it holds data.

    Resources: DatabasePostgresqlV2, DatabaseAccessControls.

    Attributes:
        connection: how to connect, TLS required: host, port, name, user, password, ca_cert (PEM). A secret.
    """

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:database:Database", name, None, opts)
        self._name = name
        settings, fork = args.settings, args.fork
        self.resource = linode.DatabasePostgresqlV2(
            f"{name}-cluster",
            label=args.label,
            region=args.region,
            engine_id=f"postgresql/{settings.version}",
            type=settings.plan,
            cluster_size=settings.nodes,
            fork_source=fork.id if fork else None,
            fork_restore_time=fork.at if fork else None,
            updates=linode.DatabasePostgresqlV2UpdatesArgs(
                day_of_week=_DAYS.index(settings.maintenance.day) + 1,
                hour_of_day=settings.maintenance.hour,
                duration=MAINTENANCE_HOURS,
                frequency="weekly",
            ),
            # The plugin's own limit is an hour, and one that takes longer is made and lost. It reads this block; custom
            # timeouts do not reach resources of the newer plugin framework (pulumi-terraform-bridge#827).
            timeouts=linode.DatabasePostgresqlV2TimeoutsArgs(create="2h", update="2h"),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=True,
                delete_before_replace=True,
                # The allow list is DatabaseAccessControls' alone, and a birth is over when it is.
                ignore_changes=["allowLists", "forkSource", "forkRestoreTime"],
            ),
        )
        self.connection: pulumi.Output[dict[str, str | int]] = pulumi.Output.secret(
            pulumi.Output.all(
                hostPrimary=self.resource.host_primary,
                port=self.resource.port,
                rootUsername=self.resource.root_username,
                rootPassword=self.resource.root_password,
                caCert=self.resource.ca_cert,
            ).apply(outfit.connection)
        )
        self.register_outputs({"host": self.resource.host_primary, "port": self.resource.port})

    def admit(self, addresses: Sequence[pulumi.Input[str]]) -> None:
        """Let exactly these IPv4 addresses reach the database."""
        linode.DatabaseAccessControls(
            f"{self._name}-access",
            database_id=self.resource.id.apply(int),
            database_type="postgresql",
            allow_lists=[pulumi.Output.concat(address, "/32") for address in addresses],
            opts=pulumi.ResourceOptions(parent=self),
        )
