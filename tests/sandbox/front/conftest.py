"""Sites of a role in a running sandbox, and the front before them: what a visitor is answered, and who was asked."""

import http.client
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox import front
from tests.sandbox import bodies
from tests.sandbox.api.box import CLOUDFLARE
from tests.sandbox.bodies import ACCOUNT, ZONE, ZONE_ID
from tests.sandbox.machines.conftest import Fleet

HOST = f"api.{ZONE}"
_CLOUD = f"/accounts/{ACCOUNT}/load_balancers"

# The least that the cloud takes: probes every 15 s, here every 1.5 s.
MONITOR = {
    "type": "https",
    "port": 443,
    "path": "/healthz",
    "header": {"Host": [HOST]},
    "expected_codes": "2xx",
    "interval": 15,
    "timeout": 2,
    "retries": 1,
    "consecutive_down": 2,
    "consecutive_up": 2,
}


class Sites(Fleet):
    """Servers of two sites, each behind its balancer, and what Cloudflare has of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.addresses: dict[str, str] = {}
        self.check = ""

    def build(self, site: str, region: str, servers: int = 2) -> None:
        """A balancer with servers named SITE-NUMBER."""
        balancer = self.ask("POST", "/nodebalancers", bodies.node_balancer(label=site, region=region))
        checks = {"check_interval": 5, "check_timeout": 3, "check_attempts": 2}
        body = bodies.node_balancer_config(balancer, **checks)
        body.pop("nodebalancer_id")
        config = self.ask("POST", f"/nodebalancers/{balancer['id']}/configs", body)
        for number in range(1, servers + 1):
            server = self.add(f"{site}-{number}", region=region)
            node = {"label": server["label"], "address": f"{server['ipv4'][1]}:443", "weight": 100}
            self.ask("POST", f"/nodebalancers/{balancer['id']}/configs/{config['id']}/nodes", node)
        self.addresses[site] = balancer["ipv4"]

    def cloudflare(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = self.box.ask(CLOUDFLARE, method, path, **({"json": body} if body is not None else {}))
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def monitor(self, **changes: Any) -> str:
        return str(self.cloudflare("POST", f"{_CLOUD}/monitors", {**MONITOR, **changes})["id"])

    def pool(self, name: str, *sites: str, **changes: Any) -> str:
        """A pool with an origin a site."""
        origins = [{"name": site, "address": self.addresses[site]} for site in sites]
        body = {"name": name, "origins": origins, "check_regions": ["ENAM"], **changes}
        return str(self.cloudflare("POST", f"{_CLOUD}/pools", body)["id"])

    def change(self, pool: str, **changes: Any) -> None:
        self.cloudflare("PATCH", f"{_CLOUD}/pools/{pool}", changes)

    def balance(self, host: str, *pools: str, **changes: Any) -> str:
        """A load balancer over pools, of which the first is the last resort, too."""
        body = {"name": host, "default_pools": pools, "fallback_pool": pools[0], "proxied": True, **changes}
        return str(self.cloudflare("POST", f"/zones/{ZONE_ID}/load_balancers", body)["id"])

    def health(self, pool: str) -> dict[str, bool]:
        """What each region says of a pool, at the API door."""
        found = self.cloudflare("GET", f"{_CLOUD}/pools/{pool}/health")["pop_health"]
        return {region: said["healthy"] for region, said in found.items()}

    def findings(self, pool: str) -> dict[str, dict[str, Any]]:
        """What each region says of the only origin of a pool."""
        found = self.cloudflare("GET", f"{_CLOUD}/pools/{pool}/health")["pop_health"]
        return {region: next(iter(said["origins"][0].values())) for region, said in found.items()}

    def ready(self) -> front.Front:
        """Waits until all is as the model has it."""
        return front.start(self.folder, print)

    def is_well(self, pool: str) -> bool | None:
        found = front.status(self.folder)
        assert found
        return found.pools[pool]

    def get(self, host: str = HOST, path: str = "/", **headers: str) -> tuple[int, http.client.HTTPMessage]:
        """What a visitor is answered: a status, and headers."""
        status, said, _ = self._ask(host, path, headers)
        return status, said

    def text(self, host: str) -> str:
        """What a visitor reads."""
        return self._ask(host, "/", {})[2]

    def _ask(self, host: str, path: str, headers: Mapping[str, str]) -> tuple[int, http.client.HTTPMessage, str]:
        found = front.status(self.folder)
        assert found
        visitor = http.client.HTTPConnection(found.host, found.port, timeout=30)
        visitor.request("GET", path, headers={"Host": host, **headers})
        answer = visitor.getresponse()
        text = answer.read().decode()
        visitor.close()
        return answer.status, answer.headers, text

    def visits(self, count: int = 8, host: str = HOST) -> list[tuple[str, int]]:
        """Which sites so many visitors are sent to, and what they are answered, by the access log."""
        began = time.time()
        for _ in range(count):
            self.get(host, "/visit")
        eventually(lambda: len(self.asked(began)), count)
        return [(each.site, each.status) for each in self.asked(began)]

    def asked(self, since: float) -> list[front.Request]:
        return [each for each in front.requests(self.folder, since - 0.001) if each.path == "/visit"]


def question(name: str, kind: int) -> bytes:
    """What a client asks over DNS."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    return struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)


def eventually(ask: Callable[[], object], wanted: object, within: float = 30.0) -> float:
    """Waits until something is so; how long that took."""
    began = time.monotonic()
    while (found := ask()) != wanted:
        assert time.monotonic() < began + within, f"{found!r} is still not {wanted!r}"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """Two sites of a jurisdiction."""
    sites = Sites(tmp_path_factory.mktemp("front") / "box")
    sites.build("here", "us-central")
    sites.build("there", "us-ord", servers=1)
    yield sites
    sites.close()


@pytest.fixture
def sites(made: Sites) -> Sites:
    """The same, where nothing is wrong."""
    made.box.wrong()
    return made
