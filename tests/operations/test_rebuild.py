"""A region that collapses comes back from a commit and the last copy of its data; what can't be is refused before."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations import sandbox
from tests.configuration import REMOVED, ROOT, change_platform, change_stack
from tests.operations.checkout import Checkout, sandboxed

STACK = "us-central"
NOBODY = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")


def git(checkout: Checkout, *arguments: str) -> str:
    ended = subprocess.run(["git", *NOBODY, *arguments], cwd=checkout.root, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout in git, with one small environment whose database has copies."""
    for checkout in sandboxed(tmp_path_factory.mktemp("rebuilt")):
        (checkout.folder / "tmp").mkdir()
        checkout.environment["TMPDIR"] = str(checkout.folder / "tmp")
        roles = ("chat", "customer-service", "web-chat")
        change_platform(checkout.root, {f"environments.production.groups.{role}": REMOVED for role in roles})
        change_stack(
            checkout.root,
            STACK,
            {
                **dict.fromkeys(("zone", "alarms"), None),
                "environments": {
                    "production": {
                        "publish": "none",
                        "groups": {"api": {"count": 1, "plan": "g6-nanode-1"}},
                        "database": {"plan": "g6-nanode-1", "nodes": 1},
                    }
                },
            },
        )
        shutil.copy(ROOT / ".gitignore", checkout.root)
        git(checkout, "init", "--quiet", "--initial-branch", "main")
        git(checkout, "add", ".")
        git(checkout, "commit", "--quiet", "--message", "all")
        yield checkout


def is_clean(checkout: Checkout) -> bool:
    """Whether no folder and no work tree of a drill is left."""
    left = list(Path(checkout.environment["TMPDIR"]).glob("chat-tonic-*"))
    return not left and git(checkout, "worktree", "list", "--porcelain").count("worktree ") == 1


@pytest.mark.parametrize(
    ("region", "why"),
    [
        ("eu-central", "'eu-central' is outside the jurisdiction 'us'; inside are us-central, us-ord, us-iad"),
        ("us-ord", "'us-ord' is the databases' own region; name another one"),  # the copies are there
        ("us-nowhere", "unknown region 'us-nowhere'"),
    ],
)
def test_another_region_is_refused_outside_the_jurisdiction_and_where_the_copies_are(
    repository: Checkout, region: str, why: str
) -> None:
    ended = repository.run("rebuild.drill", STACK, "--sandbox", "--yes", "--region", region)
    assert ended.code == 2
    assert why in ended.errors
    assert is_clean(repository)
    assert not (repository.root / f"Pulumi.{STACK}-drill.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("us-central,eu-frankfurt", "--yes"), "one at a time; name one stack"),
        (("test", "--yes"), "test: none of its databases has copies, so there is nothing that could be restored"),
        ((STACK,), f"./inv rebuild.drill {STACK} --sandbox --yes"),
    ],
)
def test_what_can_not_be_built_again_is_refused(repository: Checkout, arguments: tuple[str, ...], why: str) -> None:
    ended = repository.run("rebuild.drill", *arguments, "--sandbox")
    assert ended.code == 2
    assert why in ended.errors
    assert not (repository.root / sandbox.FOLDER / "sandbox.sqlite").exists()
