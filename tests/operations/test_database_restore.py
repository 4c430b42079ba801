"""A database is restored while servers run: real data, real forks, real applications that are stopped and started.

The tests are the life of one stack: each goes on where the one before it ended.
"""

import datetime as dt
import json
import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from components import outfit, settings
from operations import clouds, console, engine, sandbox
from operations.backups import writers
from operations.errors import Failed
from operations.guards import DATABASE
from operations.project import Project
from operations.servers import births
from operations.servers import fleet as fleets
from sandbox import machines, process, store
from tests.configuration import REMOVED, change_platform, change_stack
from tests.operations.checkout import Checkout, Ended
from toolchain import cache

GROUPS = "environments.internal.groups"
DATABASE_KEY = "environments.internal.database"
OLD, NEW = "test-int-db", "test-int-db-g2"

STEPS = (
    "Updating (test)",
    "restoring it into",
    "holds what the copy",
    "stopped what uses the database",
    "test: what is due",
    "servers are healthy",
)
"""What a restore of a copy says, one step after the other."""


@dataclass(frozen=True)
class Site:
    """A small stack that is up, its servers and its databases played by local processes."""

    checkout: Checkout

    @property
    def file(self) -> Path:
        return self.checkout.root / "Pulumi.test.yaml"

    @property
    def folder(self) -> Path:
        return self.checkout.root / sandbox.FOLDER

    def task(self, verb: str, *arguments: str) -> Ended:
        return self.checkout.run(verb, "test", "--sandbox", *arguments)

    def good(self, verb: str, *arguments: str) -> str:
        ended = self.task(verb, *arguments)
        assert ended.code == 0, ended.output + ended.errors
        return ended.output + ended.errors

    def restore(self, *arguments: str) -> str:
        return self.good("backups.restore", "--yes", *arguments)

    def restore_until(self, said: str, *arguments: str) -> None:
        """Kill a restore, and the engine with it, as soon as it says something."""
        running = self.checkout.start("backups.restore", "test", "--sandbox", "--yes", *arguments, output=-1)
        assert running.stdout
        heard = []
        for line in running.stdout:
            heard.append(line)
            if said in line:
                break
        else:
            pytest.fail("".join(heard))
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()

    def ask(self, label: str, query: str) -> list[Any]:
        """Ask a database something, as its own user."""
        played = sandbox.data(self.checkout.root, console.say).databases[label]
        found = outfit.connection(self.resource(label)["outputs"])
        with psycopg.connect(
            host=found["host"], hostaddr=played.hostaddr, port=played.port, dbname=found["name"],
            user=found["user"], password=found["password"], sslmode="prefer",
        ) as connection:  # fmt: skip
            answer = connection.execute(query.encode())
            return answer.fetchall() if answer.description else []

    def resource(self, label: str) -> dict[str, Any]:
        resources = engine.resources(self.project(), show_secrets=True)
        (found,) = (each for each in resources if each["type"] == DATABASE and each["inputs"]["label"] == label)
        return found

    def project(self) -> Project:
        loaded = settings.load(self.checkout.root, "test")
        return sandbox.project(self.checkout.root, "test", loaded, engine.ensure(lambda _: None), lambda _: None)

    def admitted(self) -> dict[str, int]:
        """How many addresses each database admits."""
        objects = store.objects(process.file_of(self.folder))
        return {each.body["label"]: len(each.body["allow_list"]) for each in objects if each.kind == "linode.database"}

    def told(self) -> set[str]:
        """The hosts of the databases that servers were told."""
        root = self.folder / machines.FOLDER
        files = [root / f"test-int-api-g1-{number}" / "root/etc/chat-tonic/app.env" for number in (1, 2)]
        return {line.partition("=")[2] for file in files for line in file.read_text().splitlines() if "HOST" in line}

    def healths(self) -> dict[str, str]:
        """How the applications on the servers are."""
        rows = json.loads(self.task("servers.list", "--json").output)["test"]
        return {row["server"]: row["health"] for row in rows if row["role"] == "api"}

    def power(self, number: int, verb: str, after: float = 0.0) -> threading.Timer:
        """Boot a server, or shut it down, in some seconds; return what does that."""
        objects = store.objects(process.file_of(self.folder))
        label = f"test-int-api-g1-{number}"
        (server,) = (each for each in objects if each.kind == "linode.instance" and each.body["label"] == label)
        post = clouds.connect(self.project()).platform.post
        timer = threading.Timer(after, post, [f"/linode/instances/{server.id}/{verb}"])
        timer.start()
        return timer

    def moment(self) -> str:
        """A time that is over, after all that was done before this call, and before all that is done after it."""
        at = sandbox.now(self.checkout.root).replace(microsecond=0) + dt.timedelta(seconds=1)
        while sandbox.now(self.checkout.root) <= at:
            time.sleep(0.05)
        return f"{at:%Y-%m-%dT%H:%M:%SZ}"

    def serves(self, label: str) -> bool:
        """Whether all servers are well with a database, and nothing is left to be done."""
        assert set(self.healths().values()) == {"well"}
        assert self.task("preview", "--expect-no-changes").code == 0
        return self.told() == {outfit.connection(self.resource(label)["outputs"])["host"]}


