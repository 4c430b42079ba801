"""What a front says of itself, on the sandbox with real PostgreSQL and S3: who serves, what is down, what is lost."""

import datetime as dt
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import requests
from rich.console import Console

from operations import clouds, engine, sandbox
from operations.errors import Refused
from operations.failover import cost, gaps, status
from operations.failover.sites import Sites
from sandbox import process
from tests.configuration import REMOVED, change_platform, change_stack
from tests.operations.checkout import Checkout, Ended
from toolchain import cache

FRONT, OTHER, ENVIRONMENT, DATABASE = "us-central", "us-standby", "production", "us-prod-db"
ALONE = "eu-frankfurt"
API, CHAT, SIP = (f"{each}.chat-tonic-us.example" for each in ("api", "web-chat", "sip-us-central"))
HERE, THERE = f"{FRONT}: healthy", f"{OTHER}: healthy"
EDGES = {"a": "198.51.100.11", "b": "198.51.100.12"}
EVIDENCE = {"place": "sandbox", "began": "2026-11-20T09:00:00Z", "stack": FRONT}


@dataclass
class Front:
    """A front with another site, which is up; the other site is a pilot light."""

    checkout: Checkout

    def task(self, verb: str, *arguments: str) -> Ended:
        return self.checkout.run(verb, FRONT, "--sandbox", *arguments)

    def status(self) -> tuple[int, dict[str, Any]]:
        """The exit code, and what is said of the front."""
        ended = self.task("failover.status", "--json")
        assert ended.output, ended.errors
        return ended.code, json.loads(ended.output)[FRONT]

    def names(self) -> dict[str, dict[str, Any]]:
        """What is said of each name."""
        return {row["name"]: row for row in self.status()[1]["names"]}

    def told(self) -> list[str]:
        """What a job tells that it had not told before, by the subjects."""
        before = set(self._mails())
        assert self.task("failover.status", "--alarm").code == 1
        return sorted(subject for file, subject in self._mails().items() if file not in before)

    def _mails(self) -> dict[Path, str]:
        files = (self.checkout.root / sandbox.FOLDER / "alarms").glob("*/sent/*.eml")
        subjects = {each: " ".join(message_from_bytes(each.read_bytes())["Subject"].split()) for each in files}
        return {file: subject.removeprefix("[chat-tonic] ") for file, subject in subjects.items()}

    def sites(self) -> Sites:
        return Sites.read(self.checkout.root, FRONT, on_sandbox=True)

    def balancer(self, role: str) -> str:
        return str(engine.outputs(self.sites().front.project)["balancers"][ENVIRONMENT][role])

    def control(self, path: str, body: Any) -> None:
        folder = self.checkout.root / sandbox.FOLDER
        running = process.status(folder)
        assert running
        headers = {"Authorization": f"Bearer {process.tokens(folder).control}"}
        answer = requests.put(f"{running.control_url}{path}", json=body, headers=headers, timeout=10)
        answer.raise_for_status()

    @contextmanager
    def wrong(self, **conditions: list[str]) -> Iterator[None]:
        """Have something be wrong in the clouds for as long as the block."""
        self.control("/conditions", conditions)
        try:
            yield
        finally:
            self.control("/conditions", {})


@pytest.fixture(scope="module")
def front(sandbox_checkout: Checkout) -> Front:
    sandbox_checkout.environment["XDG_CACHE_HOME"] = str(cache.folder().parents[1])
    groups = f"environments.{ENVIRONMENT}.groups"
    small = {f"{groups}.{role}": REMOVED for role in ("chat", "customer-service")}
    change_platform(sandbox_checkout.root, {**small, f"{groups}.api.count": 1, f"{groups}.web-chat.count": 1})
    addresses = {ENVIRONMENT: {"api": "198.51.100.7", "web-chat": "198.51.100.8"}}
    change_stack(
        sandbox_checkout.root,
        FRONT,
        {
            "environments.bot-testing": REMOVED,
            f"failover.sites.{OTHER}.addresses": addresses,
            "voice": {"sites": {FRONT: {"edges": EDGES}}},
        },
    )
    return Front(sandbox_checkout)


