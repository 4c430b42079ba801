"""Previews against a base that is brought up in the sandbox, in a real repository of git."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations import sandbox
from sandbox import process
from tests.configuration import REMOVED, ROOT, change_platform, change_stack, git, leave_only
from tests.operations.checkout import Checkout, sandboxed

GROUPS = "environments.internal.groups"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout in git: two stacks of one role are committed, and the commit before is of a wrong configuration."""
    for checkout in sandboxed(tmp_path_factory.mktemp("based")):
        (checkout.folder / "tmp").mkdir()
        checkout.environment["TMPDIR"] = str(checkout.folder / "tmp")
        roles = ("chat", "customer-service", "web-chat")
        change_platform(checkout.root, {f"{GROUPS}.{role}": REMOVED for role in roles})
        leave_only(checkout.root, "test")
        copy_stack(checkout, "leaving")
        shutil.copy(ROOT / ".gitignore", checkout.root)
        git(checkout.root, "init", "--quiet", "--initial-branch", "main")
        change_stack(checkout.root, "test", {"region": "us-nowhere"})
        git(checkout.root, "add", ".")
        git(checkout.root, "commit", "--quiet", "--message", "wrong")
        change_stack(checkout.root, "test", {"region": "us-central"})
        git(checkout.root, "commit", "--quiet", "--all", "--message", "right")
        yield checkout


def copy_stack(checkout: Checkout, name: str) -> None:
    shutil.copy(checkout.root / "Pulumi.test.yaml", checkout.root / f"Pulumi.{name}.yaml")
    change_stack(checkout.root, name, {"label": name})


def is_clean(checkout: Checkout) -> bool:
    """Whether nothing of a base is left: no folder, no work tree, and nothing in the checkout's own sandbox."""
    left = list(Path(checkout.environment["TMPDIR"]).glob("chat-tonic-base-*"))
    trees = git(checkout.root, "worktree", "list", "--porcelain").count("worktree ")
    return not left and trees == 1 and not (checkout.root / sandbox.FOLDER).exists()


def test_a_base_that_is_none_or_wrong_is_said_and_nothing_is_left(repository: Checkout) -> None:
    ended = repository.run("preview", "test", "--base", "HEAD")
    assert (ended.code, ended.errors.partition(":")[0]) == (2, "--base compares in the sandbox only")
    ended = repository.run("preview", "test", "--sandbox", "--base", "nowhere")
    assert ended.code == 2
    assert ended.errors == "there is no commit 'nowhere' here; `git fetch` it, or name another with --base\n"
    file = repository.folder / "wrong.md"
    ended = repository.run("preview", "test", "--sandbox", "--base", "HEAD~1", "--summary", str(file))
    assert ended.code == 1
    base = f"HEAD~1 ({git(repository.root, 'rev-parse', 'HEAD~1')[:12]})"
    assert f"the base, {base}, can't be brought up in the sandbox (exit code 2)" in ended.errors
    assert "unknown region 'us-nowhere'" in ended.errors
    assert f"the base, {base}, can't be brought up" in file.read_text()
    assert is_clean(repository)


def test_a_change_to_a_wrong_configuration_is_said_in_the_summary_before_anything_is_brought_up(
    repository: Checkout,
) -> None:
    change_stack(repository.root, "test", {"region": "eu-central"})
    file = repository.folder / "refused.md"
    try:
        ended = repository.run("preview", "test", "--sandbox", "--base", "main", "--summary", str(file))
    finally:
        git(repository.root, "checkout", "--quiet", "Pulumi.test.yaml")
    assert (ended.code, "Bringing" in ended.errors) == (2, False)
    assert "chat-tonic:stack.region: 'eu-central' is outside" in file.read_text()
    assert is_clean(repository)


def test_a_change_is_previewed_against_its_base_without_a_trace(repository: Checkout) -> None:
    change_platform(repository.root, {f"{GROUPS}.api.plan": "g6-standard-1"})  # not committed
    copy_stack(repository, "coming")
    git(repository.root, "add", "Pulumi.coming.yaml")
    git(repository.root, "rm", "--quiet", "Pulumi.leaving.yaml")
    before = git(repository.root, "status", "--short")
    file = repository.folder / "summary.md"
    ended = repository.run("preview", "all", "--sandbox", "--base", "main", "--summary", str(file))
    assert ended.code == 0, ended.output + ended.errors
    commit = git(repository.root, "rev-parse", "main")
    coming, test, note = file.read_text().partition("### coming")[2].replace("Against", "### test").split("### test")
    assert "**11 created**." in coming
    assert "**1 changed**." in test
    assert "- **changed** Instance `test-int-api-g1-1`:\n  - `type`: `g6-nanode-1` → `g6-standard-1`" in test
    assert note.strip().splitlines() == [
        f"main ({commit[:12]}), brought up in the sandbox.",
        "",
        "**leaving** has no file any more. That destroys nothing: `./inv destroy leaving` first.",
    ]
    assert f"Bringing test of main ({commit[:12]}) up" in ended.errors
    assert git(repository.root, "status", "--short") == before
    assert is_clean(repository)


def test_a_preview_that_is_terminated_takes_its_base_away(repository: Checkout) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "toolchain", "preview", "test", "--sandbox", "--base", "main"],
        cwd=repository.root,
        env=repository.environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr
        assert "Bringing test of main" in running.stderr.readline()
        started = Path(repository.environment["TMPDIR"])
        while not any(process.status(folder) for folder in started.glob("chat-tonic-base-*/checkout/.sandbox")):
            assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        running.stderr.read()
    assert running.returncode == 128 + signal.SIGTERM
    assert is_clean(repository)
