"""The rule about tags."""

from collections.abc import Sequence

import pytest

from components.topology import Lifetime
from policies.resource import UNKNOWN
from policies.rule import Context
from policies.tags import tagged
from tests.policies.asking import context, found, resource

GOOD = ["environment:production", "generation:1", "role:api", "stack:us-central"]


def test_tags_that_say_what_a_server_belongs_to_pass() -> None:
    assert found("tags", resource("linode:Instance", tags=GOOD)) == []
    assert found("tags", resource("linode:Instance", tags=["role:ops", "stack:us-central"])) == []


@pytest.mark.parametrize(
    ("kind", "tags", "missing"),
    [
        ("linode:Instance", ["stack:us-central"], ["role"]),
        ("linode:Instance", [], ["stack", "role"]),
        ("linode:Instance", None, ["stack", "role"]),
        ("linode:Firewall", ["role:api"], ["stack"]),
        ("linode:NodeBalancer", ["stack:us-central", "role:api"], ["environment"]),
        ("linode:Volume", [], ["stack"]),
    ],
)
def test_tags_that_are_missing_are_named(kind: str, tags: Sequence[str] | None, missing: list[str]) -> None:
    said = found("tags", resource(kind, tags=tags))
    assert [what.partition("; ")[0] for what in said] == [f"it has no tag `{name}:`" for name in missing]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("stack:test", "its tag `stack:test` is wrong; `stack:` is one of us-central"),
        ("environment:prod", "its tag `environment:prod` is wrong; `environment:` is one of production, bot-testing"),
        ("role:apy", "its tag `role:apy` is wrong; `role:` is one of api, chat, customer-service, web-chat, ops"),
    ],
)
def test_tags_that_say_what_is_not_so_are_refused(wrong: str, says: str) -> None:
    right = [tag for tag in GOOD if not tag.startswith(wrong.partition(":")[0])]
    assert found("tags", resource("linode:Instance", tags=[*right, wrong])) == [says]


def test_a_tag_that_is_not_known_yet_may_be_any_and_excuses_no_wrong_one() -> None:
    assert found("tags", resource("linode:Instance", tags=[UNKNOWN])) == []
    assert found("tags", resource("linode:Instance", tags=UNKNOWN)) == []
    assert len(found("tags", resource("linode:Instance", tags=[UNKNOWN, "stack:test"]))) == 1


def test_databases_and_keys_have_no_tags() -> None:
    assert found("tags", resource("linode:DatabasePostgresqlV2")) == []


def test_in_a_test_environment_tags_say_whose_it_is_and_when_it_ends() -> None:
    settings = context("test").settings.model_copy(
        update={"lifetime": Lifetime(owner="trial", ends="2026-11-22t18.00.00z")}
    )
    about = Context("env-trial", settings)
    good = ["environment:internal", "role:api", "stack:env-trial", "owner:trial", "ends:2026-11-22t18.00.00z"]
    assert list(tagged(resource("linode:Instance", tags=good), about)) == []
    assert list(tagged(resource("linode:Instance", tags=[*good[:3], "owner:sysop"]), about)) == [
        "its tag `owner:sysop` is wrong; `owner:` is one of trial",
        "it has no tag `ends:`; add one of ends:2026-11-22t18.00.00z",
    ]