def test_a_stack_without_names_is_refused(front: Front) -> None:
    ended = front.checkout.run("failover.status", "test", "--sandbox")
    assert ended.code == 2
    assert "chat-tonic:stack.zone: it has none, so no names that could move" in ended.errors


def test_a_front_without_other_sites_is_looked_at_and_nothing_can_move(front: Front) -> None:
    change_stack(front.checkout.root, ALONE, {"failover.sites": REMOVED})
    code, (found,) = status.report(front.checkout.root, ALONE, on_sandbox=True)
    assert (code, list(found.sites), found.costs, found.times.detect) == (1, [ALONE], (), 135)
    assert [row.says for row in found.names] == ["there is no such load balancer"] * 2
    with pytest.raises(Refused, match="it names no other sites, so nothing can move"):
        Sites.read(front.checkout.root, ALONE, on_sandbox=True)


def test_nothing_of_a_site_outside_the_jurisdiction_is_opened_for_a_move(front: Front) -> None:
    file = front.checkout.root / f"Pulumi.{FRONT}.yaml"
    before = file.read_bytes()
    change_platform(front.checkout.root, {"roles.web-chat.residency": "unrestricted"})
    far = {"region": "eu-central", "addresses": {ENVIRONMENT: {"web-chat": "198.51.100.9"}}}
    change_stack(front.checkout.root, FRONT, {f"failover.sites.{ALONE}": far})
    serves = {f"environments.{ENVIRONMENT}.groups.web-chat.serves": [CHAT]}
    change_stack(front.checkout.root, ALONE, serves)
    sites = front.sites()
    file.write_bytes(before)
    assert [*sites.members] == [FRONT, OTHER]
    with pytest.raises(Refused, match="eu-frankfurt is outside 'us', which stateful names never leave"):
        sites.destination(ALONE)
    assert sites.destination().name == OTHER


@pytest.mark.parametrize(
    ("found", "healthy"),
    [
        ({"ENAM": {"healthy": True}, "WNAM": {"healthy": False}}, False),
        ({"ENAM": {"healthy": True, "origins": []}, "WNAM": {}}, True),
        ({"healthy": True, "origins": []}, True),
        ({"healthy": False}, False),
        ({}, None),
        (None, None),
    ],
)
def test_a_pool_is_as_most_regions_find_it_however_cloudflare_says_so(found: object, healthy: bool | None) -> None:
    assert status.majority(found) is healthy


def test_a_front_that_is_not_there_is_down(front: Front) -> None:
    code, found = front.status()
    assert code == 1
    assert {row["says"] for row in found["names"]} == {"there is no such load balancer"}
    assert {edge["says"] for edge in found["edges"]} == {"there is no such health check"}


@pytest.fixture(scope="module")
def up(front: Front) -> Front:
    ended = front.task("up", "--yes")
    assert ended.code == 0, ended.output + ended.errors
    return front


def test_a_database_without_any_copy_is_seen_to_and_told(up: Front) -> None:
    code, found = up.status()
    (data,) = found["costs"]
    assert (code, data["silence"], data["unlisted"], data["state"]) == (1, "", "there is none", "down")
    assert up.told() == [f"{FRONT}: {ENVIRONMENT}: no copy of its database is known"]
    assert up.task("backups.copy").code == 0


