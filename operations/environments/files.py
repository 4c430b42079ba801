"""The stack file of a test environment: made from the test stack's, closed, and as small as the catalog lets it be."""

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from components import catalog, document, settings
from components.settings import Stack
from operations import credentials, edits, engine, inputs
from operations.environments import names
from operations.project import Project

_PAST = frozenset({"generations", "serving", "forks", "restored"})
"""What a stack file says of the databases of an environment that came one from another."""


def differences(root: Path, name: str, lifetime: Mapping[str, str], sources: Sequence[str] = ()) -> dict[str, Any]:
    """Return what an environment's stack differs in from the platform file.

    `sources` are the networks that reach it; without any, those that reach the test stack.

    Raises:
        ConfigurationError: the test stack's file can't be used.
    """
    smallest = {
        environment: {
            "label": letter,  # the rest of a label's length is the name's
            "publish": "none",
            "groups": {role: {"count": 1, "plan": _cheapest(_servers())} for role in each.groups},
            "database": {"plan": _cheapest(_databases()), "nodes": 1, "copies": False},
        }
        for letter, (environment, each) in zip(
            string.ascii_lowercase, settings.load(root, names.TEST).environments.items(), strict=False
        )
    }
    own: dict[str, Any] = {"label": names.label_of(name), "lifetime": dict(lifetime)}
    own |= {"admin_sources": list(sources)} if sources else {}
    closed = dict.fromkeys(("zone", "alarms", "ops", "copies", "failover", "standby", "voice"))
    said = without_past(settings.differences(root, names.TEST))
    return dict(settings.lay_over(said, {**own, **closed, "environments": smallest}))


def without_past(differences: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stack's differences without what its databases were made from.

    A database that was forked or restored came from another one, which is not there where all is new: each
    environment has one database again.
    """
    said = dict(differences)
    environments = said.get("environments") or {}
    said["environments"] = {
        name: {**each, "database": {key: value for key, value in each["database"].items() if key not in _PAST}}
        if each and each.get("database")
        else each
        for name, each in environments.items()
    }
    return said


def declare(project: Project, differences: Mapping[str, Any]) -> None:
    """Write an environment's differences into its stack file; its inputs stay."""
    path = project.stack_file
    content = document.read(path) if path.exists() else {}
    config = {**(content.get("config") or {}), settings.STACK_KEY: dict(differences)}
    edits.write_private(path, yaml.safe_dump({**content, "config": config}, sort_keys=False))


def beside(test: Project, name: str) -> Project:
    """Return an environment's project, in the folder and the backend of the test stack's."""
    return replace(test, stack=names.stack_of(name))


def make_stack(project: Project, test: Project) -> None:
    """Make an environment's stack in the backend, with secrets encrypted as the test stack's are.

    Raises:
        Failed: the engine refuses; somebody else may have made it meanwhile.
    """
    provider = document.read(test.stack_file).get("secretsprovider")
    engine.ask(project, "stack", "init", "--no-select", *(["--secrets-provider", provider] if provider else []))


def fill_in(project: Project, stack: Stack, test: Project) -> None:
    """Give an environment on real accounts its inputs: the test stack's, and SSH host keys of its own, made once.

    One that the test stack lacks stays away, and is reported as the environment's.

    Raises:
        Failed: the engine refuses.
    """
    given, present = _values(test), _values(project)
    for each in settings.required_inputs(stack):
        if each.key.startswith(credentials.HOST_KEY):
            value = present.get(each.key) or credentials.host_key()
        else:
            value = given.get(each.key, "")
        if value and present.get(each.key) != value:
            inputs.put(project, each, value)


def _values(project: Project) -> dict[str, str]:
    configuration = json.loads(engine.ask(project, "config", "--json", "--show-secrets"))
    return {key: each["value"] for key, each in configuration.items() if isinstance(each.get("value"), str)}


def _cheapest(prices: Mapping[str, Any]) -> str:
    return min(prices, key=lambda plan: prices[plan])


def _servers() -> Mapping[str, Any]:
    return {name: plan.price + plan.backups for name, plan in catalog.PLANS.items()}


def _databases() -> Mapping[str, Any]:
    return {name: plan.price_by_nodes[1] for name, plan in catalog.DATABASE_PLANS.items() if 1 in plan.price_by_nodes}
