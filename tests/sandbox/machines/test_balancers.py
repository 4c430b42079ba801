"""A NodeBalancer is a real proxy that does what its nodes' modes say, and says what they really are."""

import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from sandbox import machines
from sandbox.machines import Endpoint
from tests.sandbox import bodies
from tests.sandbox.machines.conftest import IMAGE, REGION, Fleet
from tests.sandbox.machines.load import Load, server_of


class Balanced(Fleet):
    """A fleet with a NodeBalancer."""

    nodes: dict[str, str]

    def balance(self) -> None:
        self.balancer = self.ask("POST", "/nodebalancers", bodies.node_balancer(region=REGION))
        body = bodies.node_balancer_config(self.balancer, check_interval=5, check_timeout=3, check_attempts=2)
        body.pop("nodebalancer_id")
        self.config = self.ask("POST", f"/nodebalancers/{self.balancer['id']}/configs", body)
        self.path = f"/nodebalancers/{self.balancer['id']}/configs/{self.config['id']}/nodes"
        self.nodes = {}

    def put(self, label: str) -> None:
        address = f"{self.instances[label]['ipv4'][1]}:443"
        self.nodes[label] = self.ask("POST", self.path, {"label": label, "address": address, "weight": 100})["id"]

    def mode(self, label: str, mode: str) -> None:
        self.ask("PUT", f"{self.path}/{self.nodes[label]}", {"mode": mode})
        self.play()

    def status(self, label: str) -> str:
        return str(self.ask("GET", f"{self.path}/{self.nodes[label]}")["status"])

    def proxied(self, config: Mapping[str, Any]) -> bool:
        """Whether HAProxy has a configuration of a balancer by now."""
        return f"config-{config['id']}\n" in (self.folder / machines.FOLDER / "haproxy.cfg").read_text()

    @property
    def endpoint(self) -> Endpoint:
        found = machines.status(self.folder)
        assert found
        return found.balancers[self.balancer["ipv4"]]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.endpoint.host, self.endpoint.port, timeout=10)

    def servers(self) -> set[str]:
        """Who answers new connections."""
        found = set()
        for _ in range(8):
            connection = self.connect()
            found.add(server_of(connection))
            connection.close()
        return found


def eventually(ask: Callable[[], object], wanted: object, within: float = 15.0) -> None:
    until = time.monotonic() + within
    while (found := ask()) != wanted:
        assert time.monotonic() < until, f"{found!r} is still not {wanted!r}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    fleet = Balanced(tmp_path_factory.mktemp("balanced") / "box")
    fleet.balance()
    for label in ("api-1", "api-2"):
        fleet.add(label)
        fleet.put(label)
    yield fleet
    fleet.close()


@pytest.fixture
def fleet(made: Balanced) -> Balanced:
    """Two servers behind a balancer, both accepted and up."""
    for label in ("api-1", "api-2"):
        made.ask("PUT", f"{made.path}/{made.nodes[label]}", {"mode": "accept"})
    made.play()
    return made


def test_connections_are_spread_over_the_servers(fleet: Balanced) -> None:
    assert fleet.servers() == {"api-1", "api-2"}
    assert [fleet.status(label) for label in ("api-1", "api-2")] == ["UP", "UP"]


def test_a_server_answers_for_the_names_alone_that_it_serves(fleet: Balanced) -> None:
    def asked(*hosts: str) -> list[int]:
        found = []
        for host in hosts:
            connection = fleet.connect()
            with suppress(http.client.HTTPException, OSError):
                connection.request("GET", "/", headers={"Host": host})
                found.append(connection.getresponse().status)
            connection.close()
        return found

    fleet.mode("api-2", "reject")
    file = fleet.root("api-1") / "etc/caddy/caddy.env"
    before = file.read_text()
    assert asked("anybody.example") == [200]
    file.write_text(before.replace("path *", "host api.example bots.example"))
    assert fleet.run("api-1", "systemctl restart caddy.service").returncode == 0
    eventually(lambda: asked("API.example:443", "bots.example", "anybody.example", "127.0.0.1"), [200, 200, 421, 421])
    file.write_text("SERVED=\n")
    assert fleet.run("api-1", "systemctl restart caddy.service").returncode == 1
    file.write_text(before)
    assert fleet.run("api-1", "systemctl restart caddy.service").returncode == 0
    eventually(lambda: asked("anybody.example"), [200])


def test_a_drained_node_keeps_its_connections_and_gets_no_new_one(fleet: Balanced) -> None:
    kept = next(each for each in iter(fleet.connect, None) if server_of(each) == "api-1")
    assert fleet.says("api-1", "ss -Htn state established '( sport = :443 )' | wc -l") == "1"
    fleet.mode("api-1", "drain")
    assert fleet.servers() == {"api-2"}
    assert server_of(kept) == "api-1"
    assert fleet.status("api-1") == "UP"
    kept.close()
    eventually(lambda: fleet.says("api-1", "ss -Htn state established '( sport = :443 )'"), "")
    fleet.mode("api-1", "accept")
    assert fleet.servers() == {"api-1", "api-2"}


