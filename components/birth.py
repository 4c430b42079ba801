"""What a role's servers are born with: their cloud-init, once the clouds have said what only they know."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import user_data
from components.database import Database
from components.inputs import Inputs
from components.topology import Stack


@dataclass(frozen=True)
class BirthArgs:
    """A role of an environment, by their names; `ssh_addresses` reach its servers besides the configured networks."""

    stack: Stack
    environment: str
    role: str
    inputs: Inputs
    database: Database
    ssh_addresses: Sequence[pulumi.Output[str]]


def user_data_of(args: BirthArgs) -> Callable[[str], pulumi.Output[str]]:
    """Return what renders a server's user data from its label.

    The output fails where the inputs cannot be rendered (ValueError of `user_data`: a form, the size). That shows at
    preview already: the inputs are rehearsed with values that stand for what the clouds have not said yet.
    """
    secrets = pulumi.Output.all(
        host_key=args.inputs.secret(f"hostKey-{args.environment}"),
        origin_key=args.inputs.secret("originKey"),
        registry_password=args.inputs.secret("registryPassword"),
    )
    ca_cert = args.inputs.plain("pullCa")
    stand_in = {"host": "h" * 100, "port": 5432, "name": "n", "user": "u", "password": "p" * 24, "ca_cert": ca_cert}
    rehearsed = secrets.apply(lambda known: _render(args, "rehearsal", known, ["192.0.2.1"], stand_in) and known)
    known = pulumi.Output.all(
        secrets=rehearsed,
        ssh_addresses=list(args.ssh_addresses),
        database=args.database.connection if args.stack.roles[args.role].database else None,
    )
    return lambda label: known.apply(
        lambda values: _render(args, label, values["secrets"], values["ssh_addresses"], values["database"])
    )


def _render(
    args: BirthArgs,
    label: str,
    secrets: Mapping[str, str],
    ssh_addresses: Sequence[str],
    database: Mapping[str, Any] | None,
) -> str:
    stack, role = args.stack, args.stack.roles[args.role]
    host = stack.host(args.environment, args.role)
    return user_data.render(
        user_data.RoleServer(
            hostname=label,
            role=args.role,
            environment=args.environment,
            image=role.image,
            port=role.port,
            health_path=stack.health.path,
            caddy_image=stack.caddy,
            host_names=(host,) if host else (),
            origin_certificate=args.inputs.plain("originCertificate"),
            origin_key=secrets["origin_key"],
            client_ca=args.inputs.plain("pullCa"),
            host_key=secrets["host_key"],
            authorized_keys=args.inputs.authorized_keys(),
            ssh_sources=(*stack.admin_sources, *(f"{address}/32" for address in ssh_addresses)),
            registry=user_data.Registry(stack.registry.host, stack.registry.user, secrets["registry_password"]),
            database=user_data.Database(**database) if database else None,
        )
    )