def test_all_is_well_and_a_move_would_lose_nothing(up: Front) -> None:
    before = len(up.checkout.calls())
    code, found = up.status()
    assert code == 0, found
    assert (found["active"], found["home"], found["moving"], found["version"]) == (FRONT, FRONT, "", 1)
    assert (found["times"], found["detect_within"]) == ({"detect": 135, "recover": 185}, 180)
    assert "not a replica" in found["sites"][OTHER]
    rows = {row["name"]: row for row in found["names"]}
    assert {name: (row["kind"], row["serving"], row["state"]) for name, row in rows.items()} == {
        API: ("stateful", [FRONT], "good"),
        CHAT: ("stateless, active-passive", [FRONT], "good"),
    }
    pools = {(name, pool["site"]): (pool["enabled"], pool["healthy"]) for name in rows for pool in rows[name]["pools"]}
    assert pools == {
        (API, FRONT): (True, True),
        (API, OTHER): (False, None),
        (CHAT, FRONT): (True, True),
        (CHAT, OTHER): (True, True),
    }
    (data,) = found["costs"]
    assert (data["environment"], data["source"], data["to"]) == (ENVIRONMENT, FRONT, OTHER)
    assert (data["silence"], data["lost"]) == ("", f"nothing: the database of {FRONT} answers")
    assert (data["state"], data["unlisted"], data["measured"]) == ("good", "", None)
    asked = {argument for call in up.checkout.calls()[before:] for argument in call.arguments}
    assert asked.isdisjoint({"up", "refresh", "preview", "--refresh"})


def test_a_copy_is_as_old_as_it_is_and_what_drills_measured_is_how_long_it_takes(up: Front) -> None:
    folder = up.checkout.root / "docs" / "evidence"
    folder.mkdir(parents=True)
    moves = {"role": 80.0, "site": 95.5, "api": 200.0, "task": 900.0}  # in the last two, something held it up
    incidents = [{"mode": "pilot-light", "incident": name, "seconds_of_the_move": each} for name, each in moves.items()]
    whole = {"mode": "active", "incident": "site", "seconds_of_the_move": 300.0}
    (folder / "rebuild-1.json").write_text(json.dumps({**EVIDENCE, "seconds_to_recover": 400}))
    (folder / "failover-1.json").write_text(json.dumps({**EVIDENCE, "incidents": [*incidents, whole]}))
    real = {**EVIDENCE, "place": "real", "began": "2026-11-21T09:00:00Z"}
    (folder / "failover-2.json").write_text(json.dumps({**real, "incidents": [whole]}))
    ended = up.checkout.run("failover.status", OTHER, "--sandbox", "--json")  # of which it is the same front
    (data,) = json.loads(ended.output)[FRONT]["costs"]
    assert data["measured"] == {"seconds": 95.5, "at": "2026-11-20", "what": "the drill"}
    assert data["unlisted"] == ""
    assert dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(data["copied"]) < dt.timedelta(minutes=30)
    (folder / "failover-1.json").unlink()
    sites = up.sites()
    assert str(cost.measured(sites, sites.members[OTHER])) == "6m 40s, as in the rebuild of 2026-11-20"


def test_what_is_down_ends_it_with_1_and_who_serves_instead_is_said(up: Front) -> None:
    with up.wrong(unhealthy=[up.balancer("web-chat"), up.balancer("api"), EDGES["a"]]):
        code, found = up.status()
        told = up.told()
    assert code == 1
    rows = {row["name"]: row for row in found["names"]}
    assert (rows[CHAT]["state"], rows[CHAT]["serving"]) == ("down", [OTHER])
    assert rows[CHAT]["says"] == f"{FRONT} is down, and Cloudflare sends nothing there until it is well again"
    assert (rows[API]["state"], rows[API]["serving"]) == ("down", [FRONT])  # the other site's pool is held back
    assert rows[API]["says"] == "no pool is healthy: it is the last resort that is asked"
    edges = {(each["name"], each["edge"]): each["state"] for each in found["edges"]}
    assert edges == {(SIP, "a"): "down", (SIP, "b"): "good"}
    assert [each.partition(": ")[0] for each in told] == [API, "over", SIP, CHAT]
    assert told[2].startswith(f"{SIP}: edge a of {FRONT}: ")


def test_a_move_loses_what_is_newer_than_the_last_copy_where_the_database_is_silent(up: Front) -> None:
    with up.wrong(unhealthy=[DATABASE]):
        sandbox.data(up.checkout.root, print)
        code, found = up.status()
    assert code == 1
    (data,) = found["costs"]
    assert data["state"] == "down"
    assert data["silence"]
    taken = dt.datetime.fromisoformat(data["copied"])
    assert data["lost"].endswith(f": all that was written since the copy of {taken:%Y-%m-%d %H:%M} UTC")


