"""The door itself, of both clouds: what goes wrong on demand, what no client should send, and the sandbox's control."""

import asyncio
import socket
import time
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.api import cloudflare, control, linode, reading
from sandbox.api.cloud import Access, Cloud
from sandbox.api.door import Door, application
from sandbox.faults import Faults
from sandbox.model import CONDITIONS, Model
from tests.sandbox import bodies
from tests.sandbox.api.box import CLOUDFLARE, LINODE, Box
from tests.sandbox.bodies import ZONE_ID

CLOUDS = (LINODE, CLOUDFLARE)
_PLACES = {LINODE: "/networking/firewalls", CLOUDFLARE: f"/zones/{ZONE_ID}/dns_records"}
_BODIES = {LINODE: bodies.firewall(), CLOUDFLARE: bodies.dns_record()}
_PREFIXES = {LINODE: linode.CLOUD.prefix, CLOUDFLARE: cloudflare.CLOUD.prefix}


@pytest.fixture
def box(calm_box: Box) -> Iterator[Box]:
    """The sandbox, without faults and conditions; what a test made is gone after it."""
    yield calm_box
    calm_box.fail()
    for cloud, place in _PLACES.items():
        for found in _all(calm_box, cloud):
            calm_box.ask(cloud, "DELETE", f"{place}/{found['id']}")


def _make(box: Box, cloud: str) -> httpx.Response:
    return box.ask(cloud, "POST", _PLACES[cloud], json=_BODIES[cloud])


def _all(box: Box, cloud: str) -> list[Any]:
    found = box.ask(cloud, "GET", _PLACES[cloud]).json()
    listed: list[Any] = found.get("data", found.get("result"))
    return listed


def _where(cloud: str) -> str:
    return f"POST {_PREFIXES[cloud]}{_PLACES[cloud]}"


def _in_form(cloud: str, answer: httpx.Response) -> bool:
    """Whether a refusal has that API's own form."""
    said = answer.json()
    if cloud == LINODE:
        return set(said) == {"errors"} and all(set(each) <= {"reason", "field"} for each in said["errors"])
    whole = {"success": False, "messages": [], "result": None}
    return whole.items() <= said.items() and all(set(each) == {"code", "message"} for each in said["errors"])


# What goes wrong on demand.


@pytest.mark.parametrize("cloud", CLOUDS)
def test_latency_makes_a_call_take_longer_and_nothing_else(box: Box, cloud: str) -> None:
    box.fail({"what": "latency", "where": _where(cloud), "seconds": 0.3})
    began = time.monotonic()
    assert _make(box, cloud).status_code == 200
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_is_answered_in_form_and_nothing_is_done(box: Box, cloud: str, status: int) -> None:
    box.fail({"what": "error", "where": _where(cloud), "status": status, "retry_after": 3})
    answer = _make(box, cloud)
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "3")
    assert _in_form(cloud, answer)
    assert _all(box, cloud) == []


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(
    ("what", "done"), [("close_before", 0), ("close_after", 1), ("hold_before", 0), ("hold_after", 1)]
)
def test_no_answer_comes_and_the_work_is_done_or_not(box: Box, cloud: str, what: str, done: int) -> None:
    box.fail({"what": what, "where": _where(cloud), "seconds": 0.2})
    began = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError):
        _make(box, cloud)
    assert time.monotonic() - began >= (0.2 if what.startswith("hold") else 0)
    assert len(_all(box, cloud)) == done


def test_a_fault_strikes_as_often_as_it_says(box: Box) -> None:
    box.fail({"what": "error", "where": "GET *", "count": 2})
    assert [box.ask(LINODE, "GET", "/regions").status_code for _ in range(4)] == [500, 500, 200, 200]
    assert box.struck() == [2]


def test_what_strikes_by_chance_strikes_again_the_same_way(box: Box) -> None:
    def statuses(seed: int) -> list[int]:
        box.fail({"what": "error", "where": "GET *", "probability": 0.5, "seed": seed})
        return [box.ask(LINODE, "GET", "/regions").status_code for _ in range(24)]

    assert statuses(7) == statuses(7) != statuses(8)
    assert set(statuses(7)) == {200, 500}


def test_a_fault_strikes_only_where_it_says(box: Box) -> None:
    box.fail({"what": "error", "where": "* /v4/*"})
    assert box.ask(LINODE, "GET", "/regions").status_code == 500
    assert box.ask(CLOUDFLARE, "GET", "/ips").status_code == 200


@pytest.mark.parametrize("given", [[{"what": "boredom"}], {"what": "error"}, [{"what": "error", "count": "x"}], None])
def test_a_fault_that_is_none_is_refused_and_the_others_stay(box: Box, given: Any) -> None:
    box.fail({"what": "error", "where": "nowhere"})
    assert box.control("PUT", "/faults", given).status_code == 400
    assert box.struck() == [0]


