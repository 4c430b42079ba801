"""How much of a standby site is there (F2): a stack's settings, cut down to what its mode keeps.

Pure. The stack file says what the site is when it serves; `standby.mode` says how much of that is there by now. What
reads settings gets those that are left, so that nothing else has to know of modes.
"""

from collections.abc import Callable, Mapping

from components import catalog
from components.topology import Environment, Group, Stack


def sized(stack: Stack) -> Stack:
    """Return what there is of a stack: of a standby what its mode keeps, of any other all."""
    return _MODES[stack.standby.mode](stack) if stack.standby else stack


def describe(stack: Stack) -> str:
    """Return in a few words how much of a standby there is; nothing of another stack."""
    return f"{stack.standby.mode}, {WORTH[stack.standby.mode]}" if stack.standby else ""


WORTH = {
    "pilot-light": "not a replica: firewalls, buckets and keys only",
    "warm": "less than a replica: every role on one server, and a database that a move fills",
    "active": "a replica but for the data: all servers, and a database that a move fills",
}
"""What each mode is worth when the primary is lost."""


def _pilot_light(stack: Stack) -> Stack:
    # A database without a generation keeps its buckets and keys, which are expected to be there before it is.
    return _with(stack, lambda each: _changed(each, groups={}, database=_none(each))).model_copy(update={"ops": None})


def _warm(stack: Stack) -> Stack:
    return _with(stack, lambda each: _changed(each, groups=_smallest(stack, each.groups), database=_small(each)))


_MODES: Mapping[str, Callable[[Stack], Stack]] = {
    "pilot-light": _pilot_light,
    "warm": _warm,
    "active": lambda stack: stack,
}


def _with(stack: Stack, change: Callable[[Environment], Environment]) -> Stack:
    return stack.model_copy(update={"environments": {name: change(each) for name, each in stack.environments.items()}})


def _changed(environment: Environment, **update: object) -> Environment:
    return environment.model_copy(update=update)


def _none(environment: Environment) -> object:
    database = environment.database
    return database.model_copy(update={"generations": (), "serving": database.serves, "forks": {}, "restored": {}})


def _small(environment: Environment) -> object:
    return environment.database.model_copy(update={"plan": catalog.SMALLEST_DATABASE_PLAN, "nodes": 1})


def _smallest(stack: Stack, groups: Mapping[str, Group]) -> dict[str, Group]:
    # A stateless role may serve here at any moment, and another plan would power its only server off meanwhile.
    plans = {role: {"plan": catalog.SMALLEST_PLAN} for role in groups if stack.roles[role].state == "stateful"}
    return {role: group.model_copy(update={"count": 1} | plans.get(role, {})) for role, group in groups.items()}
