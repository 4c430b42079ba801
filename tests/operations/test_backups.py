"""Backups on the sandbox: what there is to restore from, and how old it is."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import linode_api4
import pytest
import requests

from operations import sandbox
from sandbox import process
from tests.configuration import REMOVED, change_platform, change_stack
from tests.operations.checkout import Checkout, Ended

STACK = "us-central"
API, OPS, DATABASE = "us-prod-api-g1-1", "us-ops", "us-prod-db"
BACKUP, WINDOW = "the provider's backup", "the provider's restorable window"


@dataclass
class Site:
    """A small stack that is up: a server, the ops server, and a database."""

    checkout: Checkout

    def task(self, verb: str, *arguments: str) -> Ended:
        return self.checkout.run(verb, STACK, "--sandbox", *arguments)

    def states(self) -> tuple[int, dict[tuple[str, str], tuple[str, str]]]:
        """The exit code, and by what it is of and what it is, the state and what is said of it."""
        ended = self.task("backups.status", "--json")
        rows = json.loads(ended.output)[STACK]
        return ended.code, {(row["of"], row["what"]): (row["state"], row["says"]) for row in rows}

    def control(self, method: str, path: str, **said: Any) -> Any:
        tokens = process.tokens(self.checkout.root / sandbox.FOLDER)
        headers = {"Authorization": f"Bearer {tokens.control}"}
        answer = requests.request(method, f"{self.running.control_url}{path}", json=said, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def now(self) -> datetime:
        return datetime.fromisoformat(self.control("GET", "/clock")["now"])

    def move_to(self, hour: int, minute: int = 0) -> None:
        """Move the clouds' clock to the next such time."""
        now = self.now()
        then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        self.control("POST", "/clock", by=((then if then > now else then + timedelta(days=1)) - now).total_seconds())

    @property
    def running(self) -> process.Running:
        found = process.status(self.checkout.root / sandbox.FOLDER)
        assert found
        return found

    def server(self, label: str) -> Any:
        tokens = process.tokens(self.checkout.root / sandbox.FOLDER)
        client = linode_api4.LinodeClient(tokens.linode_platform, base_url=self.running.linode_url)
        (found,) = client.linode.instances(linode_api4.Instance.label == label)
        return found


@pytest.fixture(scope="module")
def site(sandbox_checkout: Checkout) -> Site:
    production = "environments.production"
    roles = {f"{production}.groups.{role}": REMOVED for role in ("chat", "customer-service", "web-chat")}
    change_platform(sandbox_checkout.root, {**roles, f"{production}.groups.api.count": 1})
    change_stack(sandbox_checkout.root, STACK, {"environments.bot-testing": REMOVED})
    site = Site(sandbox_checkout)
    ended = site.task("up", "--yes")
    assert ended.code == 0, ended.output + ended.errors
    return site


def test_backups_of_servers_are_as_old_as_they_are_allowed_to_be(site: Site) -> None:
    servers = [(API, BACKUP), (OPS, BACKUP)]
    found = site.states()[1]
    assert [found[each][0] for each in servers] == ["good", "good"]
    assert all(found[each][1].startswith("none yet: it is ") for each in servers)

    def schedule(window: str) -> None:
        server = site.server(API)
        server.backups.schedule = {"day": "Sunday", "window": window}
        server.save()

    schedule("W0")
    site.move_to(3)
    site.move_to(23, 59)
    assert site.states()[1][API, BACKUP][0] == "good"
    assert site.states()[1][API, BACKUP][1].startswith("2")  # hours
    schedule("W22")  # the next one begins nearly two days after the last
    site.move_to(21)
    code, found = site.states()
    assert code == 1
    assert found[API, BACKUP][0] == "overdue"
    assert found[API, BACKUP][1].startswith("1d 20h")
    assert found[OPS, BACKUP][0] == "good"
    assert found[DATABASE, WINDOW] == ("good", "2d 11h back")
