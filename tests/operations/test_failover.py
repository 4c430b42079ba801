"""The stateful names move between two sites and back: real data, real servers, and no row is lost that could be had.

The tests are the life of one pair of stacks: each goes on where the one before it ended.
"""

import datetime as dt
import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email import message_from_bytes
from pathlib import Path
from typing import Any

import psycopg
import pytest

from components import labels, outfit, settings
from operations import console, engine, sandbox
from operations.errors import Failed, Refused
from operations.failover import cost, data, front
from operations.failover.data import Bringing
from operations.failover.sites import Sites
from operations.guards import DATABASE
from operations.project import Project
from operations.rebuild import health
from operations.servers import fleet, reach, rolling
from operations.servers.remote import Remote
from sandbox import process, store
from sandbox.following import Control
from tests.configuration import REMOVED, change_platform, change_stack
from tests.operations.checkout import Checkout, Ended
from toolchain import cache

FRONT, STANDBY = "us-central", "us-standby"
HOME_DATABASE, NEW_HOME_DATABASE, STANDBY_DATABASE = "us-prod-db", "us-prod-db-g2", "us2-prod-db"
HOST = "api.chat-tonic-us.example"
ROWS = "select number from rows order by 1"
MESSAGES = "select key from messages order by 1"
PORT = 8080


@dataclass(frozen=True)
class Pair:
    """Two small sites, their servers and databases played by local processes."""

    checkout: Checkout

    @property
    def folder(self) -> Path:
        return self.checkout.root / sandbox.FOLDER

    def task(self, verb: str, *arguments: str, stack: str = FRONT) -> Ended:
        return self.checkout.run(verb, stack, "--sandbox", *arguments)

    def good(self, verb: str, *arguments: str, stack: str = FRONT) -> str:
        ended = self.task(verb, "--yes", *arguments, stack=stack)
        assert ended.code == 0, ended.output + ended.errors
        return ended.output + ended.errors

    def cut(self, when: Callable[[], bool], verb: str, *arguments: str) -> None:
        """Kill a task, and the engine with it, as soon as something is so."""
        running = self.checkout.start(verb, FRONT, "--sandbox", "--yes", *arguments)
        while not when():
            assert running.poll() is None, f"{verb} ended with {running.returncode} before it was cut off"
            time.sleep(0.01)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()

    def wrote(self, stack: str, text: str) -> Callable[[], bool]:
        file = self.checkout.root / settings.stack_file(stack)
        return lambda: text in file.read_text()

    def ran(self, verb: str, stack: str) -> Callable[[], bool]:
        """Whether the engine does something from now on."""
        before = len(self.checkout.calls())
        return lambda: any(
            each.arguments[0] == verb and stack in each.arguments for each in self.checkout.calls()[before:]
        )

    def project(self, stack: str) -> Project:
        loaded = settings.load(self.checkout.root, stack)
        return sandbox.project(self.checkout.root, stack, loaded, engine.ensure(lambda _: None), lambda _: None)

    @contextmanager
    def connected(self, label: str) -> Iterator["psycopg.Connection[Any]"]:
        """A database, for its own user."""
        stack = FRONT if label.startswith(HOME_DATABASE) else STANDBY
        resources = engine.resources(self.project(stack), show_secrets=True)
        (found,) = (each for each in resources if each["type"] == DATABASE and each["inputs"]["label"] == label)
        known, played = outfit.connection(found["outputs"]), sandbox.data(self.checkout.root, console.say)
        at = played.databases[label]
        with psycopg.connect(
            host=known["host"], hostaddr=at.hostaddr, port=at.port, dbname=known["name"],
            user=known["user"], password=known["password"], sslmode="prefer", autocommit=True,
        ) as connection:  # fmt: skip
            yield connection

    def ask(self, label: str, query: str) -> list[Any]:
        with self.connected(label) as connection:
            answer = connection.execute(query.encode())
            return [value for (value,) in answer.fetchall()] if answer.description else []

    def failover(self) -> dict[str, Any]:
        """The section of the front's stack file."""
        return dict(settings.differences(self.checkout.root, FRONT)["failover"])

    def told(self, path: str, document: Any) -> None:
        Control(self.folder).ask(path, document)

    def served(self) -> tuple[list[str], dict[str, bool], str]:
        """Which sites the name's load balancer sends to, which pools are enabled, and what the TXT record says."""
        objects = list(store.objects(process.file_of(self.folder)))
        pools = {each.id: each.body for each in objects if each.kind == "cloudflare.pool"}
        (balancer,) = (each.body for each in objects if each.kind == "cloudflare.load_balancer")
        (text,) = (each.body["content"] for each in objects if each.body.get("type") == "TXT")
        sites = {identity: pool["origins"][0]["name"] for identity, pool in pools.items()}
        first = [sites[each] for each in (*balancer["default_pools"], balancer["fallback_pool"])]
        return first, {sites[identity]: pool["enabled"] for identity, pool in pools.items()}, text

    def admitted(self, label: str) -> list[str]:
        """Which addresses a database lets in."""
        objects = store.objects(process.file_of(self.folder))
        (found,) = (each for each in objects if each.kind == "linode.database" and each.body["label"] == label)
        return [address.removesuffix("/32") for address in found.body["allow_list"]]

    def messages(self) -> list[str]:
        files = (self.folder / "alarms" / FRONT / "sent").glob("*.eml")
        return sorted(" ".join(message_from_bytes(each.read_bytes())["Subject"].split()) for each in files)

    def sites(self) -> Sites:
        return Sites.read(self.checkout.root, FRONT, on_sandbox=True)

    def has_no_changes(self) -> bool:
        return all(self.task("preview", "--expect-no-changes", stack=each).code == 0 for each in (FRONT, STANDBY))


