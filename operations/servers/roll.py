"""Rolling a role to another generation of servers: added, proved, the old one drained and removed.

The configuration says which generations there are to be; from the ones that run this goes there over the step that
`up` refuses to leave out: old and new side by side. Each step is found out from what runs, so a run that was cut off
goes on when it is repeated.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from components import settings
from components.settings import STACK_KEY, Stack
from operations import edits, engine, runs, stacks, updates
from operations.console import say
from operations.errors import Failed, Refused
from operations.project import Project
from operations.servers import fleet as fleets
from operations.servers import jobs, reach, rolling
from operations.servers.applied import Group
from operations.servers.births import BORN_WITHIN
from operations.servers.fleet import Member
from operations.servers.jobs import Asked
from operations.servers.nodes import DRAIN, Nodes
from operations.servers.remote import Remote, Unreachable
from operations.servers.rolling import Roll, Work

_TASK = "servers.roll"


@dataclass(frozen=True)
class Change:
    """The generations of a group, by number: those that run, and those that are to."""

    running: tuple[int, ...]
    wanted: tuple[int, ...]

    @property
    def added(self) -> tuple[int, ...]:
        """Those that are to be made."""
        return tuple(each for each in self.wanted if each not in self.running)

    @property
    def removed(self) -> tuple[int, ...]:
        """Those that are to go."""
        return tuple(each for each in self.running if each not in self.wanted)

    @property
    def beside(self) -> tuple[int, ...]:
        """All of them, old ones first."""
        return (*self.running, *self.added)


@dataclass(frozen=True)
class Retirement(Work):
    """An old server leaves its balancer, and stays out."""

    what: str = "out of its balancer, to be removed"
    interrupts: bool = True

    def act(self, remote: Remote) -> str:
        """Nothing: it is out."""
        del remote
        return "out of its balancer"


def roll(root: Path, wanted: str, asked: Asked, *, local_state: bool) -> int:
    """Bring a role of stacks to the generations that the configuration says; return the exit code.

    Raises:
        Refused: no role is named, or a group would have no generation in common with a proved one.
        Failed: new servers do not become healthy, or the engine or a cloud does not answer.
    """
    if asked.role is None:
        raise Refused("servers.roll: name the role, --role ROLE")
    updates.require_consent(f"{_TASK} {wanted} --role {asked.role}", on_sandbox=asked.on_sandbox, yes=asked.yes)
    chosen = stacks.select(root, wanted)
    for project in runs.for_servers(root, chosen, on_sandbox=asked.on_sandbox, local_state=local_state):
        if code := _Rolling(project, chosen[project.stack], asked, local_state).run():
            say(f"{project.stack}: stopped there; `{project.task(_TASK)} --role {asked.role}` goes on")
            return code
    return 0


@dataclass(frozen=True)
class _Rolling:
    """A role of one stack on its way to other generations."""

    project: Project
    stack: Stack
    asked: Asked
    local_state: bool

    def run(self) -> int:
        changes = dict(_changes(self.project, self.stack))
        mine = {group: change for group, change in changes.items() if group[1] == self.asked.role}
        others = {group: change.running for group, change in changes.items() if group not in mine}
        if not mine:
            say(f"{self.project.stack}: the generations of {self.asked.role} that are to run do; nothing is due")
            return 0
        for (environment, role), change in mine.items():
            say(f"{self.project.stack}: {environment}, {role}: generations {change.running} become {change.wanted}")
        if any(change.added for change in mine.values()):
            beside = {group: change.beside for group, change in mine.items()}
            if code := self._up({**others, **beside}):
                return code
        self._prove(mine)
        if code := self._retire(mine):
            return code
        return self._up(others)

    def _up(self, generations: Mapping[Group, tuple[int, ...]]) -> int:
        """Update the stack with other generations than the configuration's, for some groups."""
        agreed = updates.Agreed(self.asked.yes, self.local_state)
        with _configuration(self.project, generations) as file:
            return updates.bring_up(self.project, agreed, "--config-file", str(file))

    def _prove(self, changes: Mapping[Group, Change]) -> None:
        """Wait until every server that is to stay is healthy, and gets connections.

        Raises:
            Failed: one is not.
        """
        servers = self._servers(changes, lambda change: change.wanted)
        patience = rolling.patience(servers)
        if not self.project.sandbox:
            patience = replace(patience, healthy=BORN_WITHIN)
        sick = Roll(servers, lambda *_: None, reach.endpoints(self.project), patience=patience).sick()
        if sick:
            raise Failed(
                f"{self.project.stack}: the new generation is not proved: "
                + "; ".join(f"{label}: {said}" for label, said in sick.items())
                + f". The old one serves on; mend it, or put the generations of {self.asked.role} back"
            )
        say(f"{self.project.stack}: {len(servers.members)} servers of the new generation are healthy")

    def _retire(self, changes: Mapping[Group, Change]) -> int:
        """Take the servers that are to go out of their balancers, one after the other."""
        servers = self._servers(changes, lambda change: change.removed)
        if not servers.members:
            return 0
        endpoints, patience = reach.endpoints(self.project), rolling.patience(servers)
        loop = Roll(servers, lambda *_: Retirement(), endpoints, patience=patience, admit=False)
        silent = [label for label, due in loop.due().items() if isinstance(due, Unreachable)]
        nodes = Nodes(servers)
        for member in servers.members:  # nothing can be waited for on these
            if member.label in silent and (node := nodes.of(member.group).get(member.label)):
                nodes.set(node, DRAIN)
                say(f"{member.label}: does not answer over SSH; it is taken out of its balancer all the same")
        loop = replace(loop, fleet=servers.of(lambda member: member.label not in silent))
        command = f"{self.project.task(_TASK)} --role {self.asked.role}"
        return jobs.carry_out(self.project, loop, command, yes=self.asked.yes)

    def _servers(
        self, changes: Mapping[Group, Change], generations: Callable[[Change], tuple[int, ...]]
    ) -> fleets.Fleet:
        def wanted(member: Member) -> bool:
            change = changes.get(member.group)
            return change is not None and member.generation in generations(change)

        return fleets.load(self.project, self.stack, self.asked.role).of(wanted)


def _changes(project: Project, stack: Stack) -> Iterator[tuple[Group, Change]]:
    """Yield the groups whose generations are to change."""
    deployed = engine.outputs(project).get("generations") or {}
    for environment, _, role, group in stack.groups():
        running = tuple(sorted(map(int, deployed.get(environment, {}).get(role, {}))))
        if running and set(running) != set(group.generations):
            yield (environment, role), Change(running, group.generations)


@contextmanager
def _configuration(project: Project, generations: Mapping[Group, tuple[int, ...]]) -> Iterator[Path]:
    """Yield a stack file as the stack's own is, but for the generations of some groups; for its owner only."""
    content = yaml.safe_load(project.stack_file.read_text(encoding="utf-8"))
    for (environment, role), numbers in generations.items():
        above = {"environments": {environment: {"groups": {role: {"generations": list(numbers)}}}}}
        content["config"][STACK_KEY] = settings.lay_over(content["config"][STACK_KEY], above)
    file = project.folder / f".{settings.stack_file(project.stack)}.{os.getpid()}.yaml"
    edits.write_private(file, yaml.safe_dump(content, sort_keys=False))
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
