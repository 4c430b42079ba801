"""Cloudflare's probes: a process that asks origins as their monitors declare, and says what it found.

It reads what is watched from a file, and writes what it found into another. Intervals are shortened by PACE; how long
an answer may take is not. A probe that fails is repeated at once, `retries` times (cloudflare-docs#31583), and fails
only if all do. How findings become health is in `sandbox.cloudflare.probes`.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.addresses import loopback, port_for
from sandbox.cloudflare.probes import DATA_CENTERS, FAILURE, most
from sandbox.data import digest
from sandbox.machines.units import PACE

WATCHED, FOUND = "watched.json", "found.json"
_LOOKS_EVERY = 0.1  # seconds
_AGENT = "Mozilla/5.0 (compatible; Cloudflare-Traffic-Manager/1.0)"
_LARGEST = 10_240  # bytes of an answer in which a text is looked for

Watched = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What one probe finds; without a reason, all is well."""

    reason: str = ""
    code: int = 0
    seconds: float = 0.0

    def show(self) -> dict[str, Any]:
        """The same, as the cloud's API says it."""
        return {
            "failure_reason": self.reason or "No failures",
            "response_code": self.code,
            "rtt": f"{self.seconds * 1000:.1f}ms",
        }


def run(folder: Path, machines: Path) -> None:
    """Probes what is said in a folder to be watched, until this process is ended."""
    asyncio.run(_run(folder, machines))


def expected(codes: str, code: int) -> bool:
    """Whether a status is among the expected: `200`, `2xx`, or several of them, with commas in between."""
    return any(re.fullmatch(each.strip().lower().replace("x", r"\d"), str(code)) for each in codes.split(","))


class DataCenter:
    """One data center's view of an origin: it changes after so many probes in a row that say otherwise."""

    def __init__(self) -> None:
        self.healthy: bool | None = None  # until it is known
        self.last = Finding(FAILURE)
        self._row = 0

    def learn(self, finding: Finding, down: int, up: int) -> None:
        """Counts what a probe has found."""
        passed = not finding.reason
        self._row = self._row + 1 if passed != self.healthy and passed == (not self.last.reason) else 1
        self.last = finding
        if passed != self.healthy and self._row >= max(1, up if passed else down):
            self.healthy, self._row = passed, 0


class _Watch:
    """The probes of one origin, from all regions."""

    def __init__(self, watched: Watched, where: str) -> None:
        self.watched, self._where = watched, where
        self.blind: frozenset[str] = frozenset()
        self._centers = {region: [DataCenter() for _ in range(DATA_CENTERS)] for region in watched["regions"]}
        self._tasks: set[asyncio.Task[None]] = set()
        for region, centers in self._centers.items():
            for center in centers:
                self._begin(self._probe_on(region, center))

    def end(self) -> None:
        """Probes no more."""
        for task in [*self._tasks]:
            task.cancel()

    def found(self) -> dict[str, Any]:
        """What each region has found, where it knows."""
        known = {}
        for region, centers in self._centers.items():
            votes = [center.healthy for center in centers]
            if None not in votes:
                healthy = most([bool(vote) for vote in votes])
                shown = next(center.last for center, vote in zip(centers, votes, strict=True) if vote == healthy)
                known[region] = {"healthy": healthy, **shown.show()}
        return known

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _probe_on(self, region: str, center: DataCenter) -> None:
        """Begins a probe every interval, whether the one before has ended or not: an interval here is a short one."""
        interval = self.watched["interval"] * PACE
        due = time.monotonic() - random.uniform(0, interval)  # noqa: S311 - data centers do not wait for each other
        while True:
            self._begin(self._judge(region, center))
            due = max(due + interval, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _judge(self, region: str, center: DataCenter) -> None:
        down, up = self.watched["consecutive"]
        center.learn(await self._probe(region), down or 0, up or 0)

    async def _probe(self, region: str) -> Finding:
        """One probe, with its retries."""
        finding = Finding(FAILURE)
        for _ in range(self.watched["retries"] + 1):
            if region in self.blind or self.watched["unhealthy"]:
                continue
            began = time.monotonic()
            try:
                async with asyncio.timeout(self.watched["timeout"]):
                    finding = await self._ask()
            except TimeoutError:
                finding = Finding("HTTP timeout occurred")
            except (OSError, EOFError, ValueError, IndexError):
                finding = Finding(FAILURE)
            if not finding.reason:
                return Finding("", finding.code, time.monotonic() - began)
        return finding

    async def _ask(self) -> Finding:
        watched = self.watched
        reader, writer = await asyncio.open_connection(self._where, port_for(watched["port"]))
        try:
            if not watched["type"].startswith("http"):
                return Finding()
            given = {"Host": [watched["place"]["address"]], **watched["headers"]}
            headers = "".join(f"{name}: {value}\r\n" for name, values in given.items() for value in values)
            writer.write(
                f"{watched['method']} {watched['path']} HTTP/1.1\r\n{headers}"
                f"User-Agent: {_AGENT}\r\nConnection: close\r\n\r\n".encode()
            )
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
        code = int(head.split(b" ", 2)[1])
        if not expected(watched["expected_codes"], code):
            return Finding("Response code mismatch error", code)
        if watched["expected_body"].lower().encode() not in body[:_LARGEST].lower():
            return Finding("Response body mismatch error", code)
        return Finding("", code)


async def _run(folder: Path, machines: Path) -> None:
    watches: dict[str, _Watch] = {}
    read, written = "", ""
    while True:
        with suppress(FileNotFoundError):
            text = (folder / WATCHED).read_text()
            if text != read:
                _follow(watches, json.loads(text), machines)
                read = text
        found = {identity: watch.found() for identity, watch in watches.items()}
        text = json.dumps({"of": digest(read), "found": found})
        if text != written:
            draft = folder / f".{FOUND}"
            draft.write_text(text)
            draft.replace(folder / FOUND)
            written = text
        await asyncio.sleep(_LOOKS_EVERY)


def _follow(watches: dict[str, _Watch], shown: Mapping[str, Any], machines: Path) -> None:
    """Begins and ends watches, as the model says; one of which more than the passing changes begins anew."""
    wanted = {each["id"]: each for each in shown["watches"]}
    for identity in [*watches]:
        if identity not in wanted or _lasting(wanted[identity]) != _lasting(watches[identity].watched):
            watches.pop(identity).end()
    for identity, watched in wanted.items():
        if identity not in watches:
            place = watched["place"]
            watches[identity] = _Watch(watched, loopback(machines, place["kind"], place["id"]))
        watches[identity].watched = watched
        watches[identity].blind = frozenset(shown["blind"])


def _lasting(watched: Watched) -> dict[str, Any]:
    return {name: value for name, value in watched.items() if name != "unhealthy"}
