"""Windows of reboots: every server's own among the servers of its role, whatever the configuration says."""

import base64
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, strategies

from components import reboots, settings
from components.topology import Day, Reboots
from tests.components.test_program import inputs_of
from tests.configuration import change_platform, change_stack, copy_of_the_committed_files
from tests.recording import run

WEEK = 7 * 24 * 60
API = "environments.internal.groups.api"

configured = strategies.builds(
    Reboots,
    days=strategies.lists(strategies.sampled_from(get_args(Day)), min_size=1, unique=True).map(tuple),
    hour=strategies.integers(0, 23),
    hours=strategies.integers(1, 24),
    every=strategies.integers(10, 60),
)


def minute_of_the_week(window: str) -> int:
    matched = re.fullmatch(r"(\w{3}) \*-\*-\* (\d\d):(\d\d):00 UTC", window)
    assert matched
    days = [day[:3].capitalize() for day in get_args(Day)]
    return (days.index(matched[1]) * 24 + int(matched[2])) * 60 + int(matched[3])


@given(configured, strategies.integers(1, 998))
def test_no_two_servers_of_a_role_share_a_window_nor_do_two_windows_overlap(value: Reboots, generation: int) -> None:
    servers = range(1, reboots.most(value) + 1)
    begins = sorted(
        minute_of_the_week(reboots.window(value, each, number))
        for each in (generation, generation + 1)
        for number in servers
    )
    apart = [
        after - before for before, after in zip(begins, [*begins[1:], *(b + WEEK for b in begins[:1])], strict=True)
    ]
    assert all(minutes >= value.every for minutes in apart)


@given(configured, strategies.integers(1, 999), strategies.data())
def test_a_window_lies_in_the_configured_hours(value: Reboots, generation: int, data: strategies.DataObject) -> None:
    if not reboots.most(value):
        return
    number = data.draw(strategies.integers(1, reboots.most(value)))
    begins = minute_of_the_week(reboots.window(value, generation, number))
    after = [(begins - (get_args(Day).index(day) * 24 + value.hour) * 60) % WEEK for day in value.days]
    assert min(after) + value.every <= value.hours * 60


def test_neighbours_reboot_on_different_days_and_a_successor_in_the_other_half() -> None:
    value = Reboots(days=("monday", "thursday"), hour=23, hours=2, every=30)
    assert [reboots.window(value, 1, number) for number in range(1, reboots.most(value) + 1)] == [
        "Tue *-*-* 00:00:00 UTC",
        "Fri *-*-* 00:00:00 UTC",
        "Tue *-*-* 00:30:00 UTC",
        "Fri *-*-* 00:30:00 UTC",
    ]
    assert [reboots.window(value, 2, number) for number in range(1, reboots.most(value) + 1)] == [
        "Mon *-*-* 23:00:00 UTC",
        "Thu *-*-* 23:00:00 UTC",
        "Mon *-*-* 23:30:00 UTC",
        "Thu *-*-* 23:30:00 UTC",
    ]


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        (
            {f"{API}.count": 25},
            f"{API}.count",
            "25 servers, and 'reboots' has windows for 24 in each of two generations",
        ),
        (
            {"generations.3": "linode/debian13", f"{API}.generations": [1, 3]},
            f"{API}.generations",
            "the generations 1, 3 would share windows of 'reboots'; run two side by side, an odd and an even number",
        ),
    ],
)
def test_servers_that_would_share_a_window_are_refused(
    tmp_path: Path, changes: dict[str, object], key: str, said: str
) -> None:
    root = copy_of_the_committed_files(tmp_path / "root")
    change_platform(root, changes)
    with pytest.raises(settings.ConfigurationError) as caught:
        settings.load(root, "test")
    (problem,) = caught.value.problems
    assert (problem.file, problem.key) == ("platform.yaml", key)
    assert said in problem.what


def test_every_server_is_born_with_its_window(tmp_path: Path) -> None:
    root = copy_of_the_committed_files(tmp_path / "root")
    change_platform(root, {"generations.2": "linode/debian13"})
    change_stack(root, "test", {f"{API}.generations": [1, 2], f"{API}.count": 2})
    program = run("test", inputs_of(root, "test"), root)
    born = {
        each.inputs["label"]: re.findall(
            r"OnCalendar=(.*)", base64.b64decode(each.inputs["metadatas"][0]["userData"]).decode()
        )
        for each in program.of("Instance")
    }
    assert {label: found for label, found in born.items() if "-api-" in label} == {
        "test-int-api-g1-1": ["Mon *-*-* 09:00:00 UTC"],
        "test-int-api-g1-2": ["Tue *-*-* 09:00:00 UTC"],
        "test-int-api-g2-1": ["Mon *-*-* 07:00:00 UTC"],
        "test-int-api-g2-2": ["Tue *-*-* 07:00:00 UTC"],
    }
