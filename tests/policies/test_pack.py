"""The pack under the real engine, as the tasks start it."""

import re
from collections.abc import Iterator

import pytest

from operations import sandbox
from sandbox import process, store
from tests.configuration import REMOVED, ROOT, change_platform
from tests.operations.checkout import Checkout, sandboxed

STRAYS = """
import pulumi
from components.sdk import linode

linode.Instance("far", label="far", region="eu-central", type="g6-nanode-1", image="linode/debian12",
    authorized_keys=["ssh-ed25519 AAAA nobody@sandbox"], tags=["stack:test", "role:api"], backups_enabled=False,
    disk_encryption="enabled")
linode.Firewall("open", label="open", tags=["stack:test"], inbound_policy="DROP", outbound_policy="ACCEPT",
    inbounds=[linode.FirewallInboundArgs(label="all", action="ACCEPT", protocol="TCP", ports="22",
        ipv4s=["0.0.0.0/0"])])
linode.ObjectStorageBucket("hidden", label="hidden", region=pulumi.Output.secret("fr-par"), acl="private")
"""

# What it is called in the cloud is known to a preview, where it is only to the update.
LATE = """
from components.sdk import linode

early = linode.Firewall("early", label="early", tags=["stack:test"], inbound_policy="DROP", outbound_policy="ACCEPT")
linode.PlacementGroup("late", label="late", region=early.status.apply(lambda status: "eu-central"),
    placement_group_type="anti_affinity:local", placement_group_policy="strict")
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout whose stack `test` has one role."""
    for made in sandboxed(tmp_path_factory.mktemp("policies")):
        roles = ("chat", "customer-service", "web-chat")
        change_platform(made.root, {f"environments.internal.groups.{role}": REMOVED for role in roles})
        yield made


def declare(checkout: Checkout, code: str) -> None:
    """Have the program declare more than it does."""
    (checkout.root / "__main__.py").write_text((ROOT / "__main__.py").read_text() + code)


def labels(checkout: Checkout) -> set[str]:
    """Return the labels of what the clouds hold."""
    objects = store.objects(process.file_of(checkout.root / sandbox.FOLDER))
    return {str(each.body.get("label")) for each in objects}


def refusals(output: str) -> set[tuple[str, str]]:
    """Return rule and resource of each violation that the engine shows."""
    return set(re.findall(r"\[mandatory\]\s+([\w-]+)\s+\(\S+ (\S+)\)", output))


def test_a_first_preview_refuses_by_rule_and_resource_what_the_program_must_not_declare(checkout: Checkout) -> None:
    declare(checkout, STRAYS)
    ended = checkout.run("preview", "test", "--sandbox")
    assert ended.code == 1
    assert refusals(ended.output) == {
        ("backups", "far"),
        ("firewalls", "far"),
        ("jurisdiction", "far"),
        ("doors", "open"),
        ("jurisdiction", "hidden"),
        ("protection", "hidden"),
    }
    assert (
        "far: the region 'eu-central' is outside the jurisdiction 'us'; inside are us-central, us-ord" in ended.output
    )
    assert "open: its rule 'all' admits 0.0.0.0/0, which is the world; name the networks" in ended.output
    assert "hidden: the region '[secret]' is outside the jurisdiction 'us'" in ended.output
    assert "fr-par" not in ended.output + ended.errors


def test_an_update_that_policy_refuses_makes_nothing(checkout: Checkout) -> None:
    declare(checkout, STRAYS)
    ended = checkout.run("up", "test", "--sandbox", "--yes")
    assert ended.code == 1
    assert ("protection", "hidden") in refusals(ended.output)
    assert not labels(checkout) & {"far", "open", "hidden", "test-int-db"}


def test_what_only_the_update_knows_is_refused_by_the_update_before_it_is_made(checkout: Checkout) -> None:
    declare(checkout, LATE)
    ended = checkout.run("up", "test", "--sandbox", "--yes")
    assert ended.code != 0
    plan, _, update = ended.output.partition("Updating (test)")
    assert (refusals(plan), refusals(update)) == (set(), {("jurisdiction", "late")})
    assert "early" in labels(checkout)
    assert "late" not in labels(checkout)
