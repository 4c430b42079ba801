"""What may be wrong in the cloud, and what is then seen; it passes without a trace."""

from collections.abc import Iterator

import pytest
from linode_api4 import LinodeClient, NodeBalancerConfig

from tests.sandbox.api.box import Box
from tests.sandbox.api.linode.client import REGION, server, status


@pytest.fixture(autouse=True)
def _well_again(box: Box) -> Iterator[None]:
    yield
    box.wrong()


@pytest.fixture(scope="module")
def config(client: LinodeClient) -> NodeBalancerConfig:
    balancer = client.nodebalancers.create(REGION, label="balancer")
    made = balancer.config_create(port=443, protocol="tcp", check="connection", check_interval=40)
    for number in range(3):
        backend = server(client, f"backend-{number}")
        made.node_create(backend.label, f"{backend.ipv4[1]}:443")
    return made


def _nodes(client: LinodeClient, config: NodeBalancerConfig) -> dict[str, str]:
    path = f"/nodebalancers/{config.nodebalancer_id}/configs/{config.id}/nodes"
    return {node["label"]: node["status"] for node in client.get(path)["data"]}


def test_a_region_that_is_down_has_no_running_server_and_no_node_that_is_up(
    box: Box, client: LinodeClient, config: NodeBalancerConfig
) -> None:
    here, there = server(client, "here"), server(client, "there", region="eu-central")
    box.wrong(regions_down=[REGION])
    assert (status(client, here), status(client, there)) == ("offline", "running")
    assert set(_nodes(client, config).values()) == {"DOWN"}
    assert client.load(NodeBalancerConfig, config.id, config.nodebalancer_id).nodes_status.down == 3
    box.wrong()
    assert status(client, here) == "running"
    assert set(_nodes(client, config).values()) == {"UP"}


def test_a_backend_that_is_unhealthy_is_down_by_its_servers_label_or_its_address(
    box: Box, client: LinodeClient, config: NodeBalancerConfig
) -> None:
    path = f"/nodebalancers/{config.nodebalancer_id}/configs/{config.id}/nodes"
    addresses = {node["label"]: node["address"] for node in client.get(path)["data"]}
    for name in ("backend-1", addresses["backend-1"], addresses["backend-1"].removesuffix(":443")):
        box.wrong(unhealthy=[name])
        assert _nodes(client, config) == {"backend-0": "UP", "backend-1": "DOWN", "backend-2": "UP"}


def test_a_server_that_can_not_boot_runs_until_it_is_restarted(box: Box, client: LinodeClient) -> None:
    made = server(client, "fragile-1")
    box.wrong(unbootable=["fragile-1"])
    assert status(client, made) == "running"
    made.tags = ["role-api"]
    made.save()
    assert status(client, made) == "running"
    made.resize("g6-standard-2")
    assert status(client, made) == "offline"
    made.boot()
    assert status(client, made) == "offline"
    box.wrong()
    assert status(client, made) == "offline"
    made.boot()
    assert status(client, made) == "running"
