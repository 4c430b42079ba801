"""The applications that write into a database: stopped while another takes its place, then started with that one."""

from dataclasses import replace

from components.settings import Stack
from operations.console import say
from operations.errors import Failed
from operations.project import Project
from operations.servers import applied, jobs, reach, rolling
from operations.servers import apply as applying
from operations.servers import fleet as fleets
from operations.servers.fleet import OPS, Fleet
from operations.servers.remote import Unreachable
from operations.servers.rolling import Roll, Work


def stop(project: Project, stack: Stack, environment: str) -> list[str]:
    """Stop the applications that use an environment's database, on all their servers at once.

    The servers that can't be reached are said, and returned: what these write reaches nothing any more once another
    database serves.

    Raises:
        Failed: an application does not stop, or a server shows another host key or lets nobody in.
    """
    fleet, endpoint = _users(project, stack, environment), reach.endpoints(project)
    answers = fleet.at_once(lambda each: rolling.ask(each, endpoint(each), lambda remote: remote.run(rolling.STOP_ALL)))
    for label, answer in answers.items():
        if isinstance(answer, Unreachable):
            say(f"{label}: does not answer over SSH ({answer}); it is left to the allow list of the old database")
    silent = [label for label, answer in answers.items() if isinstance(answer, Unreachable)]
    stopped = len(fleet.members) - len(silent)
    say(f"{project.stack}: {environment}: stopped what uses the database, on {stopped} servers")
    return silent


def start(project: Project, stack: Stack, environment: str, command: str) -> list[str]:
    """Give servers the database that serves now, start the applications, and wait until they are healthy.

    A server that can't be reached, does not take it or is not healthy is said, and returned, and keeps no other from
    serving. `command` is what goes on where that fails.

    Raises:
        Failed: a role has no healthy server, or one shows another host key or lets nobody in.
    """
    fleet, endpoint = _users(project, stack, environment), reach.endpoints(project)
    groups = {group for group, _ in fleet.groups()}
    everybody = fleets.load(project, stack).of(lambda each: each.group in groups or each.place.role == OPS)
    # Nobody serves, so nobody is missed: all of a group at once, and the other groups whatever became of it.
    roll = Roll(everybody, applying.look, endpoint, len(everybody.members), rolling.patience(everybody))
    for _, members in everybody.groups():
        jobs.carry_out(project, replace(roll, fleet=replace(everybody, members=members)), command, yes=True)
    ill = {label: _said(due) for label, due in roll.due().items() if due is not None}
    able = fleet.of(lambda each: each.label not in ill)
    able.at_once(lambda each: rolling.ask(each, endpoint(each), lambda remote: remote.run(f"{rolling.START} || true")))
    sick = Roll(able, lambda *_: None, endpoint, patience=rolling.patience(fleet)).sick()
    ill |= sick
    applied.note(project, [group for group, members in everybody.groups() if not any(m.label in ill for m in members)])
    if gone := fleet.lost(ill):
        raise Failed(
            f"{project.stack}: no server of {gone} is healthy with the database that serves: "
            + "; ".join(f"{label}: {why}" for label, why in ill.items())
        )
    for label, why in ill.items():
        say(f"{label}: is left as it is: {why}; once it is mended, {project.task('servers.apply')}")
    say(f"{project.stack}: {environment}: {len(able.members) - len(sick)} servers are healthy")
    return [*ill]


def _said(due: Work | Unreachable) -> str:
    """Return what is wrong with a server on which something is still due."""
    return f"does not answer over SSH ({due})" if isinstance(due, Unreachable) else f"does not have {due.what}"


def _users(project: Project, stack: Stack, environment: str) -> Fleet:
    """Return the servers of an environment whose role has the database."""
    return fleets.load(project, stack).of(
        lambda each: each.place.environment == environment and stack.roles[each.place.role].database
    )
