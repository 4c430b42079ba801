"""A server's window: it reboots only where an update needs it, and lets its connections end first."""

import subprocess
import sys
from pathlib import Path

import pytest

from components import user_data
from tests.components.user_data.conftest import Put
from tests.components.user_data.network import BALANCER, PRIVATE, Network, eventually

LIBRARY = "7f00-7f01 r-xp 00002000 08:00 17  /usr/lib/x86_64-linux-gnu/libssl.so.3"
_CONNECTED = """
import signal, socket, sys
source, target = sys.argv[1:]
connection = socket.create_connection((target, 443), source_address=(source, 0))
print("connected", flush=True)
signal.pause()
"""


@pytest.mark.parametrize(
    ("asked_for", "maps", "code"),
    [
        (False, LIBRARY, 1),
        (True, LIBRARY, 0),
        (False, f"{LIBRARY} (deleted)", 0),
        (False, f"{LIBRARY} (deleted)".replace("r-xp", "r--p"), 1),
        (False, "7f00-7f01 r-xp 00000000 00:01 17  /memfd:doublemapper (deleted)", 1),
    ],
)
def test_a_reboot_is_due_where_an_update_asks_for_it_or_what_it_replaced_still_runs(
    ops_server: user_data.OpsServer, put: Put, asked_for: bool, maps: str, code: int
) -> None:
    root = put(ops_server)
    for process, text in (("1", LIBRARY), ("42", maps)):
        (root / "proc" / process).mkdir(parents=True)
        (root / "proc" / process / "maps").write_text(f"{text}\n{LIBRARY}\n")
    (root / "proc" / "43").mkdir()  # ended meanwhile
    (root / "run").mkdir()
    if asked_for:
        (root / "run/reboot-required").touch()
    script = root / "usr/local/sbin/reboot-due"
    script.write_text(script.read_text().replace(" /run/", f" {root}/run/").replace(" /proc/", f" {root}/proc/"))
    ended = subprocess.run([script], capture_output=True, text=True, timeout=60, check=False)
    assert (min(ended.returncode, 1), ended.stdout + ended.stderr) == (code, "")


def stand_in(root: Path, **programs: str) -> str:
    """Make programs that note their calls, then do what is said; return the PATH on which they come first."""
    for name, does in programs.items():
        program = root / "stand-ins" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{root}/calls\n{does}\n')
        program.chmod(0o755)
    return f"{root}/stand-ins:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize(("connections", "waits"), [("", 0), ("ESTAB", 3)])
def test_a_server_closes_443_waits_for_its_connections_as_long_as_it_may_and_stops_caddy(
    role_server: user_data.RoleServer, put: Put, connections: str, waits: int
) -> None:
    root = put(role_server)
    path = stand_in(root, systemctl="", ss=f"echo {connections} | grep .", sleep="")
    subprocess.run([root / "usr/local/sbin/drain", "3"], env={"PATH": path}, timeout=60, check=True)
    asks = "ss --no-header --tcp state established sport = :443"
    assert (root / "calls").read_text().splitlines() == [
        "systemctl stop gate.service",
        *[asks, "sleep 1"] * waits,
        *([] if waits else [asks]),
        "systemctl stop caddy.service",
    ]


def test_a_connection_that_is_open_is_waited_for(network: Network) -> None:
    network.load_rules()
    network.server.run("nft", "add element inet filter open_ports { 443 }")
    variables = {"PATH": f"{stand_in(network.root, systemctl='')}:{network.server.environment['PATH']}"}
    stops = network.root / "calls"
    with network.server.listening(443):
        with network.world.running(sys.executable, "-c", _CONNECTED, BALANCER, PRIVATE) as client:
            assert client.stdout
            assert client.stdout.readline() == b"connected\n"
            draining = network.server.running(network.root / "usr/local/sbin/drain", "60", variables=variables)
            process = draining.__enter__()
            eventually(lambda: stops.exists() and stops.read_text(), "systemctl stop gate.service\n")
            assert process.poll() is None
        eventually(process.poll, 0)
        draining.__exit__(None, None, None)
    assert stops.read_text() == "systemctl stop gate.service\nsystemctl stop caddy.service\n"


def test_only_a_server_of_a_role_drains_and_serves_again_where_it_does_not_reboot(
    role_server: user_data.RoleServer, ops_server: user_data.OpsServer
) -> None:
    path = "/etc/systemd/system/reboot-window.service.d/drain.conf"
    (drain,) = (file.content for file in user_data.files(role_server) if file.path == path)
    assert "OnFailure=caddy.service gate.service\n" in drain
    assert "ExecStartPre=/usr/local/sbin/drain 300\n" in drain
    assert path not in {file.path for file in user_data.files(ops_server)}
