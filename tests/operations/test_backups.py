"""Backups on the sandbox, with real PostgreSQL, restic, S3 and SSH: what there is, how old it is, that it restores."""

import datetime as dt
import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import linode_api4
import psycopg
import pytest
import requests

from components import settings
from operations import engine, sandbox
from operations.backups import contents, reach, status
from operations.backups.status import GOOD, OVERDUE, PROVED, PROVED_SOON, WARNING, Row
from operations.project import Project
from sandbox import machines, process
from tests.configuration import REMOVED, change_platform, change_stack
from tests.operations.checkout import Checkout, Ended
from toolchain import cache

STACK, ENVIRONMENT = "us-central", "production"
API, OPS, DATABASE = "us-prod-api-g1-1", "us-ops", "us-prod-db"
BACKUP, WINDOW = "the provider's backup", "the provider's restorable window"
COPIES, PROOF, SECOND = "the copies", "the proof that they restore", "the second copies"
WORDS = "what a customer wrote"
NOW = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@dataclass
class Site:
    """A small stack that is up: a server, the ops server, and a database with copies."""

    checkout: Checkout

    @property
    def folder(self) -> Path:
        return self.checkout.root / sandbox.FOLDER

    @property
    def project(self) -> Project:
        found = engine.ensure(lambda _: None)
        return sandbox.project(self.checkout.root, STACK, self.stack, found, lambda _: None)

    @property
    def stack(self) -> settings.Stack:
        return settings.load(self.checkout.root, STACK)

    def task(self, verb: str, *arguments: str) -> Ended:
        return self.checkout.run(verb, STACK, "--sandbox", *arguments)

    def good(self, verb: str, *arguments: str) -> str:
        """Run a task that ends well; return what it printed."""
        ended = self.task(verb, *arguments)
        assert ended.code == 0, ended.output + ended.errors
        return ended.output

    def status(self, *arguments: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
        """The exit code, and the rows by what each is of and what it is."""
        ended = self.task("backups.status", "--json", *arguments)
        assert ended.output, ended.errors
        return ended.code, {(row["of"], row["what"]): row for row in json.loads(ended.output)[STACK]}

    def control(self, method: str, path: str, **said: Any) -> Any:
        headers = {"Authorization": f"Bearer {process.tokens(self.folder).control}"}
        address = f"{self.running.control_url}{path}"
        answer = requests.request(method, address, json=said, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def move_to(self, hour: int, minute: int = 0) -> None:
        """Move the clouds' clock to the next such time."""
        now = sandbox.now(self.checkout.root)
        then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        self.control("POST", "/clock", by=((then if then > now else then + DAY) - now).total_seconds())

    @property
    def running(self) -> process.Running:
        found = process.status(self.folder)
        assert found
        return found

    def schedule(self, label: str, window: str) -> None:
        """Have the provider back a server up in another window."""
        tokens = process.tokens(self.folder)
        client = linode_api4.LinodeClient(tokens.linode_platform, base_url=self.running.linode_url)
        (server,) = client.linode.instances(linode_api4.Instance.label == label)
        client.put(
            f"/linode/instances/{server.id}", data={"backups": {"schedule": {"day": "Sunday", "window": window}}}
        )


@pytest.fixture(scope="module")
def site(sandbox_checkout: Checkout) -> Site:
    sandbox_checkout.environment["XDG_CACHE_HOME"] = str(cache.folder().parents[1])
    production = f"environments.{ENVIRONMENT}"
    roles = {f"{production}.groups.{role}": REMOVED for role in ("chat", "customer-service", "web-chat")}
    change_platform(sandbox_checkout.root, {**roles, f"{production}.groups.api.count": 1})
    change_stack(sandbox_checkout.root, STACK, {"environments.bot-testing": REMOVED})
    site = Site(sandbox_checkout)
    site.good("up", "--yes")
    return site


def test_a_stack_that_is_new_has_nothing_yet_and_nothing_overdue(site: Site) -> None:
    code, rows = site.status()
    assert code == 0
    assert [*rows] == [
        (API, BACKUP),
        (OPS, BACKUP),
        (DATABASE, WINDOW),
        (DATABASE, COPIES),
        (DATABASE, PROOF),
        (DATABASE, SECOND),
    ]
    assert {row["state"] for row in rows.values()} == {GOOD}
    assert all(row["at"] is None for (_, what), row in rows.items() if what != WINDOW)


def test_a_copy_is_made_proved_and_brought_into_the_second_bucket(site: Site) -> None:
    held = reach.given(site.project, site.stack, ENVIRONMENT)
    database = {**held.configuration["database"], "sslmode": "prefer", "sslrootcert": ""}
    with psycopg.connect(**database) as connection:
        connection.execute("create table said (words text)")
        connection.execute("insert into said values (%s)", [WORDS])
    (made,) = site.good("backups.copy").splitlines()
    assert made.startswith(f"{STACK}: {ENVIRONMENT}: the copy ")
    assert ": 1 rows, " in made
    (again,) = site.good("backups.copy", "--second").splitlines()
    assert again.split()[5:] == made.split()[5:]
    (back,) = site.good("backups.copy", "--back", again.split()[4]).splitlines()
    copy = back.split()[4]
    assert len({made, again, back}) == 3  # each has an id of its own
    (evidence,) = json.loads(site.good("backups.drill", "--copy", copy, "--publish", "--json"))
    assert (evidence["result"], evidence["copy"]["id"], evidence["compared"]["rows"]) == ("proved", copy, 1)
    code, rows = site.status()
    assert code == 0
    assert (rows[DATABASE, COPIES]["more"]["number"], rows[DATABASE, SECOND]["more"]["number"]) == (2, 1)
    assert rows[DATABASE, PROOF]["says"].endswith(f"of the copy {copy}")
    assert not (site.checkout.root / "docs").exists()  # what the sandbox proves is no evidence for anybody
    (file,) = (site.folder / "evidence").iterdir()
    assert file.name == f"{STACK}-{ENVIRONMENT}-{evidence['at'][:10]}.json"
    text = file.read_text()
    secrets = (held.configuration["key"], *held.configuration["repository"].values(), *database.values(), WORDS)
    assert not [each for each in secrets if len(each) > 5 and each in text]
    assert json.loads(text)["compared"]["tables"] == 1


def test_what_can_not_be_proved_ends_with_1_and_is_not_published(site: Site) -> None:
    before = [*(site.folder / "evidence").iterdir()]
    ended = site.task("backups.drill", "--copy", "00000000", "--publish", "--alarm")
    assert ended.code == 1
    assert "there is no copy 00000000" in ended.output
    assert "the copy 00000000 is not proved to restore" in ended.errors
    assert [*(site.folder / "evidence").iterdir()] == before


def test_the_whole_program_works_on_the_ops_server_and_leaves_nothing_there(site: Site) -> None:
    played = sandbox.machines(site.checkout.root, lambda _: None)
    assert played.ssh
    root = site.folder / machines.FOLDER / OPS / "root"
    python = site.folder / machines.FOLDER / ".bin" / "python3"  # a server's has psycopg
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o700)
    config = root / reach.CONFIG.format(ENVIRONMENT).lstrip("/")
    given = reach.given(site.project, site.stack, ENVIRONMENT)
    born = json.loads(config.read_text())
    assert born["key"] == given.configuration["key"]
    config.write_text(json.dumps({**given.configuration, "database": born["database"]}))
    run = reach.on_server(site.project, site.stack)
    program = reach.answering(site.project, run)
    assert [copy["rows"] for copy in program(ENVIRONMENT, "list").found["copies"]] == [1, 1]
    code, printed, said = run(ENVIRONMENT, ["drill", "--copy", "00000000"])
    assert (code, json.loads(printed)["reason"]) == (1, "there is no copy 00000000")
    assert "there is no copy 00000000" in said
    code, printed, said = run(ENVIRONMENT, ["compare", "--record", reach.Private("no record")])
    assert (code, printed) == (1, "")
    config.unlink()  # of copies that are not its own it knows what it is told, for one run
    opened = reach.with_copies_of(site.project, site.stack, site.project, site.stack)
    program = reach.answering(site.project, reach.on_server(site.project, site.stack, opened))
    assert [copy["rows"] for copy in program(ENVIRONMENT, "list").found["copies"]] == [1, 1]
    assert not config.exists()
    assert not [*Path("/tmp").glob(f"tmp.*/{reach.PROGRAM}")]  # noqa: S108 - where mktemp makes its folders


def test_a_server_without_a_backup_for_a_day_and_two_hours_is_overdue_and_alarms(site: Site) -> None:
    site.move_to(23, 30)  # so that W0 is yet to come, at any time of the day
    site.schedule(API, "W0")
    site.move_to(3)
    site.move_to(23, 59)
    site.schedule(API, "W22")  # the next one begins nearly two days after the last
    site.move_to(21)
    code, rows = site.status("--alarm")
    assert code == 1
    assert {each for each, row in rows.items() if row["state"] == OVERDUE} == {(API, BACKUP)}
    assert rows[API, BACKUP]["says"].startswith("1d 20h old")
    assert "Linode's support" in rows[API, BACKUP]["do"]
    mails = [mail.read_text() for mail in (site.folder / "alarms" / STACK / "sent").glob("*.eml")]
    assert [f"{STACK} {ENVIRONMENT}: {BACKUP} is overdue (1 found)" in mail for mail in mails].count(True) == 1


def test_copies_that_can_not_be_listed_are_overdue_the_second_ones_as_well(site: Site, tmp_path: Path) -> None:
    restic = tmp_path / "restic"
    restic.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    restic.chmod(0o700)
    path = site.checkout.environment["PATH"]
    site.checkout.environment["PATH"] = f"{tmp_path}:{path}"
    try:
        code, rows = site.status()
    finally:
        site.checkout.environment["PATH"] = path
    assert code == 1
    assert {what for (_, what), row in rows.items() if row["state"] == OVERDUE} >= {COPIES, SECOND}
    assert "they can't be listed: " in rows[DATABASE, SECOND]["says"]


@pytest.mark.parametrize(
    ("age", "state"),
    [(26 * HOUR, GOOD), (26 * HOUR + dt.timedelta(seconds=1), OVERDUE)],
)
def test_what_is_made_daily_may_be_26_hours_old(age: dt.timedelta, state: str) -> None:
    assert status.judged(Row("a", "b", "c", at=NOW - age), NOW - 900 * DAY, NOW).state == state
    assert status.judged(Row("a", "b", "c"), NOW - age, NOW).state == state  # what has none yet, by its own age


@pytest.mark.parametrize(
    ("age", "days", "state"),
    [
        (900, 30, GOOD),
        (900, 27, GOOD),
        (900, 26, OVERDUE),
        (900, 1, OVERDUE),
        (10, 6, GOOD),
        (10, 5, OVERDUE),
        (1, 0, GOOD),
        (-5, 0, GOOD),
        (3, 30, GOOD),  # a generation that was just restored
    ],
)
def test_copies_of_fewer_days_than_there_should_be_are_overdue_however_new_the_newest_is(
    age: int, days: int, state: str
) -> None:
    copies = [{"day": f"{(NOW - number * DAY):%Y-%m-%d}"} for number in range(days) for _ in range(2)]
    row = status.complete(Row("a", "b", "c", says="new"), copies, status.expected(30, NOW - age * DAY, NOW), "look")
    told = (f"of {days} days, and there should be {min(30, age - 1)}: new", "look") if state == OVERDUE else ("new", "")
    assert (row.state, (row.says, row.do)) == (state, told)


def test_a_stack_without_servers_and_databases_as_a_pilot_light_is_shown_as_that() -> None:
    shown = status.table({"us-standby": []})
    assert [[*column.cells] for column in shown.columns] == [["us-standby"], [""], [""], ["nothing is there"], [""]]


def test_a_copy_of_a_time_to_come_is_not_the_newest() -> None:
    days = [{"taken": f"{NOW + day * DAY:%Y-%m-%dT%H:%M:%SZ}"} for day in (400, 1, 0, -1)]
    assert contents.past(days, NOW) == days[2:]


@pytest.mark.parametrize(("days", "state"), [(150, GOOD), (151, WARNING), (180, WARNING), (181, OVERDUE)])
def test_a_proof_may_be_180_days_old_and_is_warned_of_from_150(days: int, state: str) -> None:
    row = Row("a", "b", "c", at=NOW - days * DAY)
    assert status.judged(row, None, NOW, PROVED, PROVED_SOON).state == state
