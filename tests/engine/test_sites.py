"""A front and its standby on the real engine and the sandbox: sizes by mode, and where traffic goes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from components import document
from operations import engine, previews
from sandbox import process, store
from sandbox.cloudflare import load_balancing
from tests.configuration import REMOVED, change_platform, change_stack
from tests.engine.checkout import Checkout, Run, make

ROLES = ("api", "web-chat")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Yield the checkout of a front with a name that is stateful, and one that is not."""
    checkout = make(tmp_path_factory.mktemp("sites") / "checkout", "us-central")
    groups = "environments.production.groups"
    change_platform(checkout.root, {f"{groups}.{role}": REMOVED for role in ("chat", "customer-service")})
    change_platform(checkout.root, {f"{groups}.{role}.count": 2 for role in ROLES})
    change_stack(checkout.root, "us-central", {"environments.bot-testing": REMOVED})
    yield checkout
    process.stop(checkout.folder)


@pytest.fixture(scope="module")
def standby(front: Checkout) -> Checkout:
    return Checkout(front.root, "us-standby")


def changed(run: Run) -> dict[str, str]:
    """Return the operation on each resource, by the name, that is no component and did not stay as it was."""
    steps = (event["resOutputsEvent"]["metadata"] for event in run.events if "resOutputsEvent" in event)
    return {
        each["urn"].rpartition("::")[2]: each["op"] for each in steps if each.get("provider") and each["op"] != "same"
    }


def kinds(checkout: Checkout) -> set[str]:
    return {each["type"].rpartition(":")[2] for each in checkout.resources()}


def bodies(checkout: Checkout, kind: str) -> dict[str, dict[str, Any]]:
    return {
        each.body["name"]: each.body for each in store.objects(process.file_of(checkout.folder)) if each.kind == kind
    }


def up(checkout: Checkout, **changes: Any) -> dict[str, str]:
    """Change the stack's file and bring it up; return what changed."""
    change_stack(checkout.root, checkout.stack, changes)
    run = checkout.up()
    assert run.code == 0, run.said
    return changed(run)


def test_a_standby_grows_from_a_pilot_light_to_all_of_it_without_losing_anything(standby: Checkout) -> None:
    up(standby)
    authorities = {
        document.read(each)["config"]["chat-tonic:pullCa"] for each in standby.folder.glob("Pulumi.us-*.yaml")
    }
    assert len(authorities) == 1, "Cloudflare presents one certificate to both"
    assert kinds(standby) == {"Firewall", "ObjectStorageBucket", "ObjectStorageKey"}
    warm = up(standby, **{"standby.mode": "warm"})
    assert set(warm.values()) <= {"create", "update"}
    servers = [each["inputs"] for each in standby.resources() if each["type"].endswith(":Instance")]
    assert {each["label"]: each["type"] for each in servers} == {
        "us2-prod-api-g1-1": "g6-nanode-1",
        "us2-prod-web-chat-g1-1": "g6-standard-1",  # it may serve at any moment, so nothing is to power it off
        "us2-ops": "g6-nanode-1",
    }
    active = up(standby, **{"standby.mode": "active"})
    assert set(active.values()) <= {"create", "update"}
    assert active["region-production-database-cluster"] == "update"
    servers = [each["inputs"] for each in standby.resources() if each["type"].endswith(":Instance")]
    assert len(servers) == 5
    assert {each["region"] for each in servers} == {"us-ord"}
    assert not {each["type"] for each in standby.resources() if each["type"].startswith("cloudflare:")}
    assert standby.preview("--refresh").code == 0


