import json

import pytest

from operations.demo import Followed
from tests.configuration import leave_only
from tests.operations.checkout import Checkout

URN = "urn:pulumi:test::chat-tonic::linode:index/instance:Instance::api-1"


def event(kind: str, **metadata: str) -> str:
    return json.dumps({"sequence": 1, kind: {"metadata": {"urn": URN, "provider": "linode", **metadata}}})


def test_a_resource_counts_once_and_by_its_kind() -> None:
    followed = Followed()
    for op in ("create", "update"):
        followed.take(event("resOutputsEvent", op=op, type="linode:index/instance:Instance"))
    assert followed.kinds == {URN: "Instance"}


@pytest.mark.parametrize("metadata", [{"op": "delete"}, {"op": "create", "provider": ""}])
def test_what_goes_away_and_what_is_a_component_does_not_count(metadata: dict[str, str]) -> None:
    followed = Followed()
    followed.take(event("resOutputsEvent", **{"type": "linode:index/instance:Instance", **metadata}))
    assert followed.kinds == {}


def test_changes_and_what_the_engine_says_to_people_are_kept_for_a_failure() -> None:
    followed = Followed()
    followed.take(event("resourcePreEvent", op="same"))
    followed.take(event("resourcePreEvent", op="update"))
    followed.take(json.dumps({"diagnosticEvent": {"severity": "error", "message": "Label must be unique\n"}}))
    followed.take(
        json.dumps({"policyEvent": {"message": "Every server has daily backups.\n", "policyName": "backups"}})
    )
    followed.take("error: no changes were expected\n")
    assert followed.said == [
        f"update {URN}",
        "Label must be unique",
        "Every server has daily backups.",
        "error: no changes were expected",
    ]


def test_debug_messages_which_may_hold_secrets_are_not_kept() -> None:
    followed = Followed()
    followed.take(json.dumps({"diagnosticEvent": {"severity": "debug", "message": "props=token"}}))
    assert followed.said == []


@pytest.fixture
def small(sandbox_checkout: Checkout) -> Checkout:
    """A checkout whose only stack is `test`."""
    leave_only(sandbox_checkout.root, "test")
    return sandbox_checkout


def test_the_demonstration_brings_stacks_up_and_shows_one_table(small: Checkout) -> None:
    ended = small.run("demo")
    assert ended.code == 0, ended.output + ended.errors
    progress = [line.split() for line in ended.errors.splitlines() if "resources" in line]
    assert [words[:4] for words in progress] == [
        ["test", "up", "35", "resources"],
        ["test", "preview", "35", "resources"],
    ]
    row = next(line for line in ended.output.splitlines() if line.split()[:1] == ["test"])
    assert "35 resources: 8 FirewallDevice" in row
    assert "84.00" in row
    assert "no public host name" in ended.output
    assert "./inv destroy all --sandbox" in ended.output
    assert "Previewing" not in ended.output + ended.errors


def test_a_demonstration_that_fails_shows_what_the_engine_said(small: Checkout) -> None:
    program = small.root / "__main__.py"
    program.write_text(program.read_text() + '\nraise SystemExit("the program is broken")\n')
    ended = small.run("demo")
    assert ended.code == 1
    assert "failed, exit code 1" in ended.errors
    assert "the program is broken" in ended.errors
    assert ended.errors.endswith("Once that is mended, `./inv demo` goes on from there.\n")
    assert "Stack" not in ended.output
