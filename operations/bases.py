"""The difference that a change makes, without any secret: its base is brought up in the sandbox, then it is previewed.

Both happen in one folder of their own, a work tree of git: the base's files bring the base up, with the base's own code
and, where its dependencies differ, in an environment of its own; then the changed files take their place, and preview
against what is there. Nothing of this checkout is touched, its sandbox neither.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components import settings
from operations import sandbox, stacks, summary, worktree
from operations.console import say
from operations.errors import Failed, Refused
from operations.previews import Options
from operations.worktree import git

LOCK = "requirements.lock"
TASKS = (sys.executable, "-m", "toolchain")
"""What `./inv` starts in its environment."""

NOBODY = ("-c", "user.name=preview", "-c", "user.email=preview@localhost")
"""Git wants to know who keeps what was not committed yet; it is kept for the preview alone."""

TOLD = 30
"""Lines of a base's failure that are shown."""


@dataclass(frozen=True)
class Base:
    """A commit that is the base of this checkout's change, as it was asked for and as git knows it."""

    name: str
    commit: str

    def __str__(self) -> str:
        return self.name if self.commit.startswith(self.name) else f"{self.name} ({self.commit[:12]})"


def preview(root: Path, stack: str, base: str, options: Options, *, json: bool) -> int:
    """Bring stacks of a base up in a sandbox of their own, and run this checkout's `preview` against them.

    A stack that the base lacks is previewed as one that is new. Returns the exit code.

    Raises:
        Refused: there is no such commit, or no stack of that name.
        Failed: the base can't be brought up.
    """
    if not options.on_sandbox:
        raise Refused("--base compares in the sandbox only: the real clouds are not at that commit; add --sandbox")
    try:
        chosen = stacks.select(root, stack)
    except Refused as refusal:
        if options.summary:
            summary.write(options.summary, [summary.failed(stack, str(refusal.message))])
        raise
    commit = _base(root, base)
    changed = git(root, *NOBODY, "stash", "create") or git(root, "rev-parse", "HEAD")
    if new := git(root, "ls-files", "--others", "--exclude-standard"):
        say(f"Not in this preview, because git does not know them yet: {', '.join(new.splitlines())}; `git add` them")
    with _work_tree(root, commit.commit) as folder:
        before = settings.stack_names(folder)
        known = [name for name in chosen if name in before]
        gone = [name for name in before if name not in settings.stack_names(root)] if stack == stacks.ALL else []
        if known:
            _bring_up(root, folder, commit, known, options.summary)
        sandbox.stop(folder)
        git(folder, "checkout", "--quiet", "--force", "--detach", changed)
        code = _run([*TASKS, "preview", stack, *_on_a_command_line(options, json)], folder)
        if options.summary:
            _note(options.summary, commit, gone)
    for name in gone:
        say(f"{name}: this change removes its file, and nothing else; `./inv destroy {name}` comes before that")
    return code


def _on_a_command_line(options: Options, json: bool) -> list[str]:
    told = {"--sandbox": options.on_sandbox, "--expect-no-changes": options.expect_no_changes, "--json": json}
    file = [f"--summary={options.summary.absolute()}"] if options.summary else []
    return [*(option for option, is_set in told.items() if is_set), *file]


def _base(root: Path, name: str) -> Base:
    unknown = f"there is no commit '{name}' here; `git fetch` it, or name another with --base"
    return Base(name, git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", otherwise=unknown))


def _bring_up(root: Path, folder: Path, base: Base, names: Sequence[str], file: Path | None) -> None:
    say(f"Bringing {', '.join(names)} of {base} up in a sandbox, to compare with")
    command = [*(TASKS if _lock(folder) == _lock(root) else ("./inv",)), "up", ",".join(names), "--sandbox", "--yes"]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        code = _run(command, folder, output.fileno())
        output.seek(0)
        said = output.read().splitlines()
    if code:
        why = f"the base, {base}, can't be brought up in the sandbox (exit code {code})"
        if file:
            summary.write(file, [summary.failed(name, "\n".join([why, *said[-TOLD:]])) for name in names])
        raise Failed("\n".join([*said[-TOLD:], f"{why}, so there is nothing to compare with"]))


def _lock(root: Path) -> bytes:
    return (root / LOCK).read_bytes() if (root / LOCK).exists() else b""


def _note(file: Path, base: Base, gone: Sequence[str]) -> None:
    lines = [f"Against {base}, brought up in the sandbox."]
    lines += [f"**{name}** has no file any more. That destroys nothing: `./inv destroy {name}` first." for name in gone]
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    file.write_text("\n\n".join([text.rstrip(), *lines]) + "\n", encoding="utf-8")


@contextmanager
def _work_tree(root: Path, commit: str) -> Iterator[Path]:
    """Yield a folder with the files of a commit, which ends with its sandbox."""
    with worktree.at(root, commit, "base") as folder:
        try:
            yield folder
        finally:
            sandbox.stop(folder)


def _run(command: Sequence[str], folder: Path, output: int | None = None) -> int:
    """Run a task of another checkout to its end; where this one is told to stop, so is that, and it is waited for."""
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise
