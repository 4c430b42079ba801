"""Where servers are reached: at their own addresses, or, of the sandbox's, at the machines that play them."""

from collections.abc import Callable

from operations import sandbox
from operations.console import say
from operations.project import Project
from operations.servers.fleet import Member
from operations.servers.remote import Endpoint


def endpoints(project: Project) -> Callable[[Member], Endpoint]:
    """Return what tells where a server's SSH is. A sandbox's machines are started, and play those that run now.

    Raises:
        Failed: the machines don't start.
    """
    if not project.sandbox:
        return lambda member: Endpoint(member.address)
    found = sandbox.machines(project.root, say)

    def of(member: Member) -> Endpoint:
        at = found.ssh.get(member.address)
        # Port 9 (discard) of the loopback answers nobody: the server is not there, as for a real one.
        return Endpoint(at.host, at.port, at.user, found.key) if at else Endpoint("127.0.0.1", 9, key=found.key)

    return of