def test_traffic_moves_with_the_active_site_and_nothing_else_changes(front: Checkout, standby: Checkout) -> None:
    up(front)
    addresses = json.loads(engine.ask(standby.project(), "stack", "output", "balancers", "--json"))
    added = up(front, **{"failover.sites.us-standby.addresses": addresses})
    pools = {role: f"region-production-{role}-name-pool" for role in ROLES}
    assert {name for name, op in added.items() if op == "create"} == {f"{each}-us-standby" for each in pools.values()}
    found = bodies(front, load_balancing.POOL)
    assert {name: each["enabled"] for name, each in found.items()} == {
        "us-prod-api": True,
        "us-prod-api-us-standby": False,
        "us-prod-web-chat": True,
        "us-prod-web-chat-us-standby": True,
    }
    (origin,) = found["us-prod-api-us-standby"]["origins"]
    assert (origin["name"], origin["address"]) == ("us-standby", addresses["production"]["api"])

    older = front.root / "Pulumi.us-central.yaml"
    before = older.read_text()
    moved = up(front, **{"failover.active": "us-standby", "failover.version": 2})
    stateful = {pools["api"], f"{pools['api']}-us-standby", "region-production-api-name-name"}
    last_resort = "region-production-web-chat-name-name"
    assert {name for name, op in moved.items() if "-name-" in name and op == "update"} == {*stateful, last_resort}
    assert {name: each["enabled"] for name, each in bodies(front, load_balancing.POOL).items()} == {
        "us-prod-api": False,
        "us-prod-api-us-standby": True,
        "us-prod-web-chat": True,
        "us-prod-web-chat-us-standby": True,
    }
    assert steered(front, "api") == (["us-standby"], "us-standby", "off", {})
    assert steered(front, "web-chat") == (["us-central", "us-standby"], "us-standby", "off", {})
    assert front.preview().code == 0

    now = older.read_text()
    older.write_text(before)
    refused = front.up()
    assert refused.code != 0
    assert "version 1, by which us-central serves; what runs is version 2, by which us-standby" in str(refused.events)
    older.write_text(now)

    kept = up(front, **{"failover.home": "us-standby", "failover.active": None})
    assert {name for name in kept if "-name-" in name} == {"region-production-web-chat-name-name"}
    assert steered(front, "api") == (["us-standby"], "us-standby", "off", {})
    assert steered(front, "web-chat") == (["us-standby", "us-central"], "us-standby", "off", {})


def test_a_name_that_all_sites_serve_is_shared_by_their_weights(
    front: Checkout, standby: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    change_platform(front.root, {"roles.web-chat.sites": "active-active"})
    shares = {"failover.weight": 65, "failover.sites.us-standby.weight": 35}
    up(front, **{"failover.home": None, "failover.version": 3, **shares})
    assert steered(front, "web-chat") == (
        ["us-central", "us-standby"],
        "us-central",
        "random",
        {"us-central": 0.65, "us-standby": 0.35},
    )
    assert front.preview("--refresh").code == 0
    both = f"{front.stack},{standby.stack}"
    assert previews.preview(front.root, both, previews.Options(on_sandbox=True, expect_no_changes=True)) == 0
    assert [line for line in capfd.readouterr().err.splitlines() if line.startswith("us-")] == [
        "us-central: a site that is down is found within 135 s (180 s are allowed), and up again within 185 s",
        "us-standby: standby of us-central: active, a replica but for the data: all servers, and a database "
        "that a move fills",
    ]


def steered(front: Checkout, role: str) -> tuple[list[str], str, str, dict[str, float]]:
    """Return the sites that a name goes to, the last resort, how one is chosen, and their weights."""
    every = store.objects(process.file_of(front.folder))
    sites = {each.id: each.body["origins"][0]["name"] for each in every if each.kind == load_balancing.POOL}
    name = bodies(front, load_balancing.LOAD_BALANCER)[f"{role}.chat-tonic-us.example"]
    weights = name["random_steering"].get("pool_weights") or {}
    return (
        [sites[pool] for pool in name["default_pools"]],
        sites[name["fallback_pool"]],
        name["steering_policy"],
        {sites[pool]: weight for pool, weight in weights.items()},
    )
