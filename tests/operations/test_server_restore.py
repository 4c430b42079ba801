"""Backups of servers: their hours, and servers restored from them, with real SSH, a real proxy and the real engine."""

import datetime as dt
import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import linode_api4
import pytest

from components import settings
from operations import engine, sandbox, updates
from operations.errors import Refused
from operations.project import Project
from operations.servers import restore, windows
from operations.servers.linodes import Exchange, Linodes
from operations.servers.restoring import Journal
from operations.updates import Agreed
from sandbox import machines, process
from sandbox.machines import Endpoint
from tests.configuration import REMOVED, change_platform, change_stack
from tests.operations.checkout import Checkout, Ended
from tests.operations.terminal import ENTER, Terminal
from tests.sandbox.machines.load import Load
from tests.sandbox.machines.test_balancers import eventually

HOUR = 3_600.0
HOUR_OF_BACKUPS = (dt.datetime.now(dt.UTC).hour + 12) // 2 * 2 % 24
"""When the provider backs up by itself: half a day away, so that the newest backup is the one that a test took."""
WINDOW = f"W{HOUR_OF_BACKUPS}"
API = ("test-int-api-g1-1", "test-int-api-g1-2")
OPS = "test-ops"
NOTE = "srv/note"
IMAGE = "registry.chat-tonic.example/api@sha256:"
GROUPS = "environments.internal.groups"
Body = Mapping[str, Any]


@dataclass
class Site:
    """A small stack that is up, its servers and its balancer played by local processes."""

    checkout: Checkout

    @property
    def folder(self) -> Path:
        return self.checkout.root / sandbox.FOLDER

    @property
    def client(self) -> linode_api4.LinodeClient:
        running = process.status(self.folder)
        assert running
        return linode_api4.LinodeClient(process.tokens(self.folder).linode_platform, base_url=running.linode_url)

    @property
    def project(self) -> Project:
        loaded, found = settings.load(self.checkout.root, "test"), engine.ensure(lambda _: None)
        return sandbox.project(self.checkout.root, "test", loaded, found, lambda _: None)

    def task(self, verb: str, *arguments: str) -> Ended:
        return self.checkout.run(verb, "test", "--sandbox", *arguments)

    def good(self, verb: str, *arguments: str) -> str:
        ended = self.task(verb, *arguments)
        assert ended.code == 0, ended.output + ended.errors
        return ended.output + ended.errors

    def control(self, method: str, path: str, body: object = None) -> httpx.Response:
        running = process.status(self.folder)
        assert running
        headers = {"Authorization": f"Bearer {process.tokens(self.folder).control}"}
        return httpx.request(method, f"{running.control_url}{path}", json=body, headers=headers).raise_for_status()

    def faults(self, *faults: Mapping[str, object]) -> None:
        self.control("PUT", "/faults", faults)

    def servers(self) -> dict[str, Body]:
        return {each["label"]: each for each in self.client.get("/linode/instances?page_size=500")["data"]}

    def root(self, label: str) -> Path:
        return self.folder / machines.FOLDER / label / "root"

    def note(self, label: str) -> str:
        return (self.root(label) / NOTE).read_text()

    def write(self, label: str, text: str) -> None:
        file = self.root(label) / NOTE
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    @property
    def balancer(self) -> Endpoint:
        played = machines.status(self.folder)
        assert played
        (found,) = played.balancers.values()
        return found

    def nodes(self) -> dict[str, tuple[str, str, str]]:
        """Address, mode and status of each server's node."""
        (balancer,) = self.client.nodebalancers()
        (config,) = balancer.configs
        return {each.label: (each.address, each.mode, each.status) for each in config.nodes}

    def admitted(self) -> set[str]:
        """The networks that the database admits."""
        (found,) = self.client.get("/databases/postgresql/instances?page_size=500")["data"]
        return set(found["allow_list"])

    def events(self, identity: int) -> list[str]:
        """What happened to a server, in order."""
        told = self.client.get("/account/events?page_size=500")["data"][::-1]
        about = [(each, each["secondary_entity"] or {}, each["entity"]) for each in told]
        return [each["action"] for each, *both in about if any(one.get("id") == identity for one in both)]

    def struck(self) -> bool:
        return any(fault["struck"] for fault in self.control("GET", "/faults").json())

    def cut_off(self, *arguments: str, after: str) -> bool:
        """Kill a run right after its first call of that kind; whether there was one before it ended."""
        self.faults({"what": "hold_after", "where": after, "seconds": 30, "count": 1})
        running = self.checkout.start(*arguments)
        while running.poll() is None and not self.struck():
            time.sleep(0.05)
        is_cut = running.poll() is None
        if is_cut:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        self.faults()
        return is_cut

    def backed_up(self, label: str) -> int:
        """Have a snapshot taken; return its id."""
        identity = self.servers()[label]["id"]
        taken = self.client.post(f"/linode/instances/{identity}/backups", data={"label": "by hand"})
        self.control("POST", "/clock", {"by": HOUR})
        eventually((self.folder / machines.FOLDER / ".backups" / str(identity) / str(taken["id"])).exists, True)
        return int(taken["id"])


