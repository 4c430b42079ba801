"""Alarms of jobs: what a job finds wrong, and that it failed, goes to the board and to those on call.

A job says what is wrong now in a scope; incidents.py tells what is new and what is over. A message is kept in a file
first and delivered after, so a relay that is down loses nothing: the next job with alarms delivers. Nothing is sent
twice but in one case: a relay that took a message and whose answer was lost gets it again, with the same Message-ID.

Alarms of load balancers and health checks are Cloudflare's own (components/alarms.py).
"""

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from invoke.exceptions import Exit

from components import outfit, settings
from components.settings import PROJECT, Stack
from operations import engine, incidents, mail, questions, runs
from operations.console import say
from operations.errors import Failed
from operations.incidents import Book, Clock, Incident, Message
from operations.mail import MailError, Relay
from operations.sandbox import FOLDER as SANDBOX

FOLDER = ".alarms"
VARIABLE = "CHAT_TONIC_ALARMS"
"""The variable that names another folder for what is remembered: where CI keeps a cache."""

WELL = frozenset({0, engine.CHANGES})
"""Exit codes of a job that did its work: differences are incidents of their own."""

_RUN = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")


@dataclass
class Job:
    """A task that nobody watches, for `with`: however it ends, what it found wrong is told then, and that it failed.

    `line` is the task as it was called, `wanted` its stacks. Where `alarm` is off, nothing happens. It ends as it would
    have ended, but where that was well and an alarm could not be sent, with 1.
    """

    root: Path
    line: str
    wanted: str
    alarm: bool
    on_sandbox: bool
    clock: Clock = incidents.now
    _found: list[tuple[str, str, Sequence[Incident]]] = field(default_factory=list)

    def report(self, stack: str, scope: str, current: Sequence[Incident]) -> None:
        """Say all that is wrong now in a scope of a stack; what was, and is not among it, is over."""
        self._found.append((stack, scope, current))

    def command(self, task: str) -> str:
        """Return the command line of a task on the same clouds, for messages that say what to do."""
        return f"./inv {task}{' --sandbox' if self.on_sandbox else ''}"

    def __enter__(self) -> Self:
        """Begin it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, ended: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell what was found, and whether it failed."""
        if not self.alarm:
            return
        well = code(ended) in WELL
        # An exit code that is not well says no more than what the job has found wrong.
        explained = isinstance(ended, SystemExit) and any(current for _, _, current in self._found)
        failure = [] if well or explained else [self._failure(ended)]
        self.report(self.wanted.partition(",")[0], f"job {self.line}", failure)
        problems = self._tell()
        for problem in problems:
            say(problem)
        if problems and well:
            raise Failed("an alarm could not be sent; the next job with --alarm sends what is kept") from ended

    def _failure(self, ended: BaseException | None) -> Incident:
        line = self.command(self.line)
        return Incident(
            f"job {self.line}",
            f"{self.wanted}: `{line}` failed",
            f"read the job's log{_log(os.environ)}, mend what it says, and run `{line} --alarm` again.",
            "the same job ends well",
            _reason(ended),
        )

    def _tell(self) -> list[str]:
        """Take in what was found, deliver, and return what kept a message from being delivered."""
        known = _loadable(self.root)
        by_desk: dict[str, list[tuple[str, Sequence[Incident]]]] = {}
        for stack, scope, current in self._found:
            by_desk.setdefault(_desk(stack, known), []).append((scope, current))
        if "" in by_desk:
            return [f"{self.wanted}: no stack here says where alarms go: write `alarms` into one's file"]
        problems = []
        for name, found in by_desk.items():
            post = _Post(self.root, name, known[name], self.on_sandbox)
            try:
                with incidents.held(post.folder, say, self.clock) as book:
                    for scope, current in found:
                        book.update(scope, current)
                    problems += post.deliver(book)
            except Exit as error:
                problems.append(str(error.message))
        return problems


