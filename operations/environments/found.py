"""Which test environments there are: by what the clouds hold, by the states, and by their files.

The clouds alone are enough: what is tagged has its stack, its owner and its end in its tags, and every label begins
with that of its environment's stack, as no other stack's does.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from components import catalog, cost, labels, settings
from operations import clouds, engine, state
from operations.clouds import Found
from operations.environments import names
from operations.project import Project

LABEL = re.compile(rf"{labels.TEST_ENVIRONMENT}({names.FORM})-.+")
# Nothing but its label says of an untagged object whose it is; so it has to be one that the program makes.
_UNTAGGED = re.compile(rf"{labels.TEST_ENVIRONMENT}{names.FORM}-[a-z](-db(-g\d+)?|-[a-z][a-z0-9-]*-g\d+-p\d+)")


@dataclass(frozen=True)
class Kind:
    """A type of object: dollars a month for one, by what its cloud says of it, and whether it has tags.

    What else an environment has goes with these.
    """

    price: Callable[[Mapping[str, Any]], Decimal]
    tagged: bool


def _of_server(body: Mapping[str, Any]) -> Decimal:
    plan = catalog.PLANS.get(body["type"])
    if plan is None:
        return Decimal(0)
    return plan.price + (plan.backups if body["backups"]["enabled"] else 0)


def _of_database(body: Mapping[str, Any]) -> Decimal:
    plan = catalog.DATABASE_PLANS.get(body["type"])
    return plan.price_by_nodes.get(body["cluster_size"], Decimal(0)) if plan else Decimal(0)


KINDS: Mapping[str, Kind] = {
    "linode:index/instance:Instance": Kind(_of_server, tagged=True),
    "linode:index/nodeBalancer:NodeBalancer": Kind(lambda _: catalog.NODE_BALANCER_PRICE, tagged=True),
    "linode:index/firewall:Firewall": Kind(lambda _: Decimal(0), tagged=True),
    "linode:index/databasePostgresqlV2:DatabasePostgresqlV2": Kind(_of_database, tagged=False),
    "linode:index/placementGroup:PlacementGroup": Kind(lambda _: Decimal(0), tagged=False),
}
"""By type, in the order in which they can be deleted: a firewall or a placement group that is used can't be."""


@dataclass(frozen=True)
class Environment:
    """A test environment. `owner` is empty and `ends` None where nobody knows.

    `objects` are what it has at its cloud, in the order in which they can be deleted; `has_state` says whether the
    backend has its stack, and `has_file` whether its stack file is here.
    """

    name: str
    owner: str
    ends: dt.datetime | None
    objects: tuple[Found, ...]
    has_state: bool
    has_file: bool

    @property
    def began(self) -> dt.datetime | None:
        """When the first of its objects was made."""
        return _began(self.objects)

    @property
    def monthly(self) -> Decimal:
        """Dollars a month for what exists."""
        return sum((KINDS[each.type].price(each.body) for each in self.objects), Decimal(0))

    def so_far(self, now: dt.datetime) -> Decimal:
        """Return the dollars for what exists, since it was made."""
        return sum((_cost(each, now) for each in self.objects), Decimal(0))

    def is_over(self, now: dt.datetime) -> bool:
        """Whether it is over its time."""
        return self.ends is not None and self.ends <= now


def find(test: Project) -> dict[str, Environment]:
    """Return all test environments, by name; `test` is the test stack's project.

    Raises:
        Refused: the test stack has no token for Linode.
        Failed: a cloud or the engine does not answer.
    """
    live: dict[str, list[Found]] = {}
    for each in clouds.census(clouds.connect(test), KINDS):
        if name := name_of(each):
            live.setdefault(name, []).append(each)
    stacks = set(state.stacks(test))
    files = set(settings.test_environments(test.folder))
    prefix = settings.TEST_ENVIRONMENT
    known = {each.removeprefix(prefix) for each in stacks | files if each.startswith(prefix)}

    def environment(name: str) -> Environment:
        stack, objects = names.stack_of(name), tuple(live.get(name, ()))
        said = {tag for each in objects for tag in _tags(each)} | _of_file(test, stack)
        if not said and stack in stacks:  # reading a state takes a moment
            said = _of_state(replace(test, stack=stack))
        return Environment(name, _owner(said), _ends(said, objects), objects, stack in stacks, stack in files)

    return {name: environment(name) for name in sorted(live.keys() | known)}


def name_of(found: Found) -> str | None:
    """Return the name of the environment that an object is of, or None: its label says it, and its tags if it has any.

    Its kind is one of KINDS.
    """
    match = LABEL.fullmatch(found.key)
    if match is None:
        return None
    if KINDS[found.type].tagged:
        is_one = f"stack:{names.stack_of(match[1])}" in _tags(found)
    else:
        is_one = _UNTAGGED.fullmatch(found.key) is not None
    return match[1] if is_one else None


def _tags(found: Found) -> Iterable[str]:
    return found.body["tags"] if KINDS[found.type].tagged else ()


def _of_file(test: Project, stack: str) -> set[str]:
    """Return what the file of an environment's stack says of it, as tags; nothing where there is none, or a broken."""
    try:
        said = settings.differences(test.folder, stack)
        return set(labels.tags(**said.get("lifetime") or {}))
    except (settings.ConfigurationError, labels.LabelError, AttributeError, TypeError):
        return set()


def _of_state(project: Project) -> set[str]:
    """Return all tags in a state, also those of what was begun and has no known end."""
    deployment = json.loads(engine.ask(project, "stack", "export"))["deployment"]
    begun = [each["resource"] for each in deployment.get("pending_operations") or ()]
    inputs = [each.get("inputs") or {} for each in (*(deployment.get("resources") or ()), *begun)]
    return {tag for each in inputs for tag in each.get("tags") or ()}


def _owner(said: Iterable[str]) -> str:
    return next((tag.removeprefix("owner:") for tag in sorted(said) if tag.startswith("owner:")), "")


def _ends(said: Iterable[str], objects: Iterable[Found]) -> dt.datetime | None:
    """Return the latest end that is said; where none is, the longest time after the first object was made."""
    told = [end for tag in said if tag.startswith("ends:") and (end := _moment(tag.removeprefix("ends:")))]
    began = _began(objects)
    return max(told) if told else began and began + names.LONGEST


def _moment(text: str) -> dt.datetime | None:
    """Return the time that a tag says; None for one that somebody wrote otherwise, which says nothing."""
    try:
        return labels.moment_of(text)
    except ValueError:
        return None


def _began(objects: Iterable[Found]) -> dt.datetime | None:
    return min((made for each in objects if (made := _made(each))), default=None)


def _cost(found: Found, now: dt.datetime) -> Decimal:
    made = _made(found)
    hours = Decimal((now - made).total_seconds()) / 3600 if made else Decimal(0)
    return cost.over(KINDS[found.type].price(found.body), max(hours, Decimal(0)))


def _made(found: Found) -> dt.datetime | None:
    """Return when an object was made; a cloud does not say it of a placement group, which costs nothing."""
    made = found.body.get("created")
    return dt.datetime.fromisoformat(made).replace(tzinfo=dt.UTC) if made else None
