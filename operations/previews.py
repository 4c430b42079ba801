"""Previews: what the engine would change, without anything that only a change needs."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from invoke.exceptions import Exit

from operations import engine, plans, policy, redaction, runs, stacks, summary
from operations.errors import Failed, Refused
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
    return next(filter(None, list(_each(root, wanted, options, engine.run))), 0)


def preview_data(root: Path, wanted: str, options: Options) -> tuple[int, dict[str, object]]:
    """Return the exit code of `preview`, and the engine's own JSON by stack: `error` where it has none.

    Raises:
        Refused, Failed.
    """
    codes: list[int] = []
    data: dict[str, object] = {}

    def answer(project: Project, *arguments: str) -> None:
        code, output, errors = engine.answer(project, *arguments, "--json")
        codes.append(code)
        data[project.stack] = json.loads(output) if output else {"error": errors.strip()}

    list(_each(root, wanted, options, answer))
    return next(filter(None, codes), 0), data


def _each(root: Path, wanted: str, options: Options, run: Callable[..., Result]) -> Iterator[Result]:
    """Preview stack after stack by `run`; yield what it returns. In the end write the summary, if one is wanted."""
    file = options.summary
    if file and not file.absolute().parent.is_dir():
        raise Refused(f"{file}: there is no folder {file.absolute().parent}; make it, or name another file")
    try:
        projects = runs.for_preview(root, stacks.select(root, wanted), on_sandbox=options.on_sandbox)
    except Exit as ended:
        if file:
            summary.write(file, [summary.failed(wanted, str(ended.message))])
        raise
    sections: list[summary.Section] = []
    for project in projects:
        if file:
            result, section = _summarised(project, run, options)
            sections.append(section)
            yield result
        else:
            yield run(project, "preview", *_arguments(project, options))
    if file:
        summary.write(file, sections)


def _summarised(project: Project, run: Callable[..., Result], options: Options) -> tuple[Result, summary.Section]:
    arguments = _arguments(project, options)
    try:  # before the preview: an update that comes in between would leave secrets that this does not know
        redactor, state = redaction.of(project), engine.resources(project)
    except Failed as ended:
        return run(project, "preview", *arguments), summary.failed(project.stack, str(ended.message))
    result, plan = plans.preview(project, run, *arguments)
    return result, summary.of_plan(plan, state, redactor)


def _arguments(project: Project, options: Options) -> Sequence[str]:
    return (*policy.arguments(project), *(("--expect-no-changes",) if options.expect_no_changes else ()))
