"""The applications that write into a database: stopped while another takes its place, then started with that one."""

from components.settings import Stack
from operations.console import say
from operations.errors import Failed
from operations.project import Project
from operations.servers import applied, jobs, reach, rolling
from operations.servers import apply as applying
from operations.servers import fleet as fleets
from operations.servers.fleet import OPS, Fleet
from operations.servers.remote import Unreachable
from operations.servers.rolling import Roll


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


def start(project: Project, stack: Stack, environment: str, command: str) -> None:
    """Give servers the database that serves now, start the applications, and wait until they are healthy.

    `command` is what goes on where that fails.

    Raises:
        Failed: a server can't be reached, or is not healthy.
    """
    fleet, endpoint = _users(project, stack, environment), reach.endpoints(project)
    groups = {group for group, _ in fleet.groups()}
    everybody = fleets.load(project, stack).of(lambda each: each.group in groups or each.place.role == OPS)
    # Nobody serves, so nobody is missed: all at once.
    roll = Roll(everybody, applying.look, endpoint, len(everybody.members), rolling.patience(everybody))
    if jobs.carry_out(project, roll, command, yes=True):
        raise Failed(f"{project.stack}: not all servers of {environment} have the address of the database that serves")
    applied.note(project, [group for group, _ in everybody.groups()])
    fleet.at_once(lambda each: rolling.ask(each, endpoint(each), lambda remote: remote.run(rolling.START)))
    if sick := Roll(fleet, lambda *_: None, endpoint, patience=rolling.patience(fleet)).sick():
        raise Failed(
            f"{project.stack}: not healthy with the database that serves: "
            + "; ".join(f"{label}: {said}" for label, said in sick.items())
        )
    say(f"{project.stack}: {environment}: {len(fleet.members)} servers are healthy")


def _users(project: Project, stack: Stack, environment: str) -> Fleet:
    """Return the servers of an environment whose role has the database."""
    return fleets.load(project, stack).of(
        lambda each: each.place.environment == environment and stack.roles[each.place.role].database
    )
