"""Which copies are kept."""

import datetime as dt
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from copies import retention
from copies.listing import Copy
from copies.repository import Snapshot

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
MOMENTS = st.datetimes(dt.datetime(2025, 12, 1), dt.datetime(2026, 4, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001


def copy(number: int, taken: dt.datetime) -> Copy:
    return Copy(f"dump-{number:03}", f"record-{number:03}", taken, 1, 1, 1.0, "15.1", by_hand=number % 2 == 0)


def left(copies: list[Copy], now: dt.datetime = NOW, kept: int = 30) -> list[Copy]:
    gone = retention.forgotten(copies, [], now, kept)
    assert all((each.dump in gone) == (each.record in gone) for each in copies)
    assert gone <= {part for each in copies for part in (each.dump, each.record)}
    return [each for each in copies if each.dump not in gone]


@given(st.lists(MOMENTS, max_size=80), MOMENTS, st.integers(1, 40))
def test_the_newest_copy_of_each_of_the_newest_days_is_left_and_nothing_else_of_the_past(
    moments: list[dt.datetime], now: dt.datetime, kept: int
) -> None:
    copies = [copy(number, taken) for number, taken in enumerate(moments)]
    staying = [each for each in left(copies, now, kept) if each.day <= now.date()]
    days = sorted({each.day for each in copies if each.day <= now.date()}, reverse=True)[:kept]
    assert sorted((each.day for each in staying), reverse=True) == days
    for each in staying:
        assert each.taken == max(other.taken for other in copies if other.day == each.day)


@given(st.lists(MOMENTS, max_size=80), MOMENTS)
def test_what_is_left_is_left_again(moments: list[dt.datetime], now: dt.datetime) -> None:
    staying = left([copy(number, taken) for number, taken in enumerate(moments)], now)
    assert left(staying, now) == staying


@given(st.lists(MOMENTS, min_size=1, max_size=80), st.timedeltas(dt.timedelta(days=-500), dt.timedelta(days=500)))
def test_a_clock_that_jumps_forgets_no_more_than_one_that_is_right(
    moments: list[dt.datetime], jump: dt.timedelta
) -> None:
    copies = [copy(number, taken) for number, taken in enumerate(moments) if taken <= NOW]
    right, wrong = left(copies), left(copies, NOW + jump)
    assert {each.dump for each in right} <= {each.dump for each in wrong}


def test_a_copy_from_the_future_takes_no_other_days_place() -> None:
    month = [copy(number, NOW - dt.timedelta(days=number)) for number in range(30)]
    future = copy(99, NOW + dt.timedelta(days=366))
    assert left([*month, future]) == [*month, future]


def test_a_copy_by_hand_takes_the_place_of_its_own_day_only() -> None:
    month = [copy(number, NOW - dt.timedelta(days=number)) for number in range(30)]
    by_hand = copy(98, NOW + dt.timedelta(hours=3))
    assert left([*month, by_hand]) == [*month[1:], by_hand]


def test_a_copy_that_was_brought_back_is_left_alone_for_two_weeks_and_takes_nobodys_place() -> None:
    month = [copy(number, NOW - dt.timedelta(days=number)) for number in range(30)]
    for taken in (NOW - dt.timedelta(days=200), NOW - dt.timedelta(days=3) + dt.timedelta(hours=1)):
        back = replace(copy(97, taken), came=NOW)
        assert left([*month, back], NOW + retention.BACK)[-1] == back
        assert len(left([*month, back], NOW + dt.timedelta(days=1))) == 31
    old = replace(copy(97, NOW - dt.timedelta(days=200)), came=NOW)
    assert left([*month, old], NOW + retention.BACK + dt.timedelta(seconds=1)) == month


def test_halves_are_forgotten_when_no_job_can_still_be_at_them() -> None:
    halves = [Snapshot(f"{hours}", NOW - dt.timedelta(hours=hours), ("dump",), 1) for hours in (-48, 0, 23, 25, 900)]
    assert retention.forgotten([], halves, NOW, 30) == {"25", "900"}
