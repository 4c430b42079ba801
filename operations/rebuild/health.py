"""Whether a region serves: real requests at its balancers, as they come in from outside."""

import http.client
import ssl
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import closing
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

Place = tuple[str, str]
"""What a balancer is of: environment and role."""

Doors = Mapping[Place, Endpoint]
"""Where balancers take connections."""


def wait(
    project: Project, stack: Stack, source: Project, wanted: Collection[Place] | None = None
) -> dict[str, dict[str, int]]:
    """Wait until balancers of a stack, all or the wanted ones, answer their health path well.

    `source` has the client certificate that the servers require. Return the statuses by environment and role.

    Raises:
        Failed: one does not, with what it said last.
    """
    doors = {place: door for place, door in _doors(project).items() if wanted is None or place in wanted}
    context = None if project.sandbox else _context(project, source)
    until = time.monotonic() + PATIENCE[project.sandbox]
    while True:
        said = {place: ask(door, stack.health.path, context) for place, door in doors.items()}
        sick = {place: each for place, each in said.items() if each not in GOOD}
        if not sick:
            break
        if time.monotonic() > until:
            told = "; ".join(f"{role} of {environment}: {each}" for (environment, role), each in sick.items())
            raise Failed(f"{project.stack}: not all balancers serve: {told}")
        time.sleep(ASKS[project.sandbox])
    statuses: dict[str, dict[str, int]] = {}
    for (environment, role), status in said.items():
        statuses.setdefault(environment, {})[role] = int(status)
    return statuses


def ask(door: Endpoint, path: str, context: ssl.SSLContext | None) -> int | str:
    """Ask for a path once; return the status, or why there is none."""
    if context:
        connection = http.client.HTTPSConnection(door.host, door.port, timeout=ANSWERS_WITHIN, context=context)
    else:
        connection = http.client.HTTPConnection(door.host, door.port, timeout=ANSWERS_WITHIN)  # type: ignore[assignment]
    with closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"{error}" or type(error).__name__


def _doors(project: Project) -> Doors:
    """Return where the balancers of a stack listen: those of the sandbox are played by machines."""
    told = engine.outputs(project).get("balancers") or {}
    addresses = {(name, role): address for name, roles in told.items() for role, address in roles.items()}
    if not project.sandbox:
        return {place: Endpoint(address, PORT) for place, address in addresses.items()}
    played = sandbox.machines(project.root, lambda _: None).balancers
    return {place: played[address] for place, address in addresses.items()}


def _context(project: Project, source: Project) -> ssl.SSLContext:
    """Return what speaks to servers as Cloudflare does, and knows them by their own certificate."""
    values = clouds.configuration(source)
    theirs = values if project == source else clouds.configuration(project)
    context = ssl.create_default_context(cadata=theirs[f"{PROJECT}:originCertificate"])
    context.check_hostname = False  # a balancer is asked by its address
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with tempfile.TemporaryDirectory() as folder:  # a certificate is taken from a file only
        file = Path(folder, "client.pem")
        edits.write_private(file, "\n".join(values[f"{PROJECT}:{name}"] for name in ("pullCertificate", "pullKey")))
        context.load_cert_chain(file)
    return context
