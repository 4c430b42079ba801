"""The process: one a folder, found again, stopped, killed without losing anything, and clear when it can't start."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from sandbox import process, store
from sandbox.cloudflare import zones
from sandbox.process import SandboxError
from tests.sandbox.bodies import ZONE
from tests.sandbox.conftest import kill
from tests.sandbox.door import Door


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_starting_twice_finds_the_one_that_runs(folder: Path) -> None:
    running = process.start(folder, [ZONE])
    assert process.start(folder, [ZONE]) == running
    assert process.status(folder) == running
    assert running.providers == f"linode:{running.linode_port},cloudflare:{running.cloudflare_port}"


def test_two_that_start_at_once_are_one(folder: Path) -> None:
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: process.start(folder, [ZONE]), range(2))
    assert first == second


def test_stopping_does_not_wait_as_long_as_the_cloud_would(folder: Path) -> None:
    process.start(folder, latency=1.0)
    server = {"label": "slow-1", "region": "us-central", "type": "g6-nanode-1"}
    with Door(folder) as door, ThreadPoolExecutor() as pool:
        call = pool.submit(door.create, "linode:index/instance:Instance", server)
        while "slow-1" not in [record.key for record in store.objects(process.file_of(folder))]:
            assert not call.done()
        process.stop(folder)
        with pytest.raises(grpc.RpcError, match="was made; waiting for it to be ready was cancelled"):
            call.result()


def test_a_zone_that_is_new_is_there_after_starting_again_beside_the_old_ones(folder: Path) -> None:
    process.start(folder, ["one.example"])
    again = process.start(folder, ["two.example"])
    assert again.zones == ("one.example", "two.example")
    held = {record.id: record.key for record in store.objects(again.file) if record.kind == zones.NAME}
    assert held == {process.zone_id("one.example"): "one.example", process.zone_id("two.example"): "two.example"}
    assert process.tokens(folder).zone_ids == {name: identity for identity, name in held.items()}


def test_stopping_ends_it_and_stopping_again_is_no_matter(folder: Path) -> None:
    process.start(folder)
    process.stop(folder)
    assert process.status(folder) is None
    process.stop(folder)


def test_what_was_acknowledged_is_there_after_it_was_killed(folder: Path) -> None:
    running = process.start(folder, [ZONE])
    for number in range(20):
        with Door(folder) as door:
            door.create("linode:index/firewall:Firewall", {"label": f"fw-{number}", **_POLICIES})
        if number % 5 == 4:
            kill(running)
            running = process.start(folder, [ZONE])
        held = [record.key for record in store.objects(running.file) if record.kind == "linode.firewall"]
        assert held == sorted(f"fw-{made}" for made in range(number + 1))


_POLICIES = {"inboundPolicy": "DROP", "outboundPolicy": "ACCEPT"}


def test_resetting_begins_with_an_empty_file_and_the_same_tokens(folder: Path) -> None:
    process.start(folder, [ZONE])
    known = process.tokens(folder)
    with Door(folder) as door:
        first = door.create("linode:index/firewall:Firewall", {"label": "web", **_POLICIES})
    process.reset(folder)
    assert not process.file_of(folder).exists()
    running = process.start(folder)
    assert process.tokens(folder) == known
    assert not [record for record in store.objects(running.file) if record.kind == "linode.firewall"]
    with Door(folder) as door:
        assert door.create("linode:index/firewall:Firewall", {"label": "web", **_POLICIES}).id == first.id


def test_a_second_process_for_the_same_file_says_so_and_ends(folder: Path) -> None:
    process.start(folder)
    second = _run(str(folder))
    assert second.returncode == 1
    assert second.stderr == (f"sandbox: a sandbox runs in {folder} already and has its file open; stop it first\n")


@pytest.mark.parametrize("option", ["--linode-port", "--cloudflare-port", "--api-port"])
def test_a_port_that_is_taken_is_named(folder: Path, taken_port: int, option: str) -> None:
    refused = _run(str(folder), option, str(taken_port))
    assert refused.returncode == 1
    assert refused.stderr.endswith(
        f"sandbox: port {taken_port} of 127.0.0.1 is taken; give another one, or 0 for any free one\n"
    )


def test_a_damaged_file_stops_it_from_starting_and_stays_as_it_is(folder: Path) -> None:
    process.start(folder)
    process.stop(folder)
    process.file_of(folder).write_bytes(b"not a database at all")
    with pytest.raises(SandboxError, match=r"sandbox\.sqlite is damaged.*Reset the sandbox"):
        process.start(folder)
    assert process.file_of(folder).read_bytes() == b"not a database at all"


def test_nobody_else_can_read_its_files(folder: Path) -> None:
    process.start(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}
    parts = [f"sandbox.{part}" for part in ("json", "lock", "log", "sqlite", "sqlite-shm", "sqlite-wal")]
    assert modes == dict.fromkeys(parts, "0o600")


def test_tokens_are_in_no_command_line_and_in_no_log(folder: Path) -> None:
    running = process.start(folder, [ZONE])
    known = process.tokens(folder)
    said = Path(f"/proc/{running.pid}/cmdline").read_bytes() + (folder / "sandbox.log").read_bytes()
    for token in (known.linode_platform, known.linode_copies, known.cloudflare):
        assert token.encode() not in said


def test_the_id_that_a_killed_one_left_behind_is_nobodys(folder: Path) -> None:
    """A stranger may have that process id by now: who does not hold the lock is never signalled."""
    running = process.start(folder)
    kill(running)
    left = (folder / "sandbox.lock").read_text()
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (folder / "sandbox.lock").write_text(left.replace(str(running.pid), str(stranger.pid)))
        process.stop(folder)
        assert process.status(folder) is None
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        assert stranger.stdin is not None
        stranger.stdin.close()


def test_settings_that_are_damaged_are_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "sandbox.json").write_text("{")
    with pytest.raises(SandboxError, match=r"sandbox\.json is damaged .* reset the sandbox"):
        process.start(folder)


def test_importing_it_brings_neither_grpc_nor_an_sdk() -> None:
    script = "import sys, sandbox.process; print([name for name in ('grpc', 'pulumi') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout == "[]\n"
