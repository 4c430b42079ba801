"""What every server is fitted out with, from the settings and the inputs: at birth, and whenever these change later.

Pure, and no provider's SDK is imported: the program renders user data of it, operations compare it with what runs.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components import catalog, labels, reboots, user_data
from components.topology import Stack

OPS = "ops"


@dataclass(frozen=True)
class Place:
    """Where a role's server belongs: its environment, its role, its label."""

    environment: str
    role: str
    label: str


@dataclass(frozen=True)
class Told:
    """What only the clouds know: addresses that reach SSH besides the configured networks, and the database.

    `database` is how to connect to the environment's, as `user_data.Database` has it; None is none.
    """

    ssh_addresses: Sequence[str]
    database: Mapping[str, Any] | None


def role_server(stack: Stack, place: Place, inputs: Mapping[str, str], told: Told) -> user_data.RoleServer:
    """Return a server of a role. `inputs` are the stack's, by their names in the project's namespace.

    Raises:
        ValueError: a value has not the form that its file needs (see `user_data`).
    """
    settings = stack.roles[place.role]
    host = stack.host(place.environment, place.role)
    return user_data.RoleServer(
        hostname=place.label,
        role=place.role,
        environment=place.environment,
        image=settings.image,
        port=settings.port,
        health_path=stack.health.path,
        caddy_image=stack.caddy,
        host_names=(host,) if host else (),
        origin_certificate=inputs["originCertificate"],
        origin_key=inputs["originKey"],
        client_ca=inputs["pullCa"],
        host_key=inputs[f"hostKey-{place.environment}"],
        authorized_keys=keys(inputs["authorizedKeys"]),
        ssh_sources=(*stack.admin_sources, *(f"{address}/32" for address in told.ssh_addresses)),
        reboot_window=reboots.window(stack.reboots, *labels.generation_and_number(place.label)),
        registry=user_data.Registry(stack.registry.host, stack.registry.user, inputs["registryPassword"]),
        database=user_data.Database(**told.database) if told.database and settings.database else None,
    )


def ops_server(stack: Stack, inputs: Mapping[str, str]) -> user_data.OpsServer:
    """Return the ops server of a stack that has one.

    Raises:
        ValueError: a value has not the form that its file needs (see `user_data`).
    """
    return user_data.OpsServer(
        hostname=labels.label("server", stack.label, OPS),
        host_key=inputs[f"hostKey-{OPS}"],
        authorized_keys=keys(inputs["authorizedKeys"]),
        ssh_sources=stack.admin_sources,
        reboot_window=reboots.window(stack.reboots, 1, 1),
    )


def connection(database: Mapping[str, Any]) -> dict[str, Any]:
    """Return how to connect to a database, as `user_data.Database` has it, from its resource's properties."""
    certificate = str(database["caCert"])
    if not certificate.startswith("-----BEGIN"):
        # The SDK calls the attribute base64-encoded; the API client that fills it decodes what the API sends.
        certificate = base64.b64decode(certificate).decode()
    return {
        "host": database["hostPrimary"],
        "port": int(database["port"]),
        "name": catalog.DATABASE_NAME,
        "user": database["rootUsername"],
        "password": database["rootPassword"],
        "ca_cert": certificate,
    }


def keys(text: str) -> tuple[str, ...]:
    """Return public SSH keys, one a line."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())