def test_a_rejected_node_gets_no_connection_and_is_not_checked(fleet: Balanced) -> None:
    fleet.mode("api-2", "reject")
    assert fleet.servers() == {"api-1"}
    eventually(lambda: fleet.status("api-2"), "unknown")


def test_a_backup_gets_connections_only_while_no_other_node_is_there(fleet: Balanced) -> None:
    fleet.mode("api-2", "backup")
    assert fleet.servers() == {"api-1"}
    fleet.mode("api-1", "reject")
    assert fleet.servers() == {"api-2"}


def test_a_node_is_down_while_its_application_is_not_well(fleet: Balanced) -> None:
    with Load(fleet.endpoint) as load:
        fleet.mode("api-1", "drain")
        eventually(lambda: fleet.says("api-1", "ss -Htn state established '( sport = :443 )'"), "")
        machines.mark_sick(fleet.folder, IMAGE)
        assert fleet.run("api-1", "systemctl restart app.service").returncode == 0
        eventually(lambda: fleet.status("api-1"), "DOWN")
        machines.mark_sick(fleet.folder, IMAGE, sick=False)
        assert fleet.run("api-1", "systemctl restart app.service").returncode == 0
        eventually(lambda: fleet.status("api-1"), "UP")
        fleet.mode("api-1", "accept")
        eventually(lambda: set(load.more()), {"api-1", "api-2"})
    assert load.failed == []


def test_no_connection_is_refused_while_nodes_and_balancers_come_and_go(fleet: Balanced) -> None:
    with Load(fleet.endpoint, clients=6, kept=1) as load:
        for number in range(3):
            fleet.add(f"more-{number}")
            fleet.put(f"more-{number}")
            other = fleet.ask("POST", "/nodebalancers", bodies.node_balancer(region=REGION, label=f"other-{number}"))
            fleet.ask("POST", f"/nodebalancers/{other['id']}/configs", {"port": 80, "protocol": "tcp"})
            fleet.play()
            eventually(lambda label=f"more-{number}": label in load.more(), True)  # type: ignore[misc]
            fleet.ask("DELETE", f"/nodebalancers/{other['id']}")
            fleet.mode(f"more-{number}", "drain")
        for number in range(3):
            fleet.ask("DELETE", f"{fleet.path}/{fleet.nodes[f'more-{number}']}")
        fleet.play()
        for number in range(3):
            fleet.remove(f"more-{number}")
        fleet.play()
        assert set(load.more()) == {"api-1", "api-2"}
    assert load.failed == []


def test_a_node_that_is_down_stays_so_while_balancers_change(fleet: Balanced) -> None:
    kept = next(each for each in iter(fleet.connect, None) if server_of(each) == "api-1")
    assert fleet.run("api-1", "systemctl stop gate.service").returncode == 0
    eventually(lambda: fleet.status("api-1"), "DOWN")
    assert fleet.servers() == {"api-2"}
    assert server_of(kept) == "api-1"
    kept.close()
    found = set()
    for number in range(3):
        other = fleet.ask("POST", "/nodebalancers", bodies.node_balancer(region=REGION, label=f"third-{number}"))
        config = fleet.ask("POST", f"/nodebalancers/{other['id']}/configs", {"port": 80, "protocol": "tcp"})
        while fleet.proxied(config) is False:
            found.add(fleet.status("api-1"))
        found.add(fleet.status("api-1"))
        fleet.ask("DELETE", f"/nodebalancers/{other['id']}")
    assert found == {"DOWN"}
    assert fleet.run("api-1", "systemctl start gate.service").returncode == 0
    eventually(lambda: fleet.status("api-1"), "UP")


def test_what_is_established_outlives_a_change_of_the_balancers(fleet: Balanced) -> None:
    kept = fleet.connect()
    server = server_of(kept)
    other = fleet.ask("POST", "/nodebalancers", bodies.node_balancer(region=REGION, label="another"))
    fleet.ask("POST", f"/nodebalancers/{other['id']}/configs", {"port": 80, "protocol": "tcp"})
    fleet.play()
    assert server_of(kept) == server
    kept.close()


def test_without_machines_the_model_says_what_is_usual(fleet: Balanced) -> None:
    fleet.mode("api-2", "reject")
    eventually(lambda: fleet.status("api-2"), "unknown")
    machines.stop(fleet.folder)
    assert fleet.status("api-2") == "UP"
