"""The edge sends requests where its load balancers say, and the cloud says of pools what its probes found."""

import http.client
import json
import socket
import time
from pathlib import Path

import pytest

from sandbox import front, machines
from tests.sandbox.api.box import CLOUDFLARE
from tests.sandbox.bodies import ACCOUNT, ZONE, ZONE_ID
from tests.sandbox.front.conftest import HOST, Sites, eventually, question

RANDOM, RECORD, WORKER = f"web.{ZONE}", f"bots.{ZONE}", f"failover.{ZONE}"


CODE = """
const SAID = %s;
export default {
  fetch(request) {
    if (new URL(request.url).pathname === "/throws") throw new Error("on purpose");
    return new Response(SAID, { status: 203, headers: { "X-Asked": request.url, "X-Method": request.method } });
  },
};
"""


def _upload(sites: Sites, said: str) -> None:
    form = {
        "metadata": (None, json.dumps({"main_module": "said.mjs"}), "application/json"),
        "said.mjs": ("said.mjs", CODE % json.dumps(said), "application/javascript+module"),
    }
    answer = sites.box.ask(CLOUDFLARE, "PUT", f"/accounts/{ACCOUNT}/workers/scripts/says", files=form)
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def pools(made: Sites) -> tuple[str, str]:
    """A pool a site, behind a name for each way to steer; and a record with a health check."""
    monitor = made.monitor()
    found = made.pool("here", "here", monitor=monitor), made.pool("there", "there", monitor=monitor)
    made.balance(HOST, *found)
    shares = {"default_weight": 1, "pool_weights": {found[0]: 0.5, found[1]: 0.5}}
    made.balance(RANDOM, *found, steering_policy="random", random_steering=shares, session_affinity="cookie")
    record = {"name": RECORD, "type": "A", "content": made.addresses["here"], "ttl": 1, "proxied": True}
    made.cloudflare("POST", f"/zones/{ZONE_ID}/dns_records", record)
    check = {"name": "bots", "address": made.addresses["here"], "type": "TCP", "tcp_config": {"port": 443}}
    made.check = made.cloudflare("POST", f"/zones/{ZONE_ID}/healthchecks", {**check, "interval": 16})["id"]
    made.ready()
    return found


@pytest.fixture
def well(sites: Sites, pools: tuple[str, str]) -> Sites:
    """Both sites, where nothing is wrong any more."""
    sites.ready()
    for pool in pools:
        eventually(lambda pool=pool: sites.health(pool), {"ENAM": True})  # type: ignore[misc]
    eventually(lambda: sites.visits(1), [("here", 200)])
    return sites


def test_requests_go_to_the_first_pool_and_the_log_names_whom(well: Sites) -> None:
    began = time.time()
    assert well.visits() == [("here", 200)] * 8
    last = well.asked(began)[-1]
    assert (last.host, last.method, last.pool, last.region) == (HOST, "GET", "here", "us-central")
    assert last.address == well.addresses["here"]
    assert began - 0.001 <= last.time <= time.time()


def test_when_all_servers_of_a_site_are_killed_its_requests_move_and_come_back(
    well: Sites, pools: tuple[str, str]
) -> None:
    well.box.wrong(killed=["here-1"])
    eventually(lambda: {status for _, status in well.visits(4)}, {200})
    assert well.health(pools[0]) == {"ENAM": True}
    well.box.wrong(killed=["here-*"])
    eventually(lambda: well.health(pools[0]), {"ENAM": False})
    eventually(lambda: well.visits(1), [("there", 200)])
    assert well.health(pools[1]) == {"ENAM": True}
    well.box.wrong()
    eventually(lambda: well.visits(1), [("here", 200)])


def test_a_region_that_is_down_refuses_what_comes(well: Sites, pools: tuple[str, str]) -> None:
    at = machines.status(well.folder)
    assert at
    balancer = at.balancers[well.addresses["here"]]
    well.box.wrong(regions_down=["us-central"])

    def is_refused() -> bool:
        try:
            http.client.HTTPConnection(balancer.host, balancer.port, timeout=5).connect()
        except ConnectionRefusedError:
            return True
        return False

    eventually(is_refused, True)
    eventually(lambda: well.health(pools[0]), {"ENAM": False})
    eventually(lambda: well.cloudflare("GET", f"/zones/{ZONE_ID}/healthchecks/{well.check}")["status"], "unhealthy")
    eventually(lambda: well.visits(1), [("there", 200)])
    assert set(machines.status(well.folder).balancers) == {well.addresses["there"]}  # type: ignore[union-attr]
    well.box.wrong()
    eventually(lambda: well.cloudflare("GET", f"/zones/{ZONE_ID}/healthchecks/{well.check}")["status"], "healthy")


def test_where_no_pool_is_well_the_last_resort_is_asked(well: Sites, pools: tuple[str, str]) -> None:
    well.box.wrong(killed=["*"])
    eventually(lambda: [well.health(pool) for pool in pools], [{"ENAM": False}] * 2)
    eventually(lambda: well.visits(2), [("here", 502)] * 2)
    well.change(pools[0], enabled=False)
    eventually(lambda: well.visits(1), [("", 530)])
    well.change(pools[0], enabled=True)


def test_a_disabled_pool_is_not_asked_and_a_new_one_only_once_it_is_known(well: Sites, pools: tuple[str, str]) -> None:
    well.change(pools[0], enabled=False)
    eventually(lambda: well.visits(1), [("there", 200)])
    well.change(pools[0], enabled=True)
    eventually(lambda: well.is_well("here"), None)
    eventually(lambda: well.is_well("here"), True)


