"""How much of a standby is there, by its mode; and how long Cloudflare takes to notice."""

from pathlib import Path

import pytest

from components import cost, detection, parity, settings, standby
from components.topology import Stack
from operations.backups import reach
from operations.project import Project
from tests.configuration import ROOT, change_stack, copy_of_the_committed_files


def in_mode(folder: Path, mode: str) -> Stack:
    root = copy_of_the_committed_files(folder / mode)
    change_stack(root, "us-standby", {"standby.mode": mode})
    return settings.load(root, "us-standby")


def test_a_pilot_light_keeps_what_the_data_needs_and_nothing_that_serves(tmp_path: Path) -> None:
    stack = in_mode(tmp_path, "pilot-light")
    assert (list(stack.groups()), stack.ops, settings.databases(stack)) == ([], None, {})
    assert stack.environments["production"].database.copies
    assert "not a replica" in standby.describe(stack)
    assert [line.item for line in cost.monthly(stack)] == ["object storage for copies"]
    project = Project(tmp_path, tmp_path, "us-standby", tmp_path, {}, sandbox=True)
    assert reach.environments(project, stack) == [], "no database, so no copy that could be overdue"


def test_a_warm_standby_has_every_role_on_one_server_and_a_database_of_one_node(tmp_path: Path) -> None:
    stack = in_mode(tmp_path, "warm")
    sizes = {role: (group.count, group.plan) for _, _, role, group in stack.groups()}
    smallest = dict.fromkeys(("api", "chat", "customer-service"), (1, "g6-nanode-1"))
    assert sizes == {**smallest, "web-chat": (1, "g6-standard-1")}, "what may serve at any moment is not resized then"
    database = stack.environments["production"].database
    assert (database.plan, database.nodes, database.generations) == ("g6-nanode-1", 1, (1,))
    assert stack.ops


def test_an_active_standby_has_what_its_primary_has(tmp_path: Path) -> None:
    stack, primary = in_mode(tmp_path, "active"), settings.load(ROOT, "us-central")
    assert stack.environments["production"] == primary.environments["production"]
    assert not stack.has_front
    assert list(stack.names()) == []


def test_a_standby_is_compared_by_what_it_is_when_it_serves() -> None:
    values = {
        name: parity.comparable(settings.declared(ROOT, name, settings.differences(ROOT, name)))
        for name in ("us-standby", "us-central")
    }
    differ = {key for key in values["us-central"] if values["us-standby"].get(key) != values["us-central"][key]}
    assert {key.rpartition("bot-testing")[0] for key in differ} == {"environments."}
    assert values["us-standby"].keys() < values["us-central"].keys()


def test_a_database_comes_to_a_standby_that_had_none(tmp_path: Path) -> None:
    deployed = {"databases": settings.databases(in_mode(tmp_path, "pilot-light"))}
    settings.check_step("us-standby", in_mode(tmp_path, "warm"), deployed)


@pytest.mark.parametrize(
    ("changes", "detect", "recover"),
    [({}, 135, 185), ({"consecutive_down": 1}, 75, 185), ({"retries": 5, "timeout": 9, "consecutive_up": 1}, 174, 69)],
)
def test_the_time_to_notice_follows_from_the_probes(changes: dict[str, int], detect: int, recover: int) -> None:
    health = settings.load(ROOT, "us-central").health.model_copy(update=changes)
    assert detection.times(health) == detection.Times(detect, recover)
