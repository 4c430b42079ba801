"""The edge sends requests where its load balancers say, and its probes find out what is so."""

import pytest

from sandbox import front
from tests.sandbox.bodies import ZONE
from tests.sandbox.front.conftest import HOST, Sites, eventually


@pytest.fixture(scope="module")
def pools(made: Sites) -> tuple[str, str]:
    """A pool a site, in that order behind one name."""
    monitor = made.monitor()
    found = made.pool("here", "here", monitor=monitor), made.pool("there", "there", monitor=monitor)
    made.balance(HOST, *found)
    made.ready()
    return found


def test_requests_go_to_the_first_pool_and_the_log_names_whom(sites: Sites, pools: tuple[str, str]) -> None:
    sites.ready()
    assert sites.health(pools[0]) == {"ENAM": True}
    assert set(sites.visits()) == {("here", 200)}
    last = list(front.requests(sites.folder))[-1]
    assert (last.host, last.method, last.pool, last.region, last.address) == (
        HOST,
        "GET",
        "here",
        "us-central",
        sites.addresses["here"],
    )


def test_a_pool_without_servers_is_found_unwell_in_time_and_comes_back(sites: Sites, pools: tuple[str, str]) -> None:
    sites.ready()
    sites.box.wrong(killed=["here-*"])
    eventually(lambda: sites.health(pools[0]), {"ENAM": False})
    eventually(lambda: sites.visits(1), [("there", 200)])
    assert set(sites.visits()) == {("there", 200)}
    sites.box.wrong()
    eventually(lambda: sites.health(pools[0]), {"ENAM": True})
    eventually(lambda: sites.visits(1), [("here", 200)])


@pytest.mark.usefixtures("pools")
def test_who_is_no_name_of_ours_is_told_so(sites: Sites) -> None:
    assert sites.get(f"nobody.{ZONE}")[0] == 530
