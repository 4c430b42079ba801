"""Previews: what the engine would change, without anything that only a change needs."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from invoke.exceptions import Exit

from operations import engine, plans, policy, redaction, runs, stacks, summary
from operations.console import say
from operations.errors import Failed, Refused
from operations.failover.remarks import remarks
from operations.plans import Plan
from operations.project import Project

Result = TypeVar("Result")


@dataclass(frozen=True)
class Options:
    """How previews run: `expect_no_changes` has them end with 7 for any; `summary` is a file for a pull request."""

    on_sandbox: bool = False
    expect_no_changes: bool = False
    summary: Path | None = None


def preview(root: Path, wanted: str, options: Options) -> int:
    """Show what `up` would change, stack after stack; return the first exit code that is not 0, or 0.

    Raises:
        Refused, Failed.
    """
    return next(filter(None, [code for _, code, _ in _each(root, wanted, options, engine.run)]), 0)


def preview_data(root: Path, wanted: str, options: Options) -> tuple[int, dict[str, object]]:
    """Return the exit code of `preview`, and the engine's own JSON by stack: `error` where it has none.

    To it are added, as `violations`, those of policies, where there are any: the engine's says only that it failed.

    Raises:
        Refused, Failed.
    """

    def answer(project: Project, *arguments: str) -> tuple[int, str, str]:
        return engine.answer(project, *arguments, "--json")

    codes: list[int] = []
    data: dict[str, object] = {}
    for stack, (code, output, errors), plan in _each(root, wanted, options, answer):
        codes.append(code)
        said = json.loads(output) if output else {"error": errors.strip()}
        violations = {"violations": [asdict(each) for each in plan.violations]} if plan.violations else {}
        data[stack] = {**said, **violations}
    return next(filter(None, codes), 0), data


def _each(root: Path, wanted: str, options: Options, run: Callable[..., Result]) -> Iterator[tuple[str, Result, Plan]]:
    """Preview stack after stack by `run`; yield the stack, what it returns, and the plan.

    In the end write the summary, if one is wanted.
    """
    file = options.summary
    if file and not file.absolute().parent.is_dir():
        raise Refused(f"{file}: there is no folder {file.absolute().parent}; make it, or name another file")
    try:
        chosen = stacks.select(root, wanted)
        projects = runs.for_preview(root, chosen, on_sandbox=options.on_sandbox)
    except Exit as ended:
        if file:
            summary.write(file, [summary.failed(wanted, str(ended.message))])
        raise
    sections: list[summary.Section] = []
    for project in projects:
        # Before the preview: an update that comes in between would leave secrets that this does not know.
        said = tuple(remarks(chosen[project.stack]))
        section = _section_of(project, said) if file else None
        for each in said:
            say(f"{project.stack}: {each}")
        result, plan = plans.preview(project, run, *_arguments(project, options))
        if section:
            sections.append(section(plan))
        yield project.stack, result, plan
    if file:
        summary.write(file, sections)


def _section_of(project: Project, remarks: Sequence[str]) -> Callable[[Plan], summary.Section]:
    """Return what makes a stack's section of the summary of its plan."""
    try:
        redactor, state = redaction.of(project), engine.resources(project)
    except Failed as ended:
        section = summary.failed(project.stack, str(ended.message))
        return lambda _: section
    return lambda plan: summary.of_plan(plan, state, redactor, remarks)


def _arguments(project: Project, options: Options) -> Sequence[str]:
    return (*policy.arguments(project), *(("--expect-no-changes",) if options.expect_no_changes else ()))
