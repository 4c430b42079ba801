"""Machines live as their servers do: reboots, ends, new ones of the same name; and nothing of them is left behind."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import locks, machines, process
from tests.configuration import ROOT
from tests.sandbox import bodies
from tests.sandbox.machines.conftest import REGION, Fleet
from tests.sandbox.machines.test_balancers import Balanced, eventually

BOOT_ID = 'cat "$DESTDIR/proc/sys/kernel/random/boot_id"'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    fleet = Balanced(tmp_path_factory.mktemp("lives") / "a box")
    fleet.balance()
    fleet.add("api-1")
    fleet.put("api-1")
    yield fleet
    fleet.close()


@pytest.fixture
def fleet(made: Balanced) -> Balanced:
    """A server behind a balancer, played."""
    made.box.start()
    made.box.wrong()
    made.play()
    return made


def processes_of(fleet: Fleet) -> dict[int, str]:
    """What runs for the machines of a fleet, also what no longer belongs to any of them."""
    folder, found = str(fleet.folder / machines.FOLDER), {}
    for each in Path("/proc").iterdir():
        try:
            if not each.name.isdigit() or "\nState:\tZ" in (each / "status").read_text():
                continue
            command = (each / "cmdline").read_text().replace("\0", " ")
            said = [(each / "environ").read_text(), str((each / "fd/2").readlink()), str((each / "cwd").readlink())]
        except (OSError, UnicodeDecodeError):
            continue
        if f"sandbox.machines {fleet.folder}" in command or any(folder in one for one in said):
            found[int(each.name)] = command
    return found


def boots_anew(fleet: Fleet, before: str) -> None:
    def boot_id() -> str:
        return fleet.run("api-1", BOOT_ID).stdout.strip()

    eventually(lambda: boot_id() not in ("", before), True)


@pytest.mark.parametrize("how", ["by itself", "by the API"])
def test_a_reboot_breaks_sessions_and_makes_the_run_folder_and_the_boot_id_anew(fleet: Fleet, how: str) -> None:
    before = fleet.says("api-1", f'touch "$DESTDIR/run/reboot-required" "$DESTDIR/etc/kept"; {BOOT_ID}')
    with fleet.session("api-1", "sleep 600") as session:
        if how == "by itself":
            assert fleet.log_in("api-1", "sudo systemctl reboot").returncode in (0, 255)
        else:
            fleet.ask("POST", f"/linode/instances/{fleet.instances['api-1']['id']}/reboot", {})
        assert session.wait(20) == 255
    boots_anew(fleet, before)
    assert fleet.says("api-1", 'ls "$DESTDIR/run"') == ""
    assert fleet.says("api-1", 'ls "$DESTDIR/etc/kept"').endswith("/etc/kept")
    assert fleet.says("api-1", "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/healthz") == "200"
    assert [line for line in processes_of(fleet).values() if "sleep 600" in line] == []


def test_a_machine_that_was_killed_comes_back(fleet: Fleet) -> None:
    before = fleet.says("api-1", BOOT_ID)
    with fleet.session("api-1", "sleep 600") as session:
        os.kill(fleet.process("api-1"), signal.SIGKILL)
        assert session.wait(20) == 255
    boots_anew(fleet, before)
    assert [line for line in processes_of(fleet).values() if "sleep 600" in line] == []


def test_an_unbootable_server_stays_away_after_its_reboot(fleet: Fleet) -> None:
    before = fleet.says("api-1", BOOT_ID)
    fleet.box.wrong(unbootable=["api-1"])
    fleet.log_in("api-1", "sudo systemctl reboot")
    eventually(lambda: fleet.log_in("api-1", "true").returncode, 255)
    fleet.play()
    assert fleet.log_in("api-1", "true").returncode == 255
    fleet.box.wrong()
    boots_anew(fleet, before)


def test_a_server_that_is_off_is_not_reached(fleet: Fleet) -> None:
    identity = fleet.instances["api-1"]["id"]
    fleet.ask("POST", f"/linode/instances/{identity}/shutdown", {})
    fleet.play()
    assert fleet.log_in("api-1", "true").returncode == 255
    fleet.ask("POST", f"/linode/instances/{identity}/boot", {})
    fleet.play()
    assert fleet.log_in("api-1", "true").returncode == 0


def test_files_of_a_deleted_server_are_gone_and_a_new_one_of_its_name_begins_anew(fleet: Fleet) -> None:
    fleet.add("web-1")
    fleet.play()
    fleet.says("web-1", 'touch "$DESTDIR/etc/of-the-first"')
    fleet.remove("web-1")
    fleet.play()
    assert not fleet.root("web-1").parent.exists()
    fleet.add("web-1")
    fleet.play()
    assert fleet.run("web-1", 'ls "$DESTDIR/etc/of-the-first"').returncode == 2
    fleet.remove("web-1")


def test_a_server_with_user_data_of_another_kind_has_a_machine_that_nobody_reaches(fleet: Fleet) -> None:
    user_data = base64.b64encode(b"#!/bin/sh\necho: [not yaml").decode()
    body = bodies.instance(label="other-1", region=REGION, metadata={"user_data": user_data})
    identity = fleet.ask("POST", "/linode/instances", body)["id"]
    fleet.play()
    assert fleet.process("other-1") > 0
    assert fleet.log_in("api-1", "true").returncode == 0
    fleet.ask("DELETE", f"/linode/instances/{identity}")


def test_files_stay_when_the_machines_are_stopped_and_started(fleet: Fleet) -> None:
    fleet.says("api-1", 'echo kept >"$DESTDIR/etc/kept"')
    machines.stop(fleet.folder)
    assert machines.status(fleet.folder) is None
    eventually(lambda: processes_of(fleet), {})
    fleet.play()
    assert fleet.says("api-1", 'cat "$DESTDIR/etc/kept"') == "kept"


def test_starting_again_finds_what_runs(fleet: Fleet) -> None:
    names = "api-1", "haproxy", "keeper"
    before = [fleet.process(name) for name in names]
    assert 0 not in before
    assert fleet.play() == machines.status(fleet.folder)
    assert [fleet.process(name) for name in names] == before


@pytest.mark.parametrize("who", ["the host", "the keeper", "the balancer", "the sandbox"])
def test_whoever_is_killed_nothing_is_left_behind(fleet: Balanced, who: str) -> None:
    with fleet.session("api-1", "sleep 600 & sleep 601") as session:
        host = locks.holder(fleet.folder / process.MACHINES.lock)
        assert host is not None
        victims = {
            "the host": host["pid"],
            "the keeper": fleet.process("keeper"),
            "the balancer": fleet.process("haproxy"),
            "the sandbox": fleet.box.running.pid,
        }
        os.kill(victims[who], signal.SIGKILL)
        if who in ("the keeper", "the balancer"):
            eventually(lambda: fleet.process("haproxy") not in (0, victims[who]), True)
            eventually(lambda: fleet.process("keeper") not in (0, victims[who]), True)
            fleet.play()
            assert fleet.servers() == {"api-1"}
            machines.stop(fleet.folder)
        eventually(lambda: processes_of(fleet), {})
        assert session.wait(20) == 255


def test_stopping_the_sandbox_ends_its_machines_first(fleet: Fleet) -> None:
    fleet.box.stop()
    eventually(lambda: processes_of(fleet), {})
    with pytest.raises(process.SandboxError, match=r"no sandbox runs in .*: start it first"):
        fleet.play()


def test_as_many_machines_as_a_whole_region_has_are_light(fleet: Balanced) -> None:
    for number in range(14):
        fleet.add(f"many-{number}")
        fleet.put(f"many-{number}")
    fleet.play()
    assert len(fleet.servers()) > 4
    shares = [Path(f"/proc/{each}/smaps_rollup").read_text() for each in processes_of(fleet)]
    memory = sum(int(line.split()[1]) for share in shares for line in share.splitlines() if line.startswith("Pss:"))
    assert memory < 200_000, f"{memory} kB"


def test_importing_the_interface_brings_nothing_heavy() -> None:
    heavy = "asyncio", "cryptography", "grpc", "pulumi", "yaml"
    script = f"import sys, sandbox.machines; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
