"""The example client meets failures as docs/clients.md says, over real connections."""

import http.client
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from examples import message_client
from examples.message_client import Api, Client, Policy, RefusedError, Sites, UnreachableError
from tests.examples.world import METADATA, Answer, World, world

A, B = "api-a.example", "api-b.example"
QUICK = Policy(timeout=5, first_wait=0.01, longest_wait=0.02, budget=20)
WELL, FAILS = Answer(), Answer(503)


def document(version: int, active: str, ttl: float = 60) -> dict[str, Any]:
    hosts = {"a": A, "b": B}
    sites = {
        site: {"hosts": {"production": {"api": host}}, "identifiers": {"assistant": f"asst_{site}"}}
        for site, host in hosts.items()
    }
    return {"version": version, "ttl": ttl, "active": active, "sites": sites}


@pytest.fixture
def sites() -> Iterator[World]:
    with world() as made:
        made.metadata = document(1, "a")
        made.answers = {A: [WELL], B: [WELL]}
        yield made


def client(sites: World, policy: Policy = QUICK) -> Client:
    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            named, self.host, self.port = (self.host, self.port), "127.0.0.1", sites.port
            super().connect()
            self.host, self.port = named

    return Client(Api(A, METADATA), policy, lambda host, timeout: Connection(host, 80, timeout=timeout))


def test_it_tries_again_at_the_site_with_the_same_key_before_it_asks_anybody_else(sites: World) -> None:
    caller = client(sites)
    conversation = caller.begin()
    sites.answers[A] = [FAILS, Answer(429), WELL]
    assert caller.send(conversation, "one") == {"delivered": "one"}
    assert caller.send(conversation, "two") == {"delivered": "two"}
    keys = [each.key for each in sites.at(A)]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert len(set(keys)) == 2, "another message has another key"
    assert {each.conversation for each in sites.at(A)} == {conversation.id}
    assert len(sites.at(METADATA)) == 1, "only `begin` has asked"


def test_after_a_move_it_goes_on_at_the_new_site_with_the_same_key_and_stays_there(sites: World) -> None:
    sites.metadata = document(1, "a", ttl=0)
    caller = client(sites)
    conversation = caller.begin()
    assert caller.identifiers(conversation) == {"assistant": "asst_a"}
    sites.answers[A], sites.metadata = [FAILS], document(2, "b", ttl=0)
    assert caller.send(conversation, "one") == {"delivered": "one"}
    assert (len(sites.at(A)), len(sites.at(B))) == (QUICK.tries, 1)
    assert len({each.key for each in (*sites.at(A), *sites.at(B))}) == 1
    assert (conversation.site, conversation.moves) == ("b", 1)
    assert caller.identifiers(conversation) == {"assistant": "asst_b"}
    sites.answers[A] = [WELL]
    caller.send(conversation, "two")
    assert (len(sites.at(A)), len(sites.at(B))) == (QUICK.tries, 2)


def test_a_version_that_is_older_is_not_believed(sites: World) -> None:
    sites.metadata = document(2, "b", ttl=0)
    caller = client(sites)
    conversation = caller.begin()
    sites.metadata, sites.answers[B] = document(1, "a", ttl=0), [*[FAILS] * QUICK.tries, WELL]
    caller.send(conversation, "one")
    assert (conversation.site, sites.at(A)) == ("b", [])
    assert len(sites.at(METADATA)) == 2


def test_the_metadata_is_not_asked_again_before_its_ttl_is_over(sites: World) -> None:
    caller = client(sites)
    conversation = caller.begin()
    sites.answers[A] = [*[FAILS] * (2 * QUICK.tries), WELL]
    caller.send(conversation, "one")
    assert len(sites.at(METADATA)) == 1


def test_without_metadata_it_goes_on_where_it_was(sites: World) -> None:
    sites.metadata = None
    caller = client(sites)
    conversation = caller.begin()
    sites.answers[A] = [*[FAILS] * QUICK.tries, WELL]
    assert caller.send(conversation, "one") == {"delivered": "one"}
    assert (conversation.site, conversation.moves) == (None, 0)
    assert len(sites.at(METADATA)) == 1, "so soon it is not asked again"


def test_nobody_waits_for_another_who_asks_the_metadata_longer_than_for_an_answer() -> None:
    asked, over = threading.Event(), threading.Event()

    def silent(*_: object) -> http.client.HTTPConnection:
        asked.set()
        over.wait()
        raise TimeoutError

    known = Sites(METADATA, silent)
    asking = threading.Thread(target=known.now, args=(60,))
    asking.start()
    asked.wait()
    assert known.now(0.05)["version"] == 0
    assert asking.is_alive()
    over.set()
    asking.join()


def test_an_answer_that_is_not_the_apis_is_as_a_failure(sites: World) -> None:
    sites.answers[A] = [Answer(text="<p>Please log in"), WELL]
    caller = client(sites, replace(QUICK, spare=1))
    assert caller.send(caller.begin(), "one") == {"delivered": "one"}
    sites.answers[A] = [Answer(text="<p>Please log in")]
    with pytest.raises(UnreachableError, match="no JSON"):
        caller.send(caller.begin(), "two")


@pytest.mark.parametrize("status", [302, 422])
def test_what_the_api_refuses_is_not_tried_again(sites: World, status: int) -> None:
    sites.answers[A] = [Answer(status)]
    caller = client(sites)
    with pytest.raises(RefusedError) as refused:
        caller.send(caller.begin(), "one")
    assert refused.value.status == status
    assert len(sites.at(A)) == 1


@pytest.mark.parametrize("is_date", [False, True])
def test_it_waits_as_long_as_it_is_asked_or_gives_up_at_once_and_says_the_key(sites: World, is_date: bool) -> None:
    far = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True) if is_date else "3600"
    sites.answers[A] = [Answer(503, {"Retry-After": far})]
    caller = client(sites)
    with pytest.raises(UnreachableError, match="503; send it again later with the key mine") as unreachable:
        caller.send(caller.begin(), "one", "mine")
    assert unreachable.value.key == "mine"
    assert len(sites.at(A)) == 1, "a second try would have come before it was wanted"


def test_a_site_that_does_not_answer_in_time_is_as_one_that_fails(sites: World) -> None:
    sites.answers[A] = [Answer(0, seconds=10), WELL]
    caller = client(sites, replace(QUICK, timeout=0.3))
    assert caller.send(caller.begin(), "one") == {"delivered": "one"}
    assert len(sites.at(A)) == 2


def test_many_messages_that_fail_are_not_tried_again_without_end_but_still_follow_a_move(sites: World) -> None:
    sites.metadata = document(1, "a", ttl=0)
    caller = client(sites, replace(QUICK, tries=100, spare=4))
    conversation = caller.begin()
    sites.answers[A] = [FAILS]
    for _ in range(10):
        with pytest.raises(UnreachableError):
            caller.send(conversation, "one")
    assert len(sites.at(A)) == 10 + 4
    sites.metadata = document(2, "b", ttl=0)
    assert caller.send(conversation, "one") == {"delivered": "one"}
    assert conversation.site == "b"


def test_what_retry_after_asks_for_is_read_in_both_forms_and_else_skipped() -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    assert [message_client._seconds(each) for each in ("7", past, "soon", "")] == [7, 0, 0, 0]