# What no client should send.


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_body_that_is_too_large_is_refused(box: Box, cloud: str) -> None:
    answer = box.ask(cloud, "POST", _PLACES[cloud], content=b" " * (reading.LARGEST + 1))
    assert answer.status_code == 413
    assert _in_form(cloud, answer)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'"words"',
        b"null",
        b"1",
        b"\xff\xfe\xfd",
        b'{"label": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"label": NaN}',
        b'{"label": 1e999}',
        b'{"label": ' + b"9" * 5_000 + b"}",
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=range(14),
)
def test_a_body_that_is_no_object_is_refused(box: Box, cloud: str, content: bytes) -> None:
    answer = box.ask(cloud, "POST", _PLACES[cloud], content=content)
    assert answer.status_code == 400
    assert _in_form(cloud, answer)
    assert _all(box, cloud) == []


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_path_and_a_token_of_any_bytes_are_answered(box: Box, cloud: str) -> None:
    for part in ("%00", "%ff%fe", "%0a", "%2e%2e", "x" * 10_000, "%F0%9F%98%80", "1.5", "-1", "9" * 40):
        answer = box.ask(cloud, "GET", f"{_PLACES[cloud]}/{part}")
        assert answer.status_code == 404, part
        assert _in_form(cloud, answer)
    answer = box.ask(cloud, "GET", _PLACES[cloud], headers={"Authorization": b"Bearer \xff\xfe"})
    assert answer.status_code == 401
    assert _in_form(cloud, answer)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v4/regions HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"GET /v4/regions HTTP/1.1\r\n" + b"X-Many: a\r\n" * 50_000 + b"\r\n",
        b"GET /v4/regions HTTP/1.1\r\nHost: x\r\nBad\x00Name: a\r\n\r\n",
        b"GET /v4/regions HTTP/9.9\r\n\r\n",
        b"POST /v4/regions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v4/regions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"",
    ],
    ids=range(8),
)
def test_what_is_no_request_harms_nobody_else(box: Box, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", box.running.api_port), timeout=10) as strange:
        try:
            strange.sendall(sent)
            strange.shutdown(socket.SHUT_WR)
            said = strange.recv(65_536)
        except OSError:
            said = b""
    assert not said or said.startswith(b"HTTP/1.1 4")
    assert box.ask(LINODE, "GET", "/regions").status_code == 200


@pytest.mark.parametrize(("cloud", "place"), [(linode.CLOUD, "/account"), (cloudflare.CLOUD, "/ips")])
def test_a_body_that_does_not_come_is_not_waited_for(
    model: Model, monkeypatch: pytest.MonkeyPatch, cloud: Cloud, place: str
) -> None:
    monkeypatch.setattr(reading, "SLOWEST", 0.05)
    tokens = {"token": Access(bodies.ACCOUNT, frozenset({"*"}))}
    served = application([Door(cloud, model, tokens, Faults())])
    path = f"{cloud.prefix}{place}"
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer token")],
    }
    statuses: list[int] = []

    async def never() -> MutableMapping[str, Any]:
        await asyncio.sleep(60)
        return {}

    async def keep(message: MutableMapping[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    asyncio.run(served(scope, never, keep))
    assert statuses[0] == 400


# What is not served.


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("path", ["/weather", "/", "/weather/a%0ab", "/tomorrow?x=1"])
def test_an_unknown_address_is_said_in_form_and_in_one_line_of_the_log(box: Box, cloud: str, path: str) -> None:
    before = len(box.log("does not serve", within=0))
    answer = box.ask(cloud, "PUT", path)
    assert answer.status_code == 404
    assert _in_form(cloud, answer)
    said = box.log("does not serve")[before:]
    assert said == [f"the sandbox does not serve PUT {_PREFIXES[cloud]}{path.partition('?')[0]}"]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("method", ["BREW", "HEAD", "OPTIONS", "TRACE"])
def test_an_unknown_method_is_refused(box: Box, cloud: str, method: str) -> None:
    assert box.ask(cloud, method, _PLACES[cloud]).status_code == 405


def test_an_address_of_neither_cloud_says_what_there_is(box: Box) -> None:
    for path in ("/", "/linode/instances", "/v4"):
        answer = httpx.get(f"http://127.0.0.1:{box.running.api_port}{path}")
        assert answer.status_code == 404
        assert "/client/v4" in answer.json()["error"]
    assert "the sandbox does not serve GET /linode/instances" in box.log("/linode/instances")


def test_only_the_loopback_is_listened_on(box: Box) -> None:
    ports = {f"{port:04X}" for port in (box.running.api_port, box.running.linode_port, box.running.cloudflare_port)}
    listening = [line.split() for file in ("tcp", "tcp6") for line in Path("/proc/net", file).read_text().splitlines()]
    bound = [line[1].split(":") for line in listening if line[3] == "0A" and line[1].split(":")[1] in ports]
    assert {port for _, port in bound} == ports
    assert all(address.endswith("0100007F") for address, _ in bound)


# The sandbox's own addresses.


@pytest.mark.parametrize("address", control.ADDRESSES, ids=lambda at: f"{at.method} {at.path}")
def test_control_takes_its_own_token_only(box: Box, address: control.Address) -> None:
    for token in ("none", box.token(LINODE), box.token(CLOUDFLARE)):
        assert box.control(address.method, address.path, {}, token).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/clock", {"by": -1}),
        ("POST", "/clock", {"by": "soon"}),
        ("POST", "/clock", {"by": 10**10}),
        ("POST", "/clock", {}),
        ("POST", "/clock", []),
        ("PUT", "/conditions", {"weather": []}),
        ("PUT", "/conditions", {"unhealthy": "x"}),
        ("PUT", "/conditions", {"unhealthy": None}),
        ("PUT", "/conditions", [1]),
        ("PUT", "/conditions", {"failing": ["api-1"]}),
        ("PUT", "/conditions", {"slow": ["api-1=soon"]}),
        ("PUT", "/probes", {"seconds": 1, "found": [1]}),
        ("POST", "/tokens", {"cloud": "third", "account": "x", "scopes": []}),
        ("POST", "/tokens", {"cloud": "linode"}),
        ("POST", "/tokens", {"cloud": [], "account": [], "scopes": 1}),
    ],
)
def test_what_control_does_not_understand_changes_nothing(box: Box, method: str, path: str, body: Any) -> None:
    before = datetime.fromisoformat(box.control("GET", "/clock").json()["now"])
    answer = box.control(method, path, body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert datetime.fromisoformat(box.control("GET", "/clock").json()["now"]) - before < timedelta(minutes=1)
    assert box.control("GET", "/conditions").json() == {name: [] for name in CONDITIONS}


def test_control_takes_no_more_than_the_clouds_do(box: Box) -> None:
    headers = {"Authorization": f"Bearer {box.tokens.control}"}
    for content, status in ((b"[" * 100_000, 400), (b'["\\ud800"]', 400), (b" " * (reading.LARGEST + 1), 413)):
        answer = httpx.put(f"{box.running.control_url}/faults", content=content, headers=headers)
        assert answer.status_code == status


def test_the_clock_is_both_clouds_and_moves_forward(box: Box) -> None:
    before = datetime.fromisoformat(box.control("GET", "/clock").json()["now"])
    box.move(86_400)
    after = datetime.fromisoformat(box.control("GET", "/clock").json()["now"])
    assert timedelta(days=1) <= after - before < timedelta(days=1, minutes=1)
    made = _make(box, CLOUDFLARE).json()["result"]
    assert datetime.fromisoformat(made["created_on"]) >= after
    assert datetime.fromisoformat(_make(box, LINODE).json()["created"]) >= after.replace(tzinfo=None, microsecond=0)


# Its life.


def test_what_was_so_before_it_was_killed_or_stopped_is_so_after(folder: Path) -> None:
    box = Box(folder)
    for end in (box.kill, box.stop):
        box.wrong(unhealthy=["198.18.0.1"], regions_down=["us-central"])
        box.move(3_600)
        box.fail({"what": "error", "where": "nowhere"})
        made = [_make(box, cloud).status_code for cloud in CLOUDS]
        assert set(made) <= {200, 400}, "the second time they are there already"
        held = [_all(box, cloud) for cloud in CLOUDS]
        before = box.control("GET", "/clock").json()["now"]
        end()
        box.start()
        assert [_all(box, cloud) for cloud in CLOUDS] == held
        assert all(held)
        assert box.control("GET", "/clock").json()["now"] >= before
        assert box.control("GET", "/conditions").json()["regions_down"] == ["us-central"]
        assert box.struck() == [], "faults are no part of the clouds"


def test_what_is_under_way_when_it_is_stopped_is_answered(folder: Path) -> None:
    box = Box(folder)
    box.fail({"what": "latency", "where": "POST *", "seconds": 1.0})
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(_make, box, cloud) for cloud in CLOUDS]
        while box.struck() != [2]:
            time.sleep(0.01)
        box.stop()
        assert [call.result().status_code for call in calls] == [200, 200]
    box.start()
    assert [len(_all(box, cloud)) for cloud in CLOUDS] == [1, 1]


def test_what_would_take_too_long_does_not_keep_it_from_stopping(folder: Path) -> None:
    box = Box(folder)
    box.fail({"what": "hold_before", "where": "POST *", "seconds": 600})
    with ThreadPoolExecutor() as pool:
        call = pool.submit(_make, box, LINODE)
        while box.struck() != [1]:
            time.sleep(0.01)
        box.stop()
        error = call.exception()
        assert isinstance(error, httpx.HTTPError) or call.result().status_code >= 500
