import json
from functools import cache
from typing import Any

from benchmarks.recording import record
from components import document
from components.settings import STACK_KEY, load, required_inputs
from tests.components.test_program import inputs_of
from tests.configuration import ROOT
from tests.recording import run

STACK = "us-central"


@cache
def listed() -> list[dict[str, Any]]:
    differences = document.read(ROOT / f"Pulumi.{STACK}.yaml")["config"][STACK_KEY]
    secret = [each.key for each in required_inputs(load(ROOT, STACK)) if each.secret]
    inputs = {STACK_KEY: json.dumps(differences), **inputs_of(ROOT, STACK)}
    return record(ROOT / "__main__.py", STACK, inputs, secret)


def named(name: str) -> dict[str, Any]:
    (found,) = [each for each in listed() if each["name"] == name]
    return found


def test_the_list_has_every_cloud_resource_of_the_program_and_no_component() -> None:
    program = run(STACK, inputs_of(ROOT, STACK))
    clouds = ("linode:", "cloudflare:", "pulumi:providers:")
    assert sorted(each["name"] for each in listed()) == sorted(
        each.name for each in program.resources if each.type.startswith(clouds)
    )


def test_what_comes_from_another_resource_is_written_as_a_reference_to_it() -> None:
    node = named("region-production-api-lb-us-prod-api-g1-1")
    server = "region-production-api-g1-1"
    assert node["inputs"]["address"] == {"output": [server, "private_ip_address", "str", ":443"]}
    assert node["inputs"]["config_id"] == {"output": ["region-production-api-lb-https", "id", "int", ""]}
    assert node["inputs"]["weight"] == 100
    assert named("region-production-api-g1-1-firewall")["resources"] == {"deleted_with": server}
    access = named("region-production-database-access")
    assert {"output": [server, "ip_address", "str", "/32"]} in access["inputs"]["allow_lists"]


def test_what_is_made_from_other_resources_waits_for_them_and_stays_secret() -> None:
    metadata = named("region-production-api-g1-1")["inputs"]["metadatas"]
    assert set(metadata["after"]) == {"region-production-database-cluster", "region-ops-server"}
    assert [*metadata["value"][0]["userData"]] == ["secret"]


def test_every_resource_stands_after_those_that_it_needs() -> None:
    seen: set[str] = set()
    for each in listed():
        assert {*each["depends_on"], *each["resources"].values()} <= seen
        seen.add(each["name"])
