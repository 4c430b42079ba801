"""The rules on what the program declares for the committed stacks, without the engine."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from components import catalog
from policies.resource import UNKNOWN, Resource
from policies.rules import RESOURCE_RULES
from tests.components.test_program import committed
from tests.configuration import STACKS
from tests.policies.asking import context, found_in_stack


def declared(stack: str) -> list[Resource]:
    """Return what the program declares; each property is said to come from all that its resource depends on."""
    return [
        Resource(
            kind=catalog.kind_of(each.type),
            name=each.name,
            properties=each.inputs,
            urn=each.urn,
            protected=each.protect,
            sources=dict.fromkeys(each.inputs, each.dependencies),
        )
        for each in committed(stack)[0].resources
    ]


def violations(stack: str, resource: Resource) -> list[tuple[str, str, str]]:
    return [
        (rule.name, resource.name, what) for rule in RESOURCE_RULES for what in rule.check(resource, context(stack))
    ]


def without(value: Any, mark: Any) -> Iterator[Any]:
    """Yield a value as often as it has parts, each time with another part of it replaced by a mark."""
    yield mark
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, part in parts:
        for changed in without(part, mark):
            copy = value.copy()
            copy[place] = changed
            yield copy


@pytest.mark.parametrize("stack", STACKS)
def test_what_the_committed_stacks_declare_passes(stack: str) -> None:
    resources = declared(stack)
    assert [each for resource in resources for each in violations(stack, resource)] == []
    assert found_in_stack("firewalls", *resources, stack=stack) == []
    assert found_in_stack("budget", *resources, stack=stack) == []


def test_no_value_that_is_not_known_yet_is_refused_or_ends_a_rule() -> None:
    by_kind = {resource.kind: resource for resource in declared("us-central")}
    asked = 0
    for resource in by_kind.values():
        for properties in without(dict(resource.properties), UNKNOWN):
            if properties is not UNKNOWN:
                asked += 1
                assert violations("us-central", replace(resource, properties=properties)) == []
    assert asked > 100


def test_no_value_that_is_missing_ends_a_rule() -> None:
    by_kind = {resource.kind: resource for resource in declared("us-central")}
    refused = {
        rule
        for resource in by_kind.values()
        for properties in without(dict(resource.properties), None)
        if properties is not None
        for rule, _, _ in violations("us-central", replace(resource, properties=properties))
    }
    assert refused >= {"jurisdiction", "backups", "encryption", "closed", "doors", "tags", "plans"}
