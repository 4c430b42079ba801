"""Databases are real: reached as the model says, forked to a point in time, down and gone with what the model has."""

import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from components.catalog import DATABASE_NAME
from sandbox import authority, data
from sandbox.data import home
from sandbox.linode.databases import DATABASE
from tests.configuration import ROOT
from tests.sandbox.data.conftest import REGION, Holdings
from tests.sandbox.door import Door
from tests.sandbox.machines.test_balancers import eventually
from toolchain import postgresql

ROWS = "SELECT word FROM said ORDER BY at"
WRITE = "INSERT INTO said VALUES (%s)"
DAY = 86_400


@pytest.fixture(scope="module", autouse=True)
def main(held: Holdings) -> None:
    held.add("main")
    held.play()
    held.does("main", "CREATE TABLE said (word text, at timestamptz DEFAULT clock_timestamp())")


def say(held: Holdings, label: str, word: str) -> datetime:
    """Writes a row; the clouds' time by then, at a full second that has nothing else in it."""
    held.does(label, WRITE, word)
    written = clock(held)
    eventually(lambda: clock(held) > written, True)
    return clock(held)


def clock(held: Holdings) -> datetime:
    """The clouds' time, to the second, as that of a fork is given."""
    return datetime.fromisoformat(held.box.control("GET", "/clock").json()["now"]).replace(microsecond=0)


def is_reached(held: Holdings, label: str) -> bool:
    try:
        return held.says(label, "SELECT true") == [True]
    except (KeyError, psycopg.OperationalError):
        return False


def refuses(held: Holdings, label: str, says: str, **changes: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=says), held.connected(label, **changes):
        pass


def test_a_database_is_reached_by_its_name_with_its_own_certificate(held: Holdings) -> None:
    with held.connected("main") as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.info.parameter_status("is_superuser") == "off"
        query = "SELECT rolcreaterole, rolcreatedb, rolsuper FROM pg_roles WHERE rolname = current_user"
        assert connection.execute(query).fetchone() == (True, True, False)
        query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        assert connection.execute(query).fetchone() == ("akmadmin",)
        assert connection.info.dbname == DATABASE == DATABASE_NAME


