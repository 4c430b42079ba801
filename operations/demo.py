"""The demonstration: every stack up on the sandbox by the real engine, and then nothing left to change."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from components import cost, settings
from components.settings import Stack
from operations import console, engine, policy, runs, stacks, updates
from operations.console import say
from operations.project import Project

NEXT = """
Worth trying next:
  ./inv preview us-central --sandbox   after changing a count or a plan in platform.yaml
  ./inv cost all                       what every part of it costs a month
  ./inv destroy all --sandbox          takes it all away; then ./inv sandbox.stop
"""


@dataclass
class Followed:
    """What a run's events have told so far: each resource's kind by URN, and words for people."""

    kinds: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Take in a line of the engine's output: an event in JSON, or plain words.

        The events are those of `sdk/go/common/apitype/events.go`. Debug messages are left out: they may hold
        secrets.
        """
        if not line.startswith("{"):
            self.said.append(line.rstrip())
            return
        match json.loads(line):
            case {"resOutputsEvent": {"metadata": {"urn": urn, "type": kind, "op": op, "provider": provider}}}:
                if provider and op != "delete":  # a component has no provider
                    self.kinds[urn] = kind.rpartition(":")[2]
            case {"resourcePreEvent": {"metadata": {"urn": urn, "op": op}}} if op != "same":
                self.said.append(f"{op} {urn}")
            case {"policyEvent": {"message": message}}:
                self.said.append(message.rstrip())
            case {"diagnosticEvent": {"severity": severity, "message": message}} if severity != "debug":
                self.said.append(message.rstrip())


@dataclass(frozen=True)
class Row:
    """What the table says of a stack."""

    name: str
    stack: Stack
    kinds: Counter[str]
    seconds: float


def run(root: Path) -> int:
    """Bring all stacks up and preview them again, showing progress; print one table. Return the exit code.

    Raises:
        Refused, Failed.
    """
    chosen = stacks.select(root, stacks.ALL)
    projects = runs.for_up(root, chosen, on_sandbox=True, local_state=True)
    rows = []
    for project in projects:
        updates.go_on(project, updates.Agreed())
        code, followed, seconds = _follow(project, "up", "--yes", "--skip-preview")
        if code:
            return code
        rows.append(Row(project.stack, chosen[project.stack], Counter(followed.kinds.values()), seconds))
    for project in projects:
        code, _, _ = _follow(project, "preview", "--expect-no-changes")
        if code:
            return code
    console.show(_table(rows))
    print(NEXT, end="")
    return 0


def _follow(project: Project, *arguments: str) -> tuple[int, Followed, float]:
    """Run the engine with one line of progress; return exit code, what its events told, and seconds.

    What it said to people is shown only if it failed.
    """
    # Without it a preview prints one JSON document at its end; `up` always prints event after event.
    environment = {**project.environment, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
    began = time.monotonic()
    followed = Followed()
    title = f"{project.stack:<14}{arguments[0]:<9}"

    def progress() -> str:
        return f"{title}{len(followed.kinds):>5} resources{time.monotonic() - began:>7.1f} s"

    with (
        Console(stderr=True).status(title) as status,
        engine.started(
            replace(project, environment=environment),
            *arguments,
            *policy.arguments(project),
            "--json",
            "--non-interactive",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        for line in process.stdout or ():
            followed.take(line)
            status.update(progress())
    code = engine.code(process.returncode)
    say(progress() + (f"   failed, exit code {code}" if code else ""))
    if code:
        say("\n".join([*followed.said, "Once that is mended, `./inv demo` goes on from there."]))
    return code, followed, time.monotonic() - began


def _table(rows: Iterable[Row]) -> Table:
    """Return one row a stack; the long cells share a column, which is as wide as the terminal lets it be."""
    table = Table("Stack", title="On the sandbox: up, and nothing left to change", box=box.SIMPLE_HEAD)
    table.add_column("Resources by kind, and public host names", overflow="fold")
    table.add_column("Seconds", justify="right")
    table.add_column("USD/month", justify="right")
    for row in rows:
        kinds = ", ".join(f"{count} {kind}" for kind, count in row.kinds.most_common())
        hosts = [host for by_role in settings.hosts(row.stack).values() for host in by_role.values()]
        table.add_row(
            row.name,
            f"{row.kinds.total()} resources: {kinds}\n{', '.join(hosts) or 'no public host name'}\n",
            f"{row.seconds:.1f}",
            f"{cost.total(row.stack):,.2f}",
        )
    return table