def test_clouds_that_do_not_answer_are_said_and_the_rest_is_shown(up: Front) -> None:
    up.control("/faults", [{"what": "error", "where": "* /client/v4/*", "status": 403}])
    try:
        code, found = status.report(up.checkout.root, FRONT, on_sandbox=True)
    finally:
        up.control("/faults", [])
    (front,) = found
    assert code == 0
    told = [(row.state, row.says) for row in front.names] + [(edge.state, edge.says) for edge in front.edges]
    assert {state for state, _ in told} == {"warning"}
    assert all(says.startswith("Cloudflare does not say: ") for _, says in told)
    assert [data.silence for data in front.costs] == [""]
    assert all(re.fullmatch(r"(\d+[hms] ?)+ old, of \S+ \S+ UTC", data.newest(front.at)) for data in front.costs)
    shown = io.StringIO()
    for table in status.tables(front):
        Console(width=120, file=shown).print(table)
    for text in (API, SIP, "down is found within 135 s", "nothing: the database"):
        assert text in shown.getvalue()


def test_a_phone_name_has_a_record_for_each_edge_and_nothing_is_left_to_change(up: Front) -> None:
    opened = clouds.connect(up.sites().front.project)
    assert opened.edge
    records = [each for each in opened.edge.dns.records.list(zone_id=opened.zone_id) if each.name == SIP]
    assert sorted(str(each.content) for each in records) == [*EDGES.values()]
    assert {(each.type, each.proxied, each.ttl) for each in records} == {("A", False, 60)}
    assert up.task("preview", "--expect-no-changes").code == 0


def test_a_site_that_could_serve_a_stateless_name_and_whose_address_the_front_does_not_have_is_said(up: Front) -> None:
    root = up.checkout.root

    def said() -> dict[str, tuple[str, str]]:
        return {name.role: (gap.says, gap.do) for name, gap in gaps.gaps(up.sites()).items()}

    assert said() == {}  # a pilot light could not
    change_stack(root, OTHER, {"standby.mode": "warm"})
    could, there = f"{OTHER} could serve it", f"./inv up {OTHER} --sandbox"
    assert said() == {"web-chat": (f"{could}, and has no balancer for it yet", f"`{there}`")}
    ended = up.checkout.run(*there.split()[1:], "--yes")
    assert ended.code == 0, ended.output + ended.errors
    sites = up.sites()
    address = engine.outputs(sites.members[OTHER].project)["balancers"][ENVIRONMENT]["web-chat"]
    row = next(each for each in status.report(root, FRONT, on_sandbox=True)[1][0].names if each.name == CHAT)
    lacks = f"{could}, and {FRONT}'s file has {{}} address of its balancer: Cloudflare does not move it there"
    assert (row.state, row.says) == ("warning", lacks.format("another"))
    written, wanted = {"api": "198.51.100.7"}, {ENVIRONMENT: {"api": "198.51.100.7", "web-chat": address}}
    do = (
        f"write `failover.sites.{OTHER}.addresses: {json.dumps(wanted)}` into Pulumi.{FRONT}.yaml, and "
        f"`./inv up {FRONT} --sandbox`"
    )
    assert row.do == do
    change_stack(root, FRONT, {f"failover.sites.{OTHER}.addresses": {ENVIRONMENT: written}})
    assert said() == {"web-chat": (lacks.format("no"), do)}
    silent = replace(sites.members[OTHER], project=replace(sites.members[OTHER].project, pulumi=Path("/bin/false")))
    (gap,) = gaps.gaps(replace(sites, members={**sites.members, OTHER: silent})).values()
    assert gap.says.startswith(f"{could}, and its state does not say at which address: ")
    change_stack(root, FRONT, {f"failover.sites.{OTHER}.addresses": wanted})
    assert said() == {}
