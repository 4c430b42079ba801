"""Lists: pages of more objects than fit on one, and what a filter lets through."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from linode_api4 import Instance, LinodeClient

from tests.sandbox.api.box import LINODE, Box
from tests.sandbox.api.linode.client import REGION, client_of, refused

COUNT = 510


@pytest.fixture(scope="module")
def many(box: Box) -> list[int]:
    """The ids of more instances than the largest page holds."""

    def make(number: int) -> int:
        tags = ["role-api" if number % 2 else "role-bots"]
        body = {"label": f"many-{number:03}", "region": REGION, "type": "g6-nanode-1", "tags": tags}
        return int(box.ask(LINODE, "POST", "/linode/instances", json=body).json()["id"])

    with ThreadPoolExecutor(4) as pool:
        return [*pool.map(make, range(COUNT))]


@pytest.mark.parametrize("size", [25, 100, 500])
def test_all_pages_together_are_every_object_once(box: Box, many: list[int], size: int) -> None:
    paging = client_of(box, box.token(LINODE))
    paging.page_size = size
    found = [instance.id for instance in paging.linode.instances()]
    assert sorted(found) == sorted(many)


@pytest.mark.usefixtures("many")
def test_a_page_says_how_many_there_are_and_one_beyond_the_last_is_empty(client: LinodeClient) -> None:
    last = client.get("/linode/instances?page=2&page_size=500")
    assert (last["page"], last["pages"], last["results"], len(last["data"])) == (2, 2, COUNT, COUNT - 500)
    beyond = client.get("/linode/instances?page=3&page_size=500")
    assert (beyond["data"], beyond["pages"], beyond["results"]) == ([], 2, COUNT)


@pytest.mark.parametrize("query", ["page_size=24", "page_size=501", "page=0", "page=x", "page_size=-1"])
@pytest.mark.usefixtures("many")
def test_a_page_that_is_none_is_refused(client: LinodeClient, query: str) -> None:
    ((field, reason),) = refused(lambda: client.get(f"/linode/instances?{query}"))
    assert field == query.partition("=")[0]
    assert reason.startswith("Must be ")


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"label": "many-007"}, 1),
        ({"label": "nobody"}, 0),
        ({"tags": "role-api"}, COUNT // 2),
        ({"label": {"+contains": "many-00"}}, 10),
        ({"+or": [{"label": "many-001"}, {"label": "many-002"}]}, 2),
        ({"+and": [{"tags": "role-api"}, {"label": {"+contains": "many-00"}}]}, 5),
        ({"specs.memory": {"+gt": 1024}}, 0),
    ],
)
@pytest.mark.usefixtures("many")
def test_a_filter_lets_through_what_it_says(client: LinodeClient, wanted: dict[str, Any], count: int) -> None:
    assert client.get("/linode/instances?page_size=500", filters=wanted)["results"] == count


def test_the_client_finds_an_instance_by_its_label(client: LinodeClient, many: list[int]) -> None:
    found = client.linode.instances(Instance.label == "many-100").only()
    assert found.id == many[100]


@pytest.mark.usefixtures("many")
def test_a_list_is_in_the_order_that_is_asked_for(client: LinodeClient) -> None:
    found = client.get("/linode/instances", filters={"+order_by": "label", "+order": "desc"})["data"]
    assert [found[0]["label"], found[1]["label"]] == ["many-509", "many-508"]


@pytest.mark.parametrize("wanted", [{"wings": 2}, {"label": {"+like": "x"}}, {"+or": 3}, {"+order_by": ["label"]}])
@pytest.mark.usefixtures("many")
def test_a_filter_that_is_none_is_refused(client: LinodeClient, wanted: dict[str, Any]) -> None:
    assert len(refused(lambda: client.get("/linode/instances", filters=wanted))) == 1


def test_the_events_of_many_objects_are_read_by_the_page(client: LinodeClient, many: list[int]) -> None:
    page = client.get("/account/events?page_size=25")
    assert (len(page["data"]), page["results"]) == (25, COUNT)
    numbers = [event["id"] for event in page["data"]]
    assert numbers == sorted(numbers, reverse=True)
    of_one = client.get("/account/events", filters={"entity.type": "linode", "entity.id": many[3]})
    assert [event["action"] for event in of_one["data"]] == ["linode_create"]
