"""What `setup`'s checks and `drift` cost beside the same calls made bare."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import requests

from benchmarks.measuring import Run, in_turns
from benchmarks.report import Row, compared
from benchmarks.site import OURS, STACK, Site, prepared
from components import settings
from operations import clouds, drift, engine, preflight
from operations.errors import Failed

TIMES = 5
REFRESH = ("preview", "--refresh", "--expect-no-changes", "--json")
BARE = "bare"

Asked = list[tuple[str, dict[str, str]]]


def run() -> Iterator[Row]:
    """Measure, and yield the comparisons: without limits, for they only inform."""
    with prepared() as site:
        site.up(OURS)
        stack = settings.load(site.root, STACK)

        def check() -> None:
            preflight.check(clouds.connect(site.project), stack, thoroughly=True)

        def configuration() -> None:
            engine.ask(site.project, "config", "--json", "--show-secrets")

        yield from _compare("setup's checks", check, configuration)

        def differences() -> None:
            drift.report(site.root, STACK, on_sandbox=True)

        def refresh() -> None:
            _refresh(site)

        yield from _compare("drift", differences, refresh)


def _compare(what: str, ours: Callable[[], None], besides: Callable[[], None]) -> Iterator[Row]:
    """Compare a function with the calls that it makes, and what it needs of the engine."""
    with _noted() as asked:
        ours()
    if not asked:
        raise Failed(f"{what}: no call to the clouds was seen; mend benchmarks/asking.py")

    def bare() -> None:
        besides()
        with httpx.Client(trust_env=False) as client:
            for url, headers in asked:
                client.get(url, headers=headers)

    done = in_turns({OURS: _timed(ours), BARE: _timed(bare)}, TIMES)
    yield compared(f"{what}, against its {len(asked)} calls made bare", done[OURS], done[BARE], None)


def _refresh(site: Site) -> None:
    code, _, errors = engine.answer(site.project, *REFRESH)
    if code:
        raise Failed(errors)


def _timed(work: Callable[[], None]) -> Callable[[], Run]:
    def run_once() -> Run:
        return Run(_seconds(work))

    return run_once


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _noted() -> Iterator[Asked]:
    """Note what the official clients ask; one speaks through requests, the other through httpx."""
    asked: Asked = []
    sends: tuple[tuple[Any, Any], ...] = ((requests.Session, requests.Session.send), (httpx.Client, httpx.Client.send))

    def noting(send: Any) -> Any:
        def sent(self: Any, request: Any, **options: Any) -> Any:
            if request.method == "GET":
                asked.append((str(request.url), dict(request.headers)))
            return send(self, request, **options)

        return sent

    for owner, send in sends:
        owner.send = noting(send)
    try:
        yield asked
    finally:
        for owner, send in sends:
            owner.send = send
