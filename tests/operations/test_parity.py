"""Two sites side by side, brought up by the real engine on the sandbox: how they differ, and for how long."""

import datetime as dt
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import components.parity
from components import settings
from operations import alarms, console, engine, parity, runs
from tests.configuration import REMOVED, change_platform, change_stack, leave_only
from tests.operations.checkout import Checkout

US, EU = "us-central", "eu-frankfurt"
RETRIES = "health.retries"
ROLES = ("chat", "customer-service", "web-chat")

Pairs = list[dict[str, Any]]


@dataclass(frozen=True)
class Sites:
    """A checkout with both sites up, and what was reported before: with none of them up, and with one."""

    checkout: Checkout
    none_up: tuple[int, Pairs]
    one_up: tuple[int, Pairs]

    @property
    def root(self) -> Path:
        return self.checkout.root

    def report(self, days: float = 0) -> tuple[int, dict[str, Any]]:
        """Return the exit code and the one pair, as they are in some days."""
        code, pairs = parity.report(self.root, on_sandbox=True, now=dt.datetime.now(dt.UTC) + dt.timedelta(days=days))
        (pair,) = pairs
        return code, pair


def bring_up(root: Path, stack: str) -> None:
    (project,) = runs.for_sandbox(root, {stack: settings.load(root, stack)})
    engine.ask(project, "up", "--yes", "--skip-preview")


def record(root: Path, stack: str) -> dict[str, Any]:
    (project,) = runs.for_sandbox(root, {stack: settings.load(root, stack)})
    return dict(engine.outputs(project)[components.parity.OUTPUT])


@pytest.fixture(scope="module")
def sites(sandbox_checkout: Checkout) -> Sites:
    """Both sites are as small as they can be: a server, its balancer and a database, without names or copies."""
    leave_only(sandbox_checkout.root, US, EU)
    smallest = {**{f"groups.{role}": REMOVED for role in ROLES}, "groups.api.count": 1, "publish": "none"}
    smallest |= {"database.copies": False}
    change_platform(sandbox_checkout.root, {f"environments.production.{key}": each for key, each in smallest.items()})
    for stack in (US, EU):
        without = {"zone": None, "ops": None, "copies": None, "environments.bot-testing": REMOVED}
        change_stack(sandbox_checkout.root, stack, without)
    root = sandbox_checkout.root
    none_up = parity.report(root, on_sandbox=True)
    bring_up(root, US)
    one_up = parity.report(root, on_sandbox=True)
    bring_up(root, EU)
    return Sites(sandbox_checkout, none_up, one_up)


@contextmanager
def changed(sites: Sites, **files: dict[str, Any]) -> Iterator[None]:
    """Change stack files, by their stack's label, for a while."""
    stacks = {"us": US, "eu": EU}
    paths = {label: sites.root / f"Pulumi.{stacks[label]}.yaml" for label in files}
    before = {label: path.read_bytes() for label, path in paths.items()}
    for label, changes in files.items():
        change_stack(sites.root, stacks[label], changes)
    try:
        yield
    finally:
        for label, path in paths.items():
            path.write_bytes(before[label])


def test_where_nothing_is_up_the_files_are_compared(sites: Sites) -> None:
    code, (pair,) = sites.none_up
    wanted = ["backups.hour", "reboots.hour"]
    assert (code, pair["differences"], pair["wanted"], pair["unneeded"]) == (0, [], wanted, [])


def test_a_site_that_is_not_up_is_a_difference_as_old_as_the_other(sites: Sites) -> None:
    code, (pair,) = sites.one_up
    assert code == 7
    (found,) = pair["differences"]
    assert (found["key"], found["deployed"]) == ("deployed", {EU: False, US: True})
    assert (found["too_old"], found["age"]) == (False, 0.0)


def test_two_sites_are_alike_and_nothing_is_left_to_change(sites: Sites) -> None:
    ended = sites.checkout.run("parity", "--sandbox")
    assert ended.code == 0, ended.output + ended.errors
    assert "no difference" in ended.output
    assert ended.errors == f"{EU}: differs from {US} as it should in backups.hour, reboots.hour.\n"
    ended = sites.checkout.run("preview", EU, "--sandbox", "--expect-no-changes")
    assert ended.code == 0, ended.output + ended.errors


def test_a_difference_of_the_files_alone_is_not_deployed_yet(sites: Sites) -> None:
    with changed(sites, eu={RETRIES: 3}):
        code, pair = sites.report(days=10)
        (found,) = pair["differences"]
        shown = sites.checkout.run("parity", "--sandbox")
    assert code == 7
    assert (found["key"], found["files"], found["deployed"]) == (RETRIES, {EU: 3, US: 2}, {EU: 2, US: 2})
    assert (found["since"], found["age"], found["too_old"]) == (None, None, False)
    assert (shown.code, "not deployed yet" in shown.output) == (7, True)


def test_a_difference_may_be_wanted_and_a_pattern_that_matches_none_is_said(sites: Sites) -> None:
    wanted = ["backups.hour", "health.*", "reboots.hour", "roles.*.image"]
    with changed(sites, eu={RETRIES: 3, "parity.wanted": wanted}):
        ended = sites.checkout.run("parity", "--sandbox")
    assert ended.code == 0, ended.output + ended.errors
    assert ended.errors.splitlines() == [
        f"{EU}: differs from {US} as it should in backups.hour, {RETRIES}, reboots.hour.",
        f"Pulumi.{EU}.yaml: chat-tonic:stack.parity.wanted: 'roles.*.image' matches no difference; remove it",
    ]


