"""What every server is fitted out with, from the settings and the inputs: at birth, and whenever these change later.

Pure, and no provider's SDK is imported: the program renders user data of it, operations compare it with what runs.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

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


@dataclass(frozen=True)
class Copied:
    """What only the clouds know of a database that is copied: how to connect to it, and where its copies go.

    `database` is as `user_data.Database` has it, `store` as `user_data.Store`.
    """

    database: Mapping[str, Any]
    store: Mapping[str, str]


def role_server(stack: Stack, place: Place, inputs: Mapping[str, str], told: Told) -> user_data.RoleServer:
    """Return a server of a role. `inputs` are the stack's, by their names in the project's namespace.

    Raises:
        ValueError: a value has not the form that its file needs (see `user_data`).
    """
    settings, group = stack.roles[place.role], stack.environments[place.environment].groups[place.role]
    host = stack.host(place.environment, place.role)
    return user_data.RoleServer(
        hostname=place.label,
        role=place.role,
        environment=place.environment,
        image=settings.image,
        port=settings.port,
        health_path=stack.health.path,
        caddy_image=stack.caddy,
        host_names=(host, *group.serves) if host else (),
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


def ops_server(name: str, stack: Stack, inputs: Mapping[str, str], copied: Mapping[str, Copied]) -> user_data.OpsServer:
    """Return the ops server of a stack that has one. `copied` are by environment the databases that it copies.

    Raises:
        ValueError: a value has not the form that its file needs (see `user_data`).
    """
    return user_data.OpsServer(
        hostname=labels.label("server", stack.label, OPS),
        host_key=inputs[f"hostKey-{OPS}"],
        authorized_keys=keys(inputs["authorizedKeys"]),
        ssh_sources=stack.admin_sources,
        reboot_window=reboots.window(stack.reboots, 1, 1),
        copies=_copies(name, stack, inputs, copied) if stack.copies else None,
    )


def copying(stack: Stack) -> tuple[str, ...]:
    """Return the environments whose databases are copied."""
    if stack.copy_region() is None:
        return ()
    return tuple(name for name, environment in stack.environments.items() if environment.database.copies)


def _copies(
    name: str, stack: Stack, inputs: Mapping[str, str], copied: Mapping[str, Copied]
) -> user_data.Copies | None:
    if stack.copies is None:
        return None
    alarm = None
    if stack.alarms is not None:
        user = unquote(urlsplit(inputs["smtp"].strip()).username or "")
        to = (stack.alarms.board, stack.alarms.on_call)
        alarm = user_data.Alarm(inputs["smtp"].strip(), sender(stack, user), to)
    return user_data.Copies(
        stack=name,
        hour=stack.copies.hour,
        kept=stack.copies.kept,
        key=inputs["copiesKey"],
        alarm=alarm,
        databases=tuple(
            user_data.Copied(
                environment=environment,
                version=(settings := stack.environments[environment].database).version,
                database=user_data.Database(**each.database),
                store=user_data.Store(**each.store),
                queries=tuple((query.sql, query.expects) for query in settings.queries.values()),
            )
            for environment, each in copied.items()
        ),
    )


def sender(stack: Stack, user: str) -> str:
    """Return the address that a stack's alarms are from: the relay's user where that is one."""
    if "@" in user or stack.alarms is None:
        return user
    return f"alarms@{stack.zone or stack.alarms.on_call.rpartition('@')[2]}"


def store(bucket: Mapping[str, Any], key: Mapping[str, Any]) -> dict[str, str]:
    """Return what opens a bucket, as `user_data.Store` has it, from its resource's properties and those of a key."""
    return {
        "url": f"s3:https://{bucket['s3Endpoint']}/{bucket['label']}",
        "region": bucket["region"],
        "access_key": key["accessKey"],
        "secret_key": key["secretKey"],
    }


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