@dataclass(frozen=True)
class _Post:
    """The way of a stack's messages: its addresses, and its relay, or on the sandbox a folder."""

    root: Path
    name: str
    stack: Stack
    on_sandbox: bool

    @property
    def folder(self) -> Path:
        """Where its incidents are remembered."""
        base = self.root / SANDBOX / "alarms" if self.on_sandbox else Path(os.environ.get(VARIABLE) or FOLDER)
        return self.root / base / self.name

    def deliver(self, book: Book) -> list[str]:
        """Deliver what waits, and return what kept a message from it."""
        waiting = book.unsent()
        if not waiting:
            return []
        if self.on_sandbox:
            for message in waiting:
                self._put(message)
                book.note(message, self._recipients(message), all_told=True)
            return []
        try:
            relay = self._relay()
            return self._send(relay, book, waiting)
        except (MailError, Exit) as error:
            what = error.message if isinstance(error, Exit) else error
            return [f"{self.name}: {len(waiting)} messages wait in {self.folder}: {what}"]

    def _send(self, relay: Relay, book: Book, waiting: Sequence[Message]) -> list[str]:
        problems = []
        with mail.connected(relay) as smtp:
            for message in waiting:
                recipients = self._recipients(message)
                try:
                    refused = mail.send(smtp, self._mail(message, relay.user), recipients) if recipients else {}
                except MailError as error:
                    problems.append(f"{self.name}: '{message.subject}' waits in {self.folder}: {error}")
                    if error.lost:
                        break
                    continue
                told = [address for address in recipients if address not in refused]
                book.note(message, told, all_told=not refused)
                if told:
                    say(f"{self.name}: told {', '.join(told)}: {message.subject}")
                problems += [
                    f"{self.name}: '{message.subject}' waits in {self.folder} for {address}: {said}"
                    for address, said in refused.items()
                ]
        return problems

    def _recipients(self, message: Message) -> list[str]:
        alarms = self.stack.alarms
        return sorted({alarms.board, alarms.on_call} - set(message.told)) if alarms else []

    def _mail(self, message: Message, user: str) -> EmailMessage:
        sender = outfit.sender(self.stack, user)
        made = EmailMessage(SMTP)
        made["From"] = f"Chat-Tonic alarms <{sender}>"
        made["To"] = ", ".join(self._recipients(message))
        made["Subject"] = f"[chat-tonic] {' '.join(message.subject.split())}"
        made["Date"] = format_datetime(dt.datetime.fromisoformat(message.date))
        made["Message-ID"] = f"<{message.id}@{self.name}.{PROJECT}>"
        if message.answers:
            made["In-Reply-To"] = made["References"] = f"<{message.answers}@{self.name}.{PROJECT}>"
        made["Auto-Submitted"] = "auto-generated"
        made.set_content(message.text)
        return made

    def _relay(self) -> Relay:
        """Return the relay that the environment gives, so that a job can tell even of an engine that it can't get.

        Raises:
            MailError: it is none.
            Refused, Failed: the stack does not give it.
        """
        if given := questions.given(mail.VARIABLE, os.environ):
            return Relay.of(given)
        [project] = runs.for_reading(self.root, {self.name: self.stack})
        return Relay.of(engine.ask(project, "config", "get", f"{PROJECT}:smtp"))

    def _put(self, message: Message) -> None:
        folder = self.folder / "sent"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"{message.id}.eml"
        incidents.write(file, self._mail(message, "").as_bytes())
        recipients = ", ".join(self._recipients(message))
        say(f"{self.name}: nothing is sent from the sandbox; {file} would go to {recipients}: {message.subject}")


def _loadable(root: Path) -> dict[str, Stack]:
    """Return the stacks whose configuration is right: a wrong one must not silence the others' alarms."""
    found = {}
    for name in (*settings.stack_names(root), *settings.test_environments(root)):
        try:
            found[name] = settings.load(root, name)
        except settings.ConfigurationError:
            continue
    return found


def _desk(stack: str, known: Mapping[str, Stack]) -> str:
    """Return the stack whose addresses and relay a stack's alarms use: itself, else one of its jurisdiction, else any.

    Empty where no stack has alarms. Test stacks have none, and a job may be for all stacks.
    """
    wanted = known.get(stack)
    with_alarms = [name for name, each in known.items() if each.alarms]

    def distance(name: str) -> tuple[bool, bool, str]:
        return name != stack, wanted is not None and known[name].jurisdiction != wanted.jurisdiction, name

    return min(with_alarms, key=distance, default="")


def code(ended: BaseException | None) -> int:
    """Return the exit code of a task that ended like this."""
    match ended:
        case None:
            return 0
        case Exit():
            return int(ended.code)
        case SystemExit():
            return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 1


def _reason(ended: BaseException | None) -> str:
    """Return why a job failed, as far as it is safe to tell: what is not ours may repeat a secret."""
    if isinstance(ended, Exit):
        return f"Exit code {ended.code}: {ended.message}"
    if isinstance(ended, SystemExit):
        return f"Exit code {code(ended)}."
    return f"It broke off: {type(ended).__name__}."


def _log(environment: Mapping[str, str]) -> str:
    server, repository, run = (environment.get(name, "") for name in _RUN)
    return f" ({server}/{repository}/actions/runs/{run})" if run else ""
