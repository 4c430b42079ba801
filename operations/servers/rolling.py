"""The one loop that works through servers: out of the balancer, act, healthy, back in, next.

A group, a role in an environment, never has more of its servers out than it is told. The loop stops at the first server
that does not come back, and leaves it out. What is done is found out from the servers each time, so a run that is
repeated goes on: a server that this loop took out, and nobody put back, has a mark that says so.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from invoke.exceptions import Exit

from operations.console import say
from operations.errors import Failed
from operations.servers.fleet import Fleet, Member
from operations.servers.nodes import ACCEPT, DRAIN, Node, Nodes
from operations.servers.remote import Endpoint, Remote, ScriptError, Unreachable

T = TypeVar("T")
# The mark of a server that is out by this loop; on its disk, as it has to outlive a reboot.
_MARK = 'mark="${DESTDIR-}/var/lib/chat-tonic/out-by-operations"\n'
_IS_MARKED = _MARK + '[ -e "$mark" ] && echo marked || true'
_SET_MARK = _MARK + 'mkdir -p "${mark%/*}"\n: >"$mark"'
_REMOVE_MARK = _MARK + 'rm -f "$mark"'
_CONNECTIONS = "ss -Htn state established '( sport = :443 )' | wc -l"
# Caddy ends the requests that it has, and closes connections that clients keep for later ones, while the application
# still answers.
_STOP = "systemctl stop gate.service caddy.service"
STOP_ALL = f"{_STOP}\nsystemctl stop app.service"
START = "systemctl start app.service caddy.service gate.service"
_IS_HEALTHY = """\
for unit in app caddy gate; do
    systemctl is-active --quiet "$unit.service" || { echo "$unit.service is not active"; return; }
done
curl --silent --noproxy '*' --output /dev/null --max-time 5 --write-out '%{http_code}\n' "$url" | grep -v '^000' || true
"""


@dataclass(frozen=True)
class Patience:
    """Seconds: how long nobody may be connected until a server counts as drained, and how long it is waited for what.

    A balancer takes a moment until it does what its API was told; `quiet` covers that. It finds a server well, or not,
    as soon as its checks are done; so only one that it has found up without a break for `settled` is back.
    """

    quiet: float = 5.0
    drained: float = 120.0
    healthy: float = 300.0
    asks: float = 3.0
    settled: float = 15.0


def patience(fleet: Fleet) -> Patience:
    """Return how long it is waited for a fleet: the sandbox's machines are quick, and checked ten times as often."""
    check = fleet.stack.balancer_check
    checked = check.attempts * (check.interval + check.timeout)
    if fleet.project.sandbox:
        return Patience(quiet=0.5, drained=30.0, healthy=20.0, asks=0.1, settled=check.attempts * check.interval / 10)
    return Patience(settled=float(checked))


class Work(Protocol):
    """What is due on a server, which is taken out of its balancer first where requests would notice.

    Who has nothing to prepare, or to put back, says nothing of it.
    """

    @property
    def what(self) -> str:
        """What is due, in words."""

    @property
    def interrupts(self) -> bool:
        """Whether requests would notice."""

    def prepare(self, remote: Remote) -> None:
        """Do what can be done while the server still serves."""
        del remote

    def act(self, remote: Remote) -> str:
        """Do it; return what became of it, for the report."""

    def undo(self, remote: Remote) -> bool:
        """Put back what was before, where the server did not become healthy; whether there was anything to put back."""
        del remote
        return False

    def proved(self, remote: Remote) -> None:
        """Let go of what was before: the server is healthy with what is now."""
        del remote


Look = Callable[[Member, Remote], Work | None]
"""Says what is due on a server; None for nothing."""


@dataclass(frozen=True)
class Outcome:
    """What became of a server; `good` unless it needs somebody."""

    label: str
    said: str
    good: bool = True


