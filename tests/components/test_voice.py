"""Phone names: a record and a check an edge, in the jurisdiction, and nothing that could not be a trunk's target."""

from pathlib import Path
from typing import Any

import pytest

from components import parity, settings
from components.settings import ConfigurationError
from policies.resource import UNKNOWN, Resource
from policies.rule import Context
from policies.rules import RESOURCE_RULES, STACK_RULES
from tests.components.test_program import inputs_of
from tests.configuration import change_stack, copy_of_the_committed_files
from tests.recording import Program, run

STACK, HOST = "us-central", "sip-us-central.chat-tonic-us.example"
EDGES = {"a": "198.51.100.11", "b": "198.51.100.12"}
OTHERS = {"a": "198.51.100.21", "b": "198.51.100.22"}
VOICE = {"sites": {STACK: {"edges": EDGES}, "us-standby": {"edges": OTHERS}}}


def configured(folder: Path, **values: Any) -> Path:
    """Return a folder with the committed files, and phone names, with these values changed."""
    root = copy_of_the_committed_files(folder / "configuration")
    change_stack(root, STACK, {"voice": {**VOICE, **values}})
    return root


def declared(folder: Path, **values: Any) -> Program:
    root = configured(folder, **values)
    return run(STACK, inputs_of(root, STACK), root)


def test_a_site_has_one_name_with_a_record_and_a_check_for_each_edge(tmp_path: Path) -> None:
    program = declared(tmp_path, port=5062)
    records = [each.inputs for each in program.of("DnsRecord") if each.inputs["name"].startswith("sip-")]
    assert sorted((each["name"], each["content"]) for each in records) == [
        *((HOST, address) for address in EDGES.values()),
        *(("sip-us-standby.chat-tonic-us.example", address) for address in OTHERS.values()),
    ]
    for each in records:
        assert (each["type"], each["proxied"], each["ttl"]) == ("A", False, 60)
    checks = {each.inputs["name"]: each.inputs for each in program.of("Healthcheck") if "voice" in each.name}
    assert {name: each["address"] for name, each in checks.items()} == {
        **{f"us-voice-us-central-{edge}": address for edge, address in EDGES.items()},
        **{f"us-voice-us-standby-{edge}": address for edge, address in OTHERS.items()},
    }
    for each in checks.values():
        assert (each["type"], each["checkRegions"]) == ("TCP", ["ENAM"])
        assert each["tcpConfig"] == {"method": "connection_established", "port": 5062}
        assert (each["interval"], each["consecutiveFails"], each["consecutiveSuccesses"]) == (60, 2, 3)
    (alarm,) = [each.inputs for each in program.of("NotificationPolicy") if each.inputs["name"].startswith("us-voice")]
    assert alarm["alertType"] == "health_check_status_notification"
    assert len(alarm["filters"]["healthCheckIds"]) == 4
    emails = {each["id"] for each in alarm["mechanisms"]["emails"]}
    assert emails == {"support-board@chat-tonic.example", "on-call@chat-tonic.example"}


def test_a_stack_without_the_section_has_none_of_it(tmp_path: Path) -> None:
    root = copy_of_the_committed_files(tmp_path / "configuration")
    program = run(STACK, inputs_of(root, STACK), root)
    assert [each.name for each in program.resources if "voice" in each.name] == []
    assert settings.load(root, STACK).voice_hosts() == {}


def test_a_standby_without_phone_names_is_alike(tmp_path: Path) -> None:
    assert not [key for key in parity.comparable(settings.load(configured(tmp_path), STACK)) if "voice" in key]


