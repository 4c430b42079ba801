"""A region that collapses comes back from a commit and the last copy of its data; what can't be is refused before."""

import datetime as dt
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from components import settings
from operations import engine, notes, runs, sandbox
from operations.errors import Failed, Refused
from operations.rebuild import claim, overlay
from operations.rebuild import data as restored
from sandbox import data, process, store
from tests.configuration import REMOVED, ROOT, change_platform, change_stack, copy_of_the_committed_files, git
from tests.operations.checkout import Checkout, Ended, sandboxed
from toolchain import cache

STACK, DATABASE = "us-central", "us-prod-db"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout in git, with one small environment whose database has copies."""
    for checkout in sandboxed(tmp_path_factory.mktemp("rebuilt")):
        (checkout.folder / "tmp").mkdir()
        checkout.environment["TMPDIR"] = str(checkout.folder / "tmp")
        checkout.environment["XDG_CACHE_HOME"] = str(cache.folder().parents[1])  # restic, PostgreSQL, the S3 server
        roles = ("chat", "customer-service", "web-chat")
        change_platform(checkout.root, {f"environments.production.groups.{role}": REMOVED for role in roles})
        change_stack(
            checkout.root,
            STACK,
            {
                **dict.fromkeys(("zone", "alarms", "failover"), None),
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
        git(checkout.root, "init", "--quiet", "--initial-branch", "main")
        git(checkout.root, "add", ".")
        git(checkout.root, "commit", "--quiet", "--message", "all")
        yield checkout


def is_clean(checkout: Checkout) -> bool:
    """Whether no folder and no work tree of a drill is left."""
    left = list(Path(checkout.environment["TMPDIR"]).glob("chat-tonic-*"))
    return not left and git(checkout.root, "worktree", "list", "--porcelain").count("worktree ") == 1


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


@pytest.mark.parametrize("beside", [False, True])
def test_a_database_that_was_forked_is_made_without_the_one_it_came_from(tmp_path: Path, *, beside: bool) -> None:
    copy_of_the_committed_files(tmp_path)
    key = "environments.production.database."
    past = {"generations": [1, 2], "serving": 2, "forks": {"2": {"of": 1, "at": "2026-11-01t10.00.00z"}}}
    change_stack(tmp_path, STACK, {key + name: value for name, value in past.items()})
    edges = {"a": "198.51.100.11", "b": "198.51.100.12"}
    change_stack(tmp_path, STACK, {"voice": {"sites": {STACK: {"edges": edges}}}})  # names that a drill has none of
    living = settings.load(tmp_path, STACK)
    made = overlay.declare(tmp_path, STACK, living, region="", beside=beside).stack.environments["production"].database
    was = living.environments["production"].database
    assert (was.serves, was.generations, set(was.forks)) == (2, (1, 2), {"2"})
    assert (made.serves, made.generations, made.forks, made.restored) == (2, (2,), {}, {})


def test_a_stack_that_is_kept_under_the_name_of_a_drills_is_refused(tmp_path: Path) -> None:
    copy_of_the_committed_files(tmp_path)
    living = settings.load(tmp_path, STACK)
    kept = tmp_path / f"Pulumi.{STACK}-drill.yaml"
    shutil.copy(tmp_path / f"Pulumi.{STACK}.yaml", kept)
    with pytest.raises(Refused, match=f"Pulumi.{STACK}-drill.yaml is a stack's own"):
        overlay.declare(tmp_path, STACK, living, region="", beside=True)
    assert kept.read_bytes() == (tmp_path / f"Pulumi.{STACK}.yaml").read_bytes()


def test_only_a_connection_that_can_not_be_made_is_tried_again() -> None:
    said = [Failed('production: connection failed: connection to server at "10.0.0.1" failed: timeout expired')]

    def attempt() -> str:
        if said:
            raise said.pop()
        return "restored"

    assert restored.when_reached(attempt, on_sandbox=True) == "restored"
    said += [Failed("never reached"), Failed("production: the database is not empty")]
    with pytest.raises(Failed) as refused:
        restored.when_reached(attempt, on_sandbox=True)
    assert (refused.value.message, len(said)) == ("production: the database is not empty", 1)


@dataclass
class Site:
    """The stack, up on the sandbox, whose database and buckets are played by real servers."""

    checkout: Checkout

    @property
    def folder(self) -> Path:
        return self.checkout.root / sandbox.FOLDER

    def good(self, verb: str, *arguments: str) -> Ended:
        ended = self.checkout.run(verb, STACK, "--sandbox", *arguments)
        assert ended.code == 0, ended.output + ended.errors
        return ended

    def drill(self, *arguments: str, killed_at: str = "") -> dict[str, Any]:
        """Run a drill to its end, or until it says something; return the evidence."""
        said = []
        command = ("rebuild.drill", STACK, "--sandbox", "--yes", "--publish", *arguments)
        with self.checkout.start(*command, output=subprocess.PIPE) as running:
            for line in running.stdout or ():
                said.append(line)
                if killed_at and killed_at in line:
                    os.killpg(running.pid, signal.SIGKILL)
        assert running.returncode == (-signal.SIGKILL if killed_at else 0), "".join(said)[-4000:]
        published = self.checkout.root / "docs" / "evidence"
        files = sorted(published.glob("rebuild-us-central-*.json"))
        return dict(json.loads(files[-1].read_text())) if files else {}

    def objects(self, kind: str) -> set[str]:
        return {each.id for each in store.objects(process.file_of(self.folder)) if each.kind == kind}

    def connect(self) -> psycopg.Connection[Any]:
        held = data.start(self.folder, lambda _: None).databases[DATABASE]
        (known,) = (
            each
            for each in store.objects(process.file_of(self.folder))
            if each.kind == "linode.database" and each.body["label"] == DATABASE
        )
        return psycopg.connect(
            host=held.host,
            hostaddr=held.hostaddr,
            port=held.port,
            sslmode="prefer",
            dbname="defaultdb",
            user=known.private["credentials"]["username"],
            password=known.private["credentials"]["password"],
            autocommit=True,
        )

    def rows(self) -> list[str]:
        with self.connect() as connection:
            return [text for (text,) in connection.execute("select text from notes order by id")]


@pytest.fixture(scope="module")
def site(repository: Checkout) -> Site:
    made = Site(repository)
    made.good("up", "--yes")
    with made.connect() as connection:
        connection.execute("create table notes (id int generated always as identity primary key, text text)")
        connection.execute("insert into notes (text) values ('kept'), ('kept, too')")
    return made


def test_only_a_stack_that_a_drill_left_and_that_is_over_is_taken(site: Site) -> None:
    root, here = site.checkout.root, socket.gethostname()
    (living,) = runs.for_sandbox(root, {STACK: settings.load(root, STACK)})
    claim.require_free(replace(living, stack=f"{STACK}-drill"))  # there is none
    with pytest.raises(Refused, match="has resources and is no drill's"):
        claim.require_free(living)
    now = dt.datetime.now(dt.UTC)
    with subprocess.Popen(["true"]) as ended:
        pass
    for host, pid, hours, lives in (
        (here, os.getppid(), 24, True),
        (here, ended.pid, 0, False),
        ("elsewhere", ended.pid, 11, True),
        ("elsewhere", os.getppid(), 13, False),
    ):
        mark = {"host": host, "pid": pid, "since": (now - dt.timedelta(hours=hours)).isoformat()}
        notes.write(living, claim.TAG, mark)
        with pytest.raises(Refused, match=f"process {pid} on {host}") if lives else nullcontext():
            claim.require_free(living)
    claim.mark(living)
    assert notes.read(living, claim.TAG)["pid"] == os.getpid()
    engine.ask(living, "stack", "tag", "rm", claim.TAG)


def test_a_region_comes_back_with_the_last_copy_also_after_a_drill_that_was_killed(
    site: Site, exhaustive: bool
) -> None:
    refused = site.checkout.run("rebuild.drill", STACK, "--sandbox", "--yes")
    assert refused.code == 2
    assert "there is no copy of production that could be restored; ./inv backups.copy us-central" in refused.errors

    site.good("backups.copy")
    with site.connect() as connection:
        connection.execute("insert into notes (text) values ('newer than the copy')")
    buckets, keys = site.objects("linode.bucket"), site.objects("linode.bucket_key")
    assert site.drill(killed_at="is restored" if exhaustive else "the region collapses: ") == {}

    found = site.drill("--keep-state")
    assert site.rows() == ["kept", "kept, too"]
    assert found["result"] == "recovered"
    assert found["commit"] == git(site.checkout.root, "rev-parse", "HEAD")
    assert found["health"] == {"production": {"api": 200}}
    assert found["compared"]["production"]
    assert 0 < found["data_lost_seconds"] < 3600
    assert 0 < found["seconds_to_recover"] <= sum(each["seconds"] for each in found["steps"])
    assert site.objects("linode.bucket") == buckets
    assert site.objects("linode.bucket_key") == keys
    assert "password" not in json.dumps(found)
    assert is_clean(site.checkout)


@pytest.mark.parametrize("arguments", [(), ("--beside",), ("--region", "us-lax")])
def test_a_drill_goes_its_whole_way(site: Site, arguments: tuple[str, ...], exhaustive: bool) -> None:
    if not exhaustive:
        pytest.skip("a drill with a lost state, beside the living stack and elsewhere takes minutes: ./inv test --all")
    site.good("backups.copy")
    keys = site.objects("linode.bucket_key")
    found = site.drill(*arguments)
    assert found["result"] == "recovered"
    assert found["region"] == (arguments[1] if "--region" in arguments else "us-central")
    assert len(found["adopted"]["superseded"]) == (0 if "--beside" in arguments else len(keys))
    assert keys <= site.objects("linode.bucket_key")
    assert site.rows() == ["kept", "kept, too"]
    assert is_clean(site.checkout)


def test_a_drill_that_is_interrupted_says_so_and_leaves_nothing_that_it_built(site: Site, exhaustive: bool) -> None:
    if not exhaustive:
        pytest.skip("a stack that is built beside another and destroyed takes minutes: ./inv test --all")
    site.good("backups.copy")
    before = {(each.kind, each.id) for each in store.objects(process.file_of(site.folder))}
    said, built = [], False
    command = ("rebuild.drill", STACK, "--sandbox", "--yes", "--beside")
    with site.checkout.start(*command, output=subprocess.PIPE) as running:
        for line in running.stdout or ():
            said.append(line)
            if "NodeBalancer " in line and "created" in line and not built:
                built = True
                os.killpg(running.pid, signal.SIGINT)
    printed = "".join(said)
    assert built
    assert running.returncode == 1
    assert '"result": "failed"' in printed
    assert "NOT destroyed" not in printed
    assert {(each.kind, each.id) for each in store.objects(process.file_of(site.folder))} == before
    assert is_clean(site.checkout)
