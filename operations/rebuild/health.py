"""Whether a region serves: real requests at its balancers, as they come in from outside."""

import http.client
import socket
import ssl
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from components.settings import PROJECT, Stack
from operations import clouds, edits, engine, sandbox
from operations.errors import Failed
from operations.project import Project
from sandbox.machines import Endpoint

PORT = 443
GOOD = range(200, 300)
ANSWERS_WITHIN = 10.0  # seconds, for one request
PATIENCE, ASKS = {True: 120.0, False: 900.0}, {True: 0.5, False: 5.0}
"""Seconds until all have to serve, and between two requests; by whether it is the sandbox."""

NAMELESS = "balancer.invalid"
"""Whom a balancer is asked for that serves any name: behind a client certificate, SNI and Host have to be the same."""

Place = tuple[str, str]
"""What a balancer is of: environment and role."""

Said = int | str
"""A status, or why there is none."""


@dataclass(frozen=True)
class Door:
    """Where a balancer takes connections, and for which name its servers answer; None is any."""

    at: Endpoint
    host: str | None


def wait(
    project: Project, stack: Stack, source: Project, asked: Mapping[Place, bool] | None = None
) -> dict[str, dict[str, Said]]:
    """Wait until the balancers of a stack answer their health path well.

    `asked` are those that are asked, and whether they have to serve; without it, all have to. `source` has the client
    certificate that the servers require. Return by environment and role what each said.

    Raises:
        Failed: one that has to serve does not, with what it said last, or is not there.
    """
    doors = {place: door for place, door in _doors(project, stack).items() if asked is None or place in asked}
    required = doors if asked is None else [place for place, has_to in asked.items() if has_to]
    contexts = {} if project.sandbox else _contexts(project, source)
    until = time.monotonic() + PATIENCE[project.sandbox]
    while True:
        said = {place: ask(door, stack.health.path, contexts.get(bool(door.host))) for place, door in doors.items()}
        sick = {place: said.get(place, "there is none") for place in required if not serves(said.get(place, ""))}
        if not sick:
            break
        if time.monotonic() > until:
            told = "; ".join(f"{role} of {environment}: {each}" for (environment, role), each in sick.items())
            raise Failed(f"{project.stack}: not all balancers serve: {told}")
        time.sleep(ASKS[project.sandbox])
    found: dict[str, dict[str, Said]] = {}
    for (environment, role), each in said.items():
        found.setdefault(environment, {})[role] = each
    return found


def serves(said: Said) -> bool:
    """Whether that is a good answer."""
    return said in GOOD


def ask(door: Door, path: str, context: ssl.SSLContext | None) -> Said:
    """Ask a balancer for a path once, as Cloudflare does for its name."""
    name = door.host or NAMELESS
    try:
        with (
            socket.create_connection((door.at.host, door.at.port), ANSWERS_WITHIN) as plain,
            closing(http.client.HTTPConnection(name)) as connection,
        ):
            connection.sock = context.wrap_socket(plain, server_hostname=name) if context else plain
            connection.request("GET", path)
            return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{error}" or type(error).__name__


def tls(certificate: str, client: str, *, named: bool) -> ssl.SSLContext:
    """Return what speaks to servers as Cloudflare does: with a client certificate and its key, and knows their own.

    `named`: the certificate has to be for the name that is asked for.
    """
    context = ssl.create_default_context(cadata=certificate)
    context.check_hostname = named
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with tempfile.TemporaryDirectory() as folder:  # a certificate is taken from a file only
        file = Path(folder, "client.pem")
        edits.write_private(file, client)
        context.load_cert_chain(file)
    return context


def _doors(project: Project, stack: Stack) -> dict[Place, Door]:
    """Return the balancers of a stack: those of the sandbox are played by machines."""
    told = engine.outputs(project).get("balancers") or {}
    played = sandbox.machines(project.root, lambda _: None).balancers if project.sandbox else {}
    return {
        (environment, role): Door(
            played[address] if project.sandbox else Endpoint(address, PORT), stack.host(environment, role)
        )
        for environment, roles in told.items()
        for role, address in roles.items()
    }


def _contexts(project: Project, source: Project) -> dict[bool, ssl.SSLContext]:
    """Return how a stack's servers are spoken to, by whether a name is served there."""
    values = clouds.configuration(source)
    theirs = values if project == source else clouds.configuration(project)
    client = "\n".join(values[f"{PROJECT}:{name}"] for name in ("pullCertificate", "pullKey"))
    certificate = theirs[f"{PROJECT}:originCertificate"]
    return {named: tls(certificate, client, named=named) for named in (True, False)}
