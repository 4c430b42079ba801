"""Running the engine, the `pulumi` program, in a project: its exit codes, its answers, and Ctrl-C."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from operations.console import has_terminal
from operations.errors import Failed
from operations.project import Project
from toolchain import engine as toolchain

# The engine's exit codes (pkg/v3/cmd/pulumi/cmd/exit_codes.go). They mean the same here; others are failures.
FAILED = 1
STACK_NOT_FOUND = 6
CHANGES = 7
CODES = frozenset({0, FAILED, 2, 3, 4, 5, STACK_NOT_FOUND, CHANGES, 8})

SPECIAL, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
"""The key that marks a value of which more is known than its JSON says, and its value for a secret (SecretV1)."""

PRIVATE = 0o077
"""Umask of a sandbox run, whose backend holds secrets: nobody else may read what it writes."""

INHERITED = -1
"""Popen's way to leave the umask as it is."""


def secret(value: Any) -> dict[str, str]:
    """Return a value as a state that is imported has a secret in clear; the engine writes it encrypted."""
    return {SPECIAL: _SECRET, "plaintext": json.dumps(value)}


def ensure(say: Callable[[str], None]) -> toolchain.Engine:
    """Return the engine, downloaded or built on first use; `say` is told of the progress.

    Raises:
        Failed: it can't be had.
    """
    try:
        return toolchain.ensure(say)
    except toolchain.EngineError as error:
        raise Failed(str(error)) from None


def run(project: Project, *arguments: str) -> int:
    """Run the engine on the terminal; return the exit code for the task."""
    if not has_terminal():
        arguments = (*arguments, "--non-interactive")
    with started(project, *arguments) as process:
        return code(process.wait())


def answer(project: Project, *arguments: str, text: str | None = None) -> tuple[int, str, str]:
    """Run the engine unseen, with `text` on its standard input; return exit code, output and errors."""
    pipe = subprocess.PIPE
    with started(project, *arguments, "--non-interactive", stdin=pipe, stdout=pipe, stderr=pipe) as process:
        output, errors = process.communicate(text)
    return code(process.returncode), output, errors


def ask(project: Project, *arguments: str, text: str | None = None) -> str:
    """Run the engine unseen, with `text` on its standard input; return its standard output.

    Raises:
        Failed: with what the engine said.
    """
    returned, output, errors = answer(project, *arguments, text=text)
    if returned:
        raise Failed(_complaint(project, arguments, errors))
    return output


def outputs(project: Project, *, show_secrets: bool = False) -> Mapping[str, Any]:
    """Return the stack's outputs; none where the stack was never made. Secrets are masked, or in clear.

    Raises:
        Failed: with what the engine said.
    """
    arguments = ("stack", "output", "--json", *(["--show-secrets"] if show_secrets else []))
    returned, output, errors = answer(project, *arguments)
    if returned == STACK_NOT_FOUND:
        return {}
    if returned:
        raise Failed(_complaint(project, arguments, errors))
    return dict(json.loads(output))


def resources(project: Project, *, show_secrets: bool = False) -> list[dict[str, Any]]:
    """Return the resources in the stack's state; none where the stack was never made. Secrets are masked, or in clear.

    Raises:
        Failed: with what the engine said.
    """
    arguments = ("stack", "export", *(["--show-secrets"] if show_secrets else []))
    returned, output, errors = answer(project, *arguments)
    if returned == STACK_NOT_FOUND:
        return []
    if returned:
        raise Failed(_complaint(project, arguments, errors))
    exported = json.loads(output or "{}", object_hook=_in_clear if show_secrets else None)
    deployment = exported.get("deployment") or {}
    return list(deployment.get("resources") or [])


@contextmanager
def started(
    project: Project,
    *arguments: str,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Iterator["subprocess.Popen[str]"]:
    """Start the engine for the project's stack; until it has ended, this process outlives interruptions.

    Ctrl-C reaches the engine directly, which is in the terminal's process group: it finishes the steps under
    way and leaves the rest; at a second one it stops at once. SIGTERM, which comes to this process alone, is
    passed on and means the same to the engine.
    """
    process = subprocess.Popen(
        [project.pulumi, *arguments, "--stack", project.stack],
        cwd=project.folder,
        env=project.environment,
        umask=PRIVATE if project.sandbox else INHERITED,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        encoding="utf-8",
        errors="replace",
    )

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    handlers = {signal.SIGINT: lambda *_: None, signal.SIGTERM: pass_on}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield process
        process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def code(returned: int) -> int:
    """Return the task's exit code for the engine's."""
    return returned if returned in CODES else FAILED


def _in_clear(found: dict[str, Any]) -> Any:
    """Return what a secret of an exported state holds: JSON (pkg/v3/resource/stack/deployment.go); else what it is."""
    return json.loads(found["plaintext"]) if found.get(SPECIAL) == _SECRET else found


def _complaint(project: Project, arguments: tuple[str, ...], errors: str) -> str:
    return f"{project.stack}: `pulumi {' '.join(arguments)}` failed: {errors.strip().removeprefix('error: ')}"