def test_only_who_is_meant_is_let_in_and_only_over_tls(held: Holdings, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(authority.certificate("another"))
    wrong = {
        "server certificate for .* does not match host name": {"host": "another.g2a.akamaidb.net"},
        "certificate verify failed": {"sslrootcert": str(other)},
        "no encryption": {"sslmode": "disable"},
        'authentication failed for user "akmadmin"': {"password": "another"},
        'authentication failed for user "postgres"': {"user": "postgres"},
    }
    for said, change in wrong.items():
        refuses(held, "main", said, **change)


def test_both_doors_show_the_same_certificate(held: Holdings) -> None:
    certificate = held.ask("GET", f"/databases/postgresql/instances/{held.databases['main']}/ssl")["ca_certificate"]
    with Door(held.folder) as door:
        read = door.read("linode:index/databasePostgresqlV2:DatabasePostgresqlV2", str(held.databases["main"]))
    assert read.properties["caCert"]["value"] == certificate


def test_a_version_whose_build_has_no_tls_says_so(held: Holdings) -> None:
    held.add("sixteen", engine="postgresql/16")
    at = held.play().databases["sixteen"]
    tls = postgresql.find(16, print).tls
    assert (at.version, at.sslmode) == (16, "verify-full" if tls else "disable")
    with held.connected("sixteen") as connection:
        assert (connection.info.server_version // 10_000, connection.pgconn.ssl_in_use) == (16, tls)
    environment = {**os.environ, **at.environment}
    command = [str(at.programs / "pg_dump"), "--version"]
    assert b"(PostgreSQL) 16." in subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    held.drop("sixteen")


def test_a_fork_has_what_its_source_had_at_a_time_and_nothing_later(held: Holdings) -> None:
    say(held, "main", "before")
    held.box.move(DAY)
    then = say(held, "main", "by then")
    held.box.move(DAY)
    held.does("main", WRITE, "later")
    held.does("main", "CREATE TABLE later ()")
    held.fork("then", "main", then.strftime("%Y-%m-%dT%H:%M:%S"))
    held.fork("now", "main")
    held.does("main", WRITE, "too late")
    held.play()
    assert held.says("then", ROWS) == ["before", "by then"]
    assert held.says("then", "SELECT to_regclass('later')") == [None]
    assert held.says("now", ROWS) == ["before", "by then", "later"]
    refuses(held, "now", "authentication failed", password=held.login("main")["password"])
    held.does("then", WRITE, "of its own")
    held.fork("fork-of-it", "then")
    held.drop("then")  # before anything could have been done
    held.play()
    assert held.says("fork-of-it", ROWS) == ["before", "by then", "of its own"]
    assert held.says("main", ROWS) == ["before", "by then", "later", "too late"]


def test_a_deleted_database_leaves_nothing_and_a_new_one_of_its_name_is_empty(held: Holdings) -> None:
    held.add("short")
    at = held.play().databases["short"]
    held.does("short", "CREATE TABLE of_the_first ()")
    files = home.of(held.folder) / str(held.databases["short"])
    assert files.exists()
    held.drop("short")
    assert "short" not in held.play().databases
    assert not files.exists()
    assert [each for each in held.processes() if str(files) in each] == []
    held.add("short")
    assert held.play().databases["short"].hostaddr != at.hostaddr
    assert held.says("short", "SELECT to_regclass('of_the_first')") == [None]
    held.drop("short")


@pytest.mark.parametrize(("wrong", "others"), [({"regions_down": [REGION]}, False), ({"unhealthy": ["main"]}, True)])
def test_a_database_that_is_down_or_its_region_is_not_reached_and_whole_afterwards(
    held: Holdings, wrong: dict[str, list[str]], others: bool
) -> None:
    before = held.says("main", ROWS)
    left = held.play().databases.keys() - {"main"} if others else set()
    login = {**held.login("main"), "hostaddr": held.play().databases["main"].hostaddr}
    held.box.wrong(**wrong)
    assert held.play().databases.keys() == left
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        psycopg.connect(**login)
    held.box.wrong()
    held.play()
    assert held.says("main", ROWS) == before


@pytest.mark.parametrize("who", ["the server", "what follows", "the sandbox"])
def test_whoever_is_killed_what_was_written_is_there_and_nothing_is_left_behind(held: Holdings, who: str) -> None:
    at = held.play().databases["main"]
    held.does("main", WRITE, who)
    server = (home.of(held.folder) / str(held.databases["main"]) / "data/postmaster.pid").read_text().split()[0]
    victims = {"the server": int(server), "what follows": held.follower(), "the sandbox": held.box.running.pid}
    os.kill(victims[who], signal.SIGKILL)
    if who == "the server":
        eventually(lambda: is_reached(held, "main"), True)
    else:
        eventually(held.processes, [])
    held.box.start()
    assert held.play().databases["main"] == at
    assert held.says("main", ROWS)[-1] == who


def test_starting_again_finds_what_runs_and_stopping_ends_it(held: Holdings) -> None:
    follower = held.follower()
    assert held.play() == data.status(held.folder)
    assert held.follower() == follower
    data.stop(held.folder)
    assert (data.status(held.folder), held.processes()) == (None, [])


def test_a_cluster_is_small(held: Holdings) -> None:
    held.play()
    files = home.of(held.folder) / str(held.databases["main"])
    size = sum(each.stat().st_blocks * 512 for each in files.rglob("*") if each.is_file())
    assert size < 64 * 2**20, f"{size / 2**20:.0f} MB"


def test_what_is_left_of_a_sandbox_that_is_gone_goes_too(held: Holdings, tmp_path: Path) -> None:
    if not postgresql.unprivileged():
        pytest.skip("who is not root has all files in the sandbox's own folder")
    left = home.ensure(tmp_path / "gone")
    assert left.exists()
    assert home.ensure(held.folder).exists()
    assert not left.exists()


def test_importing_the_interface_brings_nothing_heavy() -> None:
    heavy = "asyncio", "cryptography", "grpc", "http.client", "psycopg", "pulumi"
    script = f"import sys, sandbox.data; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
