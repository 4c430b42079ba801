"""A server's firewall, its gate and Caddy, in a network of their own: what is open, to whom, and when."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components import user_data
from tests.components.user_data.conftest import HOST, OTHER_HOST, Authority, Identity, Put
from tests.components.user_data.network import (
    ADMIN,
    ADMIN_V6,
    BALANCER,
    METADATA,
    PRIVATE,
    PUBLIC,
    PUBLIC_V6,
    STRANGER,
    STRANGER_V6,
    Namespace,
    NoNamespacesError,
    server_and_world,
)
from toolchain.debian import Tools

CLOSE = Path(user_data.__file__).with_name("close.sh")
PATIENCE = 10.0
"""Seconds in which anything that is going to happen here has happened."""

APPLICATION = """
import http.server, itertools, json, pathlib, sys
health, asked = pathlib.Path(sys.argv[1]), itertools.count()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        statuses = health.read_text().split() if self.path == "/healthz" else ["200"]
        status = int(statuses[next(asked) % len(statuses)])
        body = json.dumps({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler)
print("listening", flush=True)
server.serve_forever()
"""


@dataclasses.dataclass(frozen=True)
class Network:
    """The server, with its files under `root`, and the world."""

    server: Namespace
    world: Namespace
    root: Path

    def load_rules(self) -> None:
        """Do what nftables.service does, with /etc where the files are."""
        self.server.run("nft", "--includepath", self.root / "etc", "--file", self.root / "etc/nftables.conf")

    def https(self) -> str:
        """Return what a balancer meets at 443."""
        return self.world.connect((BALANCER, PRIVATE, 443))[0]


@pytest.fixture(scope="module")
def made_namespaces(tools: Tools) -> Iterator[tuple[Namespace, Namespace]]:
    try:
        with server_and_world(tools) as pair:
            yield pair
    except NoNamespacesError as error:
        pytest.skip(f"the server's network can't be tried: no network namespaces on this machine ({error})")


@pytest.fixture
def namespaces(made_namespaces: tuple[Namespace, Namespace]) -> tuple[Namespace, Namespace]:
    """The server without any rules, and the world."""
    made_namespaces[0].run("nft", "flush ruleset")
    return made_namespaces


@pytest.fixture
def network(namespaces: tuple[Namespace, Namespace], role_server: user_data.RoleServer, put: Put) -> Network:
    return Network(*namespaces, put(role_server))


def eventually(outcome: Callable[[], object], wanted: object) -> None:
    """Wait until `outcome` is as wanted."""
    end = time.monotonic() + PATIENCE
    while (last := outcome()) != wanted:
        assert time.monotonic() < end, f"still {last} after {PATIENCE} s, instead of {wanted}"
        time.sleep(0.05)


def variables(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_ssh_is_open_to_its_sources_and_nothing_else_to_anyone(network: Network) -> None:
    network.load_rules()
    with network.server.listening(22, 80, 443, 5432, 8080):
        assert network.world.connect(
            (ADMIN, PUBLIC, 22), (ADMIN_V6, PUBLIC_V6, 22), (STRANGER, PUBLIC, 22), (STRANGER_V6, PUBLIC_V6, 22)
        ) == ["open", "open", "silent", "silent"]
        assert network.world.connect((BALANCER, PRIVATE, 22), (BALANCER, PRIVATE, 443)) == ["silent", "refused"]
        assert (
            network.world.connect(
                *((source, PUBLIC, port) for source in (ADMIN, STRANGER) for port in (80, 443, 5432, 8080))
            )
            == ["silent"] * 8
        )
        assert network.server.connect(("", "127.0.0.1", 8080), ("", "::1", 5432)) == ["open", "open"]


def test_an_ops_server_is_open_to_ssh_alone(
    namespaces: tuple[Namespace, Namespace], ops_server: user_data.OpsServer, put: Put
) -> None:
    network = Network(*namespaces, put(ops_server))
    network.load_rules()
    with network.server.listening(22, 443):
        assert network.world.connect(
            (ADMIN, PUBLIC, 22), (STRANGER, PUBLIC, 22), (ADMIN, PUBLIC, 443), (BALANCER, PRIVATE, 443)
        ) == ["open", "silent", "silent", "silent"]


def test_the_server_reaches_the_outside(network: Network) -> None:
    network.load_rules()
    with network.world.listening(80, 5432):
        assert network.server.connect(("", STRANGER, 5432), ("", STRANGER_V6, 80)) == ["open", "open"]


@pytest.mark.skipif(os.geteuid() != 0, reason="without root there is no second user to try it as")
def test_only_root_reaches_the_metadata_service(network: Network) -> None:
    network.load_rules()
    with network.world.listening(80):
        assert network.server.connect(("", METADATA, 80)) == ["open"]
        assert network.server.connect(("", STRANGER, 80), ("", METADATA, 80), user=65532) == ["open", "refused"]


def test_changed_sources_replace_the_old_ones_and_what_is_open_stays_open(
    network: Network, role_server: user_data.RoleServer, put: Put
) -> None:
    network.load_rules()
    network.server.run("nft", "add element inet filter open_ports { 443 }")
    put(dataclasses.replace(role_server, ssh_sources=(f"{STRANGER}/32",)))
    network.load_rules()
    with network.server.listening(22, 443):
        assert network.world.connect((ADMIN, PUBLIC, 22), (STRANGER, PUBLIC, 22)) == ["silent", "open"]
        assert network.https() == "open"


@contextmanager
def application(network: Network) -> Iterator[Path]:
    """Run an application behind 127.0.0.1:8080; yield the file that holds the statuses its /healthz answers."""
    health = network.root / "health"
    health.write_text("200")
    with network.server.running(sys.executable, "-c", APPLICATION, health) as process:
        assert process.stdout
        assert process.stdout.readline() == b"listening\n"
        yield health


@contextmanager
def gate(network: Network) -> Iterator[subprocess.Popen[bytes]]:
    """Run the gate as its unit does; what it logs goes to the file `gate.log`."""
    with network.server.running(
        network.root / "usr/local/sbin/gate",
        said=network.root / "gate.log",
        **variables(network.root / "etc/chat-tonic/gate.env"),
    ) as process:
        yield process


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
        assert (network.root / "gate.log").read_text().splitlines() == [
            f"443 opened: {url} answered 204",
            f"443 closed: {url} failed 2 times in a row, last answered 500",
            f"443 opened: {url} answered 200",
            f"443 closed: {url} failed 2 times in a row, last answered 302",
            f"443 opened: {url} answered 200",
        ]


def test_443_closes_when_the_application_is_gone_and_not_at_its_first_failure(network: Network) -> None:
    network.load_rules()
    with network.server.listening(443), gate(network):
        with application(network):
            eventually(network.https, "open")
        assert network.https() == "open"
        eventually(network.https, "refused")
    assert "last answered nothing (curl: 7)" in (network.root / "gate.log").read_text()


def test_443_stays_open_while_failures_do_not_follow_one_another(network: Network) -> None:
    network.load_rules()
    with network.server.listening(443), application(network) as health, gate(network):
        health.write_text("200 503")
        eventually(network.https, "open")
        time.sleep(3.5)
    assert (network.root / "gate.log").read_text().count("\n") == 1


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
        assert (network.root / "gate.log").read_text().count("443 opened") == 1


@dataclasses.dataclass(frozen=True)
class Closing:
    """close.sh, run where only what is in the folder `programs` can be found, systemd's folder being `units`."""

    network: Network
    programs: Path
    units: Path

    def run(self) -> int:
        script = CLOSE.read_text().replace("/etc/systemd/system", str(self.units))
        command = [*self.network.server.enter, f"--target={self.network.server.holder}", "--", "sh", "-c", script]
        variables = {**self.network.server.environment, "PATH": str(self.programs)}
        command[0] = shutil.which(command[0]) or command[0]
        return subprocess.run(command, env=variables, capture_output=True, timeout=30, check=False).returncode

    def sshd_may_start(self) -> bool:
        guard = (self.units / "ssh.service.d/closed-first.conf").read_text()
        section, line = guard.splitlines()
        assert section == "[Service]"
        before = line.removeprefix("ExecStartPre=/bin/sh -c ")
        check = ["sh", "-c", f"sh -c {before}"]
        command = [*self.network.server.enter, f"--target={self.network.server.holder}", "--", *check]
        return (
            subprocess.run(
                command, env=self.network.server.environment, capture_output=True, timeout=30, check=False
            ).returncode
            == 0
        )

    def called(self) -> list[str]:
        log = self.programs / "called"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def closing(network: Network, tmp_path: Path) -> Closing:
    """A server at its first boot: what is on every image is there, but not nftables."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "grep", "mkdir"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for name in ("systemctl", "apt-get"):
        stub = programs / name
        stub.write_text(f'#!/bin/sh\necho {name} "$@" >>{programs}/called\n')
        stub.chmod(0o755)
    return Closing(network, programs, tmp_path / "units")


def with_nftables(closing: Closing) -> None:
    nft = shutil.which("nft", path=closing.network.server.environment["PATH"])
    assert nft
    (closing.programs / "nft").symlink_to(nft)


def test_the_first_thing_at_a_first_boot_closes_everything(closing: Closing) -> None:
    with_nftables(closing)
    network = closing.network
    # Debian's own rules, where an image loads them: the same table, and everything accepted.
    network.server.run(
        "nft", "add table inet filter; add chain inet filter input { type filter hook input priority 0; }"
    )
    with network.server.listening(22, 443, 5432):
        assert network.world.connect((ADMIN, PUBLIC, 22), (STRANGER, PUBLIC, 5432)) == ["open", "open"]
        assert closing.run() == 0
        assert (
            network.world.connect(
                (ADMIN, PUBLIC, 22), (ADMIN_V6, PUBLIC_V6, 22), (BALANCER, PRIVATE, 443), (STRANGER, PUBLIC, 5432)
            )
            == ["silent"] * 4
        )
    with network.world.listening(80):
        assert network.server.connect(("", STRANGER, 80), ("", STRANGER_V6, 80)) == ["open", "open"]
    assert closing.called() == ["systemctl daemon-reload"]
    assert closing.sshd_may_start()


def test_the_rules_proper_take_over_from_the_closed_ones(closing: Closing) -> None:
    with_nftables(closing)
    assert closing.run() == 0
    closing.network.load_rules()
    with closing.network.server.listening(22):
        assert closing.network.world.connect((ADMIN, PUBLIC, 22), (STRANGER, PUBLIC, 22)) == ["open", "silent"]


def test_at_a_later_boot_the_loaded_rules_are_left_alone(closing: Closing) -> None:
    with_nftables(closing)
    assert closing.run() == 0
    closing.network.load_rules()
    before = closing.network.server.run("nft", "list", "ruleset").stdout
    assert closing.run() == 0
    assert closing.network.server.run("nft", "list", "ruleset").stdout == before
    assert closing.called() == ["systemctl daemon-reload"]


def test_nftables_is_installed_where_the_image_lacks_it_and_sshd_stays_down_where_that_fails(closing: Closing) -> None:
    assert closing.run() != 0
    assert closing.called() == [
        "systemctl daemon-reload",
        "apt-get --quiet update",
        "apt-get --quiet --yes --no-install-recommends install nftables",
    ]
    assert not closing.sshd_may_start()


CLIENT = """
import json, socket, ssl, struct, sys
wanted = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile=wanted["authority"])
if wanted["identity"]:
    context.load_cert_chain(wanted["identity"])
