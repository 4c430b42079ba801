"""The board and those on call are told once when something is wrong, and when it is over."""

import datetime as dt
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.user_data.contents import BORN_WITH
from copies import __main__ as program
from tests.copies import place as places
from tests.copies.place import Place
from tests.operations.relay import USER, Relay

BARE = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('copies', run_name='__main__')"
BOARD, ON_CALL = "board@trello.example", "on-call@chat-tonic.example"


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    relay = Relay(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(relay.authority))
    relay.start()
    yield relay
    relay.stop()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places.made(tmp_path_factory.mktemp("alarms"), "create table orders (id int)") as place:
        yield place


@pytest.fixture
def place(shop: Place, relay: Relay) -> Place:
    shop.config.with_suffix(".state").unlink(missing_ok=True)
    shop.configure(alarm={"smtp": relay.url, "from": USER, "to": [BOARD, ON_CALL]})
    return shop


def run(place: Place, *arguments: str) -> int:
    return program.main(["--config", str(place.config), *arguments])


def told(relay: Relay) -> list[tuple[list[str], str]]:
    """Who was told what since it was last asked."""
    found = [(each.recipients, str(each.message["Subject"]).strip()) for each in relay.taken]
    relay.taken.clear()
    return found


def test_an_overdue_copy_is_told_once_and_again_when_there_is_a_new_one(place: Place, relay: Relay) -> None:
    place.seed(dt.datetime.now(dt.UTC) - dt.timedelta(hours=26, minutes=1))
    assert run(place, "check") == 3
    [(recipients, subject)] = told(relay)
    assert recipients == [BOARD, ON_CALL]
    assert subject.startswith("[chat-tonic] us-central/production: the copy of the database is overdue: the newest one")
    assert run(place, "check") == 3
    assert told(relay) == []
    assert run(place, "copy") == 0
    [(recipients, subject)] = told(relay)
    assert recipients == [BOARD, ON_CALL]
    assert "us-central/production: over: " in subject
    assert run(place, "check") == 0
    assert told(relay) == []


def test_a_job_that_fails_is_told_once_until_there_is_a_copy(place: Place, relay: Relay) -> None:
    for _ in range(2):
        assert run(place, "alarm", "the copy failed:\nthe store is full") == 0
    assert [subject for _, subject in told(relay)] == [
        "[chat-tonic] us-central/production: the copy failed: the store is full"
    ]
    assert run(place, "copy", "--by-hand") == 0
    assert len(told(relay)) == 1
    assert run(place, "alarm", "the copy failed") == 0
    assert len(told(relay)) == 1


def test_who_could_not_be_told_is_told_the_next_time_and_nobody_twice(
    place: Place, relay: Relay, capsys: pytest.CaptureFixture[str]
) -> None:
    relay.refused[ON_CALL] = "451 not now"
    assert run(place, "alarm", "the copy failed") == 1
    assert f"the relay refuses {ON_CALL}" in capsys.readouterr().err
    relay.refused.clear()
    assert run(place, "alarm", "the copy failed") == 0
    assert [recipients for recipients, _ in told(relay)] == [[BOARD], [ON_CALL]]


def test_a_relay_that_is_down_is_said_without_its_password(
    place: Place, relay: Relay, capsys: pytest.CaptureFixture[str]
) -> None:
    relay.stop()
    assert run(place, "alarm", "the copy failed") == 1
    said = capsys.readouterr().err
    assert f"{BOARD}, {ON_CALL} can't be told: " in said
    assert "ss:word" not in said
    relay.start()
    assert run(place, "alarm", "the copy failed") == 0
    assert len(told(relay)) == 1


def test_a_store_that_can_not_be_asked_is_an_alarm(place: Place, relay: Relay) -> None:
    place.configure(
        alarm={"smtp": relay.url, "from": USER, "to": [BOARD]},
        repository={"url": f"s3:{place.proxy.url}/another"},
    )
    assert run(place, "check") == 3
    [(_, subject)] = told(relay)
    assert "can't be seen: the repository: there is no such bucket" in subject


@pytest.mark.parametrize("job", ["copy", "check"])
def test_a_server_that_nobody_brought_the_rest_of_the_program_tells_that_its_job_fails(
    place: Place, relay: Relay, tmp_path: Path, job: str
) -> None:
    (tmp_path / "copies").mkdir()
    for module in BORN_WITH:
        shutil.copy(Path(program.__file__).with_name(f"{module}.py"), tmp_path / "copies")

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        bare = [sys.executable, "-I", "-S", "-c", BARE, str(tmp_path)]  # without psycopg, too
        command = [*bare, "--config", str(place.config), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    failed = run(job)
    assert (failed.returncode, failed.stderr) == (1, f"copies: No module named 'copies.{job}'\n")
    assert run("alarm", "the copy fails").returncode == 0
    assert told(relay) == [([BOARD, ON_CALL], "[chat-tonic] us-central/production: the copy fails")]