def test_a_visitor_stays_at_a_site_while_that_is_well(well: Sites, pools: tuple[str, str]) -> None:
    assert {site for site, _ in well.visits(40, RANDOM)} == {"here", "there"}
    cookie = ""
    while not cookie:
        answer, headers = well.get(RANDOM)
        assert answer == 200
        if list(front.requests(well.folder))[-1].site == "there":
            cookie = headers["Set-Cookie"].partition(";")[0]
    began = time.time()
    for _ in range(12):
        well.get(RANDOM, "/visit", Cookie=cookie)
    eventually(lambda: [each.site for each in well.asked(began)], ["there"] * 12)
    well.box.wrong(killed=["there-*"])
    eventually(lambda: well.health(pools[1]), {"ENAM": False})
    eventually(lambda: well.get(RANDOM, Cookie=cookie)[0], 200)
    assert "__cflb=" in well.get(RANDOM, Cookie=cookie)[1]["Set-Cookie"]
    assert {site for site, _ in well.visits(8, RANDOM)} == {"here"}


def test_a_proxied_record_is_answered_too_and_nobody_else(well: Sites) -> None:
    began = time.time()
    assert well.visits(2, RECORD) == [("", 200)] * 2
    assert {each.address for each in well.asked(began)} == {well.addresses["here"]}
    assert well.get(f"nobody.{ZONE}")[0] == 530


def test_names_lead_to_the_edge_and_records_say_what_they_say(well: Sites) -> None:
    text = {"name": WORKER, "type": "TXT", "content": '"v=1 active=here"', "ttl": 60}
    well.cloudflare("POST", f"/zones/{ZONE_ID}/dns_records", text)
    at = well.ready()
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect((at.host, at.dns_port))
        client.send(question(HOST, 1))
        assert client.recv(512).endswith(socket.inet_aton(at.host))
        client.send(question(WORKER, 16))
        assert client.recv(512).endswith(b"v=1 active=here")


def test_what_is_changed_while_requests_come_breaks_none(well: Sites) -> None:
    statuses = set()
    for number in range(3):
        made = well.balance(f"new-{number}.{ZONE}", well.pool(f"new-{number}", "here"))
        well.ready()
        statuses |= {status for _, status in (*well.visits(3), *well.visits(1, f"new-{number}.{ZONE}"))}
        well.cloudflare("DELETE", f"/zones/{ZONE_ID}/load_balancers/{made}")
    assert statuses == {200}


def test_who_was_asking_while_something_changed_is_answered_as_before(well: Sites) -> None:
    at = well.ready()
    with socket.create_connection((at.host, at.port), timeout=30) as visitor:
        visitor.sendall(b"GET /visit HTTP/1.1\r\n")
        made = well.balance(f"new.{ZONE}", well.pool("new", "here"))
        well.ready()
        visitor.sendall(f"Host: {HOST}\r\nConnection: close\r\n\r\n".encode())
        assert visitor.makefile().readline().split(" ")[1] == "200"
    well.cloudflare("DELETE", f"/zones/{ZONE_ID}/load_balancers/{made}")


@pytest.fixture(scope="module")
def worker(made: Sites, pools: tuple[str, str]) -> Sites:
    """A Worker with a route, at a name that leads nowhere."""
    del pools
    record = {"name": WORKER, "type": "AAAA", "content": "100::", "ttl": 1, "proxied": True}
    made.cloudflare("POST", f"/zones/{ZONE_ID}/dns_records", record)
    _upload(made, "first")
    made.cloudflare("POST", f"/zones/{ZONE_ID}/workers/routes", {"pattern": f"{WORKER}/*", "script": "says"})
    made.ready()
    return made


def test_a_worker_answers_what_its_host_is_asked(worker: Sites) -> None:
    status, headers = worker.get(WORKER, "/failover.json?x=1")
    assert (status, headers["X-Asked"], headers["X-Method"]) == (203, f"https://{WORKER}/failover.json?x=1", "GET")
    assert worker.text(WORKER) == "first"
    assert worker.get(WORKER, "/throws")[0] == 500
    assert worker.text(WORKER) == "first"


def test_a_changed_worker_takes_over_without_a_pause(worker: Sites) -> None:
    _upload(worker, "second")
    found: list[str] = []
    while found[-1:] != ["second"]:
        found.append(worker.text(WORKER))
    assert set(found) <= {"first", "second"}
    worker.ready()
    assert worker.text(WORKER) == "second"


def test_a_worker_without_a_route_answers_nobody(worker: Sites) -> None:
    route = worker.cloudflare("GET", f"/zones/{ZONE_ID}/workers/routes")[0]["id"]
    worker.cloudflare("DELETE", f"/zones/{ZONE_ID}/workers/routes/{route}")
    eventually(lambda: worker.get(WORKER)[0], 503)  # the record's address refuses
    eventually(lambda: _workers(worker), [])


def _workers(sites: Sites) -> list[str]:
    """The processes that run Workers of a sandbox."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            command = (each / "cmdline").read_bytes().decode(errors="replace") if each.name.isdigit() else ""
        except OSError:
            continue
        if "worker.mjs" in command and str(sites.folder) in command:
            found.append(command)
    return found


def test_without_a_front_the_model_says_what_is_usual(well: Sites, pools: tuple[str, str]) -> None:
    well.box.wrong(killed=["here-*"])
    eventually(lambda: well.health(pools[0]), {"ENAM": False})
    front.stop(well.folder)
    assert front.status(well.folder) is None
    assert well.health(pools[0]) == {"ENAM": True}
    well.box.wrong()
    well.ready()
    assert well.visits(1) == [("here", 200)]
