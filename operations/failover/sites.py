"""The sites of a front: the stacks that can serve its names, which of them does, and the journal of a move.

The journal is the front's stack file: its section `failover` says which site is active, and which move is under way.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import labels, settings
from components.settings import STACK_KEY, Stack
from components.topology import Failover, Moving
from operations import edits, engine, runs, stacks
from operations.errors import Refused
from operations.project import Project

STATEFUL = "stateful"
_ALONE = Failover(detect_within=3600)  # what a front without the section says of moves: nothing


@dataclass(frozen=True)
class Site:
    """A stack as a site: its settings, those of its size now, and where the engine runs for it."""

    stack: Stack
    project: Project

    @property
    def name(self) -> str:
        """The site's name, which is the stack's."""
        return self.project.stack


@dataclass(frozen=True)
class Name:
    """A name that the front balances over sites."""

    environment: str
    role: str
    host: str
    stateful: bool


@dataclass(frozen=True)
class Sites:
    """A front with its sites, as the files say now.

    `members` are by name its sites in the jurisdiction, the front's own first. Others serve what has no data: nothing
    is moved there, and nothing of the front's is told to them.
    """

    root: Path
    front: Site
    failover: Failover
    members: Mapping[str, Site]
    local_state: bool = True

    @classmethod
    def read(
        cls, root: Path, wanted: str, *, on_sandbox: bool, local_state: bool = True, alone: bool = False
    ) -> "Sites":
        """Return the sites of a front, by its stack's name or that of one of its standbys.

        Nothing but files and states is read, so that it works whatever is down. `local_state` allows to change real
        accounts with a state that only this machine has, `alone` a front that has no other sites.

        Raises:
            Refused: the configuration is wrong, or the stack has no front with other sites.
            Failed: the engine does not answer.
        """
        chosen = stacks.select(root, wanted)
        if len(chosen) != 1:
            raise Refused(f"{wanted}: names move between the sites of one front; name one stack")
        ((name, stack),) = chosen.items()
        front = stack.standby.of if stack.standby else name
        front_stack = stacks.select(root, front)[front]
        if not front_stack.has_front:
            raise Refused(f"{settings.stack_file(front)}: {STACK_KEY}.zone: it has none, so no names that could move")
        if not front_stack.other_sites() and not alone:
            raise Refused(
                f"{settings.stack_file(front)}: {STACK_KEY}.failover: it names no other sites, so nothing can move; "
                "docs/sites.md says how a standby is declared"
            )
        within = [name for name, site in front_stack.sites(front).items() if front_stack.is_inside(site)]
        known = stacks.select(root, ",".join(within))
        projects = runs.for_servers(root, known, on_sandbox=on_sandbox, local_state=local_state)
        members = {each.stack: Site(known[each.stack], each) for each in projects}
        return cls(root, members[front], front_stack.failover or _ALONE, members, local_state)

    @property
    def active(self) -> Site:
        """The site that serves the stateful names."""
        return self.members[self.front.stack.active(self.front.name)]

    @property
    def home(self) -> Site:
        """The site that is the primary by decision."""
        return self.members[self.front.stack.home(self.front.name)]

    @property
    def moving(self) -> Moving | None:
        """The move that is under way, if one is."""
        return self.failover.moving

    @property
    def since(self) -> dt.datetime | None:
        """From when the active site serves: its copies of before are of other data. None where nothing moved yet."""
        return labels.moment_of(self.failover.since) if self.failover.since else None

    def names(self) -> Iterator[Name]:
        """Yield every name that the front balances over sites."""
        for environment, role, host in self.front.stack.names():
            yield Name(environment, role, host, self.front.stack.roles[role].state == STATEFUL)

    def addresses(self, of: Site) -> dict[str, dict[str, str]]:
        """Return the addresses of a site's balancers that serve the front's names, by environment and role.

        Raises:
            Failed: the engine does not answer.
        """
        balancers, found = engine.outputs(of.project).get("balancers") or {}, dict[str, dict[str, str]]()
        for name in self.names():
            if address := balancers.get(name.environment, {}).get(name.role):
                found.setdefault(name.environment, {})[name.role] = address
        return found

    def environments(self) -> list[str]:
        """Return the environments whose data moves: those that have stateful names."""
        return list(dict.fromkeys(name.environment for name in self.names() if name.stateful))

    def destination(self, wanted: str = "") -> Site:
        """Return the site that the stateful names are to move to: the wanted one, or the only other one.

        Raises:
            Refused: there is no such site, it is active already, or it is outside the jurisdiction.
        """
        others = [name for name in self.members if name != self.active.name]
        if wanted and wanted == self.active.name:
            raise Refused(f"{self.front.name}: {wanted} serves the stateful names already")
        if wanted in self.failover.sites and wanted not in self.members:
            where = self.front.stack.jurisdiction
            raise Refused(f"{self.front.name}: {wanted} is outside '{where}', which stateful names never leave")
        if wanted in others:
            return self.members[wanted]
        if self.active.name != self.home.name and not wanted:  # a move that is repeated once it is done moves nothing
            home = self.front.project.task("failover.failback")
            raise Refused(
                f"{self.front.name}: {self.active.name} serves the stateful names. `{home}` goes back to "
                f"{self.home.name} with every row; --to says another site"
            )
        if wanted or len(others) != 1:
            raise Refused(f"{self.front.name}: --to: say one of {', '.join(others) or 'none: no other site is there'}")
        return self.members[others[0]]

    def again(self) -> "Sites":
        """Return them as the files say by now; raises as `read` does."""
        on_sandbox = self.front.project.sandbox
        return self.read(self.root, self.front.name, on_sandbox=on_sandbox, local_state=self.local_state)

    def written(self, **values: Any) -> "Sites":
        """Write keys of the failover section into the front's stack file, None takes one away; return what it says.

        Raises:
            Refused: they would be wrong; the file is as it was.
        """
        return self.said_of(self.front, {("failover",): values})

    def said_of(self, site: Site, said: Mapping[tuple[str, ...], Mapping[str, Any]]) -> "Sites":
        """Write keys, by their place in a site's settings, into its stack file; return what the files say then.

        Raises:
            Refused: they would be wrong; the file is as it was.
        """
        path = self.root / settings.stack_file(site.name)
        text = path.read_text(encoding="utf-8")
        for place, values in said.items():
            text = edits.with_values(text, ("config", STACK_KEY, *place), values)
        return edits.tried(path, text, self.again)
