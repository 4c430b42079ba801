import json
from pathlib import Path

import pytest
from rich.console import Console

from operations import costs
from tests.configuration import STACKS, change_platform, change_stack, copy_of_the_committed_files
from tests.operations.checkout import Checkout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The committed files, with prices that are easy to add up: one role, one server."""
    root = copy_of_the_committed_files(tmp_path)
    change_platform(
        root, {"environments.internal.groups": {"api": {"count": 2, "plan": "g6-standard-1", "generations": [1]}}}
    )
    return root


def test_a_report_has_every_line_and_the_total(root: Path) -> None:
    report = costs.report(root, "test")
    lines = report["stacks"]["test"]["lines"]
    assert {line["item"]: (line["count"], line["each"], line["total"]) for line in lines} == {
        "internal: api servers, g6-standard-1": (2, 12.0, 24.0),
        "internal: api servers' backups": (2, 2.5, 5.0),
        "internal: NodeBalancers": (1, 10.0, 10.0),
        "internal: PostgreSQL, 1 of g6-nanode-1": (1, 16.0, 16.0),
    }
    assert report["stacks"]["test"]["total"] == report["total"] == 55.0


def test_the_total_of_all_is_the_sum_of_the_stacks(root: Path) -> None:
    report = costs.report(root, "all")
    assert sorted(report["stacks"]) == list(STACKS)
    assert report["total"] == sum(stack["total"] for stack in report["stacks"].values())


def test_the_table_shows_items_and_totals(root: Path) -> None:
    console = Console(width=100, record=True, quiet=False, file=(root / "out").open("w"))
    console.print(costs.table(costs.report(root, "test")))
    shown = console.export_text()
    assert "internal: api servers, g6-standard-1" in shown
    assert "55.00" in shown
    assert "all stacks" not in shown


def test_the_task_prints_json(checkout: Checkout) -> None:
    change_stack(checkout.root, "test", {"environments.internal.groups.api.count": 3})
    ended = checkout.run("cost", "test", "--json")
    assert ended.code == 0
    assert json.loads(ended.output) == costs.report(checkout.root, "test")
