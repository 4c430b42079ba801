"""A year of probes with background errors: the declared settings never move for nothing, and still notice an outage."""

import itertools
from typing import Any

import pytest

from components import detection, settings
from components.topology import Health
from operations.failover.simulation import Background, Pool, simulate
from tests.configuration import ROOT

FRONTS = ("eu-frankfurt", "us-central")
HEALTH = settings.load(ROOT, "us-central").health


def changed(**values: Any) -> Health:
    """Return the declared settings with others, also such as are refused elsewhere."""
    return HEALTH.model_copy(update=values)


@pytest.mark.parametrize("stack", FRONTS)
def test_the_declared_settings_move_no_traffic_in_a_year_of_errors_and_notice_an_outage_in_time(stack: str) -> None:
    front = settings.load(ROOT, stack)
    found = simulate(front.health, len(front.probe_regions()))
    assert found.probes == 3 * 365 * 24 * 60
    assert found.failed > 500  # or there is nothing that could have moved it
    assert found.false_moves == ()
    computed = detection.times(front.health)
    assert 0.9 * computed.detect < found.detected <= computed.detect
    assert 0.9 * computed.recover < found.returned <= computed.recover
    assert front.failover
    assert found.detected <= front.failover.detect_within


@pytest.mark.parametrize("values", [{"consecutive_down": 1, "retries": 0}, {"consecutive_down": 1, "retries": 5}])
def test_one_failed_probe_moves_traffic_for_nothing_and_retries_do_not_help_in_a_burst(values: dict[str, Any]) -> None:
    assert len(simulate(changed(**values), 1).false_moves) > 10


def test_retries_help_where_errors_stand_alone() -> None:
    alone = Background(errors=0.01, in_bursts=0)
    moves = {each: simulate(changed(consecutive_down=1, retries=each), 1, alone).false_moves for each in (0, 1)}
    assert len(moves[0]) > 50
    assert moves[1] == ()


def test_disturbances_that_last_longer_than_it_takes_to_notice_an_outage_do_move_traffic() -> None:
    assert simulate(HEALTH, 1, Background(burst=300)).false_moves


def test_the_same_seed_gives_the_same_year() -> None:
    assert simulate(HEALTH, 1, seed=7) == simulate(HEALTH, 1, seed=7) != simulate(HEALTH, 1, seed=8)


def seen(pool: Pool, centers: set[int], rounds: int, *, passed: bool) -> bool:
    """Return the health of a pool after rounds in which these data centers find that, and all others the opposite."""
    for _ in range(rounds):
        for center in range(len(pool.votes)):
            pool.saw(center, passed is (center in centers))
    return pool.together if pool.each else pool.streaks[0].healthy


@pytest.mark.parametrize("each", [True, False])
def test_most_data_centers_of_most_regions_decide_and_only_after_so_many_times_in_a_row(each: bool) -> None:
    assert seen(Pool(HEALTH, 1, each), {0}, 10, passed=False)
    assert not seen(Pool(HEALTH, 1, each), {0, 1}, HEALTH.consecutive_down, passed=False)
    assert seen(Pool(HEALTH, 1, each), {0, 1}, HEALTH.consecutive_down - 1, passed=False)
    blind = {0, 1, 2}
    assert seen(Pool(HEALTH, 3, each), blind, 10, passed=False)
    assert not seen(Pool(HEALTH, 2, each), blind, 10, passed=False)  # of two, most are both
    pool = Pool(HEALTH, 1, each)
    assert not seen(pool, blind, 5, passed=False)
    for rounds in range(1, HEALTH.consecutive_up):
        assert not seen(pool, blind, 1, passed=True), rounds
    assert seen(pool, blind, 1, passed=True)


@pytest.mark.parametrize(("down", "interval"), list(itertools.product((2, 4), (60, 120))))
def test_other_settings_also_take_no_longer_than_is_computed(down: int, interval: int) -> None:
    health = changed(consecutive_down=down, interval=interval)
    found = simulate(health, 2, years=0.1)
    assert found.false_moves == ()
    assert found.detected <= detection.times(health).detect
