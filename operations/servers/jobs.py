"""The tasks on servers: each looks at what is due, shows it, asks, and has the rolling loop do it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.table import Table

from operations import console, engine, runs, stacks, updates
from operations.console import say
from operations.errors import NotBegun, Refused
from operations.project import Project
from operations.servers import applied, reach, rolling
from operations.servers import apply as applying
from operations.servers import fleet as fleets
from operations.servers import patch as patching
from operations.servers.fleet import Fleet
from operations.servers.remote import Remote, Unreachable
from operations.servers.rolling import Look, Outcome, Roll, Work

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What is done on servers: what is due on one, and what comes before the first and after the last of a stack.

    `task` and `options` are what somebody writes to go on with it.
    """

    task: str
    options: str
    look: Look
    prepare: Callable[[Fleet], object] = lambda _: None
    done: Callable[[Fleet], object] = lambda _: None


@dataclass(frozen=True)
class Asked:
    """What was said on the command line of a task on servers."""

    role: str | None = None
    max_unavailable: int = 1
    yes: bool = False
    on_sandbox: bool = False

    def again(self, **others: str) -> str:
        """Return the options, and others by name, as they are written again: ` --role api --package openssl`."""
        few = "" if self.max_unavailable == 1 else str(self.max_unavailable)
        options = {"role": self.role or "", **others, "max-unavailable": few}
        return "".join(f" --{name} {value}" for name, value in options.items() if value)


def apply(root: Path, wanted: str, asked: Asked) -> int:
    """Push to the servers of stacks what changed since they were born; return the exit code.

    Raises:
        Refused, Failed.
    """
    updates.require_consent(f"servers.apply {wanted}{asked.again()}", on_sandbox=asked.on_sandbox, yes=asked.yes)

    def done(fleet: Fleet) -> None:
        applied.note(fleet.project, [group for group, _ in fleet.groups()])
        if asked.role is None:
            keys = {member.place.environment: member.host_keys[0] for member in fleet.members}
            applied.note_host_keys(fleet.project, keys)

    return _each(root, wanted, asked, lambda _: Job("servers.apply", asked.again(), applying.look, done=done))


def patch(root: Path, wanted: str, asked: Asked, patches: patching.Wanted) -> int:
    """Upgrade packages on the servers of stacks; return the exit code.

    Raises:
        Refused, Failed.
    """
    if patches.reboot not in patching.REBOOTS:
        raise Refused(f"--reboot {patches.reboot}: say one of {', '.join(patching.REBOOTS)}")
    again = asked.again(package=patches.package, reboot=patches.reboot)
    updates.require_consent(f"servers.patch {wanted}{again}", on_sandbox=asked.on_sandbox, yes=asked.yes)

    def job(project: Project) -> Job:
        quick = replace(patches, back_within=60.0, asks=0.2) if project.sandbox else patches
        prepare = partial(_on_all, question=patching.update)
        return Job("servers.patch", again, lambda _, remote: patching.look(remote, quick), prepare)

    return _each(root, wanted, asked, job)


