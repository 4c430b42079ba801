"""Drift of every kind is found: what somebody changed, added or deleted at the clouds with the official clients."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from operations import clouds, drift, engine
from operations.clouds import Clouds, Found
from sandbox import process
from sandbox.cloudflare import STANDING
from tests.engine.checkout import ACCESS, KINDS, Checkout, make_small
from tests.sandbox.bodies import certificate

Change = Callable[[Clouds, dict[str, Any], str], object]
STACK = "us-central"
ALWAYS_THERE = {token for token, kind in KINDS.items() if kind in STANDING} | {ACCESS}


def put(path: str, **body: Any) -> Change:
    """Change an object at Linode, by the path below its API."""
    return lambda known, inputs, id_: known.platform.put("/" + path.format(**inputs, id=id_), data=body)


def copies(path: str, **body: Any) -> Change:
    return lambda known, inputs, id_: _copies(known).put("/" + path.format(**inputs, id=id_), data=body)


def _copies(known: Clouds) -> Any:
    assert known.copies is not None
    return known.copies


def edge(change: Callable[[Any, dict[str, Any], str], object]) -> Change:
    return lambda known, inputs, id_: change(known.edge, inputs, id_)


def upload(api: Any, name: str, account_id: str, **metadata: str) -> None:
    """Make a Worker, or put another in its place."""
    files = [("failover.mjs", b"export default {};", "application/javascript+module")]
    api.workers.scripts.update(
        name, account_id=account_id, metadata={"main_module": "failover.mjs", **metadata}, files=files
    )


# By type: the property that is changed, and how the official clients change it.
CHANGES: dict[str, tuple[str, Change]] = {
    "linode:index/instance:Instance": ("tags", put("linode/instances/{id}", tags=["elsewhere"])),
    "linode:index/placementGroup:PlacementGroup": ("label", put("placement/groups/{id}", label="elsewhere")),
    "linode:index/firewall:Firewall": ("tags", put("networking/firewalls/{id}", tags=["elsewhere"])),
    "linode:index/nodeBalancer:NodeBalancer": ("tags", put("nodebalancers/{id}", tags=["elsewhere"])),
    "linode:index/nodeBalancerConfig:NodeBalancerConfig": (
        "checkAttempts",
        put("nodebalancers/{nodebalancerId}/configs/{id}", check_attempts=9),
    ),
    "linode:index/nodeBalancerNode:NodeBalancerNode": (
        "weight",
        put("nodebalancers/{nodebalancerId}/configs/{configId}/nodes/{id}", weight=9),
    ),
    "linode:index/databasePostgresqlV2:DatabasePostgresqlV2": (
        "updates",
        put(
            "databases/postgresql/instances/{id}",
            updates={"frequency": "weekly", "duration": 4, "day_of_week": 7, "hour_of_day": 9},
        ),
    ),
    ACCESS: ("allowLists", put("databases/postgresql/instances/{databaseId}", allow_list=["192.0.2.9/32"])),
    "linode:index/objectStorageBucket:ObjectStorageBucket": (
        "acl",
        copies("object-storage/buckets/{region}/{label}/access", acl="public-read"),
    ),
    "linode:index/objectStorageKey:ObjectStorageKey": ("label", copies("object-storage/keys/{id}", label="elsewhere")),
    "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor": (
        "interval",
        edge(lambda e, i, id_: e.load_balancers.monitors.edit(id_, account_id=i["accountId"], interval=99)),
    ),
    "cloudflare:index/loadBalancerPool:LoadBalancerPool": (
        "checkRegions",
        edge(lambda e, i, id_: e.load_balancers.pools.edit(id_, account_id=i["accountId"], check_regions=["WEU"])),
    ),
    "cloudflare:index/loadBalancer:LoadBalancer": (
        "description",
        edge(lambda e, i, id_: e.load_balancers.edit(id_, zone_id=i["zoneId"], description="elsewhere")),
    ),
    "cloudflare:index/dnsRecord:DnsRecord": (
        "content",
        edge(
            lambda e, i, id_: e.dns.records.edit(
                id_, zone_id=i["zoneId"], name=i["name"], type="A", ttl=1, content="192.0.2.9"
            )
        ),
    ),
    "cloudflare:index/healthcheck:Healthcheck": (
        "description",
        edge(
            lambda e, i, id_: e.healthchecks.edit(
                id_, zone_id=i["zoneId"], name=i["name"], address=i["address"], description="elsewhere"
            )
        ),
    ),
    "cloudflare:index/notificationPolicy:NotificationPolicy": (
        "name",
        edge(
            lambda e, i, id_: e.alerting.policies.update(
                id_,
                account_id=i["accountId"],
                name="elsewhere",
                alert_type=i["alertType"],
                filters=e.alerting.policies.get(id_, account_id=i["accountId"]).to_dict()["filters"],
                mechanisms={"email": i["mechanisms"]["emails"]},
            )
        ),
    ),
    "cloudflare:index/zoneSetting:ZoneSetting": (
        "value",
        edge(lambda e, i, _: e.zones.settings.edit(i["settingId"], zone_id=i["zoneId"], value="off")),
    ),
    "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings": (
        "enabled",
        edge(lambda e, i, _: e.origin_tls_client_auth.settings.update(zone_id=i["zoneId"], enabled=False)),
    ),
    "cloudflare:index/workersScript:WorkersScript": (
        "content",
        edge(lambda e, i, id_: upload(e, id_, i["accountId"], compatibility_date=i["compatibilityDate"])),
    ),
    "cloudflare:index/workersRoute:WorkersRoute": (
        "pattern",
        edge(
            lambda e, i, id_: e.workers.routes.update(
                id_, zone_id=i["zoneId"], pattern=f"{i['pattern']}elsewhere", script=i["script"]
            )
        ),
    ),
}
UNCHANGEABLE = set(KINDS) - set(CHANGES)
DELETIONS = (
    "workersRoute:WorkersRoute",
    "workersScript:WorkersScript",
    "loadBalancer:LoadBalancer",
    "loadBalancerPool:LoadBalancerPool",
    "loadBalancerMonitor:LoadBalancerMonitor",
    "notificationPolicy:NotificationPolicy",
    "healthcheck:Healthcheck",
    "dnsRecord:DnsRecord",
    "authenticatedOriginPullsCertificate:AuthenticatedOriginPullsCertificate",
    "firewallDevice:FirewallDevice",
    "nodeBalancerNode:NodeBalancerNode",
    "nodeBalancerConfig:NodeBalancerConfig",
    "nodeBalancer:NodeBalancer",
    "firewall:Firewall",
    "instance:Instance",
    "placementGroup:PlacementGroup",
    "databasePostgresqlV2:DatabasePostgresqlV2",
    "objectStorageKey:ObjectStorageKey",
    "objectStorageBucket:ObjectStorageBucket",
)
"""The kinds that can be deleted, each before what it uses."""


def delete(known: Clouds, which: Callable[[Found], bool]) -> None:
    """Delete objects, each before what it uses."""
    for kind in DELETIONS:
        for each in clouds.census(known, [token for token in KINDS if token.endswith(f"/{kind}")]):
            if which(each):
                each.delete()


def found(checkout: Checkout) -> tuple[int, list[dict[str, Any]]]:
    code, by_stack = drift.report(checkout.root, STACK, on_sandbox=True)
    return code, by_stack[STACK]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = make_small(tmp_path_factory.mktemp("drift") / "checkout")
    ended = made.up()
    assert ended.code == 0, ended.said
    yield made
    process.stop(made.folder)


@pytest.fixture
def known(checkout: Checkout) -> Iterator[Clouds]:
    """The clouds; afterwards they are again as the program says."""
    opened = clouds.connect(checkout.project())
    yield opened
    again = checkout.run("up", "--yes", "--skip-preview", "--refresh")
    assert again.code == 0, again.said
    resources = {(each["type"], each["id"]) for each in checkout.resources()}
    delete(opened, lambda each: (each.type, each.id) not in resources)
    assert found(checkout) == (0, [])


def test_nothing_has_drifted_after_an_update_and_nothing_was_written(checkout: Checkout) -> None:
    before = engine.ask(checkout.project(), "stack", "export"), len(checkout.events())
    assert found(checkout) == (0, [])
    assert (engine.ask(checkout.project(), "stack", "export"), len(checkout.events())) == before


def test_every_kind_that_was_changed_is_found_with_its_property_and_both_values(
    checkout: Checkout, known: Clouds
) -> None:
    assert {token.rpartition(":")[2] for token in UNCHANGEABLE} == {
        "AuthenticatedOriginPullsCertificate",
        "FirewallDevice",
    }
    by_name = sorted(checkout.resources(), key=lambda each: str(each["urn"].rpartition("::")[2]))
    first = {each["type"]: each for each in reversed(by_name)}
    for token, (_, change) in CHANGES.items():
        change(known, first[token]["inputs"], first[token]["id"])
    code, differences = found(checkout)
    assert code == engine.CHANGES
    shown = {(each["type"], each["resource"], each["property"]): each for each in differences}
    expected = {
        (token, first[token]["urn"].rpartition("::")[2], property_) for token, (property_, _) in CHANGES.items()
    }
    assert set(shown) == expected
    server = shown[("linode:index/instance:Instance", "region-bot-testing-api-g1-1", "tags")]
    assert server["there"] == ["elsewhere"]
    assert server["declared"] == ["environment:bot-testing", "generation:1", "role:api", "stack:us-central"]
    assert all(each["means"].startswith("differs") for each in differences)


def test_every_kind_that_was_deleted_is_found_gone(checkout: Checkout, known: Clouds) -> None:
    assert {f"{token.rpartition('/')[2]}" for token in set(KINDS) - ALWAYS_THERE} == set(DELETIONS)
    names = {(each["type"], each["id"]): each["urn"].rpartition("::")[2] for each in checkout.resources()}
    delete(known, lambda _: True)
    assert clouds.census(known) == []
    code, differences = found(checkout)
    assert code == engine.CHANGES
    gone = {each["resource"] for each in differences if each["means"] == "is gone"}
    assert gone >= {name for (token, _), name in names.items() if token not in ALWAYS_THERE}


def test_every_kind_that_somebody_added_is_found_as_known_to_no_stack(checkout: Checkout, known: Clouds) -> None:
    platform, owner = known.platform, {"account_id": known.account_id}
    api: Any = known.edge
    zone = {"zone_id": known.zone_id}
    server = platform.post(
        "/linode/instances",
        data={
            "label": "added",
            "type": "g6-nanode-1",
            "region": "us-central",
            "image": "linode/debian12",
            "root_pass": "correct horse battery",
            "private_ip": True,
        },
    )
    group = {"placement_group_type": "anti_affinity:local", "placement_group_policy": "strict"}
    platform.post("/placement/groups", data={"label": "added", "region": "us-central", **group})
    rules = {"inbound_policy": "DROP", "outbound_policy": "ACCEPT"}
    firewall = platform.post("/networking/firewalls", data={"label": "added", "rules": rules})
    platform.post(f"/networking/firewalls/{firewall['id']}/devices", data={"type": "linode", "id": server["id"]})
    balancer = platform.post("/nodebalancers", data={"label": "added", "region": "us-central"})
    config = platform.post(f"/nodebalancers/{balancer['id']}/configs", data={"port": 80})
    private = next(address for address in server["ipv4"] if address.startswith("192.168."))
    nodes = f"/nodebalancers/{balancer['id']}/configs/{config['id']}/nodes"
    platform.post(nodes, data={"label": "added", "address": f"{private}:80"})
    database = {"label": "added", "region": "us-central", "type": "g6-nanode-1", "engine": "postgresql/16"}
    platform.post("/databases/postgresql/instances", data=database)
    _copies(known).post("/object-storage/buckets", data={"label": "added", "region": "us-ord"})
    _copies(known).post("/object-storage/keys", data={"label": "added"})
    monitor = api.load_balancers.monitors.create(**owner, type="https", description="added")
    origins = [{"name": "added", "address": "192.0.2.1"}]
    pool = api.load_balancers.pools.create(**owner, name="added", origins=origins, monitor=str(monitor.id))
    host = "added.chat-tonic-us.example"
    pools = {"default_pools": [str(pool.id)], "fallback_pool": str(pool.id)}
    api.load_balancers.create(**zone, name=host, **pools)
    api.dns.records.create(**zone, name=f"a-{host}", type="A", content="192.0.2.1", ttl=1)
    api.healthchecks.create(**zone, name="added", address="192.0.2.1")
    api.alerting.policies.create(
        **owner,
        name="added",
        alert_type="load_balancing_health_alert",
        enabled=True,
        mechanisms={"email": [{"id": "added@chat-tonic.example"}]},
    )
    upload(api, "added", **owner)
    api.workers.routes.create(**zone, pattern=f"{host}/*", script="added")
    public, key = certificate()
    api.origin_tls_client_auth.zone_certificates.create(**zone, certificate=public, private_key=key)

    code, differences = found(checkout)
    assert code == engine.CHANGES
    assert {each["type"] for each in differences} == set(KINDS) - ALWAYS_THERE
    assert {each["means"] for each in differences} == {"exists, and no stack knows it"}
    assert len(differences) == len(set(KINDS) - ALWAYS_THERE)


def test_the_report_names_no_secret(checkout: Checkout, known: Clouds) -> None:
    server = next(each for each in checkout.resources() if each["urn"].endswith("region-ops-server"))
    known.platform.delete(f"/linode/instances/{server['id']}")
    config = engine.ask(checkout.project(), "config", "--json", "--show-secrets")
    _, by_stack = drift.report(checkout.root, STACK, on_sandbox=True)

    secrets = [each["value"] for each in json.loads(config).values() if each["secret"]]
    assert secrets
    assert not [secret for secret in secrets if secret in json.dumps(by_stack)]