@pytest.fixture(scope="module")
def site(sandbox_checkout: Checkout) -> Site:
    change_platform(
        sandbox_checkout.root,
        {
            f"{GROUPS}.api": {"count": 2, "plan": "g6-nanode-1", "generations": [1]},
            **{f"{GROUPS}.{role}": REMOVED for role in ("chat", "customer-service", "web-chat")},
        },
    )
    change_stack(
        sandbox_checkout.root, "test", {"ops": REMOVED, "backups": {"day": "tuesday", "hour": HOUR_OF_BACKUPS}}
    )
    site = Site(sandbox_checkout)
    site.good("up", "--yes")
    machines.start(site.folder, print)
    return site


def test_every_server_is_backed_up_in_the_hours_of_the_configuration(site: Site) -> None:
    hours = {"day": "Tuesday", "window": WINDOW}
    assert {label: each["backups"]["schedule"] for label, each in site.servers().items()} == dict.fromkeys(
        (*API, OPS), hours
    )
    path = f"/linode/instances/{site.servers()[OPS]['id']}"
    site.client.put(path, data={"backups": {"schedule": {"day": "Friday", "window": "W20"}}})
    site.faults({"what": "error", "where": f"PUT /v4{path}", "status": 400})
    failed = site.task("up", "--yes")
    assert failed.code == 1
    assert "test: the update is done, but not every server has its backup window" in failed.errors
    assert "`./inv up test --sandbox` sets it again" in failed.errors
    assert updates.bring_up(site.project, Agreed(yes=True)) == 0  # within a restore it stops nothing
    site.faults()
    said: list[str] = []
    for _ in range(2):  # the second time there is nothing to do
        windows.keep(site.project, said.append)
    assert said == [f"test: 1 servers are backed up in the window of the configuration now (Tuesday, {WINDOW}, UTC)"]
    assert site.servers()[OPS]["backups"]["schedule"] == hours


def test_a_server_is_restored_beside_itself_and_takes_its_place(site: Site) -> None:
    image = IMAGE + "1" * 64
    site.write(API[0], "before")
    backup = site.backed_up(API[0])
    site.write(API[0], "after")
    change_platform(site.checkout.root, {"roles.api.image": image})
    old = site.servers()[API[0]]
    with Load(site.balancer, clients=1) as load:
        said = site.good("servers.restore", API[0], "--yes")
    assert load.failed == []
    assert f"restored from backup {backup}" in said
    assert "1 servers are backed up in the window of the configuration now" in said
    was, new = f"{API[0]}-was-{old['id']}", site.servers()[API[0]]
    assert site.servers().keys() == {*API, OPS, was}
    # It has what was backed up, and holds what it is to hold now.
    assert site.note(API[0]) == "before"
    assert f"IMAGE={image}" in (site.root(API[0]) / "etc/chat-tonic/app-image.env").read_text()
    # The old one is off, and nothing of it is lost.
    assert site.note(was) == "after"
    assert site.servers()[was]["status"] == "offline"
    assert site.servers()[was]["tags"] == sorted([*old["tags"], f"replaced-by:{new['id']}"])
    assert site.client.get(f"/linode/instances/{old['id']}/backups")["snapshot"]["current"]["id"] == backup
    # The new one has its place.
    same = ("label", "region", "type", "tags", "disk_encryption", "interface_generation", "has_user_data")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert new["backups"]["enabled"]
    assert new["backups"]["schedule"] == {"day": "Tuesday", "window": WINDOW}
    assert new["placement_group"]["id"] == old["placement_group"]["id"]
    assert site.nodes() == {label: (f"{site.servers()[label]['ipv4'][1]}:443", "accept", "UP") for label in API}
    assert site.admitted() == {f"{site.servers()[label]['ipv4'][0]}/32" for label in API}
    # It was behind its firewall before it ran.
    told = site.events(new["id"])
    assert told.index("firewall_device_add") < told.index("linode_boot")
    assert site.good("preview", "--expect-no-changes")
    # What it was born with went into the state, and is nowhere in clear.
    kept = [each for each in (site.folder / sandbox.BACKEND).rglob("*.json*") if each.is_file()]
    assert kept
    assert not any(b'"plaintext"' in each.read_bytes() or b"PRIVATE KEY" in each.read_bytes() for each in kept)


