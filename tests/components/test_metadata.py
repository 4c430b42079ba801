"""Failover metadata: what clients are told is made of settings only, and moves with them."""

import json
from pathlib import Path

from components import metadata, settings
from components.topology import Stack
from tests.components.test_program import committed
from tests.configuration import ROOT, change_stack, copy_of_the_committed_files

ZONE = "chat-tonic-us.example"
STATEFUL = ("api", "chat", "customer-service")
OURS = {role: f"{role}.{ZONE}" for role in ("api", "chat", "customer-service", "web-chat")}


def moved(folder: Path) -> Stack:
    """The US after a move to its standby, which has addresses for the stateful names."""
    root = copy_of_the_committed_files(folder)
    addresses = {role: f"192.0.2.{number}" for number, role in enumerate(STATEFUL, 1)}
    change_stack(
        root,
        "us-central",
        {
            "failover.active": "us-standby",
            "failover.version": 7,
            "failover.ttl": 90,
            "failover.identifiers": {"us-standby": {"assistant": "asst_2"}},
            "failover.sites.us-standby.addresses": {"production": addresses},
        },
    )
    return settings.load(root, "us-central")


def test_it_names_the_active_site_and_what_each_site_can_serve(tmp_path: Path) -> None:
    assert metadata.document(moved(tmp_path), "us-central") == {
        "version": 7,
        "ttl": 90,
        "active": "us-standby",
        "sites": {
            "us-central": {"hosts": {"production": OURS}, "identifiers": {}},
            "us-standby": {
                "hosts": {"production": {role: OURS[role] for role in STATEFUL}},
                "identifiers": {"assistant": "asst_2"},
            },
        },
    }


def test_without_a_move_the_front_itself_is_active_and_the_short_form_says_the_same() -> None:
    stack = settings.load(ROOT, "us-central")
    assert metadata.document(stack, "us-central")["active"] == "us-central"
    assert metadata.short(stack, "us-central") == "v=1 active=us-central ttl=60"


def test_the_program_publishes_it_at_an_address_that_needs_no_server_and_nothing_of_another_resource() -> None:
    program, _ = committed("us-central")
    of = {each.name.rpartition("metadata-")[2]: each.inputs for each in program.resources if "-metadata-" in each.name}
    assert set(of) == {"worker", "host", "route", "text"}
    host, text, route, worker = (of[each] for each in ("host", "text", "route", "worker"))
    at = f"failover.{ZONE}"
    assert (host["name"], host["type"], host["content"], host["proxied"]) == (at, "AAAA", "100::", True)
    assert (text["name"], text["type"], text["ttl"]) == (at, "TXT", 60)
    assert text["content"] == '"v=1 active=us-central ttl=60"'
    assert (route["pattern"], route["script"]) == (f"{at}/*", worker["scriptName"]) == (f"{at}/*", "us-failover")
    document = worker["content"].removeprefix("const DOCUMENT = ").partition(";\n\n")[0]
    assert json.loads(document) == metadata.document(settings.load(ROOT, "us-central"), "us-central")
    assert len(program.of("chat-tonic:metadata:Metadata")) == 1


def test_a_stack_without_a_front_of_sites_publishes_none() -> None:
    for stack in ("test", "us-standby"):
        program, _ = committed(stack)
        assert not program.of("WorkersScript"), stack
