"""What is open on a server, to whom: the real rules in a real kernel."""

import dataclasses
import os

import pytest

from components import user_data
from tests.components.user_data.conftest import Put
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
    Network,
)


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


def test_loading_the_rules_again_changes_nothing(network: Network) -> None:
    network.load_rules()
    before = network.server.run("nft", "list", "ruleset").stdout
    network.load_rules()
    assert network.server.run("nft", "list", "ruleset").stdout == before


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
