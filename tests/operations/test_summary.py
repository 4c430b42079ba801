"""The summary of a preview: what a pull request is told, and what it is never told."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from components import settings
from operations import engine, redaction, sandbox, summary
from operations.plans import SECRET, UNKNOWN, Plan, Step, Violation
from operations.redaction import Redactor
from tests.configuration import REMOVED, change_platform, change_stack
from tests.operations.checkout import Checkout, sandboxed

GROUPS = "environments.internal.groups"
PLAINLY = Redactor()
URN = "urn:pulumi:test::chat-tonic::"
INSTANCE = "linode:index/instance:Instance"


def step(op: str, name: str, type_: str = INSTANCE, parent: str = "", **states: Any) -> Step:
    return Step(op, f"{URN}{type_}::{name}", type_, f"{URN}{parent}" if parent else "", **states)


def plan(*steps: Step, violations: tuple[Violation, ...] = (), errors: tuple[str, ...] = ()) -> Plan:
    return Plan("test", steps, violations, errors, complete=not errors, packs=("chat-tonic",))


def told(made: Plan, redactor: Redactor = PLAINLY) -> list[str]:
    return [line for line in summary.of_plan(made, [], redactor).lines if line]


def test_what_is_alike_is_one_line_with_a_count_and_some_names() -> None:
    old, new = {"type": "g6-nanode-1"}, {"type": "g6-standard-1"}
    steps = [step("update", f"api-{number}", diff={"type": "update"}, old=old, new=new) for number in range(10, 0, -1)]
    lines = told(plan(*steps, step("update", "web", diff={"tags[0]": "add"}, new={"tags": ["a"]})))
    assert lines[-4:] == [
        "- **changed** Instance `web`:",
        "  - `tags[0]`: `nothing` → `a`",
        "- **changed** 10 Instance `api-1`, `api-10`, `api-2`, `api-3`, `api-4`, `api-5` and 4 more:",
        "  - `type`: `g6-nanode-1` → `g6-standard-1`",
    ]
    assert lines[0] == "**11 changed**."


def test_the_order_of_the_plan_is_not_that_of_the_summary() -> None:
    steps = [step(op, name) for op in ("create", "delete", "replace") for name in ("b", "a")]
    assert told(plan(*steps)) == told(plan(*reversed(steps)))


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("a", "b", "`a` → `b`"),
        ("a", UNKNOWN, "`a` → `known after the update`"),
        (None, ["a", 1], '`nothing` → `["a", 1]`'),
        ("`x`", "a\n@everybody\n# b", "`` `x` `` → `a @everybody # b`"),
        ("a" * 500, "", f"`{'a' * 120}…` → `''`"),
        (SECRET, "plain again", "`[secret]`, changed"),
        ("plain before", SECRET, "`[secret]`, changed"),
        ({"deep": [SECRET]}, {"deep": ["plain again"]}, "`[secret]`, changed"),
    ],
    ids=["text", "unknown", "list", "markdown", "long", "was-secret", "is-secret", "deep"],
)
def test_a_value_is_one_line_of_code_and_never_a_secret(old: Any, new: Any, shown: str) -> None:
    changed = step("update", "it", diff={"label": "update"}, old={"label": old}, new={"label": new})
    assert told(plan(changed))[-1] == f"  - `label`: {shown}"


def test_a_property_that_is_made_for_secrets_is_never_shown() -> None:
    paths = ("metadatas[0].userData", "rootPass", 'header["X-Token"]', "privateKey")
    changed = step(
        "update", "it", diff=dict.fromkeys(paths, "update"), new={"rootPass": "plain", "privateKey": "plain"}
    )
    assert told(plan(changed))[-4:] == [f"  - `{path}`: `[secret]`, changed" for path in sorted(paths)]


def test_paths_are_followed_through_lists_and_quoted_names() -> None:
    old, new = ({"a": [{"b c": [{"d.e": value}]}]} for value in (1, 2))
    changed = step("update", "it", diff={'a[0]["b c"][0]["d.e"]': "update"}, old=old, new=new)
    assert told(plan(changed))[-1] == '  - `a[0]["b c"][0]["d.e"]`: `1` → `2`'


def test_policies_and_errors_are_said_without_the_secrets_that_they_name() -> None:
    redactor = Redactor(["a very secret value"])
    said = told(
        plan(
            violations=(Violation("backups", "mandatory", "", "no backups:\na very secret value"),),
            errors=("root_pass is wrong: a very secret value",),
        ),
        redactor,
    )
    assert said[2:] == [
        "**The preview failed**, so this may not be all:",
        "- `root_pass is wrong: [secret]`",
        "Policies: **1 against them**",
        "- mandatory, `backups`: `no backups: [secret]`",
    ]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (plan(), "Policies: nothing is against them."),
        (plan(errors=("no",)), "Policies: not all were asked."),
        (replace(plan(), packs=()), "Policies: no pack was asked."),
    ],
    ids=["none", "not-to-the-end", "no-pack"],
)
def test_policies_that_say_nothing_were_asked_or_not(made: Plan, said: str) -> None:
    assert told(made)[-1] == said


def test_a_long_summary_is_cut_at_lines_and_a_short_section_keeps_all_of_its_own() -> None:
    long = summary.Section("### long", tuple(f"- line {number} {'→' * 100}" for number in range(1000)))
    short = summary.Section("### short", ("- the only line",))
    text = summary.markdown([long, short, long])
    assert summary.LONGEST - 1000 < len(text.encode()) <= summary.LONGEST
    assert text.count("more lines do not fit here; `preview` shows them._") == 2
    assert "- the only line" in text
    assert all(line.endswith("→" * 100) for line in text.splitlines() if line.startswith("- line"))
    assert summary.markdown([short]) == "## What `up` would change\n\n### short\n\n- the only line\n"


def test_secrets_are_known_in_base64_by_their_lines_and_inside_what_is_encoded() -> None:
    key = "-----BEGIN KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASC\n-----END KEY-----\n"
    redactor = Redactor([key, {"password": "hunter2-hunter2"}])
    encoded = base64.b64encode(b"pass: hunter2-hunter2\n").decode()
    pieces = Redactor(keys=["abcdefghijklmnopqrstuvwxyz"])
    assert pieces.text("<bcdefghijklmnopqrstuv>, <bcdefghijklmno>") == f"<{SECRET}>, <bcdefghijklmno>"
    assert redactor.value({"a": [key, "x MIIEvgIBADANBgkqhkiG9w0BAQEFAASC y", encoded, "hunter3", 5, None]}) == {
        "a": [SECRET, f"x {SECRET} y", SECRET, "hunter3", 5, None]
    }


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout whose stack `test` has one role and is up."""
    for checkout in sandboxed(tmp_path_factory.mktemp("summarised")):
        roles = ("chat", "customer-service", "web-chat")
        change_platform(checkout.root, {f"{GROUPS}.{role}": REMOVED for role in roles})
        ended = checkout.run("up", "test", "--sandbox", "--yes")
        assert ended.code == 0, ended.output + ended.errors
        yield checkout