def lacking(root: Path, wanted: str, asked: Asked, package: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Return 1 where a server lacks a version of a package, or of any, or does not say; and by stack which lacks which.

    Raises:
        Refused, Failed.
    """
    found: dict[str, list[dict[str, str]]] = {}
    is_silent = False
    for project, fleet in _fleets(root, wanted, asked):
        answers = _on_all(fleet, partial(_lacking, package=package))
        is_silent = is_silent or len(answers) < len(fleet.members)
        found[project.stack] = [
            {"server": label, "package": name, "installed": old, "candidate": new}
            for label, lines in answers.items()
            for name, old, new in lines
        ]
    return engine.FAILED if is_silent or any(found.values()) else 0, found


def lacking_table(found: Mapping[str, Sequence[Mapping[str, str]]]) -> Table:
    """Return what servers lack, for people."""
    shown = Table("Stack", "Server", "Package", "Installed", "To be had")
    for stack, lines in found.items():
        for each in lines:
            shown.add_row(stack, each["server"], each["package"], each["installed"], each["candidate"])
        if not lines:
            shown.add_row(stack, "", "no server lacks anything", "", "")
    return shown


def _lacking(remote: Remote, package: str) -> list[tuple[str, str, str]]:
    patching.update(remote)
    return [(name, old, new) for name, (old, new) in sorted(patching.lack(remote, package).upgrades.items())]


def _each(root: Path, wanted: str, asked: Asked, job_of: Callable[[Project], Job]) -> int:
    """Do a job on the servers of each stack in turn; stop at the first stack in which one does not come back."""
    if asked.max_unavailable < 1:
        raise Refused(f"--max-unavailable {asked.max_unavailable}: one at least has to be out to be worked on")
    for project, fleet in _fleets(root, wanted, asked):
        job = job_of(project)
        job.prepare(fleet)
        roll = Roll(fleet, job.look, reach.endpoints(project), asked.max_unavailable, rolling.patience(fleet))
        if code := carry_out(project, roll, f"{project.task(job.task)}{job.options}", yes=asked.yes):
            return code
        job.done(fleet)
    return 0


def carry_out(project: Project, roll: Roll, command: str, *, yes: bool) -> int:
    """Show what is due, ask, and go through the servers; print the report and return the exit code.

    `command` is what goes on where this stops.

    Raises:
        Refused, Failed.
    """
    due = roll.due()
    missing = [label for label, each in due.items() if isinstance(each, Unreachable)]
    for label in missing:
        say(f"{label}: does not answer over SSH ({due[label]}); it is left as it is")
    works = {label: each for label, each in due.items() if each is not None and not isinstance(each, Unreachable)}
    out = roll.out()
    if not works and not out:
        say(f"{project.stack}: nothing is due")
        return engine.FAILED if missing else 0
    console.show(_plan(project, roll, works, out))
    if not yes and not console.agrees(f"{project.stack}: go through these servers?"):
        raise NotBegun(f"{project.stack}: declined; nothing was changed")
    outcomes = replace(roll, fleet=roll.fleet.of(lambda member: member.label not in missing)).run()
    console.show(_report(project, outcomes))
    if all(each.good for each in outcomes):
        return engine.FAILED if missing else 0
    say(f"{project.stack}: stopped there. Once that is mended, repeat `{command}`: what is done is not done again.")
    return engine.FAILED


def _fleets(root: Path, wanted: str, asked: Asked) -> Iterator[tuple[Project, Fleet]]:
    chosen = stacks.select(root, wanted)
    for project in runs.for_servers(root, chosen, on_sandbox=asked.on_sandbox):
        yield project, fleets.load(project, chosen[project.stack], asked.role)


def _on_all(fleet: Fleet, question: Callable[[Remote], T]) -> dict[str, T]:
    """Ask all servers at once; return the answers, by label, of those that can be reached, and say which can't."""
    endpoint = reach.endpoints(fleet.project)
    answers = fleet.at_once(lambda member: rolling.ask(member, endpoint(member), question))
    for label, answer in answers.items():
        if isinstance(answer, Unreachable):
            say(f"{label}: does not answer over SSH ({answer})")
    return {label: answer for label, answer in answers.items() if not isinstance(answer, Unreachable)}


def _plan(project: Project, roll: Roll, works: Mapping[str, Work], out: Collection[str]) -> Table:
    sizes = {group: len(members) for group, members in roll.fleet.groups()}
    shown = Table("Server", "Due", "Requests", title=f"{project.stack}: what is due")
    for member in roll.fleet.members:
        if work := works.get(member.label):
            is_one_left = not roll.admit or sizes[member.group] > roll.max_unavailable
            others = "others serve meanwhile" if is_one_left else "it may be that nobody serves meanwhile"
            shown.add_row(member.label, work.what, others if work.interrupts and member.health else "not touched")
        elif member.label in out:
            shown.add_row(member.label, "back into its balancer, if it was a run like this one that took it out", "")
    return shown


def _report(project: Project, outcomes: Sequence[Outcome]) -> Table:
    shown = Table("Server", "What became of it", title=f"{project.stack}: done" if outcomes else None)
    for each in outcomes:
        shown.add_row(each.label, each.said, style="" if each.good else "bold red")
    return shown