def test_a_difference_that_is_deployed_ages_until_the_other_follows_and_alarms_when_it_is_too_old(sites: Sites) -> None:
    before = record(sites.root, US)
    change_platform(sites.root, {RETRIES: 1})
    began = dt.datetime.now(dt.UTC).replace(microsecond=0)
    bring_up(sites.root, US)
    code, pair = sites.report()
    (found,) = pair["differences"]
    assert code == 7
    assert (found["key"], found["files"], found["deployed"]) == (RETRIES, {EU: 1, US: 1}, {EU: 2, US: 1})
    assert {key for key, held in record(sites.root, US).items() if held != before[key]} == {RETRIES}
    since = dt.datetime.fromisoformat(found["since"])
    assert began <= since <= dt.datetime.now(dt.UTC)
    assert (found["age"], found["too_old"]) == (0.0, False)
    assert [each["too_old"] for each in sites.report(days=2.9)[1]["differences"]] == [False]

    code, old = sites.report(days=3.1)
    assert [(each["since"], each["age"], each["too_old"]) for each in old["differences"]] == [
        (found["since"], 3.1, True)
    ]
    for each, told in ((pair, False), (old, True)):
        with alarms.Job(sites.root, "parity", "all", alarm=True, on_sandbox=True) as job:
            parity.tell(job, [each])
        messages = [path.read_text() for path in (sites.root / ".sandbox" / "alarms").rglob("*.eml")]
        assert [f"it differs from {US} for more than 3 days" in " ".join(each.split()) for each in messages] == [
            told
        ] * told

    bring_up(sites.root, EU)
    ended = sites.checkout.run("parity", "--sandbox", "--json")
    assert ended.code == 0, ended.output + ended.errors
    (pair,) = json.loads(ended.output)
    assert (pair["stack"], pair["peer"], pair["largest_age"], pair["differences"]) == (EU, US, 3, [])


def test_where_no_stack_names_a_peer_nothing_is_compared(checkout: Checkout) -> None:
    leave_only(checkout.root, US, EU)
    change_stack(checkout.root, EU, {"parity": REMOVED})
    ended = checkout.run("parity", "--sandbox", "--json")
    assert (ended.code, json.loads(ended.output)) == (0, [])
    ended = checkout.run("parity", "--sandbox")
    assert ended.errors == "No stack names another in `parity.peer`, so there is nothing to compare.\n"


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ("us-centrl", "there is no stack 'us-centrl'; the nearest known one is 'us-central'"),
        (EU, "it is this very stack; name the one that it is kept like"),
    ],
)
def test_a_peer_that_is_none_is_refused(checkout: Checkout, peer: str, said: str) -> None:
    change_stack(checkout.root, EU, {"parity.peer": peer})
    ended = checkout.run("parity", "--sandbox")
    assert (ended.code, ended.errors) == (2, f"Pulumi.{EU}.yaml: chat-tonic:stack.parity.peer: {said}\n")
    assert checkout.calls() == []


def test_of_real_stacks_nothing_but_outputs_is_read(checkout: Checkout) -> None:
    checkout.environment |= {"PULUMI_CONFIG_PASSPHRASE": "made up", "PULUMI_BACKEND_URL": "s3://chat-tonic-state"}
    values = components.parity.comparable(settings.load(checkout.root, US))
    recorded = components.parity.record(values, {}, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    checkout.use_idle_engine(stack_output=(0, json.dumps({components.parity.OUTPUT: recorded})))
    ended = checkout.run("parity")
    assert ended.code == 0, ended.output + ended.errors
    assert {tuple(call.arguments[:3]) for call in checkout.calls()} == {("stack", "output", "--json")}


def test_the_state_of_a_sandbox_is_no_real_site(checkout: Checkout) -> None:
    checkout.environment |= {"PULUMI_CONFIG_PASSPHRASE": "made up", "PULUMI_BACKEND_URL": "s3://chat-tonic-state"}
    checkout.use_idle_engine(stack_output=(0, '{"sandbox": true}'))
    ended = checkout.run("parity")
    assert ended.code == 2
    assert f"{EU}: its state was written by the sandbox" in ended.errors


def test_a_table_shows_every_key_whole_and_of_an_image_what_tells_it_from_another() -> None:
    key, image = "environments.production.groups.customer-service.count", "registry.chat-tonic.example/api@sha256:"
    found = {"since": "2026-11-18T10:00:00Z", "age": 4.21, "too_old": True}
    sides = {"deployed": {EU: image + "0" * 64, US: image + "1" * 64}, "files": {EU: [1, 2], US: None}}
    out = io.StringIO()
    shown = parity.table([{"stack": EU, "peer": US, "differences": [{"key": key, **found, **sides}]}])
    Console(file=out, width=console.WIDTH).print(shown)
    columns = zip(*[line.split("│")[1:-1] for line in out.getvalue().splitlines() if "│" in line], strict=True)
    keys, names, deployed, files = ("".join(cell.strip() for cell in column) for column in columns)
    assert keys == f"{key}for 4.2 days, too old"
    assert names == f"{EU}{US}"
    assert deployed == f"{image}{'0' * 12}{image}{'1' * 12}"
    assert files == "[1, 2]"