LEAKING = """\
import base64
import pulumi

def leaking(args):
    leaks = {
        "linode:index/firewall:Firewall": base64.b64encode(("password=" + PASSWORD).encode()).decode(),
        "linode:index/nodeBalancer:NodeBalancer": pulumi.Output.unsecret(pulumi.Output.secret(KEY[30:60])),
        "linode:index/instance:Instance": PASSWORD,
    }
    props = {**args.props, "label": leaks[args.type_]} if args.type_ in leaks else args.props
    return pulumi.ResourceTransformationResult(props, args.opts)

pulumi.runtime.register_stack_transformation(leaking)
"""


def test_a_summary_has_every_change_the_cost_and_no_secret_wherever_it_went(up: Checkout) -> None:
    """Secrets of the stack are put, in clear, into properties that are shown."""
    loaded = settings.load(up.root, "test")
    project = sandbox.project(up.root, "test", loaded, engine.ensure(lambda _: None), lambda _: None)
    values = json.loads(engine.ask(project, "config", "--json", "--show-secrets"))
    secrets = {key: each["value"] for key, each in values.items() if each["secret"]}
    key = secrets["chat-tonic:originKey"]
    program = up.root / "__main__.py"
    leak = LEAKING.replace("PASSWORD", repr(secrets["chat-tonic:registryPassword"])).replace("KEY", repr(key))
    program.write_text(leak + program.read_text())
    change_stack(up.root, "test", {"admin_sources": ["198.51.100.0/24"]})
    change_platform(up.root, {f"{GROUPS}.api.count": 2, f"{GROUPS}.api.plan": "g6-standard-1"})
    file = up.folder / "summary.md"
    ended = up.run("preview", "test", "--sandbox", "--json", "--expect-no-changes", "--summary", str(file))
    written = file.read_text()
    assert ended.code == 7, written
    state = json.loads(engine.ask(project, "stack", "export", "--show-secrets"))
    assert key[30:60] in ended.output  # it does leak without the summary
    assert key[30:60] not in written
    for secret in redaction.secrets_of(state["deployment"]):
        for needle in redaction.needles(secret):
            assert needle not in written
    for key, value in secrets.items():
        assert value not in written, key
    assert "Dollars a month: 33.00 before, 55.00 after (+22.00)." in written
    assert "- **created** Instance" in written
    assert "`type`: `g6-nanode-1` → `g6-standard-1`" in written
    for labelled in ("test-int-api-g1-1", "test-int-api", "test-int-servers"):
        assert (
            f"`label`: `{labelled}` → `[secret]`" in written
            or f"Instance `{labelled}`:\n  - `label`: `[secret]`, changed" in written
        )
    assert "`inbounds[1].ipv4s[0]`: `203.0.113.0/24` → `198.51.100.0/24`" in written
    assert "#### Environment `internal`, role `api`" in written


def test_what_cannot_be_previewed_is_said_in_the_summary_as_well(checkout: Checkout) -> None:
    change_stack(checkout.root, "test", {"region": "us-nowhere"})
    file = checkout.folder / "summary.md"
    ended = checkout.run("preview", "test", "--sandbox", "--summary", str(file))
    assert ended.code == 2
    assert "It can't be previewed:" in file.read_text()
    assert "us-nowhere" in file.read_text()
    ended = checkout.run("preview", "test", "--sandbox", "--summary", "/nowhere/summary.md")
    assert (ended.code, ended.errors.startswith("/nowhere/summary.md: there is no folder /nowhere")) == (2, True)
