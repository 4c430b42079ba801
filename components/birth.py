"""What servers are born with: their cloud-init, once the clouds have said what only they know."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import labels, user_data
from components.database import Database
from components.inputs import Inputs
from components.outfit import Copied, Place, Told, copying, ops_server, role_server
from components.topology import Stack

Birth = Callable[[str], pulumi.Output[str]]
"""Renders a server's user data, a secret, from its label."""

_PLAIN = ("authorizedKeys", "originCertificate", "pullCa")


@dataclass(frozen=True)
class BirthArgs:
    """A role of an environment, by their names; `ssh_addresses` reach its servers besides the configured networks."""

    stack: Stack
    environment: str
    role: str
    inputs: Inputs
    database: Database
    ssh_addresses: Sequence[pulumi.Output[str]]


def user_data_of(args: BirthArgs) -> Birth:
    """Return what renders a server's user data from its label.

    The output fails where the inputs cannot be rendered (ValueError of `user_data`: a form, the size). That shows at
    preview already: the inputs are rehearsed with values that stand for what the clouds have not said yet.
    """
    names = (f"hostKey-{args.environment}", "originKey", "registryPassword")
    secrets = pulumi.Output.all(**{name: args.inputs.secret(name) for name in names})
    stand_in = _stand_in(args.inputs)
    first = labels.server(args.stack.label, args.stack.environments[args.environment].label, args.role, 1, 1)
    rehearsed = secrets.apply(lambda known: _render(args, first, known, ["192.0.2.1"], stand_in) and known)
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
    inputs = {**{name: args.inputs.plain(name) for name in _PLAIN}, **secrets}
    place = Place(args.environment, args.role, label)
    return user_data.render(role_server(args.stack, place, inputs, Told(ssh_addresses, database)))


def _stand_in(inputs: Inputs) -> dict[str, Any]:
    """Return what is like the connection to a database, as far as its form and size go."""
    ca_cert = inputs.plain("pullCa")
    return {"host": "h" * 100, "port": 5432, "name": "n", "user": "u", "password": "p" * 24, "ca_cert": ca_cert}


@dataclass(frozen=True)
class OpsBirthArgs:
    """An ops server, by its stack's name; `copied` are by environment the databases that it copies."""

    stack_name: str
    stack: Stack
    inputs: Inputs
    copied: Mapping[str, pulumi.Output[Copied]]


def ops_server_of(args: OpsBirthArgs) -> pulumi.Output[user_data.OpsServer]:
    """Return the ops server, a secret, once the clouds have said what only they know; rehearsed as role servers are."""
    wanted = {"hostKey-ops", *(("copiesKey",) if args.stack.copies else ()), *(("smtp",) if args.stack.alarms else ())}
    secrets = pulumi.Output.all(**{name: args.inputs.secret(name) for name in sorted(wanted)})
    opens = {"access_key": "a" * 20, "secret_key": "s" * 40}
    store = {"url": "s3:https://" + "u" * 100, "region": args.stack.region, **opens}
    stand_in = Copied(_stand_in(args.inputs), store)

    def made(known: Mapping[str, str], copied: Mapping[str, Copied]) -> user_data.OpsServer:
        inputs = {**known, "authorizedKeys": args.inputs.plain("authorizedKeys")}
        return ops_server(args.stack_name, args.stack, inputs, copied)

    def rehearse(known: Mapping[str, str]) -> Mapping[str, str]:
        user_data.render(made(known, dict.fromkeys(copying(args.stack), stand_in)))
        return known

    return pulumi.Output.all(secrets=secrets.apply(rehearse), copied=dict(args.copied)).apply(
        lambda values: made(values["secrets"], values["copied"])
    )
