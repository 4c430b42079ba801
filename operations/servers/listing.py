"""Which server runs what: asked from the servers themselves, and from their balancers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Column, Table

from operations import engine, runs, stacks
from operations.alarms import Job
from operations.incidents import Incident
from operations.servers import apply, fleet, reach, rolling
from operations.servers.fleet import Fleet, Member
from operations.servers.nodes import Node, Nodes
from operations.servers.remote import Endpoint, ScriptError, Unreachable


@dataclass(frozen=True)
class Row:
    """A server: what it runs, whether that is what it is to run, and how it does.

    `due` are the files that `servers.apply` would write, `health` what the application answers on the server itself,
    `balancer` its mode and status there; "" where it has none.
    """

    server: str
    environment: str
    role: str
    generation: int | None
    address: str
    image: str
    due: tuple[str, ...]
    health: str
    balancer: str
    healthy: bool


def report(root: Path, wanted: str, *, on_sandbox: bool, healthy: bool = False) -> tuple[int, dict[str, list[Row]]]:
    """Return the servers by stack; and 1 where all have to be healthy, and one is not.

    Raises:
        Refused, Failed.
    """
    chosen = stacks.select(root, wanted)
    found = {
        project.stack: _rows(fleet.load(project, chosen[project.stack]))
        for project in runs.for_servers(root, chosen, on_sandbox=on_sandbox)
    }
    is_sick = any(not row.healthy for rows in found.values() for row in rows)
    return engine.FAILED if healthy and is_sick else 0, found


def tell(job: Job, found: Mapping[str, Sequence[Row]]) -> None:
    """Report the servers of each stack that are not healthy."""
    for stack, rows in found.items():
        sick = [
            f"  {row.server}: {row.health}, {row.balancer or 'behind no balancer'}" for row in rows if not row.healthy
        ]
        incident = Incident(
            f"servers {stack}",
            f"{stack}: {len(sick)} of {len(rows)} servers are not healthy",
            f"`{job.command(f'servers.list {stack}')}` shows what each runs, and how it does.",
            "every server is",
            "\n".join(sick),
        )
        job.report(stack, incident.key, [incident] if sick else [])


def data(found: Mapping[str, Sequence[Row]]) -> dict[str, list[dict[str, object]]]:
    """Return the report for programs."""
    return {stack: [asdict(row) for row in rows] for stack, rows in found.items()}


def table(found: Mapping[str, Sequence[Row]]) -> Table:
    """Return the report for people."""
    shown = Table(Column("Server", no_wrap=True), "Address", "Image", "Apply due", "Health", "Balancer")
    for rows in found.values():
        for row in rows:
            image = row.image.rpartition("sha256:")[2][: apply.DIGITS]
            due = f"{len(row.due)} files" if row.due else ""
            style = "" if row.healthy else "red"
            shown.add_row(row.server, row.address, image, due, row.health, row.balancer, style=style)
        shown.add_section()
    return shown


def _rows(servers: Fleet) -> list[Row]:
    nodes, endpoint = Nodes(servers).all(), reach.endpoints(servers.project)
    rows = servers.at_once(lambda member: _row(member, endpoint(member), nodes.get(member.label)))
    return list(rows.values())


def _row(member: Member, endpoint: Endpoint, node: Node | None) -> Row:
    image, health = "", "well"
    due: tuple[str, ...] = ()
    try:
        with rolling.connected(member, endpoint) as remote:
            held = apply.held(member, remote)
            image, due = held.image, tuple(file.path for file in held.lacks(member.files))
            if member.health:
                health = rolling.health(member, remote) or health
    except Unreachable as reason:
        health = f"no SSH: {reason}"
    except ScriptError as reason:
        health = f"a command failed: {reason}"
    return Row(
        member.label,
        member.place.environment,
        member.place.role,
        member.generation,
        member.address,
        image,
        due,
        health,
        f"{node.mode}, {node.status}" if node else "",
        healthy=health == "well" and (node is None or node.serves),
    )
