"""Asking a rule of the pack about resources, without the engine."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from components import settings
from policies.resource import Resource
from policies.rule import Context
from policies.rules import RESOURCE_RULES, STACK_RULES
from tests.configuration import ROOT


@cache
def context(stack: str = "us-central") -> Context:
    """Return what the rules know of a committed stack."""
    return Context(stack, settings.load(ROOT, stack), zone_id="e" * 32, account_id="d" * 32)


def resource(kind: str, **properties: Any) -> Resource:
    """Return a resource of a kind like `linode:Instance`, which is called `it`."""
    return Resource(kind, "it", properties, f"urn:pulumi:us-central::chat-tonic::{kind}::it")


def found(rule: str, about: Resource, stack: str = "us-central") -> list[str]:
    """Return what a rule finds wrong with a resource."""
    (check,) = (each.check for each in RESOURCE_RULES if each.name == rule)
    return list(check(about, context(stack)))


def found_in_stack(rule: str, *every: Resource, stack: str = "us-central") -> list[tuple[str | None, str]]:
    """Return the names of resources in which a rule finds something wrong, with what it is."""
    (check,) = (each.check for each in STACK_RULES if each.name == rule)
    return [(about.name if about else None, what) for about, what in check(every, context(stack))]


def named(kind: str, name: str, sources: Mapping[str, Collection[str]] | None = None, **properties: Any) -> Resource:
    """Return one of several resources; `sources` are the URNs that its properties come from."""
    return Resource(kind, name, properties, f"urn:pulumi:us-central::chat-tonic::{kind}::{name}", sources=sources or {})
