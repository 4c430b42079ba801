"""Many clients at once on both clouds, and the sandbox killed under them: what was acknowledged is so."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sandbox import store
from sandbox.cloudflare import dns
from sandbox.linode import instances
from tests.sandbox import bodies
from tests.sandbox.api.box import CLOUDFLARE, LINODE, Box
from tests.sandbox.bodies import ZONE, ZONE_ID

CLIENTS = 16
_KILLS_EVERY = 0.7  # seconds that it runs in between
_PLACES = {LINODE: "/linode/instances", CLOUDFLARE: f"/zones/{ZONE_ID}/dns_records"}
_KINDS = {LINODE: instances.NAME, CLOUDFLARE: dns.NAME}


def _body(cloud: str, label: str) -> dict[str, Any]:
    if cloud == LINODE:
        return {"label": label, "region": "us-central", "type": "g6-nanode-1"}
    return bodies.dns_record(name=f"{label}.{ZONE}")


def _label(cloud: str, found: dict[str, Any]) -> str:
    return str(found["label"] if cloud == LINODE else found["name"].removesuffix(f".{ZONE}"))


@dataclass
class Ledger:
    """What a client was told: what is there, what is gone, and what nobody answered for."""

    there: set[tuple[str, str]] = field(default_factory=set)
    gone: set[tuple[str, str]] = field(default_factory=set)
    open: set[tuple[str, str]] = field(default_factory=set)


class Client:
    """One client: it makes, reads and deletes objects of its own, and one that all others try to make too."""

    def __init__(self, box: Box, number: int, ended: threading.Event) -> None:
        self._box = box
        self._number = number
        self._ended = ended
        self._cloud = (LINODE, CLOUDFLARE)[number % 2]
        self.ledger = Ledger()

    def work(self) -> Ledger:
        with httpx.Client(timeout=30) as http:
            self._http = http
            turn = 0
            while not self._ended.is_set():
                self._own(f"c{self._number}-{turn}", lasting=turn % 3 > 0)
                self._shared(f"all-{turn // 4}")
                turn += 1
        return self.ledger

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """The answer; None where there was none."""
        headers = {"Authorization": f"Bearer {self._box.token(self._cloud)}"}
        try:
            address = f"{self._box.url(self._cloud)}{_PLACES[self._cloud]}{path}"
            return self._http.request(method, address, headers=headers, **options)
        except httpx.TransportError:
            time.sleep(0.05)
            return None

    def _make(self, label: str) -> dict[str, Any] | None:
        """What was made; None where that is not known, or another has made it."""
        answer = self._ask("POST", "", json=_body(self._cloud, label))
        if answer is None:
            self.ledger.open.add((self._cloud, label))
            return None
        assert answer.status_code in (200, 400), answer.text
        said: dict[str, Any] = answer.json()
        return said.get("result", said) if answer.status_code == 200 else None

    def _own(self, label: str, *, lasting: bool) -> None:
        made = self._make(label)
        if made is None:
            return
        entry = (self._cloud, label)
        self.ledger.there.add(entry)
        read = self._ask("GET", f"/{made['id']}")
        assert read is None or read.status_code == 200
        if lasting:
            return
        self.ledger.there.remove(entry)
        deleted = self._ask("DELETE", f"/{made['id']}")
        assert deleted is None or deleted.status_code == 200
        (self.ledger.open if deleted is None else self.ledger.gone).add(entry)

    def _shared(self, label: str) -> None:
        if self._make(label) is not None:
            assert (self._cloud, label) not in self.ledger.there
            self.ledger.there.add((self._cloud, label))


def _listed(box: Box, cloud: str) -> tuple[list[str], int]:
    """The labels on all pages, and how many there are said to be."""
    size = {LINODE: "page_size", CLOUDFLARE: "per_page"}[cloud]
    labels: list[str] = []
    page = 0
    while True:
        page += 1
        said = box.ask(cloud, "GET", f"{_PLACES[cloud]}?{size}=100&page={page}").json()
        found = said["data"] if cloud == LINODE else said["result"]
        if not found:
            return labels, said["results"] if cloud == LINODE else said["result_info"]["total_count"]
        labels += [_label(cloud, each) for each in found]


def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(folder: Path, exhaustive: bool) -> None:
    box = Box(folder)
    ended = threading.Event()
    clients = [Client(box, number, ended) for number in range(CLIENTS)]
    until = time.monotonic() + (60 if exhaustive else 4)
    with ThreadPoolExecutor(CLIENTS) as pool:
        works = [pool.submit(client.work) for client in clients]
        try:
            while time.monotonic() < until:
                time.sleep(_KILLS_EVERY)
                box.kill()
                box.start()
        finally:
            ended.set()
    ledgers = [work.result() for work in works]
    claims = Counter(entry for ledger in ledgers for entry in ledger.there)
    assert claims
    assert set(claims.values()) == {1}, "of those who make the same thing at once, one is told that it did"
    there, gone = set(claims), set().union(*(ledger.gone for ledger in ledgers))
    unknown = set().union(*(ledger.open for ledger in ledgers))
    for cloud in (LINODE, CLOUDFLARE):
        labels, said = _listed(box, cloud)
        found = {(cloud, label) for label in labels}
        assert len(found) == len(labels) == said
        assert {entry for entry in there if entry[0] == cloud} <= found <= there | unknown
        assert found.isdisjoint(gone)
        kept = [record for record in store.objects(box.running.file) if record.kind == _KINDS[cloud]]
        assert len(kept) == said
