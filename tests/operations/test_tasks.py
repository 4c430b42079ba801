"""The command line: what is wrong with it ends with 2, and the engine is not even started."""

import json
import subprocess
import sys

import pytest

from tests.configuration import change_stack
from tests.operations.checkout import Checkout


@pytest.mark.parametrize(
    "arguments",
    [
        ["preview"],
        ["up", "--sandbox"],
        ["destroy"],
        ["setup"],
        ["cost"],
        ["up", "test", "--force"],
        ["preview", "test", "--parallel=1"],
        ["sandbox.restart"],
        ["no-such-task"],
    ],
)
def test_a_command_line_that_cannot_be_parsed_ends_with_2(checkout: Checkout, arguments: list[str]) -> None:
    ended = checkout.run(*arguments)
    assert ended.code == 2
    assert "Traceback" not in ended.errors
    assert ended.errors.strip()
    assert checkout.calls() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["preview", "tset", "--sandbox"],
        ["preview", "tset"],
        ["up", "tset", "--yes"],
        ["destroy", "tset", "--yes"],
        ["setup", "tset"],
        ["cost", "tset"],
    ],
)
def test_an_unknown_stack_ends_with_2_and_names_the_nearest(checkout: Checkout, arguments: list[str]) -> None:
    ended = checkout.run(*arguments)
    assert ended.code == 2
    assert ended.errors == "Pulumi.tset.yaml: there is no stack 'tset'; the nearest known one is 'test'\n"
    assert checkout.calls() == []


@pytest.mark.parametrize("task", ["preview", "up", "destroy", "cost"])
def test_a_wrong_configuration_ends_with_2_and_every_problem(checkout: Checkout, task: str) -> None:
    change_stack(checkout.root, "test", {"region": "us-nowhere", "label": "Test"})
    ended = checkout.run(task, "test", *(["--yes"] if task in {"up", "destroy"} else []))
    assert ended.code == 2
    assert {line.split(": ")[1] for line in ended.errors.splitlines()} == {
        "chat-tonic:stack.region",
        "chat-tonic:stack.label",
    }
    assert checkout.calls() == []


@pytest.mark.parametrize("place", [["--sandbox"], []])
@pytest.mark.parametrize("task", ["up", "destroy"])
def test_what_changes_a_cloud_needs_a_terminal_or_yes(checkout: Checkout, task: str, place: list[str]) -> None:
    ended = checkout.run(task, "test", *place)
    assert ended.code == 2
    assert ended.errors == (
        "this asks before it changes anything, and there is no terminal to ask on; if it is agreed: "
        f"./inv {' '.join([task, 'test', *place])} --yes\n"
    )
    assert checkout.calls() == []
    assert not (checkout.root / ".sandbox").exists()


@pytest.mark.parametrize(
    "line",
    [
        "failover.engage us-central --to us-standby --last-copy --with-other-changes --local-state",
        "failover.failback us-central --back --with-other-changes",
        "failover.keep us-central --with-other-changes --local-state",
    ],
)
def test_what_is_to_be_agreed_to_is_said_with_all_its_options(checkout: Checkout, line: str) -> None:
    ended = checkout.run(*line.split())
    assert ended.code == 2
    assert ended.errors.endswith(f"if it is agreed: ./inv {line} --yes\n")


def test_a_sandbox_that_never_ran_has_a_status_and_can_be_stopped_and_reset(checkout: Checkout) -> None:
    assert json.loads(checkout.run("sandbox.status", "--json").output) == {"running": False}
    for task in ("sandbox.status", "sandbox.stop", "sandbox.reset"):
        ended = checkout.run(task)
        assert (ended.code, ended.output) == (0, "The sandbox does not run; ./inv sandbox.start starts it.\n")
    assert not (checkout.root / ".sandbox").exists()


def test_there_is_nothing_to_destroy_where_no_sandbox_run_was(checkout: Checkout) -> None:
    ended = checkout.run("destroy", "test", "--sandbox", "--yes")
    assert ended.code == 0
    assert ended.errors == "test: the sandbox has none, so there is nothing to destroy\n"
    assert checkout.calls() == []


def test_listing_the_tasks_imports_no_operation_and_no_provider_sdk() -> None:
    listed = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "toolchain", "--list"], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines()}
    assert "invoke" in imported
    assert not imported & {"operations", "components", "pydantic", "pulumi", "rich", "pulumi_linode"}


def test_no_operation_imports_a_provider_sdk() -> None:
    code = "import sys, operations.demo, operations.updates, operations.costs, operations.quality; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "operations.sandbox" in modules
    assert not {"pulumi", "pulumi_linode", "pulumi_cloudflare"} & set(modules)
