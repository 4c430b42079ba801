"""Faults on demand: what goes wrong, where, how often. Both doors ask before and after the work of every call."""

import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from pydantic import TypeAdapter, ValidationError

What = Literal["latency", "error", "close_before", "close_after", "hold_before", "hold_after"]
MEANINGS: Mapping[What, str] = {
    "latency": "takes `seconds` longer",
    "error": "is answered `status`, and that one may come again after `retry_after` seconds; nothing is done",
    "close_before": "gets no answer: the connection is closed before the work",
    "close_after": "gets no answer: the connection is closed after the work",
    "hold_before": "gets no answer: the connection is closed after `seconds`, and nothing is done",
    "hold_after": "gets no answer: the work is done, the connection is closed `seconds` later",
}

Moment = Literal["before", "after"]
"""Of a call: before or after its work."""

_WAITS: Mapping[Moment, tuple[What, ...]] = {"before": ("latency", "hold_before"), "after": ("hold_after",)}
_CLOSES: Mapping[Moment, tuple[What, ...]] = {
    "before": ("close_before", "hold_before"),
    "after": ("close_after", "hold_after"),
}


class FaultError(ValueError):
    """A fault that is none; the text says why."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    `where`: a pattern of calls, `METHOD /path` at the API door (`POST /v4/linode/instances`), `Method token` at the
    engine door (`Create linode:index/instance:Instance`); `*` stands for anything. `what` happens to the call is in
    `MEANINGS`. `skip`: how many calls pass first; `count`: how often at most (None: always); `probability` of
    each, by a generator that `seed` starts.
    """

    what: What
    where: str = "*"
    status: int = 500
    seconds: float = 0.0
    retry_after: int = 1
    skip: int = 0
    count: int | None = None
    probability: float = 1.0
    seed: int = 0

    def waits(self, moment: Moment) -> float:
        """The seconds that it takes before or after the work."""
        return self.seconds if self.what in _WAITS[moment] else 0.0

    def closes(self, moment: Moment) -> bool:
        """Whether it ends the connection before or after the work, without an answer."""
        return self.what in _CLOSES[moment]


def read(given: Any) -> list[Fault]:
    """The faults that a JSON list says. Raises FaultError."""
    try:
        faults = TypeAdapter(list[Fault]).validate_python(given, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise FaultError(f"{where}: {first['msg']}; a fault is one of {', '.join(get_args(What))}") from None
    return faults


class Faults:
    """The faults of a running sandbox. They are gone when it stops: a fault is no part of the clouds."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._guard = threading.Lock()
        self.set(faults)

    def set(self, faults: Iterable[Fault]) -> None:
        """Puts these in the place of all others."""
        with self._guard:
            self._known = [_Armed(fault) for fault in faults]

    def show(self) -> list[dict[str, Any]]:
        """The faults, and how often each has struck."""
        with self._guard:
            return [{**asdict(armed.fault), "struck": armed.struck} for armed in self._known]

    def meet(self, where: str) -> list[Fault]:
        """What goes wrong with this call."""
        with self._guard:
            return [armed.fault for armed in self._known if armed.strikes(where)]


class _Armed:
    """A fault with what it has seen so far."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.struck = 0
        self._passed = 0
        self._chance = random.Random(fault.seed)  # noqa: S311 (it has to be repeatable)

    def strikes(self, where: str) -> bool:
        """Whether it strikes this call."""
        if not fnmatchcase(where, self.fault.where) or self._chance.random() >= self.fault.probability:
            return False
        if self._passed < self.fault.skip:
            self._passed += 1
            return False
        if self.fault.count is not None and self.struck >= self.fault.count:
            return False
        self.struck += 1
        return True
