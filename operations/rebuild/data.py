"""The last copies of a stack's databases, and new databases that get them back."""

import datetime as dt
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from components import labels
from components.settings import Stack
from operations import clouds, engine
from operations.backups import reach
from operations.backups.contents import Contents, past
from operations.console import say
from operations.errors import Failed, Refused
from operations.project import Project

PATIENCE, ASKS = {True: 60.0, False: 600.0}, {True: 0.5, False: 10.0}
"""Seconds until a database has to let in whom it was told to, and between two attempts; by whether it is the sandbox.

Linode says that such a change takes a while, and not how long."""

_UNREACHED = re.compile(r"connection failed|connection timeout|connection is bad|failed to resolve host")
"""What psycopg says where there is no connection."""

_T = TypeVar("_T")


def environments(stack: Stack) -> list[str]:
    """Return the environments of a stack whose databases have copies."""
    return [name for name, each in stack.environments.items() if stack.copies and each.database.copies]


def newest(project: Project, stack: Stack) -> dict[str, Mapping[str, Any]]:
    """Return by environment the last copy of its database, as the program lists it.

    Raises:
        Refused: there is none, or nothing that could list them.
        Failed: they can't be listed.
    """
    program = reach.program(project, stack)
    now = dt.datetime.now(dt.UTC)  # the clock by which copies are made
    known = {each: past(Contents(project, stack, each, program).copies(), now) for each in environments(stack)}
    if lacking := [environment for environment, copies in known.items() if not copies]:
        raise Refused(
            f"{project.stack}: there is no copy of {', '.join(lacking)} that could be restored; "
            f"{project.task('backups.copy')}"
        )
    return {environment: copies[0] for environment, copies in known.items()}


def restore(at_work: Project, held: Contents, copy: str) -> Mapping[str, Any]:
    """Restore a copy into an environment's new database; return what was compared.

    `at_work` is the stack whose ops server does it. Nobody else reaches the database meanwhile.

    Raises:
        Failed: it can't be reached, or does not come back as it was.
    """
    generation = held.stack.environments[held.environment].database.serves
    let_in(held.project, _label(held, generation), [f"{engine.outputs(at_work)['ops']}/32"])
    return when_reached(lambda: held.fill(generation, copy), on_sandbox=held.project.sandbox)


def _label(held: Contents, generation: int) -> str:
    return labels.database(held.stack.label, held.stack.environments[held.environment].label, generation)


def let_in(project: Project, label: str, addresses: Sequence[str], *, wait: bool = True) -> None:
    """Let exactly these addresses reach a database, and wait until that is so, where that is wanted.

    Raises:
        Failed: Linode refuses it, or does not answer.
    """
    client, path = clouds.connect(project).platform, "/databases/postgresql/instances"
    with clouds.reported(f"{project.stack}: {', '.join(addresses)} can't be let into {label}"):
        found = [each for each in clouds.pages(client, path) if each["label"] == label]
        if not found:
            raise Failed(f"{project.stack}: {label} is not there")
        one = f"{path}/{found[0]['id']}"
        if {*found[0]["allow_list"]} != {*addresses}:
            client.put(one, data={"allow_list": [*addresses]})
        until = time.monotonic() + PATIENCE[project.sandbox]
        while wait and (status := client.get(one)["status"]) != "active":
            if time.monotonic() > until:
                raise Failed(f"{project.stack}: {label} is '{status}' still, and not active")
            time.sleep(ASKS[project.sandbox])


def when_reached(attempt: Callable[[], _T], *, on_sandbox: bool) -> _T:
    """Do what needs a connection; again, for a while, where that can't be made: who is let in is let in a bit later.

    Raises:
        Failed: it still can't be made; anything else fails at once.
    """
    until = time.monotonic() + PATIENCE[on_sandbox]
    while True:
        try:
            return attempt()
        except Failed as error:
            if not _UNREACHED.search(str(error.message)) or time.monotonic() > until:
                raise
            say(f"not reached yet: {error.message}")
        time.sleep(ASKS[on_sandbox])
