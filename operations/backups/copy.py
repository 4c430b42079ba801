"""A copy by hand: of a database now, or of its newest copy into the second bucket."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from components.settings import Stack
from operations import runs, stacks
from operations.backups import reach, second
from operations.errors import Failed
from operations.project import Project

Work = Callable[[Project, Stack, str], dict[str, Any]]
"""From an environment to the copy that is there now, as the program tells it."""


def now(root: Path, wanted: str, environment: str = "", *, on_sandbox: bool) -> Iterator[str]:
    """Make a copy of each database, or of one environment's; yield what is to be told of each, once it is made.

    Raises:
        Refused: the configuration is wrong, or the environment has no copies.
        Failed: at the end, where one could not be made.
    """

    def make(project: Project, stack: Stack, name: str) -> dict[str, Any]:
        return dict(reach.program(project, stack)(name, "copy", "--by-hand").found)

    return _each(root, wanted, environment, make, on_sandbox=on_sandbox)


def again(root: Path, wanted: str, environment: str = "", back: str = "", *, on_sandbox: bool) -> Iterator[str]:
    """Bring the newest copy of each database into its second bucket, or one `back` from there, by its id.

    Yields and raises as `now` does; refused as well where this machine is outside the jurisdiction.
    """

    def bring(project: Project, stack: Stack, name: str) -> dict[str, Any]:
        answer = second.give_back(project, stack, name, back) if back else second.pull(project, stack, name)
        return dict(answer.found["copy"])

    if not on_sandbox:
        second.require_within(stacks.select(root, wanted))
    return _each(root, wanted, environment, bring, on_sandbox=on_sandbox)


def _each(root: Path, wanted: str, environment: str, work: Work, *, on_sandbox: bool) -> Iterator[str]:
    chosen, failures = stacks.select(root, wanted), []
    for project in runs.for_servers(root, chosen, on_sandbox=on_sandbox):
        for name in reach.environments(project, chosen[project.stack], environment):
            try:
                copy = work(project, chosen[project.stack], name)
            except Failed as error:  # keeps no other from being made
                failures.append(str(error.message))
            else:
                yield (
                    f"{project.stack}: {name}: the copy {copy['id']} of {copy['taken']} is there: {copy['rows']} rows, "
                    f"{decimal(copy['size'])}"
                )
    if failures:
        raise Failed("\n".join(failures))