@pytest.mark.parametrize(
    ("values", "key", "says"),
    [
        ({"host": "sip.us"}, "voice.host", "is not a host name's label"),
        ({"host": "b" * 60}, "voice.sites.us-central", "is no host name's label; use a-z, 0-9 and hyphens, 63 at most"),
        ({"ttl": 3600}, "voice.ttl", "less than or equal to 300"),
        ({"port": 0}, "voice.port", "greater than or equal to 1"),
        ({"sites": {}}, "voice.sites", "at least 1 item"),
        ({"sites": {STACK: {"edges": {"a": "198.51.100.11"}}}}, "voice.sites.us-central.edges", "at least 2 items"),
        ({"sites": {STACK: {"edges": {**EDGES, "b": "here"}}}}, "voice.sites.us-central.edges.b", "is no IPv4 address"),
        ({"sites": {STACK: {"edges": {**EDGES, "c": EDGES["a"]}}}}, "voice.sites.us-central.edges.c", "an edge is a"),
        ({"sites": {"eu-frankfurt": {"edges": EDGES}}}, "voice.sites.eu-frankfurt", "there is no site 'eu-frankfurt'"),
    ],
)
def test_what_trunks_could_not_use_is_refused(tmp_path: Path, values: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings.load(configured(tmp_path, **values), STACK)
    problem = caught.value.problems[0]
    assert problem.key == f"chat-tonic:stack.{key}"
    assert says in problem.what


def test_a_name_that_is_taken_and_a_stack_without_a_front_are_refused(tmp_path: Path) -> None:
    root = configured(tmp_path)
    change_stack(root, STACK, {"environments.production.groups.api.host": "sip-us-standby"})
    with pytest.raises(
        ConfigurationError, match=r"the host name 'sip-us-standby' is already that of api of production"
    ):
        settings.load(root, STACK)
    change_stack(root, "us-standby", {"voice": {"sites": {"us-standby": {"edges": OTHERS}}}})
    with pytest.raises(ConfigurationError, match=r"voice: only a stack with a 'zone' of its own has names for trunks"):
        settings.load(root, "us-standby")


def test_a_real_run_refuses_edges_that_only_stand_for_some(tmp_path: Path) -> None:
    root = configured(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        settings.refuse_placeholders(root, STACK, settings.load(root, STACK))
    keys = [problem.key for problem in caught.value.problems if ".voice." in problem.key]
    assert keys == [f"chat-tonic:stack.voice.sites.{site}.edges.{edge}" for site in VOICE["sites"] for edge in EDGES]


def refusals(stack: settings.Stack, kind: str, **properties: Any) -> set[str]:
    """Return the rules of the pack that refuse a resource in a stack with phone names."""
    context = Context(STACK, stack, zone_id="e" * 32, account_id="d" * 32)
    resource = Resource(f"cloudflare:{kind}", "it", properties, "urn:it")
    refused = {rule.name for rule in RESOURCE_RULES if list(rule.check(resource, context))}
    return refused | {rule.name for rule in STACK_RULES if list(rule.check([resource], context))}


def test_the_policies_let_edges_be_dns_only_and_nothing_else(tmp_path: Path) -> None:
    stack = settings.load(configured(tmp_path), STACK)
    edge = {"type": "A", "name": HOST, "content": EDGES["a"], "proxied": False}
    assert refusals(stack, "DnsRecord", **edge) == set()
    assert refusals(stack, "DnsRecord", **{**edge, "content": "198.51.100.99"}) == {"closed", "origins"}
    assert refusals(stack, "DnsRecord", **{**edge, "content": OTHERS["a"]}) == {"closed", "origins"}
    other = "api.chat-tonic-us.example"
    assert refusals(stack, "DnsRecord", **{**edge, "name": other}) == {"closed", "origins"}
    assert refusals(stack, "DnsRecord", **{**edge, "name": other, "proxied": True}) == {"origins"}
    assert refusals(stack, "DnsRecord", **{**edge, "proxied": None}) == {"closed"}
    assert refusals(stack, "DnsRecord", **{**edge, "content": UNKNOWN}) == {"closed", "origins"}
    check = {"address": EDGES["a"], "checkRegions": ["ENAM"]}
    assert refusals(stack, "Healthcheck", **check) == set()
    assert refusals(stack, "Healthcheck", **{**check, "checkRegions": ["WEU"]}) == {"jurisdiction"}
    assert refusals(stack, "Healthcheck", **{**check, "address": "198.51.100.99"}) == {"origins"}