@pytest.fixture(scope="module")
def site(sandbox_checkout: Checkout) -> Site:
    change_platform(
        sandbox_checkout.root,
        {
            f"{GROUPS}.api": {"count": 2, "plan": "g6-nanode-1", "generations": [1]},
            **{f"{GROUPS}.{role}": REMOVED for role in ("chat", "customer-service", "web-chat")},
            "environments.internal.database.copies": True,
        },
    )
    change_stack(sandbox_checkout.root, "test", {"ops": REMOVED, "copies": REMOVED})
    # The programs that play databases and buckets take minutes to be made anew.
    sandbox_checkout.environment["XDG_CACHE_HOME"] = str(cache.folder().parent.parent)
    site = Site(sandbox_checkout)
    site.good("up", "--yes")
    return site


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say one of --copy ID, --at TIME"),
        (("--copy", "0123abcd", "--back"), "say one of --copy ID, --at TIME"),
        (("--at", "yesterday"), "--at yesterday: it is no time such as 2026-11-22T18:00:00Z"),
        (("--at", "2020-01-01"), "test-int-db can be had as it was from 20"),
        (("--copy", "0123abcd"), "internal has no copy 0123abcd; there are none"),
        (("--back",), "no restore is under way; test-int-db serves"),
    ],
)
def test_what_can_not_be_restored_is_refused_before_anything_is_changed(
    site: Site, options: tuple[str, ...], said: str
) -> None:
    before = site.file.read_text()
    ended = site.task("backups.restore", "--yes", *options)
    assert ended.code == 2, ended.output + ended.errors
    assert said in ended.errors
    assert site.file.read_text() == before


def test_a_database_is_as_it_was_at_a_time_also_where_the_run_was_cut_off_with_the_writers_stopped(site: Site) -> None:
    site.ask(OLD, "create table people (name text); insert into people values ('Ada'), ('Grace')")
    at = site.moment()
    site.ask(OLD, "delete from people; create table mistakes ()")
    site.restore_until("stopped what uses the database", "--at", at)
    assert set(site.healths().values()) == {"app.service is not active"}
    assert site.admitted() == {OLD: 3, NEW: 1}
    said = site.restore("--at", at)
    assert all(each in said for each in ("public.people", "public.mistakes", "going on with test-int-db-g2"))
    assert site.ask(NEW, "select name from people order by 1") == [("Ada",), ("Grace",)]
    assert site.ask(OLD, "select count(*) from people, mistakes") == [(0,)]
    assert site.serves(NEW)
    assert site.admitted() == {OLD: 1, NEW: 3}
    assert site.resource(OLD)["protect"]


def test_going_back_the_old_one_serves_and_the_new_one_is_kept_until_it_is_deleted_by_its_name(site: Site) -> None:
    site.restore("--back")
    assert site.serves(OLD)
    assert site.admitted() == {OLD: 3, NEW: 1}
    ended = site.task("backups.restore", "--yes", "--at", site.moment())
    assert ended.code == 2
    assert f"{OLD} serves, and {NEW} is there besides; delete that by its name first" in ended.errors
    change_stack(site.checkout.root, "test", {f"{DATABASE_KEY}.generations": [1]})
    site.good("up", "--yes", "--delete", NEW)
    assert site.admitted() == {OLD: 3}


def test_a_server_that_is_off_keeps_no_other_from_serving_and_one_that_is_born_is_waited_for(site: Site) -> None:
    off, other = "test-int-api-g1-1", "test-int-api-g1-2"
    job = site.project(), settings.load(site.checkout.root, "test"), "internal"
    site.power(1, "shutdown").join()
    assert writers.stop(*job) == [off]
    assert writers.start(*job, "") == [off]
    assert site.healths()[other] == "well"
    site.power(2, "shutdown").join()
    with pytest.raises(Failed, match=f"no server of api of internal is .*: {off}: .*; {other}: does not"):
        writers.start(*job, "")
    booting = [site.power(number, "boot", after=1.0) for number in (1, 2)]
    assert births.late(fleets.load(site.project(), job[1])) == {}
    for each in booting:
        each.join()
    assert writers.start(*job, "") == []
    assert site.serves(OLD)


def test_a_copy_fills_a_new_database_wherever_the_run_was_cut_off(site: Site, exhaustive: bool) -> None:
    site.ask(OLD, "create table rooms as select generate_series(1, 1000) as number")
    copied = re.search("the copy ([0-9a-f]+) of", site.good("backups.copy"))
    assert copied
    site.ask(OLD, "insert into rooms values (0)")
    for step in STEPS if exhaustive else STEPS[1:2]:
        site.restore_until(step, "--copy", copied[1])
    said = site.restore("--copy", copied[1])
    assert f"going on with {NEW}, of the copy {copied[1]}" in said
    made = re.search(f"{NEW} has a copy of its own, ([0-9a-f]+)", said)
    assert made
    assert made[1] != copied[1]
    assert site.ask(NEW, "select count(*), sum(number) from rooms") == [(1000, 500_500)]
    assert site.ask(OLD, "select count(*), sum(number) from rooms") == [(1001, 500_500)]
    assert site.serves(NEW)
    ended = site.task("backups.restore", "--yes", "--at", site.moment())
    assert ended.code == 2
    assert f"{NEW} is there, of the copy {copied[1]}." in ended.errors

    change_stack(site.checkout.root, "test", {f"{DATABASE_KEY}.serving": 1})  # as a file of before
    ended = site.task("backups.restore", "--yes", "--copy", copied[1])
    assert ended.code == 2
    assert f"{NEW} serves, and " in ended.errors
    assert site.ask(NEW, "select count(*) from rooms") == [(1000,)]
