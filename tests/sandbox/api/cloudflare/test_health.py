"""What probes find: of a pool's origins by region, and of what a health check watches."""

from typing import Any

from cloudflare import Cloudflare

from tests.sandbox import bodies
from tests.sandbox.api.box import LINODE, Box
from tests.sandbox.bodies import ACCOUNT, ZONE_ID

_WEST, _EAST = "198.18.0.1", "198.18.0.2"


def _pool(client: Cloudflare, **changes: Any) -> str:
    monitor = client.load_balancers.monitors.create(account_id=ACCOUNT, type="tcp", port=443)
    origins = [{"name": "west", "address": _WEST}, {"name": "east", "address": _EAST}]
    wanted: Any = {"name": "us-api", "origins": origins, "monitor": monitor.id}
    # What the API takes, but the client does not know at creation.
    extra = {"check_regions": changes.pop("check_regions", ["WNAM", "ENAM"])}
    made = client.load_balancers.pools.create(account_id=ACCOUNT, **{**wanted, **changes}, extra_body=extra)
    return str(made.id)


def _health(client: Cloudflare, pool: str) -> dict[str, Any]:
    found: Any = client.load_balancers.pools.health.get(pool, account_id=ACCOUNT)
    assert found.pool_id == pool
    regions: dict[str, Any] = found.pop_health.to_dict()
    return regions


def _origins(health: dict[str, Any]) -> dict[str, bool]:
    found = [*health["WNAM"]["origins"]]
    return {address: said["healthy"] for origin in found for address, said in origin.items()}


def test_each_region_says_which_origins_are_well(client: Cloudflare, box: Box) -> None:
    pool = _pool(client)
    well = _health(client, pool)
    assert set(well) == {"WNAM", "ENAM"}
    assert well["WNAM"]["healthy"] is True
    assert _origins(well) == {_EAST: True, _WEST: True}
    box.wrong(unhealthy=[_WEST])
    half = _health(client, pool)
    assert (half["WNAM"]["healthy"], _origins(half)) == (True, {_EAST: True, _WEST: False})
    failed = next(origin[_WEST] for origin in half["WNAM"]["origins"] if _WEST in origin)
    assert failed["failure_reason"] == "TCP connection failed"
    box.wrong(unhealthy=["west", "east"])
    assert _health(client, pool)["ENAM"]["healthy"] is False
    box.wrong()
    assert _health(client, pool) == well


def test_a_pool_needs_as_many_origins_as_it_says(client: Cloudflare, box: Box) -> None:
    pool = _pool(client, minimum_origins=2)
    box.wrong(unhealthy=[_WEST])
    assert _health(client, pool)["WNAM"]["healthy"] is False


def test_what_nobody_probes_has_no_health(client: Cloudflare) -> None:
    pool = _pool(client)
    client.load_balancers.pools.edit(pool, account_id=ACCOUNT, enabled=False)
    assert _health(client, pool) == {}
    client.load_balancers.pools.edit(pool, account_id=ACCOUNT, enabled=True, monitor="")
    assert _health(client, pool) == {}


def test_an_origin_that_is_off_is_not_probed(client: Cloudflare) -> None:
    origins = [{"name": "west", "address": _WEST}, {"name": "east", "address": _EAST, "enabled": False}]
    assert _origins(_health(client, _pool(client, origins=origins))) == {_WEST: True}


def test_without_regions_every_region_probes(client: Cloudflare) -> None:
    found = _health(client, _pool(client, check_regions=None))
    assert len(found) == 13
    assert "ALL_REGIONS" not in found


def test_a_region_that_is_down_takes_its_balancers_with_it(client: Cloudflare, box: Box) -> None:
    balancer = box.ask(LINODE, "POST", "/nodebalancers", json=bodies.node_balancer()).json()
    pool = _pool(client, origins=[{"name": "api", "address": balancer["ipv4"]}])
    checks: Any = client.healthchecks
    check = checks.create(zone_id=ZONE_ID, name="bots", address=balancer["ipv4"], type="TCP", tcp_config={"port": 443})
    box.wrong(regions_down=["us-central"])
    assert _health(client, pool)["WNAM"]["healthy"] is False
    assert checks.get(check.id, zone_id=ZONE_ID).status == "unhealthy"
    box.wrong(regions_down=["eu-central"])
    assert _health(client, pool)["WNAM"]["healthy"] is True
    assert checks.get(check.id, zone_id=ZONE_ID).status == "healthy"
    box.ask(LINODE, "DELETE", f"/nodebalancers/{balancer['id']}")


def test_a_health_check_says_what_fails(client: Cloudflare, box: Box) -> None:
    checks: Any = client.healthchecks
    made = checks.create(zone_id=ZONE_ID, name="bots-api", address=_WEST)
    for name in (_WEST, "bots-api"):
        box.wrong(unhealthy=[name])
        found = checks.get(made.id, zone_id=ZONE_ID)
        assert (found.status, found.failure_reason) == ("unhealthy", "TCP connection failed")
    checks.edit(made.id, zone_id=ZONE_ID, name="bots-api", address=_WEST, suspended=True)
    assert checks.get(made.id, zone_id=ZONE_ID).status == "suspended"
