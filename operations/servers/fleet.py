"""The servers of a stack: where each is, how it is known, and what it is to hold now."""

import base64
import gzip
import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cryptography.hazmat.primitives import serialization

from components import labels, outfit, user_data
from components.settings import PROJECT, Stack
from operations import clouds, engine, guards
from operations.clouds import Clouds
from operations.errors import Failed, Refused
from operations.project import Project
from operations.servers import applied

T = TypeVar("T")
OPS = outfit.OPS
_AT_ONCE = 16
# What is least exposed comes first, so that what goes wrong shows before customers do.
_ORDER = ("none", "proxied", "load-balancer")
_GZIP = b"\x1f\x8b"
_SERVER = "linode:index/instance:Instance"
_BUCKET = "linode:index/objectStorageBucket:ObjectStorageBucket"
_BUCKET_KEY = "linode:index/objectStorageKey:ObjectStorageKey"


@dataclass(frozen=True)
class Member:
    """A server: its place in the stack, its public IPv4 address, what it is to hold, and that as files.

    `host_keys` are those by which it may be known, in OpenSSH's form: first the one that it is to have; then those that
    it may have until it was given that: the environment's last one, and the one that it was born with.
    `health` is the address, on the server, that answers 2xx while its application works; None where it has none.
    """

    place: outfit.Place
    address: str
    host_keys: tuple[str, ...]
    health: str | None
    wanted: user_data.Server
    files: tuple[user_data.File, ...] = field(repr=False)

    @property
    def label(self) -> str:
        """Its label at the cloud, by which people know it."""
        return self.place.label

    @property
    def group(self) -> tuple[str, str]:
        """What it stands in for: environment and role."""
        return self.place.environment, self.place.role

    @property
    def generation(self) -> int | None:
        """Its generation; None for an ops server."""
        return None if self.place.role == OPS else labels.generation_and_number(self.label)[0]