@pytest.fixture(scope="module")
def pair(sandbox_checkout: Checkout) -> Pair:
    roles = ("chat", "customer-service", "web-chat")
    change_platform(
        sandbox_checkout.root,
        {
            **{f"environments.production.groups.{role}": REMOVED for role in roles},
            "environments.production.groups.api": {"count": 1, "plan": "g6-standard-1", "generations": [1]},
            "environments.production.database.plan": "g6-nanode-1",
            "environments.production.database.nodes": 1,
        },
    )
    change_stack(sandbox_checkout.root, FRONT, {"environments.bot-testing": REMOVED})
    change_stack(sandbox_checkout.root, STANDBY, {"standby.mode": "warm"})
    # The programs that play databases and buckets take minutes to be made anew.
    sandbox_checkout.environment["XDG_CACHE_HOME"] = str(cache.folder().parent.parent)
    pair = Pair(sandbox_checkout)
    pair.good("up", stack=f"{FRONT},{STANDBY}")
    pair.ask(HOME_DATABASE, "create table rows as select generate_series(1, 3) as number")
    return pair


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("engage", (), "./inv failover.engage us-central --sandbox --yes"),
        ("engage", ("--yes", "--to", "nowhere"), "--to: say one of us-standby"),
        ("engage", ("--yes", "--back"), "no move is under way; us-central serves the stateful names"),
        ("engage", ("--yes", "--data-is-there"), "us-standby: production: --data-is-there: no database there holds"),
        ("failback", ("--yes",), "us-central serves the stateful names, and is the primary"),
    ],
)
def test_what_can_not_move_is_refused_before_anything_is_changed(
    pair: Pair, verb: str, options: tuple[str, ...], said: str
) -> None:
    before = pair.failover()
    ended = pair.task(f"failover.{verb}", *options)
    assert ended.code == 2, ended.output + ended.errors
    assert said in ended.errors
    assert pair.failover() == before


def test_a_server_that_goes_dark_is_noticed_in_a_minute(pair: Pair) -> None:
    site = pair.sites().front
    (ops,) = fleet.load(site.project, site.stack, fleet.OPS).members
    remote = Remote(ops, reach.endpoints(site.project)(ops))
    remote.run("true")
    assert remote._open
    wire = remote._open.transport.sock
    assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
    remote.close()


