"""Labels and tags are composed in one place, and are ones that the clouds accept."""

import datetime as dt

import pytest

from components import labels


def test_a_label_says_what_an_object_belongs_to() -> None:
    assert labels.label("balancer", "us", "prod", "api") == "us-prod-api"
    assert labels.server("us", "prod", "api", 2, 11) == "us-prod-api-g2-11"
    assert labels.generation_and_number("us-prod-api-g2-11") == (2, 11)


@pytest.mark.parametrize("label", ["us-ops", "us-prod-api-g2", "us-prod-api-gx-1", "g1-1"])
def test_what_is_no_label_of_a_roles_server_has_no_number(label: str) -> None:
    with pytest.raises(labels.LabelError, match=f"'{label}' is no label of a role's server"):
        labels.generation_and_number(label)


@pytest.mark.parametrize("kind", sorted(labels.RULES.keys() - {"tag"}))
def test_a_label_of_the_longest_length_is_accepted_and_one_more_is_not(kind: str) -> None:
    longest = labels.RULES[kind].longest
    assert len(labels.label(kind, "a" * longest)) == longest
    with pytest.raises(labels.LabelError, match=f"has {longest + 1} characters where"):
        labels.label(kind, "a" * (longest + 1))


@pytest.mark.parametrize("part", ["Upper", "under_score", "two--hyphens", "-first", "last-", "späce"])
def test_a_label_with_a_character_that_is_not_allowed_is_refused(part: str) -> None:
    with pytest.raises(labels.LabelError, match="characters that are not allowed"):
        labels.label("balancer", "us", part)


def test_tags_are_sorted_as_the_api_returns_them() -> None:
    assert labels.tags(stack="us", environment="prod", role="api") == ["environment:prod", "role:api", "stack:us"]


def test_a_tag_that_is_too_long_is_refused() -> None:
    with pytest.raises(labels.LabelError, match="has 52 characters"):
        labels.tags(stack="a" * 46)


def test_a_time_is_a_tags_text_and_parses_back() -> None:
    at = dt.datetime(2026, 11, 22, 18, 0, 30, tzinfo=dt.UTC)
    assert labels.tags(ends=labels.moment(at)) == ["ends:2026-11-22t18.00.30z"]
    assert labels.moment_of("2026-11-22t18.00.30z") == at
    assert labels.moment(at.astimezone(dt.timezone(dt.timedelta(hours=2)))) == "2026-11-22t18.00.30z"


def test_the_same_urn_has_the_same_identity_and_another_one_another() -> None:
    first, second = "urn:pulumi:us::chat-tonic::x::a", "urn:pulumi:eu::chat-tonic::x::a"
    assert labels.identity(first) == labels.identity(first) != labels.identity(second)
    assert len(labels.identity(first)) == len("id ") + 12
