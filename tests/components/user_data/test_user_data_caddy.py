"""Caddy in front of the application: who gets through, and as whom."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components import user_data
from tests.components.user_data.conftest import HOST, OTHER_HOST, Authority, Identity, Put
from tests.components.user_data.network import BALANCER, PRIVATE, Namespace, Network, application, eventually, variables

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

PROOF = """
import json, sys
from pathlib import Path
from operations.rebuild import health
from sandbox.machines import Endpoint
host, *files = json.loads(sys.argv[1])
context = health.tls(*(Path(each).read_text() for each in files), named=bool(host))
door = health.Door(Endpoint("127.0.0.1", 443), host)
print(json.dumps(health.ask(door, "/healthz", context)))
"""


@dataclass(frozen=True)
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

    def prove(self, host: str | None) -> int | str:
        """Ask as a move does for the proof that a balancer of that name serves; return the status, or the error."""
        files = [str(self.network.root / "etc/caddy/origin.pem"), str(self.identity)]
        clean = ("env", "--unset=PYTHONPATH")  # that is for Debian's own programs
        answer = self.network.server.run(*clean, sys.executable, "-c", PROOF, json.dumps([host, *files]))
        said: int | str = json.loads(answer.stdout)
        return said


def store(identity: Identity, path: Path) -> Path:
    path.write_text(identity.certificate + identity.key)
    return path


@pytest.fixture
def names(role_server: user_data.RoleServer) -> tuple[str, ...]:
    """The names that the server serves."""
    return role_server.host_names


@pytest.fixture
def network(
    namespaces: tuple[Namespace, Namespace], role_server: user_data.RoleServer, put: Put, names: tuple[str, ...]
) -> Network:
    return Network(*namespaces, put(dataclasses.replace(role_server, host_names=names)))


@pytest.fixture
def front(
    network: Network, caddy: Path, origin_authority: Authority, pull_authority: Authority, tmp_path: Path
) -> Iterator[Front]:
    folder = network.root / "etc/caddy"
    authority = tmp_path / "origin-authority.pem"
    authority.write_text(origin_authority.certificate)
    network.load_rules()
    network.server.run("nft", "add element inet filter open_ports { 443 }")
    homes, state = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(tmp_path / "caddy-state")
    with (
        application(network),
        network.server.running(
            caddy,
            "run",
            "--config",
            "Caddyfile",
            folder=folder,
            said=tmp_path / "caddy.log",
            variables={**variables(folder / "caddy.env"), **dict.fromkeys(homes, state)},
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


def test_the_proof_of_a_move_gets_through_by_the_name_that_is_served(front: Front) -> None:
    assert front.prove(HOST) == 200
    assert front.prove(OTHER_HOST) == 421
    assert "not valid for 'api.elsewhere.example'" in str(front.prove("api.elsewhere.example"))


@pytest.mark.parametrize("names", [()])
def test_a_server_without_a_name_is_proved_by_any(front: Front) -> None:
    assert front.prove(None) == 200


def test_only_balancers_may_say_whom_they_stand_for(front: Front) -> None:
    assert "error" in front.get(source="127.0.0.1", target="127.0.0.1")
    assert application_saw(front.get(source="127.0.0.1", target="127.0.0.1", proxied=None))["x-forwarded-for"] == (
        "127.0.0.1"
    )