@dataclass(frozen=True)
class _AtWork:
    """The servers of a group that this run took out and has not put back, of which one decides at a time."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    labels: set[str] = field(default_factory=set)


class _Stopped(Exception):  # noqa: N818 - no error: the reason why no further server is begun
    """A server did not come back; it says so."""


@dataclass(frozen=True)
class Roll:
    """One way through a fleet: who does what, how many of a group may be out, how long it is waited."""

    fleet: Fleet
    look: Look
    endpoint: Callable[[Member], Endpoint]
    max_unavailable: int = 1
    patience: Patience = Patience()
    admit: bool = True  # whether servers go back into their balancers afterwards; else they leave for good

    def due(self) -> dict[str, Work | Unreachable | None]:
        """Return by label what is due on each server, all asked at once.

        Raises:
            Failed: a server shows another host key, lets nobody in, or a script failed there.
        """
        return self.fleet.at_once(lambda member: ask(member, self.endpoint(member), partial(self.look, member)))

    def out(self) -> set[str]:
        """Return the labels of the servers that get no new connections, whoever took them out.

        Raises:
            Failed: the cloud does not answer.
        """
        return {label for label, node in Nodes(self.fleet).all().items() if node.mode != ACCEPT}

    def sick(self) -> dict[str, str]:
        """Wait until every server is healthy and its balancer gives it connections; return what is wrong, by label.

        Raises:
            Failed: a cloud does not answer, or a server shows another host key or lets nobody in.
        """

        def one(member: Member) -> str | None:
            with connected(member, self.endpoint(member)) as remote:
                if problem := self._wait_until_healthy(member, remote):
                    return problem
            nodes = Nodes(self.fleet)
            if member.label not in nodes.of(member.group) or self._settles(nodes, member):
                return None
            return "its balancer does not reach it, or it was taken out there"

        return {label: problem for label, problem in self.fleet.at_once(one).items() if problem}

    def run(self) -> list[Outcome]:
        """Go through the fleet; return what became of each server on which anything was due or wrong."""
        nodes = Nodes(self.fleet)
        outcomes: list[Outcome] = []
        for group, members in self.fleet.groups():
            if not self._go_through(nodes, group, members, outcomes):
                break
        return outcomes

    def _go_through(
        self, nodes: Nodes, group: tuple[str, str], members: Sequence[Member], outcomes: list[Outcome]
    ) -> bool:
        """Work on a group's servers, some at once; whether the next group may be begun."""
        stop, at_work = threading.Event(), _AtWork()
        there = nodes.of(group)
        # First those that do not serve: with them back, others may go.
        waiting = sorted(members, key=lambda each: each.label not in there or there[each.label].serves)
        with ThreadPoolExecutor(self.max_unavailable) as pool:
            running: set[Future[Outcome | None]] = set()
            while running or (waiting and not stop.is_set()):
                while waiting and len(running) < self.max_unavailable and not stop.is_set():
                    running.add(pool.submit(self._one, nodes, waiting.pop(0), at_work))
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for each in finished:
                    if (outcome := each.result()) is not None:
                        outcomes.append(outcome)
                        say(f"{outcome.label}: {outcome.said}")
                        if not outcome.good:
                            stop.set()
        return not stop.is_set()

    def _one(self, nodes: Nodes, member: Member, at_work: _AtWork) -> Outcome | None:
        try:
            with connected(member, self.endpoint(member)) as remote, remote.held():
                return self._work_on(nodes, member, remote, at_work)
        except _Stopped as reason:
            return Outcome(member.label, str(reason), good=False)
        except Exit as reason:
            return Outcome(member.label, str(reason.message), good=False)
        except Unreachable as reason:
            return Outcome(member.label, f"does not answer over SSH: {reason}", good=False)
        except ScriptError as reason:
            return Outcome(member.label, f"a command failed: {reason}", good=False)
        finally:
            at_work.labels.discard(member.label)

    def _work_on(self, nodes: Nodes, member: Member, remote: Remote, at_work: _AtWork) -> Outcome | None:
        node = nodes.of(member.group).get(member.label)
        is_ours = bool(remote.run(_IS_MARKED).strip())
        work = self.look(member, remote)
        if work is None and not (is_ours and self.admit):
            return None
        if work is not None:
            work.prepare(remote)
        if node and work is not None and work.interrupts:
            self._take_out(nodes, member, remote, node, at_work)
            is_ours = is_ours or node.mode == ACCEPT
        said, problem = "back in its balancer", None
        if work is not None:
            said, problem = self._act(member, remote, work)
        if node and is_ours and self.admit:
            self._admit(nodes, member, remote)
        elif node and node.mode != ACCEPT and not is_ours:
            said += f"; somebody else set it to '{node.mode}' in its balancer, and so it stays"
        return Outcome(member.label, said, good=problem is None)

    def _act(self, member: Member, remote: Remote, work: Work) -> tuple[str, str | None]:
        """Do the work; return what became of it, and what is wrong now: None, or why the run ends here.

        Raises:
            _Stopped: the server is not healthy, whatever was tried.
        """
        if not work.interrupts:
            return self._act_aside(remote, work), None
        said, problem = self._tried(member, remote, lambda: work.act(remote))
        if problem is None:
            work.proved(remote)
            return said, None
        try:
            undone = work.undo(remote)
        except ScriptError as reason:
            undone, problem = False, f"{problem}; what was before can't be put back ({reason})"
        if not undone:
            raise _Stopped(f"{work.what}; does not become healthy ({problem}), and is left out of its balancer")
        _, again = self._tried(member, remote, lambda: "")
        if again:
            raise _Stopped(
                f"{work.what}; does not become healthy ({problem}), nor with what was before ({again}): it is left "
                "out of its balancer"
            )
        stopped = f"{work.what}; does not become healthy with it ({problem}): what was before is put back"
        return stopped, stopped

    def _act_aside(self, remote: Remote, work: Work) -> str:
        """Do work that no request notices: how the application does says nothing of it.

        Raises:
            _Stopped: a command failed, and what was before is put back.
        """
        try:
            said = work.act(remote)
        except ScriptError as reason:
            undone = "; what was before is put back" if work.undo(remote) else ""
            raise _Stopped(f"{work.what}; a command failed: {reason}{undone}") from None
        work.proved(remote)
        return said

    def _tried(self, member: Member, remote: Remote, act: Callable[[], str]) -> tuple[str, str | None]:
        """Do something on a server and have it serve; return what was said of it, and what is wrong then."""
        try:
            said = act()
            if not self.admit:
                return said, None
            if member.health:
                remote.run(START)
        except ScriptError as reason:
            return "", f"a command failed: {reason}"
        return said, self._wait_until_healthy(member, remote)

    def _take_out(self, nodes: Nodes, member: Member, remote: Remote, node: Node, at_work: _AtWork) -> None:
        """Let a server get no new connections, and wait until those that it has are gone, or for as long as it goes."""
        if node.mode == ACCEPT:
            while not self._leaves(nodes, member, remote, node, at_work):
                time.sleep(self.patience.asks)
        began = quiet_since = time.monotonic()
        while (now_ := time.monotonic()) < began + self.patience.drained:
            if remote.run(_CONNECTIONS).strip() != "0":
                quiet_since = time.monotonic()
            elif now_ - quiet_since >= self.patience.quiet:
                break
            time.sleep(self.patience.asks)
        else:
            say(f"{member.label}: connections are left after {self.patience.drained:.0f} s; idle ones are closed now")
        remote.run(_STOP)

    def _leaves(self, nodes: Nodes, member: Member, remote: Remote, node: Node, at_work: _AtWork) -> bool:
        """Take a server out as soon as enough others serve; whether it is out.

        Raises:
            _Stopped: too many others are out, and this run does not bring them back.
        """
        with at_work.turn:  # the next one counts this one as out
            out = {label for label, each in nodes.of(member.group).items() if not each.serves} - {member.label}
            # Those that leave for good are not missed: who stays was proved before. Nor is one that does not serve.
            counts = self.admit and node.serves
            if counts and len(out) >= self.max_unavailable:
                if len(out - at_work.labels) >= self.max_unavailable:
                    raise _Stopped(f"it stays in: {self._too_many(out)}")
                return False
            remote.run(_SET_MARK)
            nodes.set(node, DRAIN)
            # Another run may have counted at the same moment: who sees too many gives way.
            out = {label for label, each in nodes.of(member.group).items() if not each.serves} - {member.label}
            if counts and len(out) >= self.max_unavailable:
                nodes.set(node, ACCEPT)
                remote.run(_REMOVE_MARK)
                raise _Stopped(f"it was put back at once: {self._too_many(out)}")
            at_work.labels.add(member.label)
            return True

    def _too_many(self, out: set[str]) -> str:
        are = "is" if len(out) == 1 else "are"
        return f"{', '.join(sorted(out))} of its role {are} out already, and no more than {self.max_unavailable} may be"

    def _admit(self, nodes: Nodes, member: Member, remote: Remote) -> None:
        """Let a server get connections again, and wait until its balancer has found it well."""
        _, problem = self._tried(member, remote, lambda: "")
        if problem:
            raise _Stopped(f"is not healthy ({problem}), and is left out of its balancer")
        self._set(nodes, member, ACCEPT)
        if not self._settles(nodes, member):
            self._set(nodes, member, DRAIN)
            raise _Stopped("is healthy by itself, but its balancer does not reach it; it is left out")
        remote.run(_REMOVE_MARK)

    def _set(self, nodes: Nodes, member: Member, mode: str) -> None:
        node = nodes.of(member.group).get(member.label)
        if node is None:
            raise _Stopped("its balancer does not know it any more")
        if node.mode != mode:
            nodes.set(node, mode)

    def _settles(self, nodes: Nodes, member: Member) -> bool:
        """Wait until a server's balancer has found it up for a while without a break; whether it did."""
        since: float | None = None
        for _ in self._while_patient():
            node = nodes.of(member.group).get(member.label)
            if node is None or not node.serves:
                since = None
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since >= self.patience.settled:
                return True
        return False

    def _wait_until_healthy(self, member: Member, remote: Remote) -> str | None:
        """Wait until a server's application answers; None, or what it says instead."""
        said: str | None = None
        for _ in self._while_patient():
            try:
                said = health(member, remote)
            except Unreachable as reason:
                said = str(reason)
            if said is None:
                return None
        return said

    def _while_patient(self) -> Iterator[None]:
        until = time.monotonic() + self.patience.healthy
        while time.monotonic() < until:
            yield
            time.sleep(self.patience.asks)