try:
    with socket.create_connection((wanted["target"], 443), timeout=5, source_address=(wanted["source"], 0)) as plain:
        if wanted["proxied"]:
            plain.sendall(b"\\r\\n\\r\\n\\0\\r\\nQUIT\\n!\\x11" + struct.pack(
                "!H4s4sHH", 12, socket.inet_aton(wanted["proxied"]), socket.inet_aton(wanted["target"]), 40000, 443))
        with context.wrap_socket(plain, server_hostname=wanted["host"]) as connection:
            lines = ["GET /hello HTTP/1.1", f"Host: {wanted['host']}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in wanted["headers"].items()]
            connection.sendall("\\r\\n".join([*lines, "", ""]).encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
            head, _, body = answer.partition("\\r\\n\\r\\n")
            print(json.dumps({"status": int(head.split()[1]), "body": body}))
except OSError as error:
    print(json.dumps({"error": str(error)}))
"""


@dataclasses.dataclass(frozen=True)
class Front:
    """Caddy on the server, and who asks it."""

    network: Network
    authority: Path
    identity: Path

    def get(self, **changes: object) -> dict[str, object]:
        """Ask as Cloudflare does, through a balancer, but for `changes`; return status and body, or the error."""
        wanted = {
            "authority": str(self.authority),
            "headers": {},
            "host": HOST,
            "identity": str(self.identity),
            "proxied": "198.18.0.9",
            "source": BALANCER,
            "target": PRIVATE,
            **changes,
        }
        asker = self.network.server if wanted["source"] == "127.0.0.1" else self.network.world
        answer: dict[str, object] = json.loads(asker.run(sys.executable, "-c", CLIENT, json.dumps(wanted)).stdout)
        return answer


def store(identity: Identity, path: Path) -> Path:
    path.write_text(identity.certificate + identity.key)
    return path


@pytest.fixture
def front(
    network: Network, caddy: Path, origin_authority: Authority, pull_authority: Authority, tmp_path: Path
) -> Iterator[Front]:
    folder = network.root / "etc/caddy"
    authority = tmp_path / "origin-authority.pem"
    authority.write_text(origin_authority.certificate)
    network.load_rules()
    network.server.run("nft", "add element inet filter open_ports { 443 }")
    state = str(tmp_path / "caddy-state")
    with (
        application(network),
        network.server.running(
            caddy,
            "run",
            "--config",
            "Caddyfile",
            folder=folder,
            said=tmp_path / "caddy.log",
            HOME=state,
            XDG_CONFIG_HOME=state,
            XDG_DATA_HOME=state,
            **variables(folder / "caddy.env"),
        ),
    ):
        eventually(network.https, "open")
        yield Front(network, authority, store(pull_authority.issue("cloudflare"), tmp_path / "pull.pem"))


def application_saw(answer: dict[str, object]) -> dict[str, str]:
    """Return the headers that reached the application."""
    assert answer.get("status") == 200, answer
    headers: dict[str, str] = json.loads(str(answer["body"]))["headers"]
    return headers


def test_cloudflares_request_reaches_the_application_with_its_visitors_address(front: Front) -> None:
    answer = front.get(headers={"CF-Connecting-IP": "192.0.2.44", "X-Forwarded-For": "10.0.0.1"})
    headers = application_saw(answer)
    assert headers["host"] == HOST
    assert headers["x-forwarded-for"] == "192.0.2.44"
    assert headers["cf-connecting-ip"] == "192.0.2.44"


def test_without_cloudflare_the_visitor_is_whom_the_balancer_names(front: Front) -> None:
    assert application_saw(front.get())["x-forwarded-for"] == "198.18.0.9"


def test_who_has_no_certificate_of_our_pull_authority_is_refused(front: Front, tmp_path: Path) -> None:
    foreign = store(Authority("somebody").issue("cloudflare"), tmp_path / "foreign.pem")
    assert "certificate required" in str(front.get(identity=None).get("error"))
    assert "unknown ca" in str(front.get(identity=str(foreign)).get("error"))


def test_a_name_of_the_zone_that_is_not_this_servers_is_not_served(front: Front) -> None:
    assert front.get(host=OTHER_HOST) == {"status": 421, "body": ""}


def test_only_balancers_may_say_whom_they_stand_for(front: Front) -> None:
    assert "error" in front.get(source="127.0.0.1", target="127.0.0.1")
    assert application_saw(front.get(source="127.0.0.1", target="127.0.0.1", proxied=None))["x-forwarded-for"] == (
        "127.0.0.1"
    )
