"""Previews: what the engine would change, without anything that only a change needs."""

import json
from pathlib import Path

from operations import engine, policy, runs, stacks
from operations.project import Project


def preview(root: Path, wanted: str, *, on_sandbox: bool, expect_no_changes: bool) -> int:
    """Show what `up` would change, stack after stack; return the first exit code that is not 0, or 0.

    Raises:
        Refused, Failed.
    """
    projects = runs.for_preview(root, stacks.select(root, wanted), on_sandbox=on_sandbox)
    codes = [engine.run(project, *_preview(project, expect_no_changes)) for project in projects]
    return next(filter(None, codes), 0)


def preview_data(
    root: Path, wanted: str, *, on_sandbox: bool, expect_no_changes: bool
) -> tuple[int, dict[str, object]]:
    """Return the exit code of `preview`, and the engine's own JSON by stack: `error` where it has none.

    Raises:
        Refused, Failed.
    """
    codes: list[int] = []
    plans: dict[str, object] = {}
    for project in runs.for_preview(root, stacks.select(root, wanted), on_sandbox=on_sandbox):
        code, output, errors = engine.answer(project, *_preview(project, expect_no_changes), "--json")
        codes.append(code)
        plans[project.stack] = json.loads(output) if output else {"error": errors.strip()}
    return next(filter(None, codes), 0), plans


def _preview(project: Project, expect_no_changes: bool) -> tuple[str, ...]:
    expected = ("--expect-no-changes",) if expect_no_changes else ()
    return ("preview", *policy.arguments(project), *expected)