@pytest.mark.parametrize("server", [OPS, API[1]])
def test_a_run_that_is_killed_goes_on_and_never_makes_a_second_server(
    site: Site, server: str, exhaustive: bool
) -> None:
    if server != OPS and not exhaustive:
        pytest.skip("an ops server has the same steps, but for balancer and database")
    site.write(server, "before")
    backup = site.backed_up(server)
    site.write(server, "after")
    before = site.servers()
    old, was = before[server], f"{server}-was-{before[server]['id']}"
    run = ("servers.restore", "test", server, "--sandbox", "--yes")
    if exhaustive:  # after every single write
        cuts = 0
        while site.cut_off(*run, after="P*T /v4/*"):
            assert len(site.servers()) <= len(before) + 1
            assert (cuts := cuts + 1) < 30
    else:
        assert site.cut_off(*run, after="POST /v4/linode/instances")
        new = site.servers()[f"{server}-next"]
        assert site.cut_off(*run, after="POST /v4/linode/instances/*/restore")
        assert site.cut_off(*run, after=f"PUT /v4/linode/instances/{new['id']}")
        assert site.cut_off(*run, after="Read linode:index/instance:Instance")
        said = site.good("servers.restore", server, "--yes")
        assert f"restored from backup {backup}" in said
        assert "a run was cut off" in said
        assert site.servers()[server]["id"] == new["id"]
        assert site.events(new["id"]).count("backups_restore") == 1
    assert site.servers().keys() == {*before, was}
    assert (site.note(server), site.note(was)) == ("before", "after")
    assert site.servers()[server]["tags"] == old["tags"]
    assert {(mode, status) for _, mode, status in site.nodes().values()} == {("accept", "UP")}
    drift = site.good("drift")
    assert f"{was}: it was replaced by a restore, and is kept" in drift


def test_role_servers_let_a_restored_ops_server_in(site: Site) -> None:
    address = site.servers()[OPS]["ipv4"][0]
    site.good("servers.apply", "--yes")
    for label in API:
        assert f"{address}/32" in (site.root(label) / "etc/nftables.d/ssh-sources.nft").read_text()


def test_a_server_that_was_replaced_is_deleted_by_name_alone(site: Site) -> None:
    was = next(label for label in site.servers() if label.startswith(f"{OPS}-was-"))
    before = site.servers()
    ended = site.task("servers.restore", OPS, "--delete", "--yes")
    assert ended.code == 2
    assert f"{OPS}: no server that was replaced; the nearest known one is '{was}'" in ended.errors
    assert site.servers() == before
    assert site.good("servers.restore", was, "--delete", "--yes")
    assert before.keys() - site.servers().keys() == {was}


def test_a_server_is_restored_over_itself_once_its_name_is_typed(site: Site) -> None:
    site.write(API[0], "before")
    site.backed_up(API[0])
    site.write(API[0], "after")
    change_platform(site.checkout.root, {"roles.api.image": (image := IMAGE + "2" * 64)})
    before = site.servers()
    arguments = ("servers.restore", "test", API[0], "--sandbox", "--in-place")
    terminal = Terminal(site.checkout.command(*arguments), site.checkout.root, site.checkout.environment)
    terminal.wait_for(f"Type its name, {API[0]}, to agree:")
    terminal.type(f"{API[1]}{ENTER}")
    assert terminal.end() == 2
    assert site.note(API[0]) == "after"
    site.faults({"what": "error", "where": "POST /v4/linode/instances/*/restore", "status": 400})
    refused = site.task("servers.restore", API[0], "--in-place", "--yes")
    site.faults()
    assert refused.code == 1
    assert f"{API[0]}: nothing on its disks was changed, and it runs again; `./inv servers.apply test" in refused.errors
    assert site.servers()[API[0]]["status"] == "running"
    with Load(site.balancer, clients=1) as load:
        assert site.cut_off(*arguments, "--yes", after="POST /v4/linode/instances/*/restore")
        site.good("servers.restore", API[0], "--in-place", "--yes")
    assert load.failed == []
    assert site.note(API[0]) == "before"
    assert f"IMAGE={image}" in (site.root(API[0]) / "etc/chat-tonic/app-image.env").read_text()
    after = site.servers()
    assert after.keys() == before.keys()
    assert after[API[0]]["id"] == before[API[0]]["id"]
    assert after[API[0]]["tags"] == before[API[0]]["tags"]
    assert site.nodes()[API[0]][1:] == ("accept", "UP")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((API[0][:-1] + "9",), f"it has no server '{API[0][:-1]}9'; the nearest known one is"),
        ((API[0], "--in-place"), "if it is agreed: ./inv servers.restore test"),
    ],
)
def test_what_cannot_be_meant_exits_2_and_touches_nothing(site: Site, arguments: tuple[str, ...], said: str) -> None:
    before = site.servers()
    yes = () if "--in-place" in arguments else ("--yes",)
    ended = site.task("servers.restore", *arguments, *yes)
    assert ended.code == 2
    assert said in ended.errors
    assert site.servers() == before


