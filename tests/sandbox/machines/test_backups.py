"""A backup of a machine has the files of its time, and is restored onto another server or its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import machines
from tests.sandbox import bodies
from tests.sandbox.machines.conftest import REGION, Fleet
from tests.sandbox.machines.test_balancers import eventually

FILE = '"$DESTDIR/etc/note"'
HOUR = 3_600.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("backups") / "box")
    fleet.add("api-1")
    fleet.ask("POST", f"/linode/instances/{fleet.instances['api-1']['id']}/backups/enable", {})
    fleet.play()
    yield fleet
    fleet.close()


def snapshot(fleet: Fleet, label: str) -> int:
    """Have a snapshot taken, and wait until the machines have it."""
    path = f"/linode/instances/{fleet.instances[label]['id']}/backups"
    taken: dict[str, Any] = fleet.ask("POST", path, {"label": "by hand"})
    fleet.box.move(HOUR)
    copies = fleet.folder / machines.FOLDER / ".backups" / str(fleet.instances[label]["id"])
    eventually((copies / str(taken["id"])).exists, True)
    return int(taken["id"])


def restore(fleet: Fleet, source: str, backup: int, target: str, **options: Any) -> None:
    path = f"/linode/instances/{fleet.instances[source]['id']}/backups/{backup}/restore"
    fleet.ask("POST", path, {"linode_id": fleet.instances[target]["id"], **options})
    fleet.ask("POST", f"/linode/instances/{fleet.instances[target]['id']}/boot", {})
    fleet.play()


def beside(fleet: Fleet, label: str, **given: Any) -> None:
    """A server without any disk."""
    body = bodies.instance(label=label, region=REGION, image=None, authorized_keys=None, **given)
    fleet.instances[label] = fleet.ask("POST", "/linode/instances", body)


def test_another_server_gets_the_files_that_there_were_and_the_first_keeps_its_own(fleet: Fleet) -> None:
    fleet.says("api-1", f"echo before >{FILE}; podman pull registry.example/a@sha256:{'5' * 64}")
    backup = snapshot(fleet, "api-1")
    fleet.says("api-1", f"echo after >{FILE}")
    metadata = fleet.box.control("GET", "/births").json()[str(fleet.instances["api-1"]["id"])]
    beside(fleet, "api-2", metadata={"user_data": metadata})
    restore(fleet, "api-1", backup, "api-2")
    assert fleet.says("api-2", f"cat {FILE}") == "before"
    assert fleet.says("api-2", f"podman image exists registry.example/a@sha256:{'5' * 64}; echo $?") == "0"
    assert fleet.says("api-2", "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/healthz") == "200"
    assert fleet.says("api-1", f"cat {FILE}") == "after"


def test_a_server_that_is_told_no_host_key_makes_one_of_its_own(fleet: Fleet) -> None:
    backup = snapshot(fleet, "api-1")
    beside(fleet, "api-3")
    restore(fleet, "api-1", backup, "api-3")
    assert "Host key verification failed" in fleet.log_in("api-3", "true").stderr


def test_restored_in_place_a_server_is_as_it_was_and_knows_no_other_birth(fleet: Fleet) -> None:
    fleet.says("api-1", f'echo then >{FILE}; echo mine >"$DESTDIR/etc/hostname"')
    backup = snapshot(fleet, "api-1")
    fleet.says("api-1", f"echo now >{FILE}")
    fleet.ask("POST", f"/linode/instances/{fleet.instances['api-1']['id']}/shutdown", {})
    restore(fleet, "api-1", backup, "api-1", overwrite=True)
    assert fleet.says("api-1", f'cat {FILE} "$DESTDIR/etc/hostname"') == "then\nmine"


def test_a_server_keeps_its_files_and_its_sessions_when_its_label_changes(fleet: Fleet) -> None:
    fleet.says("api-1", f"echo kept >{FILE}")
    one, two = (fleet.instances[label]["id"] for label in ("api-1", "api-2"))
    with fleet.session("api-1", "sleep 600") as session:
        for identity, label in ((one, "was"), (two, "api-1"), (one, "api-2")):
            fleet.ask("PUT", f"/linode/instances/{identity}", {"label": label})
        eventually(lambda: fleet.root("api-2").parent.resolve().name == str(one), True)
        assert session.poll() is None
    assert (fleet.root("api-2") / "etc/note").read_text() == "kept\n"
    assert (fleet.root("api-1") / "etc/note").read_text() == "before\n"


def test_copies_go_with_their_server(fleet: Fleet) -> None:
    copies = fleet.folder / machines.FOLDER / ".backups" / str(fleet.instances["api-1"]["id"])
    assert copies.exists()
    fleet.remove("api-1")
    eventually(copies.exists, False)
