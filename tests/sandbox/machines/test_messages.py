"""The application of a role with a database keeps messages there, each once."""

import http.client
import json
from collections.abc import Iterator

import pytest

from components import user_data
from tests.sandbox.data.conftest import Holdings
from tests.sandbox.machines.conftest import Fleet
from tests.sandbox.machines.test_balancers import eventually


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Holdings]]:
    """Two servers with one database, and one without."""
    folder = tmp_path_factory.mktemp("kept") / "box"
    fleet, held = Fleet(folder), Holdings(folder)
    held.add("main")
    held.play()
    login = held.login("main")
    given = user_data.Database(
        login["host"],
        login["port"],
        login["dbname"],
        login["user"],
        login["password"],
        (folder / "main.pem").read_text(),
    )
    for label in ("api-1", "api-2"):
        fleet.add(label, database=given)
    admit(fleet, held, "api-1", "api-2")
    fleet.add("bots-1")
    fleet.play()
    yield fleet, held
    held.close()


def admit(fleet: Fleet, held: Holdings, *labels: str) -> None:
    """Have the database's allow list name these servers alone."""
    allowed = [fleet.instances[each]["ipv4"][0] for each in labels]
    held.ask("PUT", f"/databases/postgresql/instances/{held.databases['main']}", {"allow_list": allowed})
    held.play()


def _post(fleet: Fleet, label: str, text: str, key: str | None = "k") -> tuple[int, dict[str, object]]:
    application = http.client.HTTPConnection(fleet.ssh_of(label).host, 8080, timeout=30)
    application.request("POST", "/message", text.encode(), {"Idempotency-Key": key} if key else {})
    answer = application.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_message_is_one_row_however_often_it_comes(kept: tuple[Fleet, Holdings]) -> None:
    fleet, held = kept
    status, first = _post(fleet, "api-1", "olá", "first")
    assert (status, first["server"]) == (200, "api-1")
    assert _post(fleet, "api-2", "olá", "first")[1]["id"] == first["id"]
    assert _post(fleet, "api-2", "another", "second")[1]["id"] != first["id"]
    assert held.says("main", "SELECT text FROM messages ORDER BY id") == ["olá", "another"]
    assert _post(fleet, "api-1", "without a key", None)[0] == 400
    assert held.says("main", "SELECT count(*) FROM messages") == [2]


def test_a_database_takes_nothing_from_a_server_that_its_allow_list_does_not_name(kept: tuple[Fleet, Holdings]) -> None:
    fleet, held = kept
    assert _post(fleet, "api-1", "named", "named")[0] == 200
    admit(fleet, held, "api-2")
    assert [_post(fleet, label, "shut out", label)[0] for label in ("api-1", "api-2")] == [503, 200]
    assert held.says("main", "SELECT key FROM messages WHERE text = 'shut out'") == ["api-2"]
    admit(fleet, held, "api-1", "api-2")
    assert _post(fleet, "api-1", "named again", "again")[0] == 200


def test_what_is_not_committed_is_no_success(kept: tuple[Fleet, Holdings]) -> None:
    fleet, held = kept
    assert _post(fleet, "api-1", "before", "before")[0] == 200
    held.box.wrong(unhealthy=["main"])
    held.play()
    assert _post(fleet, "api-1", "lost", "lost")[0] == 503
    held.box.wrong()
    held.play()
    eventually(lambda: _post(fleet, "api-1", "after", "after")[0], 200)
    assert held.says("main", "SELECT key FROM messages WHERE key IN ('before', 'lost', 'after')") == ["before", "after"]


def test_a_role_without_a_database_keeps_nothing(kept: tuple[Fleet, Holdings]) -> None:
    status, said = _post(kept[0], "bots-1", "hello")
    assert (status, said["path"], "id" in said) == (200, "/message", False)


def test_applications_fail_and_linger_as_they_are_told(kept: tuple[Fleet, Holdings]) -> None:
    fleet, held = kept
    held.box.wrong(failing=["api-*=1"], slow=["bots-1=0.5"])
    eventually(lambda: _post(fleet, "api-2", "x", "failing")[0], 500)
    assert _post(fleet, "bots-1", "x")[0] == 200
    held.box.wrong()
    eventually(lambda: _post(fleet, "api-2", "x", "failing")[0], 200)