def claim(remote: Remote) -> None:
    """Have a server that is out count as one that this loop took out, and puts back once it is healthy."""
    remote.run(_SET_MARK)


def ask(member: Member, endpoint: Endpoint, question: Callable[[Remote], T]) -> T | Unreachable:
    """Return a server's answer; or that it can't be reached.

    Raises:
        Failed: it shows another host key, lets nobody in, or a command failed there.
    """
    with connected(member, endpoint) as remote:
        try:
            return question(remote)
        except Unreachable as reason:
            return reason
        except ScriptError as reason:
            raise Failed(f"{member.label}: a command failed: {reason}") from None


def health(member: Member, remote: Remote) -> str | None:
    """Ask a server's application, on the server itself; None where it works or there is none, else what is wrong.

    Raises:
        Unreachable: the server can't be reached.
    """
    if member.health is None:
        return None
    said = remote.run(_IS_HEALTHY, url=member.health).strip()
    if said.startswith("2"):
        return None
    return f"it answers {said}" if said.isdigit() and int(said) else said or "it does not answer"


@contextmanager
def connected(member: Member, endpoint: Endpoint) -> Iterator[Remote]:
    """A server's remote, closed afterwards."""
    remote = Remote(member, endpoint)
    try:
        yield remote
    finally:
        remote.close()