def test_nothing_is_begun_beside_another_run_of_the_stack(site: Site) -> None:
    locks = site.folder / sandbox.BACKEND / ".pulumi" / "locks" / "organization" / "chat-tonic" / "test"
    locks.mkdir(parents=True, exist_ok=True)
    lock = {
        "pid": os.getpid(),
        "username": "ops",
        "hostname": socket.gethostname(),
        "timestamp": "2999-01-01T00:00:00Z",
    }
    (locks / "other.json").write_text(json.dumps(lock))
    before = site.servers()
    try:
        ended = site.task("servers.restore", API[0], "--yes")
    finally:
        (locks / "other.json").unlink()
    assert ended.code == 1
    assert "test: it is locked by ops@" in ended.errors
    assert site.servers() == before


def test_a_server_that_was_replaced_outlives_its_stack_and_is_named(site: Site) -> None:
    (was,) = (label for label in site.servers() if label.startswith(f"{API[0]}-was-"))
    assert f"{was}: it was replaced by a restore, and stays" in site.good("destroy", "--yes")
    assert was in site.servers()


def test_a_journal_that_somebody_wrote_is_refused() -> None:
    own = ["role:api", "restore:7", "restore-disks:2", "restore-over:3", "restore-over:4"]
    assert Journal.of(own) == Journal(7, in_place=False, exchange=Exchange(frozenset({3, 4}), 2))
    assert Journal.of(["restore-in-place:7"]) == Journal(7, in_place=True, exchange=None)
    with pytest.raises(Refused, match="tag 'restore:tonight': it is not of a restore"):
        Journal.of(["restore:tonight"])


@pytest.mark.parametrize(
    ("disks", "filled"), [([4], False), ([4, 9], False), ([9], False), ([8, 9], True), ([7, 8, 9], True)]
)
def test_a_restore_is_done_when_every_old_disk_is_gone_and_every_new_one_is_there(
    disks: list[int], *, filled: bool
) -> None:
    class Cloud(Linodes):
        def get(self, identity: int) -> Body:
            return {"id": identity, "status": "offline"}

        def _disks(self, identity: int) -> list[Body]:
            return [{"id": each, "of": identity, "status": "ready"} for each in disks]

    client = linode_api4.LinodeClient("none", base_url="http://127.0.0.1:9")
    assert Cloud(client).is_filled(1, Exchange(frozenset({3, 4}), 2)) is filled


SERVER = {"label": API[0], "region": "us-central"}
GOOD = {
    "id": 7,
    "status": "successful",
    "available": True,
    "region": "us-central",
    "created": "2026-11-20T04:00:00",
    "finished": "2026-11-20T04:15:00",
    "disks": [{"size": 25_000}, {"size": 512}],
}
NEWER = {**GOOD, "id": 9, "finished": "2026-11-21T04:15:00"}


def test_the_newest_backup_that_can_be_restored_is_taken_unless_another_is_named() -> None:
    failed = {**GOOD, "id": 11, "status": "failed", "finished": "2026-11-22T04:15:00"}
    found = [GOOD, NEWER, failed]
    assert restore.choose(found, None, SERVER, 25_600)["id"] == 9
    assert restore.choose(found, 7, SERVER, 25_600)["id"] == 7


@pytest.mark.parametrize(
    ("backups", "wanted", "room", "said"),
    [
        ([], None, 25_600, "no backup of it can be restored yet"),
        ([GOOD, NEWER], 8, 25_600, "it has no backup 8; those that can be restored are 7, 9"),
        ([{**GOOD, "status": "pending", "available": False}], 7, 25_600, "backup 7 is 'pending'"),
        ([{**GOOD, "region": "us-ord"}], 7, 25_600, "backup 7 is in us-ord, and it is in us-central"),
        ([GOOD], 7, 25_511, "backup 7 needs 25,512 MB of disk, and its plan has 25,511"),
    ],
)
def test_a_backup_that_does_not_fit_is_refused(backups: list[Body], wanted: int | None, room: int, said: str) -> None:
    with pytest.raises(Refused) as refused:
        restore.choose(backups, wanted, SERVER, room)
    assert said in str(refused.value.message)
