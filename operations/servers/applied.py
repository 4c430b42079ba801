"""What the servers of a stack were last given, remembered beside its state: so `up` can say that an apply is due.

The stack's output `contents` has, by environment and role, a digest of what servers are to hold; `opsContents` that of
an ops server which makes copies. The tag `applied` of the stack has the digests that servers were born with, or were
given by `servers.apply` since. An ops server is not born with all: the rest of the copies' program is only given. The
tag `host-keys` has, by environment, the public SSH host key that all of them were given last, for while the next is on
its way to them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from components import outfit
from operations import engine, notes
from operations.project import Project

TAG, HOST_KEYS = "applied", "host-keys"
_DIGITS = 12  # of a digest: enough to tell one content from the next
_IN_DOUBT = "unknown"
Group = tuple[str, str]
_OPS: Group = ("", outfit.OPS)


def tell(project: Project, say: Callable[[str], None]) -> None:
    """After an update, say which servers hold what was configured before. Those of a new role were born with it.

    Raises:
        Failed: the engine does not answer.
    """
    wanted, applied = _wanted(project), _read(project)
    if new := {group: digest for group, digest in wanted.items() if group not in {*applied, _OPS}}:
        _write(project, {**{group: digest for group, digest in applied.items() if group in wanted}, **new})
    due = [group for group, digest in wanted.items() if {**new, **applied}.get(group) != digest]
    if due:
        last = sorted(due, key=lambda group: (group == _OPS, group))
        names = ", ".join(f"{role} of {environment}" if environment else role for environment, role in last)
        say(f"{project.stack}: servers hold what was configured before: {names}; {project.task('servers.apply')}")


def doubt(project: Project, groups: Collection[Group]) -> None:
    """Remember that nobody knows what servers of some groups, by environment and role, hold.

    Raises:
        Failed: the engine does not answer.
    """
    if groups:
        _write(project, {**_read(project), **dict.fromkeys(groups, _IN_DOUBT)})


def note(project: Project, groups: Collection[Group]) -> None:
    """Remember that all servers of some groups, by environment and role, hold what they are to hold.

    Raises:
        Failed: the engine does not answer.
    """
    wanted = _wanted(project)
    given = {group: wanted[group] for group in groups if group in wanted}
    if given.items() - (applied := _read(project)).items():
        _write(project, {**applied, **given})


def host_keys(project: Project) -> dict[str, str]:
    """Return by environment the host key that all its servers were given last; none where that was at birth.

    Raises:
        Failed: the engine does not answer.
    """
    return notes.read(project, HOST_KEYS)


def note_host_keys(project: Project, keys: Mapping[str, str]) -> None:
    """Remember the host keys, by environment, that all servers of a stack have now.

    Raises:
        Failed: the engine does not answer.
    """
    if keys != host_keys(project):
        notes.write(project, HOST_KEYS, dict(keys))


def group_of(tags: Iterable[str]) -> Group | None:
    """Return whose group, by environment and role, a server is by its tags; None for an ops server."""
    said = dict(each.split(":", 1) for each in tags if ":" in each)
    return (said["environment"], said["role"]) if {"environment", "role"} <= said.keys() else None


def _wanted(project: Project) -> dict[Group, str]:
    outputs = engine.outputs(project, show_secrets=True)
    contents = outputs.get("contents") or {}
    wanted = {(name, role): digest[:_DIGITS] for name, roles in contents.items() for role, digest in roles.items()}
    return {**wanted, **({_OPS: digest[:_DIGITS]} if (digest := outputs.get("opsContents")) else {})}


def _read(project: Project) -> dict[Group, str]:
    applied = notes.read(project, TAG)
    return {(name, role): digest for name, roles in applied.items() for role, digest in roles.items()}


def _write(project: Project, applied: dict[Group, str]) -> None:
    nested: dict[str, dict[str, str]] = {}
    for (name, role), digest in sorted(applied.items()):
        nested.setdefault(name, {})[role] = digest
    notes.write(project, TAG, nested)