@dataclass(frozen=True)
class Fleet:
    """A stack's servers, in the order in which work goes through them, and the clouds that hold them."""

    project: Project
    stack: Stack
    clouds: Clouds
    members: tuple[Member, ...]

    def groups(self) -> Iterator[tuple[tuple[str, str], tuple[Member, ...]]]:
        """Yield environment and role, and their servers."""
        for group in dict.fromkeys(member.group for member in self.members):
            yield group, tuple(member for member in self.members if member.group == group)

    def at_once(self, ask: Callable[[Member], T]) -> dict[str, T]:
        """Ask something of all servers, some at a time; return the answers by label."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = pool.map(ask, self.members)
            return {member.label: answer for member, answer in zip(self.members, answers, strict=True)}

    def of(self, wanted: Callable[[Member], bool]) -> "Fleet":
        """Return the fleet of those servers only."""
        return Fleet(self.project, self.stack, self.clouds, tuple(filter(wanted, self.members)))

    def lost(self, ill: Collection[str]) -> str:
        """Return in words the groups of which every server is among some, by label; nothing where each has one left."""
        gone = [group for group, members in self.groups() if all(member.label in ill for member in members)]
        return ", ".join(f"{role} of {environment}" if environment else role for environment, role in gone)

    def only(self, label: str) -> "Fleet":
        """Return the fleet of one server."""
        return self.of(lambda member: member.label == label)


def load(project: Project, stack: Stack, role: str | None = None) -> Fleet:
    """Return the servers that a stack has, of all roles or of one.

    Raises:
        Refused: the stack has none, or none of that role, or an input is not set.
        Failed: the engine does not say.
    """
    outputs = engine.outputs(project)
    if not outputs.get("servers"):
        raise Refused(f"{project.stack}: it has no servers yet; {project.task('up')}")
    values = clouds.configuration(project)
    inputs = {key.removeprefix(f"{PROJECT}:"): value for key, value in values.items()}
    try:
        members = tuple(_members(project.stack, stack, inputs, outputs, _Deployed.of(project)))
    except KeyError as missing:
        raise Refused(f"{project.stack}: the input {missing} is not set; {project.task('setup')}") from None
    known = sorted({member.place.role for member in members})
    if role is not None and role not in known:
        raise Refused(f"{project.stack}: no server has the role '{role}'; known are {', '.join(known)}")
    chosen = tuple(member for member in members if role in (None, member.place.role))
    return Fleet(project, stack, clouds.connect(project, values), chosen)


def _members(
    stack_name: str, stack: Stack, inputs: Mapping[str, str], outputs: Mapping[str, Any], deployed: "_Deployed"
) -> Iterator[Member]:
    ssh_addresses = [outputs["ops"]] if outputs.get("ops") else []
    known = {name: each for name, each in stack.environments.items() if name in outputs["servers"]}
    for name, environment in sorted(known.items(), key=lambda item: _ORDER.index(item[1].publish)):
        database = deployed.databases.get(labels.database(stack.label, environment.label, environment.database.serves))
        told = outfit.Told(ssh_addresses, database)
        for role, servers in outputs["servers"][name].items():
            for server in servers if role in stack.roles else ():
                place = outfit.Place(name, role, server["label"])
                wanted = outfit.role_server(stack, place, inputs, told)
                health = f"http://127.0.0.1:{wanted.port}{wanted.health_path}"
                yield _member(place, server["address"], wanted, deployed, health)
    if stack.ops and outputs.get("ops"):
        ops = outfit.ops_server(stack_name, stack, inputs, deployed.copied(stack))
        yield _member(outfit.Place("", OPS, ops.hostname), outputs["ops"], ops, deployed)


def _member(
    place: outfit.Place, address: str, wanted: user_data.Server, deployed: "_Deployed", health: str | None = None
) -> Member:
    before = (deployed.host_keys.get(place.environment), deployed.births.get(place.label))
    keys = dict.fromkeys((_public(wanted.host_key), *filter(None, before)))
    return Member(place, address, tuple(keys), health, wanted, user_data.files(wanted))


@dataclass(frozen=True)
class _Deployed:
    """What only the state says, by label: how to connect to databases, what buckets and their keys are, host keys.

    `births` are the host keys of servers at their birth. `host_keys` are by environment those that its servers were
    given last.
    """

    databases: Mapping[str, Mapping[str, Any]]
    buckets: Mapping[str, Mapping[str, Any]]
    bucket_keys: Mapping[str, Mapping[str, Any]]
    births: Mapping[str, str]
    host_keys: Mapping[str, str]

    @classmethod
    def of(cls, project: Project) -> "_Deployed":
        found = [each for each in engine.resources(project, show_secrets=True) if not each.get("delete")]
        servers = [each for each in found if each["type"] == _SERVER]

        def of(type_: str) -> dict[str, Mapping[str, Any]]:
            return {each["outputs"]["label"]: each["outputs"] for each in found if each["type"] == type_}

        return cls(
            {label: outfit.connection(database) for label, database in of(guards.DATABASE).items()},
            of(_BUCKET),
            of(_BUCKET_KEY),
            {each["inputs"]["label"]: key for each in servers if (key := _born_with(each["inputs"]))},
            applied.host_keys(project),
        )

    def copied(self, stack: Stack) -> dict[str, outfit.Copied]:
        """Return by environment what the ops server copies; what the last update did not make is not there."""
        made = {}
        for name in outfit.copying(stack):
            environment = stack.environments[name]
            parts = stack.label, environment.label
            database = self.databases.get(labels.database(*parts, environment.database.serves))
            bucket = self.buckets.get(labels.copies_bucket(*parts))
            key = self.bucket_keys.get(labels.copies_key(*parts))
            if database and bucket and key:
                made[name] = outfit.Copied(database, outfit.store(bucket, key))
        return made


def _born_with(inputs: Mapping[str, Any]) -> str | None:
    """Return the public half of the host key in a server's user data."""
    # One that was taken over while something of its user data was still to be made has none in the state.
    data = base64.b64decode((inputs.get("metadatas") or [{}])[0].get("userData", ""))
    text = gzip.decompress(data) if data.startswith(_GZIP) else data
    found = re.search(r"ed25519_private: \|\n((?: +\S.*\n)+)", text.decode())
    return _public(textwrap.dedent(found[1])) if found else None


def _public(host_key: str) -> str:
    """Return the public half of a host key: `ssh-ed25519 <base64>`."""
    try:
        key = serialization.load_ssh_private_key(host_key.strip().encode() + b"\n", None)
    except ValueError:
        raise Failed("the SSH host key of an environment can't be read; set it again with ./inv setup") from None
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return re.sub(r"\s+\S*@\S*$", "", public.decode())