def test_who_has_to_serve_is_waited_for_and_of_the_others_it_is_said_what_they_answer(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = pair.sites().members[STANDBY]

    def said(**has_to: bool) -> dict[str, dict[str, health.Said]]:
        asked = {("production", role): each for role, each in has_to.items()}
        return health.wait(site.project, site.stack, site.project, asked or None)

    assert said() == {"production": {"api": 200}}
    monkeypatch.setitem(health.PATIENCE, True, 0.0)
    with pytest.raises(Failed, match="chat of production: there is none"):
        said(api=True, chat=True)
    pair.told("/conditions", {"killed": ["us2-prod-api-*"]})
    with pytest.raises(Failed, match="not all balancers serve: api of production: "):
        said(api=True)
    assert not health.serves(said(api=False, chat=False)["production"]["api"])
    pair.told("/conditions", {})


def test_what_is_brought_is_what_is_there_or_nothing_moves(pair: Pair) -> None:
    sites = pair.sites()
    moved = Bringing(sites.members[FRONT], sites.members[STANDBY], "production", 1)
    with writing(pair, HOME_DATABASE), pytest.raises(Failed) as failed:
        data.bring(moved, lossless=True)
    said = str(failed.value.message)
    assert f"{STANDBY_DATABASE} does not hold what {HOME_DATABASE} does: tables: public.rows" in said
    pair.ask(HOME_DATABASE, "delete from rows where number = 6")
    pair.ask(STANDBY_DATABASE, "drop table rows")


def test_what_waits_in_the_front_s_stack_is_named_before_a_move_begins(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    change_platform(pair.checkout.root, {"balancer_check.attempts": 3, "health.retries": 1})
    here = pair.sites().front
    with pytest.raises(Refused, match=r"wait in this stack: update LoadBalancerMonitor .*, update NodeBalancerConfig"):
        front.require_updatable(here, with_others=False)
    front.require_updatable(here, with_others=True)
    said = capsys.readouterr()
    assert "these changes wait at its front, and go along: update LoadBalancerMonitor" in said.out + said.err
    assert "NodeBalancerConfig" not in said.out + said.err
    change_platform(pair.checkout.root, {"ceilings.monthly": 1})
    with pytest.raises(Failed, match="a month"):
        front.require_updatable(here, with_others=True)
    ended = pair.task("failover.keep", "--yes")
    assert ended.code == 0, ended.output + ended.errors
    assert "nothing to keep: us-central is the primary" in ended.output + ended.errors
    change_platform(pair.checkout.root, {"balancer_check.attempts": 2, "health.retries": 2, "ceilings.monthly": 1000})


def test_names_move_with_the_last_copy_while_the_data_center_is_dark_and_nothing_there_can_be_read(pair: Pair) -> None:
    assert pair.task("backups.copy").code == 0
    pair.ask(HOME_DATABASE, "insert into rows values (4)")
    file = pair.checkout.root / settings.stack_file(FRONT)
    old = file.read_text()
    pair.told("/conditions", {"regions_down": ["us-central"]})
    pair.told("/faults", [{"what": "error", "where": "Read linode:*"}])
    before = len(pair.checkout.calls())
    pair.cut(pair.ran("up", FRONT), "failover.engage")
    assert {"active": STANDBY, "version": 2}.items() <= pair.failover().items()
    pair.cut(lambda: bool(pair.messages()), "failover.engage")  # traffic has moved, and no copy is made yet
    ended = pair.task("up", "--yes")
    assert (ended.code, "us-central: a move to us-standby is under way" in ended.errors) == (2, True), ended.errors
    assert "`./inv failover.engage us-central --sandbox --back` goes back, and then `up` works" in ended.errors
    said = pair.good("failover.engage")
    assert "going on with the move to us-standby" in said
    assert "us-standby: production: it has a copy of its own" in said
    assert pair.ask(STANDBY_DATABASE, ROWS) == [1, 2, 3]
    assert "moving" not in pair.failover()
    assert pair.served() == ([STANDBY, STANDBY], {FRONT: False, STANDBY: True}, '"v=2 active=us-standby ttl=60"')
    assert engine.outputs(pair.project(FRONT))["failover"] == {"active": STANDBY, "version": 2}
    assert not [each for each in pair.checkout.calls()[before:] if each.arguments[0] == "refresh"]
    assert pair.has_no_changes()
    assert pair.messages() == ["[chat-tonic] us-central: us-standby serves the stateful names, and not us-central"]
    ended = pair.task("failover.engage", "--yes")
    assert (ended.code, "`./inv failover.failback us-central --sandbox` goes back" in ended.errors) == (2, True)

    new = file.read_text()
    file.write_text(old)
    ended = pair.task("failover.engage", "--yes", "--to", STANDBY)
    assert (ended.code, file.read_text()) == (2, old)
    assert 'write there {"active": "us-standby", "version": 2, "sites": {"us-standby": {"addresses": ' in ended.errors
    file.write_text(new)


def test_nothing_goes_home_while_somebody_writes_where_the_names_are(pair: Pair, exhaustive: bool) -> None:
    if not exhaustive:
        pytest.skip("what compares the two is always asked, by itself")
    pair.told("/faults", [])
    pair.told("/conditions", {})
    before = pair.served()
    with writing(pair, STANDBY_DATABASE):
        ended = pair.task("failover.failback", "--yes")
    said = f"{NEW_HOME_DATABASE} does not hold what {STANDBY_DATABASE} does: tables: public.rows"
    assert (ended.code, said in ended.errors) == (1, True), ended.errors
    assert "Somebody writes there: find out who, and repeat it" in ended.errors
    assert pair.served() == before
    assert {"active": STANDBY, "version": 2}.items() <= pair.failover().items()
    assert pair.failover()["moving"]["to"] == FRONT
    pair.ask(STANDBY_DATABASE, "delete from rows where number = 6")  # the next one goes on


def test_a_failback_that_is_gone_on_with_brings_every_row_or_nothing(pair: Pair) -> None:
    pair.told("/faults", [])
    pair.told("/conditions", {})
    pair.cut(pair.wrote(FRONT, "moving:"), "failover.failback")
    pair.told("/conditions", {"unhealthy": [STANDBY_DATABASE]})
    ended = pair.task("failover.engage", "--yes")  # the journal is a failback's: the last copy won't do
    assert ended.code == 2, ended.output + ended.errors
    assert "every row of it is wanted; `./inv failover.engage us-standby --sandbox --to us-central --last-copy`" in (
        ended.errors
    )
    assert "`./inv failover.failback us-central --sandbox` goes on" in ended.output + ended.errors
    moving = pair.failover()["moving"]
    pair.sites().written(moving={**moving, "databases": {}, "lossless": False})  # as of `engage --data-is-there`
    ended = pair.task("failover.failback", "--yes")
    assert (ended.code, "that move brings no data, and every row of us-standby is wanted" in ended.errors) == (2, True)
    pair.sites().written(moving=None)
    ended = pair.task("failover.failback", "--yes")  # as somebody does whose checkout does not have the journal
    assert (ended.code, "moving" in pair.failover()) == (2, False)
    assert f"a move from us-standby to us-central has begun {moving['since']}" in ended.errors
    pair.sites().written(moving=moving)
    pair.told("/conditions", {})
    data.open_again(pair.sites().members[STANDBY], "production")  # the next one goes on, and sends messages there


def test_names_go_home_with_every_row_into_a_database_of_their_own(pair: Pair) -> None:
    """Also what a server takes in that SSH does not reach, until it is shut out."""
    pair.told("/faults", [])
    pair.told("/conditions", {})
    pair.ask(STANDBY_DATABASE, "insert into rows values (5)")
    with pair.connected(STANDBY_DATABASE) as left_open:
        with sending(pair, STANDBY) as answers:
            said = pair.good("failover.failback")
        with pytest.raises(psycopg.OperationalError):
            left_open.execute("select")
    shut_out = f"{STANDBY_DATABASE} lets nobody in any more but the ops server: us2-prod-api-g1-1 could not be stopped"
    assert said.count(shut_out) == 1
    assert pair.admitted(STANDBY_DATABASE) == [engine.outputs(pair.project(STANDBY))["ops"]]
    assert [len(pair.admitted(label)) for label in (HOME_DATABASE, NEW_HOME_DATABASE)] == [1, 2]
    taken = {key for key, status in answers.items() if status == 200}
    assert (bool(taken), [*answers.values()][-1]) == (True, 503)
    assert taken <= {*pair.ask(NEW_HOME_DATABASE, MESSAGES)}
    assert pair.ask(NEW_HOME_DATABASE, MESSAGES) == pair.ask(STANDBY_DATABASE, MESSAGES)
    assert pair.ask(NEW_HOME_DATABASE, ROWS) == [1, 2, 3, 5]
    assert pair.ask(HOME_DATABASE, ROWS) == [1, 2, 3, 4]
    assert pair.served() == ([FRONT, FRONT], {FRONT: True, STANDBY: False}, '"v=3 active=us-central ttl=60"')
    assert pair.failover().keys().isdisjoint({"active", "moving"})
    assert pair.has_no_changes()
    assert len(pair.messages()) == 2


def test_a_database_that_the_mode_no_longer_has_keeps_what_it_holds(pair: Pair) -> None:
    change_stack(pair.checkout.root, STANDBY, {"standby.mode": "pilot-light"})
    site = pair.sites().members[STANDBY]
    whole = settings.declared(pair.checkout.root, STANDBY, settings.differences(pair.checkout.root, STANDBY))
    assert data.room(site, whole, "production") == 2
    pair.told("/conditions", {"regions_down": ["us-ord"]})
    assert data.room(site, whole, "production") == 2, "one that does not answer may hold something, too"
    pair.told("/conditions", {})
    change_stack(pair.checkout.root, STANDBY, {"standby.mode": "active"})


def test_copies_of_before_a_site_served_count_no_more(pair: Pair) -> None:
    sites = pair.sites()
    primary, standby = sites.members[FRONT], sites.members[STANDBY]
    (known,) = cost.costs(sites, standby)
    assert sites.since
    assert known.copied
    assert known.copied >= sites.since
    later = known.copied + dt.timedelta(hours=1)
    (known,) = cost.costs(
        replace(sites, failover=sites.failover.model_copy(update={"since": labels.moment(later)})), standby
    )
    assert (known.copied, known.unlisted) == (None, "there is none since it serves")
    with pytest.raises(Refused, match=r"What us-standby had before remains: `\./inv backups.restore us-standby"):
        data.bring(Bringing(primary, standby, "production", 2, last_copy=True, since=later), lossless=False)


def test_a_database_is_closed_whatever_of_its_site_answers_or_nothing_of_it_is_given_up(pair: Pair) -> None:
    sites = pair.sites()
    home = sites.members[FRONT]
    moved = Bringing(home, sites.members[STANDBY], "production", 1)
    pair.told("/conditions", {"regions_down": ["us-central"]})
    data.stop(moved, lossless=True)
    assert len(pair.admitted(moved.old)) == 1
    data.open_again(home, "production")
    assert len(pair.admitted(moved.old)) == 2
    pair.told("/faults", [{"what": "error", "where": "PUT /v4/*", "status": 503}])
    with pytest.raises(Failed, match=f"could not be stopped, and {moved.old} can't be closed either"):
        data.stop(moved, lossless=True)
    data.stop(moved, lossless=False)
    assert len(pair.admitted(moved.old)) == 2
    pair.told("/faults", [])
    pair.told("/conditions", {})


def test_a_move_goes_on_and_back_wherever_it_was_cut_off_and_may_be_kept(pair: Pair, exhaustive: bool) -> None:
    if not exhaustive:
        pytest.skip("one cut is always made, while the data center is dark")
    before = pair.served()
    for when in (
        pair.wrote(FRONT, "moving:"),
        pair.wrote(STANDBY, "generations: [1, 2]"),
        pair.ran("preview", STANDBY),
        pair.ran("up", STANDBY),
        pair.wrote(STANDBY, "serving: 2"),
    ):
        pair.cut(when, "failover.engage")
    ended = pair.task("failover.keep", "--yes")
    assert (ended.code, pair.served()) == (2, before)
    assert "a move to us-standby is under way; finish it first" in ended.errors
    pair.good("failover.engage", "--back")
    assert "moving" not in pair.failover()
    assert pair.served() == before
    assert pair.has_no_changes()

    pair.ask(NEW_HOME_DATABASE, "insert into rows values (7)")
    chosen, section = pair.wrote(FRONT, "active:"), pair.failover()
    pair.cut(chosen, "failover.engage")
    pair.cut(pair.ran("up", FRONT), "failover.engage", "--back")
    pair.good("failover.engage", "--back")
    # What clients may have been told already they are told anew.
    assert pair.failover() == {**section, "version": section["version"] + 2}
    assert pair.served() == (*before[:2], '"v=5 active=us-central ttl=60"')
    with sending(pair, FRONT) as answers:
        time.sleep(1)
    assert 200 in answers.values()
    assert pair.has_no_changes()

    for when in (chosen, pair.ran("up", FRONT), lambda: pair.served()[0] == [STANDBY, STANDBY]):
        pair.cut(when, "failover.engage")
    ended = pair.task("failover.engage", "--back", "--yes")
    assert (ended.code, "traffic goes to us-standby already" in ended.errors) == (2, True), ended.errors
    pair.good("failover.engage")
    for asked in (ROWS, MESSAGES):
        assert pair.ask(f"{STANDBY_DATABASE}-g2", asked) == pair.ask(NEW_HOME_DATABASE, asked)
    pair.cut(pair.ran("up", FRONT), "failover.keep")
    pair.good("failover.keep")
    assert pair.failover()["home"] == STANDBY
    assert pair.served()[0] == [STANDBY, STANDBY]
    assert len(pair.admitted(NEW_HOME_DATABASE)) == 2, "it is the standby's own now, whose applications run with it"
    assert pair.has_no_changes()
    ended = pair.task("failover.failback", "--yes")
    assert (ended.code, "us-standby serves the stateful names, and is the primary" in ended.errors) == (2, True)

    there = pair.ask(NEW_HOME_DATABASE, "insert into rows values (8) returning number")
    pair.good("failover.engage", "--data-is-there")
    assert pair.served()[0] == [FRONT, FRONT]
    assert there[0] in pair.ask(NEW_HOME_DATABASE, ROWS)
    assert len(pair.admitted(f"{STANDBY_DATABASE}-g2")) == 1, "whoever still writes there is shut out"


@contextmanager
def writing(pair: Pair, label: str) -> Iterator[None]:
    """Somebody whom nobody stops writes into a database, and connects again where he is cut off."""
    over = threading.Event()

    def write(reached: str) -> None:
        while not over.is_set():
            with (
                suppress(psycopg.OperationalError),
                psycopg.connect(reached, autocommit=True) as connection,
            ):
                while not over.wait(0.1):
                    connection.execute("insert into rows values (6)")

    with pair.connected(label) as known:
        reached = psycopg.conninfo.make_conninfo(known.info.dsn, password=known.info.password)
    writer = threading.Thread(target=write, args=[reached])
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@contextmanager
def sending(pair: Pair, stack: str) -> Iterator[dict[str, int]]:
    """Somebody sends messages to a server that serves on, and that SSH does not reach; how each was answered."""
    site = pair.sites().members[stack]
    (member,) = fleet.load(site.project, site.stack).of(lambda each: each.place.role == "api").members
    endpoint = reach.endpoints(site.project)(member)
    answers: dict[str, int] = {}
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.1):
            key, application = str(time.time()), http.client.HTTPConnection(endpoint.host, PORT, timeout=30)
            application.request("POST", "/message", b"", {"Idempotency-Key": key})
            answers[key] = application.getresponse().status
            application.close()

    sender = threading.Thread(target=send)
    with rolling.connected(member, endpoint) as remote:
        remote.run(f"{rolling.START}\nsystemctl stop ssh.service")  # what is connected stays so
        sender.start()
        try:
            yield answers
        finally:
            over.set()
            sender.join()
            remote.run("systemctl start ssh.service")
