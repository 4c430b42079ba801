"""The last copies of a stack's databases, and new databases that get them back."""

from collections.abc import Mapping
from typing import Any

from components import labels
from components.settings import Stack
from operations import clouds, engine
from operations.backups import reach
from operations.backups.contents import Contents
from operations.errors import Refused
from operations.project import Project


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
    known = {each: Contents(project, stack, each, program).copies() for each in environments(stack)}
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
        Failed: it does not come back as it was.
    """
    environment = held.stack.environments[held.environment]
    generation = environment.database.serves
    label = labels.database(held.stack.label, environment.label, generation)
    client, path = clouds.connect(held.project).platform, "/databases/postgresql/instances"
    (found,) = (each for each in clouds.pages(client, path) if each["label"] == label)
    client.put(f"{path}/{found['id']}", data={"allow_list": [f"{engine.outputs(at_work)['ops']}/32"]})
    return held.fill(generation, copy)
