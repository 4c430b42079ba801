"""Who takes a load balancer's requests follows from what is declared and what was found."""

from typing import Any

import pytest

from sandbox.front import steering

WELL = {"a/1": True, "a/2": True, "b/1": True, "c/1": True}


def _pool(name: str, *origins: str, **changes: Any) -> dict[str, Any]:
    made = [{"name": each, "watch": f"{name}/{each}", "enabled": True, "weight": 1} for each in origins]
    return {"name": name, "enabled": True, "monitor": "m", "minimum_origins": 1, "origins": made, **changes}


def _weights(
    pools: dict[str, dict[str, Any]], well: dict[str, bool], fallback: str = "a", **changes: Any
) -> dict[str, int]:
    usual = {"default_pools": [*pools], "fallback_pool": fallback, "steering_policy": "off"}
    return steering.weights({**usual, **changes}, pools, well)


def test_off_asks_the_first_pool_that_is_well_and_lets_visitors_stay_at_the_others() -> None:
    pools = {"a": _pool("a", "1", "2"), "b": _pool("b", "1")}
    assert _weights(pools, WELL) == {"a/1": 128, "a/2": 128, "b/1": 0}
    assert _weights(pools, {**WELL, "a/1": False}) == {"a/2": 256, "b/1": 0}
    assert _weights(pools, {"b/1": True}) == {"b/1": 256}


def test_a_pool_needs_as_many_origins_as_it_says() -> None:
    pools = {"a": _pool("a", "1", "2", minimum_origins=2), "b": _pool("b", "1")}
    assert _weights(pools, {**WELL, "a/1": False}) == {"b/1": 256}


def test_a_disabled_pool_or_origin_is_not_asked() -> None:
    pools = {"a": _pool("a", "1", enabled=False), "b": _pool("b", "1", "2")}
    pools["b"]["origins"][1]["enabled"] = False
    assert _weights(pools, {**WELL, "b/2": True}) == {"b/1": 256}


def test_random_shares_by_weight_among_the_pools_that_are_well() -> None:
    pools = {"a": _pool("a", "1", "2"), "b": _pool("b", "1"), "c": _pool("c", "1")}
    said = {"default_weight": 0.25, "pool_weights": {"a": 1, "c": 0}}
    shared = _weights(pools, WELL, steering_policy="random", random_steering=said)
    assert shared == {"a/1": 128, "a/2": 128, "b/1": 64, "c/1": 0}
    assert _weights(pools, {"b/1": True}, steering_policy="random", random_steering=said) == {"b/1": 256}


def test_the_last_resort_is_asked_whatever_its_health_unless_it_is_disabled() -> None:
    pools = {"a": _pool("a", "1"), "b": _pool("b", "1")}
    assert _weights(pools, {}, fallback="b") == {"b/1": 256}
    assert _weights({**pools, "b": _pool("b", "1", enabled=False)}, {}, fallback="b") == {}


@pytest.mark.parametrize("well", [{}, WELL])
def test_health_that_nobody_watches_is_not_considered(well: dict[str, bool]) -> None:
    pools = {"a": _pool("a", "1", monitor=""), "b": _pool("b", "1")}
    assert _weights(pools, well)["a/1"] == 256
