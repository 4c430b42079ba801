"""A database is restored while servers run: real data, real forks, real applications that are stopped and started.

The tests are the life of one stack: each goes on where the one before it ended.
"""

import datetime as dt
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from components import outfit, settings
from operations import console, engine, sandbox
from operations.guards import DATABASE
from operations.project import Project
from sandbox import machines, process, store
from tests.configuration import REMOVED, change_platform
from tests.operations.checkout import Checkout, Ended

GROUPS = "environments.internal.groups"
OLD, NEW = "test-int-db", "test-int-db-g2"


@dataclass(frozen=True)
class Site:
    """A small stack that is up, its servers and its databases played by local processes."""

    checkout: Checkout

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
        files = [root / name / "root/etc/chat-tonic/app.env" for name in self.servers()]
        return {line.partition("=")[2] for file in files for line in file.read_text().splitlines() if "HOST" in line}

    def servers(self) -> dict[str, str]:
        """How the applications on the servers are."""
        rows = json.loads(self.task("servers.list", "--json").output)["test"]
        return {row["server"]: row["health"] for row in rows}

    def moment(self) -> str:
        """A time that is over, after all that was done before this call, and before all that is done after it."""
        at = sandbox.now(self.checkout.root).replace(microsecond=0) + dt.timedelta(seconds=1)
        while sandbox.now(self.checkout.root) <= at:
            time.sleep(0.05)
        return f"{at:%Y-%m-%dT%H:%M:%SZ}"

    def is_unchanged(self) -> bool:
        return self.task("preview", "--expect-no-changes").code == 0


@pytest.fixture(scope="module")
def site(sandbox_checkout: Checkout) -> Site:
    change_platform(
        sandbox_checkout.root,
        {
            f"{GROUPS}.api": {"count": 2, "plan": "g6-nanode-1", "generations": [1]},
            **{f"{GROUPS}.{role}": REMOVED for role in ("chat", "customer-service", "web-chat")},
        },
    )
    site = Site(sandbox_checkout)
    site.good("up", "--yes")
    return site


def test_a_database_is_as_it_was_at_a_time_and_the_old_one_is_kept_closed_to_servers(site: Site) -> None:
    site.ask(OLD, "create table people (name text); insert into people values ('Ada'), ('Grace')")
    at = site.moment()
    site.ask(OLD, "delete from people; create table mistakes ()")
    assert site.admitted() == {OLD: 2}
    said = site.restore("--at", at)
    assert "All that was written since" in said
    assert site.ask(NEW, "select name from people order by 1") == [("Ada",), ("Grace",)]
    assert site.ask(OLD, "select count(*) from people, mistakes") == [(0,)]
    assert site.admitted() == {OLD: 0, NEW: 2}
    assert site.told() == {outfit.connection(site.resource(NEW)["outputs"])["host"]}
    assert set(site.servers().values()) == {"well"}
    assert site.is_unchanged()
    assert site.resource(OLD)["protect"]
