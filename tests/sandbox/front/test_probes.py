"""Probes ask as their monitor declares, and a data center changes its mind after so many in a row."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import machines
from sandbox.addresses import loopback
from sandbox.cloudflare.probes import DATA_CENTERS
from sandbox.front.probes import DataCenter, Finding, expected
from tests.sandbox.front.conftest import Sites, eventually

ADDRESS = "203.0.113.9"
PASSED, FAILED = Finding(), Finding("it fails")


@pytest.mark.parametrize(
    ("codes", "code", "said"),
    [
        ("200", 200, True),
        ("200", 204, False),
        ("2xx", 204, True),
        ("2xx", 301, False),
        ("200, 3xx", 301, True),
        ("200", 2000, False),
        ("20x,418", 418, True),
    ],
)
def test_codes_are_listed_or_a_range(codes: str, code: int, said: bool) -> None:
    assert expected(codes, code) is said


def _minds(center: DataCenter, *findings: Finding) -> list[bool | None]:
    said = []
    for each in findings:
        center.learn(each, down=3, up=2)
        said.append(center.healthy)
    return said


def test_a_data_center_changes_its_mind_after_so_many_probes_in_a_row() -> None:
    center = DataCenter()
    assert _minds(center, PASSED, PASSED) == [None, True]
    assert _minds(center, FAILED, FAILED, PASSED, FAILED, FAILED, FAILED) == [True] * 5 + [False]
    assert _minds(center, PASSED, FAILED, PASSED, PASSED) == [False] * 3 + [True]


def test_what_never_answered_is_known_to_be_down_in_time() -> None:
    assert _minds(DataCenter(), FAILED, FAILED, FAILED) == [None, None, False]


class _Origin(http.server.BaseHTTPRequestHandler):
    """Answers with `status`, and keeps what it was asked."""

    status = 200
    asked: list[tuple[str, str, str]]

    def do_HEAD(self) -> None:
        self.asked.append((self.command, self.path, self.headers["Host"]))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sites, type[_Origin], str]]:
    """An origin that is no cloud's, in a pool that two regions probe."""
    sites = Sites(tmp_path_factory.mktemp("probes") / "box")
    sites.addresses["elsewhere"] = ADDRESS
    origin = type("Origin", (_Origin,), {"asked": []})
    where = loopback(Path(sites.folder).resolve() / machines.FOLDER, "nobody", ADDRESS)
    with http.server.ThreadingHTTPServer((where, 8080), origin) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        header = {"Host": ["api.example.org"]}
        asks = {"type": "http", "port": 8080, "path": "/ready", "method": "HEAD", "header": header, "retries": 2}
        monitor = sites.monitor(**asks, expected_codes="2xx")
        pool = sites.pool("elsewhere", "elsewhere", monitor=monitor, check_regions=["ENAM", "WNAM"])
        sites.ready()
        yield sites, origin, pool
        sites.close()
        server.shutdown()


def test_a_probe_asks_what_is_declared(watched: tuple[Sites, type[_Origin], str]) -> None:
    sites, origin, pool = watched
    assert set(origin.asked) == {("HEAD", "/ready", "api.example.org")}
    assert sites.health(pool) == {"ENAM": True, "WNAM": True}
    # Known after two probes of each data center; and they do not ask much more than that.
    assert 2 * 2 * DATA_CENTERS <= len(origin.asked) <= 6 * 2 * DATA_CENTERS


def test_a_code_that_is_not_expected_fails_after_retries_at_once(watched: tuple[Sites, type[_Origin], str]) -> None:
    sites, origin, pool = watched
    origin.status = 503
    before = len(origin.asked)
    eventually(lambda: sites.health(pool), {"ENAM": False, "WNAM": False})
    # Two probes of three attempts each, from two regions, in each of which two data centers are most.
    assert len(origin.asked) - before >= 2 * 3 * 2 * 2
    found = sites.findings(pool)["ENAM"]
    assert (found["failure_reason"], found["response_code"]) == ("Response code mismatch error", 503)
    origin.status = 204
    eventually(lambda: sites.health(pool), {"ENAM": True, "WNAM": True})


def test_of_two_regions_both_have_to_find_an_origin_well(watched: tuple[Sites, type[_Origin], str]) -> None:
    sites, _, pool = watched
    sites.box.wrong(blind=["WNAM"])
    eventually(lambda: sites.health(pool), {"ENAM": True, "WNAM": False})
    eventually(lambda: sites.is_well("elsewhere"), False)
    sites.change(pool, check_regions=["ENAM", "WNAM", "NSAM"])
    sites.ready()
    assert sites.is_well("elsewhere") is True
    assert sites.health(pool) == {"ENAM": True, "NSAM": True, "WNAM": False}
    sites.box.wrong()


def test_what_is_said_to_be_unwell_is_not_asked(watched: tuple[Sites, type[_Origin], str]) -> None:
    sites, origin, pool = watched
    sites.box.wrong(unhealthy=["elsewhere"])
    eventually(lambda: set(sites.health(pool).values()), {False})
    asked = len(origin.asked)
    sites.ready()
    assert len(origin.asked) == asked
    sites.box.wrong()


def test_a_disabled_pool_is_not_probed_and_unknown_when_it_is_back(watched: tuple[Sites, type[_Origin], str]) -> None:
    sites, _, pool = watched
    sites.change(pool, enabled=False)
    sites.ready()
    assert (sites.health(pool), sites.is_well("elsewhere")) == ({}, None)
    sites.change(pool, enabled=True)
    eventually(lambda: set(sites.health(pool).values()), {False})
    assert sites.findings(pool)["ENAM"]["failure_reason"] == "Health unknown"
    sites.ready()
    assert sites.is_well("elsewhere") is True
