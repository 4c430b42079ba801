"""What can't be had again is replaced and deleted by name only.

The tests are the life of one stack: each goes on where the one before it ended.
"""

from collections.abc import Iterator

import pytest
import requests

from components import settings
from operations import engine, guards, plans, sandbox
from operations.errors import Refused
from operations.guards import GUARDED, Asked
from operations.plans import Plan, Step
from operations.project import Project
from sandbox import process, store
from tests.configuration import REMOVED, change_platform, change_stack
from tests.operations.checkout import Checkout, Ended, sandboxed
from tests.operations.terminal import ENTER, Terminal

GROUPS = "environments.internal.groups"
YES = ("up", "test", "--sandbox", "--yes")
UNDECLARED = "the configuration does not declare it any more"
MOVED = "region can't be changed in place"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout whose stack `test` has two roles, one with two servers, and is up."""
    for checkout in sandboxed(tmp_path_factory.mktemp("guarded")):
        change_platform(
            checkout.root,
            {f"{GROUPS}.customer-service": REMOVED, f"{GROUPS}.web-chat": REMOVED, f"{GROUPS}.api.count": 2},
        )
        passed(checkout)
        yield checkout


def passed(checkout: Checkout, *options: str) -> Ended:
    ended = checkout.run(*YES, *options)
    assert ended.code == 0, ended.output + ended.errors
    return ended


def refused(checkout: Checkout, *options: str) -> list[str]:
    """Run an update that has to be refused before it begins; return what it said."""
    before = updates(checkout)
    ended = checkout.run(*YES, *options)
    assert ended.code == 2, ended.output + ended.errors
    assert updates(checkout) == before
    return ended.errors.splitlines()


def updates(checkout: Checkout) -> int:
    return sum(call.arguments[0] == "up" for call in checkout.calls())


def labels(checkout: Checkout, kind: str) -> list[str]:
    objects = store.objects(process.file_of(checkout.root / sandbox.FOLDER))
    return sorted(each.body["label"] for each in objects if each.kind == f"linode.{kind}")


def project(checkout: Checkout) -> Project:
    loaded = settings.load(checkout.root, "test")
    return sandbox.project(checkout.root, "test", loaded, engine.ensure(lambda _: None), lambda _: None)


def set_faults(checkout: Checkout, *faults: dict[str, str]) -> None:
    running, known = process.status(checkout.root / sandbox.FOLDER), process.tokens(checkout.root / sandbox.FOLDER)
    assert running is not None
    headers = {"Authorization": f"Bearer {known.control}"}
    requests.put(f"{running.control_url}/faults", json=list(faults), headers=headers, timeout=10).raise_for_status()


def test_everything_that_holds_data_or_an_address_is_under_guard() -> None:
    assert sorted(kind.rpartition(":")[2] for kind in GUARDED) == [
        "DatabasePostgresqlV2",
        "Instance",
        "LoadBalancer",
        "NodeBalancer",
        "ObjectStorageBucket",
    ]


def test_names_are_asked_for_of_one_stack_at_a_time(checkout: Checkout) -> None:
    ended = checkout.run("up", "test,us-central", "--sandbox", "--yes", "--delete", "test-int-api")
    assert ended.code == 2
    assert ended.errors == "--replace and --delete name what one stack holds; name that stack, one at a time\n"
    assert checkout.calls() == []


def test_what_a_plan_deletes_has_to_be_named_and_nothing_else_may_be(up: Checkout) -> None:
    change_platform(up.root, {f"{GROUPS}.chat": REMOVED, f"{GROUPS}.api.count": 1})
    assert refused(up, "--delete", "test-int-api-g1-2,nobody", "--replace", "test-int-db") == [
        f"test: this would delete the load balancer test-int-chat, and lose its address: {UNDECLARED}",
        f"test: this would delete the server test-int-chat-g1-1, and lose its backups and addresses: {UNDECLARED}",
        "test: nothing was changed; if that is meant: ./inv up test --sandbox --replace test-int-db "
        "--delete nobody,test-int-api-g1-2,test-int-chat,test-int-chat-g1-1",
        "test: --replace test-int-db: the plan does not replace anything of that name; leave it out, or write one of: "
        "none",
        "test: --delete nobody: the plan does not delete anything of that name; leave it out, or write one of: "
        "test-int-api-g1-2, test-int-chat, test-int-chat-g1-1",
    ]
    assert labels(up, "instance") == ["test-int-api-g1-1", "test-int-api-g1-2", "test-int-chat-g1-1"]
    passed(up, "--delete", "test-int-api-g1-2, test-int-chat-g1-1", "--delete=region-internal-chat-lb-balancer")
    assert labels(up, "instance") == ["test-int-api-g1-1"]
    assert labels(up, "node_balancer") == ["test-int-api"]


def test_a_generation_leaves_unasked_where_another_stays(up: Checkout) -> None:
    change_platform(up.root, {"generations.2": "linode/debian13", f"{GROUPS}.api.generations": [1, 2]})
    passed(up)
    change_platform(up.root, {f"{GROUPS}.api.generations": [2]})
    passed(up)
    assert labels(up, "instance") == ["test-int-api-g2-1"]


def test_a_protected_database_goes_by_its_name_alone_where_another_of_its_environment_stays(up: Checkout) -> None:
    generations = "environments.internal.database.generations"
    change_stack(up.root, "test", {generations: [1, 2]})
    passed(up)
    change_stack(up.root, "test", {generations: [1]})
    assert refused(up) == [
        f"test: this would delete the database test-int-db-g2, and lose all its data and backups: {UNDECLARED}",
        "test: nothing was changed; if that is meant: ./inv up test --sandbox --delete test-int-db-g2",
    ]
    assert "this would delete the database test-int-db-g2," in refused(up, "--delete", "test-int-db")[0]
    assert protected(up) == ["test-int-db", "test-int-db-g2"]
    passed(up, "--delete", "test-int-db-g2")
    assert labels(up, "database") == protected(up) == ["test-int-db"]


def protected(checkout: Checkout) -> list[str]:
    return sorted(each["inputs"]["label"] for each in engine.resources(project(checkout)) if each.get("protect"))


def server(op: str, number: int, generation: int, role: str = "api") -> Step:
    label = f"test-int-{role}-g{generation}-{number}"
    inputs = {"label": label, "tags": [f"generation:{generation}", f"role:{role}", "stack:test"]}
    old, new = ({}, inputs) if op == "create" else (inputs, {})
    return Step(op, f"urn:test::{label}", guards.SERVER, "", old, new)


@pytest.mark.parametrize(
    ("steps", "unasked"),
    [
        ([server("delete", 1, 1), server("same", 1, 2)], []),
        ([server("delete", 1, 1), server("update", 1, 2)], []),
        (
            [server("delete", 1, 1), server("delete", 2, 1), server("same", 2, 1), server("same", 1, 2)],
            ["g1-1", "g1-2"],
        ),
        ([server("delete", 1, 1), server("same", 1, 2), server("delete", 2, 2)], ["g2-2"]),
        ([server("delete", 1, 1), server("create", 1, 2)], ["g1-1"]),
        ([server("delete", 1, 1), server("replace", 1, 2)], ["g1-1", "g2-1"]),
        ([server("delete", 1, 1), server("same", 1, 2, role="chat")], ["g1-1"]),
        ([server("delete", 1, 1), server("delete", 1, 2)], ["g1-1", "g2-1"]),
    ],
    ids=["another", "changed", "not-whole", "of-the-other", "new", "replaced", "other-role", "all"],
)
def test_a_generation_leaves_unasked_only_as_a_whole_beside_one_that_stays(
    up: Checkout, steps: list[Step], unasked: list[str]
) -> None:
    plan = Plan("test", tuple(steps), (), (), complete=True)
    try:
        guards.require(project(up), plan, Asked())
        said = ""
    except Refused as refusal:
        said = str(refusal.message)
    named = [line.partition("the server test-int-api-")[2].partition(",")[0] for line in said.splitlines()[:-1]]
    assert sorted(named) == unasked


def test_at_a_terminal_the_plan_is_shown_before_the_question_and_a_no_changes_nothing(up: Checkout) -> None:
    change_platform(up.root, {"balancer_check.interval": 7})
    terminal = Terminal(up.command("up", "test", "--sandbox"), up.root, up.environment)
    terminal.wait_for("1 to update")
    terminal.wait_for("perform this update? [y/N/details]")
    terminal.type(f"d{ENTER}")
    terminal.wait_for("(update)")  # of what the engine shows with all details
    terminal.wait_for("perform this update? [y/N/details]")
    terminal.type(f"n{ENTER}")
    assert terminal.end() == 1
    assert "test: declined; nothing was changed" in terminal.shown
    assert "goes on from there" not in terminal.shown


def test_what_changes_while_somebody_thinks_makes_the_plan_out_of_date(up: Checkout) -> None:
    before = updates(up)
    terminal = Terminal(up.command("up", "test", "--sandbox"), up.root, up.environment)
    terminal.wait_for("perform this update? [y/N/details]")
    change_platform(up.root, {f"{GROUPS}.api.count": 2})
    terminal.type(f"y{ENTER}")
    assert terminal.end() == 1
    assert "test: its state or the files have changed since this plan was made; repeat it" in terminal.shown
    assert updates(up) == before


def test_a_plan_is_made_from_state_configuration_and_program(up: Checkout) -> None:
    here = project(up)
    seen = [plans.basis(here)]
    assert plans.basis(here) == seen[0]
    program = up.root / "__main__.py"
    program.write_text(program.read_text() + "\n")
    seen.append(plans.basis(here))
    engine.ask(here, "state", "unprotect", "--all", "--yes")
    seen.append(plans.basis(here))
    change_platform(up.root, {f"{GROUPS}.api.count": 1, f"{GROUPS}.api.plan": "g6-nanode-1"})
    seen.append(plans.basis(here))
    assert len(set(seen)) == 4


def test_servers_are_not_powered_off_to_be_resized_unless_that_is_asked_for(up: Checkout) -> None:
    (server,) = labels(up, "instance")
    change_platform(up.root, {f"{GROUPS}.api.plan": "g6-standard-1"})
    assert refused(up) == [
        f"test: this would power the server {server} off, to change its type, with all others of its role at once; "
        "a new generation comes without that (docs/servers.md)",
        f"test: nothing was changed; if that is meant: ./inv up test --sandbox --replace {server}",
    ]
    passed(up, "--replace", server)
    assert labels(up, "instance") == [server]


def test_a_replacement_names_its_cause_also_where_that_is_another_resource(up: Checkout) -> None:
    database = next(each["urn"] for each in engine.resources(project(up)) if "Postgresql" in each["type"])
    engine.ask(project(up), "state", "protect", database, "--yes")
    change_stack(up.root, "test", {"region": "us-ord"})
    assert refused(up, "--replace", "test-int-api") == [
        f"test: this would replace the database test-int-db, and lose all its data and backups: {MOVED}",
        f"test: test-int-db is protected besides; lift that first: pulumi state unprotect '{database}' --stack test",
        "test: this would replace the server test-int-api-g2-1, and lose its backups and addresses: it needs "
        f"DatabasePostgresqlV2 region-internal-database-cluster, which is replaced: {MOVED} there",
        "test: nothing was changed; if that is meant: ./inv up test --sandbox "
        "--replace test-int-api,test-int-api-g2-1,test-int-db",
    ]
    change_stack(up.root, "test", {"region": "us-central"})


OLDER = """\
import pulumi

def older(args):
    if args.type_ == "linode:index/instance:Instance":
        args.opts.ignore_changes = ["authorizedKeys", "metadatas"]
        return pulumi.ResourceTransformationResult({**args.props, "image": "linode/debian12"}, args.opts)

pulumi.runtime.register_stack_transformation(older)
"""


def test_a_replacement_that_was_asked_for_and_cut_off_goes_on_unasked(up: Checkout) -> None:
    program = up.root / "__main__.py"
    program.write_text(OLDER + program.read_text())
    assert refused(up)[0] == (
        "test: this would replace the server test-int-api-g2-1, and lose its backups and addresses: image can't "
        "be changed in place"
    )
    set_faults(up, {"what": "error", "where": "Create linode:index/instance:Instance"})
    ended = up.run(*YES, "--replace", "region-internal-api-g2-1")
    assert ended.code == 1, ended.output + ended.errors
    assert labels(up, "instance") == []
    set_faults(up)
    passed(up)
    assert labels(up, "instance") == ["test-int-api-g2-1"]
