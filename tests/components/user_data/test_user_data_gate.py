"""The gate: 443 is open to balancers while the application is well, and not otherwise."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.components.user_data.network import (
    ADMIN,
    PRIVATE,
    PUBLIC,
    STRANGER,
    Network,
    application,
    eventually,
    variables,
)


@contextmanager
def gate(network: Network) -> Iterator[subprocess.Popen[bytes]]:
    """Run the gate as its unit does; what it logs goes to the file `gate.log`."""
    with network.server.running(
        network.root / "usr/local/sbin/gate",
        said=network.root / "gate.log",
        variables=variables(network.root / "etc/chat-tonic/gate.env"),
    ) as process:
        yield process


def logged(network: Network) -> list[str]:
    """Return the lines that the gate has logged so far."""
    return (network.root / "gate.log").read_text().splitlines()


def test_443_is_open_only_while_the_application_is_healthy(network: Network) -> None:
    network.load_rules()
    with network.server.listening(443), application(network) as health:
        health.write_text("503")
        with gate(network):
            time.sleep(1.5)
            assert network.https() == "refused"
            health.write_text("204")
            eventually(network.https, "open")
            assert network.world.connect((ADMIN, PRIVATE, 443), (STRANGER, PUBLIC, 443)) == ["silent", "silent"]
            for not_healthy in ("500", "302"):
                health.write_text(not_healthy)
                eventually(network.https, "refused")
                health.write_text("200")
                eventually(network.https, "open")
        url = "http://127.0.0.1:8080/healthz"
        changes = [
            f"443 opened: {url} answered 204",
            f"443 closed: {url} failed 2 times in a row, last answered 500",
            f"443 opened: {url} answered 200",
            f"443 closed: {url} failed 2 times in a row, last answered 302",
            f"443 opened: {url} answered 200",
        ]
        # The gate says what it did after it has done it.
        eventually(lambda: logged(network), changes)


def test_443_closes_when_the_application_is_gone_and_not_at_its_first_failure(network: Network) -> None:
    network.load_rules()
    with network.server.listening(443), gate(network):
        with application(network):
            eventually(network.https, "open")
        assert network.https() == "open"
        eventually(network.https, "refused")
        eventually(lambda: logged(network)[-1].rpartition(", ")[2], "last answered nothing (curl: 7)")


def test_443_stays_open_while_failures_do_not_follow_one_another(network: Network) -> None:
    network.load_rules()
    with network.server.listening(443), application(network) as health, gate(network):
        health.write_text("200 503")
        eventually(network.https, "open")
        time.sleep(3.5)
    assert len(logged(network)) == 1


def test_443_closes_when_the_gate_stops_however_it_stops(network: Network) -> None:
    unit = (network.root / "etc/systemd/system/gate.service").read_text()
    (after,) = (line.removeprefix("ExecStopPost=") for line in unit.splitlines() if line.startswith("ExecStopPost="))
    program, *arguments = after.split()
    network.load_rules()
    with network.server.listening(443), application(network):
        with gate(network) as process:
            eventually(network.https, "open")
            process.kill()
        network.server.run(Path(program).name, *arguments)
        assert network.https() == "refused"


def test_the_gate_starts_closed(network: Network) -> None:
    network.load_rules()
    network.server.run("nft", "add element inet filter open_ports { 443 }")
    with network.server.listening(443), gate(network):
        eventually(network.https, "refused")


def test_the_gate_opens_again_after_the_rules_were_flushed_and_loaded_anew(network: Network) -> None:
    network.load_rules()
    anew = network.root / "anew.nft"
    anew.write_text('flush ruleset\ninclude "nftables.conf"\n')
    with network.server.listening(443), application(network), gate(network):
        eventually(network.https, "open")
        network.server.run("nft", "--includepath", network.root / "etc", "--file", anew)
        eventually(network.https, "open")
        assert len(logged(network)) == 1
