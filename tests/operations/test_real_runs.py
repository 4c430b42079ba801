"""Runs for real, up to the point at which they would reach a cloud: the engine here only notes its calls."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from components import settings
from operations import engine, sandbox
from tests.operations.checkout import Call, Checkout
from tests.operations.real_clouds import HOSTS, RealClouds

OUTPUTS = ["stack", "output", "--json", "--non-interactive", "--stack"]
READS = (["stack", "output"], ["stack", "export"], ["stack", "rename"], ["stack", "tag"], ["config", "--json"])
LEADING_TO_A_SANDBOX = {
    "PULUMI_DEBUG_PROVIDERS": "linode:1,cloudflare:2",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "LINODE_URL": "http://127.0.0.1:1",
    "CLOUDFLARE_BASE_URL": "http://127.0.0.1:2",
}


@pytest.fixture
def real(checkout: Checkout, hosts: RealClouds) -> Checkout:
    """A checkout in which `test` has all that a real run needs."""
    checkout.make_real("test")
    checkout.reach(hosts, "test")
    return checkout


Choose = Callable[[Checkout, str], None]


def commands(calls: list[Call]) -> list[list[str]]:
    return [call.arguments for call in calls]


def changes(calls: list[Call]) -> list[list[str]]:
    """Return the commands but those that only read a state."""
    return [command for command in commands(calls) if command[:2] not in READS]


def planned(checkout: Checkout, stack: str, *more: str) -> list[str]:
    """Return the command that makes a plan, with the name of its log of events as it was called."""
    command = next(command for command in commands(checkout.calls()) if command[0] == "preview")
    log = command[command.index("--event-log") + 1]
    return ["preview", *checkout.pack, *more, "--event-log", log, "--non-interactive", "--stack", stack]


def updated(checkout: Checkout, stack: str) -> list[str]:
    return ["up", *checkout.pack, "--yes", "--skip-preview", "--non-interactive", "--stack", stack]


def test_a_preview_asks_for_what_is_deployed_and_then_runs_the_engine(real: Checkout) -> None:
    assert real.run("preview", "test").code == 0
    assert commands(real.calls()) == [[*OUTPUTS, "test"], planned(real, "test")]


def test_an_agreed_update_runs_the_engine_with_its_plan_shown(real: Checkout) -> None:
    assert real.run("up", "test", "--yes").code == 0
    assert changes(real.calls()) == [planned(real, "test"), updated(real, "test")]


@pytest.mark.parametrize("log", ["", '{"preludeEvent": {}}\n', "{half"], ids=["empty", "no-end", "half"])
def test_no_update_begins_where_its_plan_cannot_be_read(real: Checkout, log: str) -> None:
    real.use_idle_engine(events=(0, log))
    ended = real.run("up", "test", "--yes")
    assert ended.code == 1
    assert ended.errors.startswith("test: the engine left no plan that can be read")
    assert changes(real.calls()) == [planned(real, "test")]


@pytest.mark.parametrize(("engine_says", "task_ends"), [(4, 4), (255, 1)])
def test_no_update_begins_where_its_plan_fails(real: Checkout, engine_says: int, task_ends: int) -> None:
    real.use_idle_engine(preview=(engine_says, ""))
    assert real.run("up", "test", "--yes").code == task_ends
    assert changes(real.calls()) == [planned(real, "test")]


def test_an_agreed_destroy_unprotects_first_and_excludes_nothing(real: Checkout) -> None:
    assert real.run("destroy", "test", "--yes").code == 0
    assert changes(real.calls()) == [
        ["state", "unprotect", "--all", "--yes", "--non-interactive", "--stack", "test"],
        ["destroy", "--yes", "--non-interactive", "--stack", "test"],
    ]


@pytest.mark.parametrize(("engine_says", "task_ends"), [(4, 4), (255, 1)])
def test_a_failed_update_ends_with_the_engines_code_and_says_how_to_go_on(
    real: Checkout, engine_says: int, task_ends: int
) -> None:
    real.use_idle_engine(up=(engine_says, ""))
    ended = real.run("up", "test", "--yes")
    assert ended.code == task_ends
    assert ended.errors == ("test: not finished; what was done is recorded. `./inv up test` goes on from there.\n")


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 7, 8])
def test_the_engines_exit_codes_pass_through(code: int) -> None:
    assert engine.code(code) == code


@pytest.mark.parametrize("code", [9, 255, -9])
def test_an_exit_code_without_a_meaning_here_is_a_failure(code: int) -> None:
    assert engine.code(code) == 1


def test_differences_end_a_preview_that_expects_none_with_7(real: Checkout) -> None:
    real.use_idle_engine(preview=(7, ""))
    assert real.run("preview", "test", "--expect-no-changes").code == 7
    assert real.calls()[-1].arguments == planned(real, "test", "--expect-no-changes")


def test_the_json_of_a_preview_is_by_stack(real: Checkout) -> None:
    real.use_idle_engine(preview=(0, '{"steps": []}'))
    assert json.loads(real.run("preview", "test", "--json").output) == {"test": {"steps": []}}


VIOLATION = {
    "policyName": "backups",
    "enforcementLevel": "mandatory",
    "resourceUrn": "urn:pulumi:test::chat-tonic::linode:index/instance:Instance::bare",
    "message": "Every server has daily backups.\nbare: its `backupsEnabled` is False; write True\n",
}


def test_the_json_of_a_preview_has_the_violations_of_policies(real: Checkout) -> None:
    real.use_idle_engine(preview=(1, '{"steps": []}'), events=(0, json.dumps({"policyEvent": VIOLATION})))
    ended = real.run("preview", "test", "--json")
    assert ended.code == 1
    violation = {
        "policy": VIOLATION["policyName"],
        "level": VIOLATION["enforcementLevel"],
        "urn": VIOLATION["resourceUrn"],
        "message": VIOLATION["message"].strip(),
    }
    assert json.loads(ended.output) == {"test": {"steps": [], "violations": [violation]}}


def test_drift_says_which_policies_the_program_violates(real: Checkout) -> None:
    real.use_idle_engine(preview=(1, '{"steps": []}'), events=(0, json.dumps({"policyEvent": VIOLATION})))
    ended = real.run("drift", "test")
    assert ended.code == 1
    assert ended.errors == (
        "test: the clouds can't be compared: backups: Every server has daily backups.\n"
        "bare: its `backupsEnabled` is False; write True\n"
    )


def test_updates_stop_at_the_first_stack_that_fails(real: Checkout, hosts: RealClouds) -> None:
    real.make_real("us-central")
    real.reach(hosts, "us-central")
    real.use_idle_engine(up=(4, ""))
    ended = real.run("up", "test,us-central", "--yes")
    assert ended.code == 4
    assert ended.errors.splitlines()[-1] == "Not begun: us-central."
    assert changes(real.calls()) == [planned(real, "test"), updated(real, "test")]


@pytest.mark.parametrize("task", [["preview"], ["up", "--yes"]])
def test_each_missing_input_is_named_with_the_line_that_sets_it(checkout: Checkout, task: list[str]) -> None:
    checkout.make_real("us-central")
    path = checkout.root / "Pulumi.us-central.yaml"
    content = yaml.safe_load(path.read_text())
    content["config"] = {"chat-tonic:stack": content["config"]["chat-tonic:stack"]}
    path.write_text(yaml.safe_dump(content))
    ended = checkout.run(task[0], "us-central", *task[1:])
    assert ended.code == 2
    required = settings.required_inputs(settings.load(checkout.root, "us-central"))
    assert [line.rpartition("; ")[2] for line in ended.errors.splitlines()] == [
        f"pulumi config set {'--secret ' if each.secret else ''}{each.key} --stack us-central"
        f"{' < FILE' if each.of_lines else ''}"
        for each in required
    ]
    assert "pulumi config set --secret linode:token --stack us-central\n" in ended.errors
    assert "pulumi config set --secret chat-tonic:originKey --stack us-central < FILE\n" in ended.errors
    assert checkout.calls() == []


def test_the_committed_placeholders_are_refused(checkout: Checkout) -> None:
    ended = checkout.run("up", "us-central", "--yes")
    assert ended.code == 2
    assert "'chat-tonic-us.example' is a name reserved for documentation" in ended.errors
    assert checkout.calls() == []


def test_a_missing_passphrase_is_refused(real: Checkout) -> None:
    del real.environment["PULUMI_CONFIG_PASSPHRASE"]
    ended = real.run("up", "test", "--yes")
    assert ended.code == 2
    assert ended.errors == (
        "test: the passphrase of its secrets is missing; set PULUMI_CONFIG_PASSPHRASE_FILE to a file that holds it, "
        "or PULUMI_CONFIG_PASSPHRASE\n"
    )
    assert real.calls() == []


def test_a_passphrase_file_that_is_not_there_is_refused(real: Checkout) -> None:
    del real.environment["PULUMI_CONFIG_PASSPHRASE"]
    real.environment |= {"PULUMI_CONFIG_PASSPHRASE_FILE": "/nowhere/passphrase"}
    ended = real.run("preview", "test")
    assert ended.code == 2
    assert ended.errors == (
        "test: PULUMI_CONFIG_PASSPHRASE_FILE names /nowhere/passphrase, which is no file; name the one it is in\n"
    )
    assert real.calls() == []


@pytest.mark.parametrize("change", [{"secretsprovider": "awskms://alias/state"}, {}])
def test_no_passphrase_is_asked_for_where_something_else_encrypts(real: Checkout, change: dict[str, str]) -> None:
    del real.environment["PULUMI_CONFIG_PASSPHRASE"]
    if change:
        path = real.root / "Pulumi.test.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    else:
        real.environment["PULUMI_BACKEND_URL"] = "https://api.pulumi.com"
    assert real.run("preview", "test").code == 0


@pytest.mark.parametrize("task", [["preview"], ["up", "--yes"], ["up", "--yes", "--local-state"], ["destroy", "--yes"]])
def test_a_stack_without_a_place_for_its_state_is_refused(real: Checkout, task: list[str]) -> None:
    del real.environment["PULUMI_BACKEND_URL"]
    ended = real.run(task[0], "test", *task[1:])
    assert ended.code == 2
    assert ended.errors == "test: its state has no place; set backend.url in Pulumi.yaml, or `pulumi login URL`\n"
    assert real.calls() == []


def put_backend_into_environment(checkout: Checkout, url: str) -> None:
    checkout.environment["PULUMI_BACKEND_URL"] = url


def put_backend_into_project(checkout: Checkout, url: str) -> None:
    del checkout.environment["PULUMI_BACKEND_URL"]
    path = checkout.root / "Pulumi.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "backend": {"url": url}}))


def log_in(checkout: Checkout, url: str) -> None:
    del checkout.environment["PULUMI_BACKEND_URL"]
    home = Path(checkout.environment["HOME"], ".pulumi")
    home.mkdir()
    (home / "credentials.json").write_text(json.dumps({"current": url}))


ways_to_choose_a_backend = pytest.mark.parametrize(
    "choose", [put_backend_into_environment, put_backend_into_project, log_in]
)


@ways_to_choose_a_backend
@pytest.mark.parametrize("task", ["up", "destroy"])
def test_a_state_on_this_machine_is_refused_for_changes(real: Checkout, choose: Choose, task: str) -> None:
    choose(real, "file:///var/lib/state")
    ended = real.run(task, "test", "--yes")
    assert ended.code == 2
    assert ended.errors == (
        "test: its state would be on this machine only (file:///var/lib/state); set backend.url in Pulumi.yaml to a "
        "place that the team shares, or insist with --local-state\n"
    )
    assert real.calls() == []


@pytest.mark.parametrize("task", [["preview"], ["up", "--yes", "--local-state"], ["destroy", "--yes", "--local-state"]])
def test_a_state_on_this_machine_can_be_read_or_insisted_on(real: Checkout, task: list[str]) -> None:
    put_backend_into_environment(real, "file:///var/lib/state")
    assert real.run(task[0], "test", *task[1:]).code == 0
    assert task[0] in [call.arguments[0] for call in real.calls()]


@ways_to_choose_a_backend
def test_the_backend_of_a_sandbox_is_refused(real: Checkout, choose: Choose) -> None:
    backend = real.root / sandbox.FOLDER / sandbox.BACKEND
    backend.mkdir(parents=True)
    (backend / sandbox.MARK).touch()
    choose(real, backend.as_uri())
    ended = real.run("up", "test", "--yes", "--local-state")
    assert ended.code == 2
    assert ended.errors == (
        f"test: {backend.as_uri()} holds a sandbox's state; choose the real one, or repeat with --sandbox\n"
    )
    assert real.calls() == []


@pytest.mark.parametrize("task", [["preview"], ["up", "--yes"], ["destroy", "--yes"]])
def test_a_state_that_the_sandbox_wrote_is_refused_wherever_it_is(real: Checkout, task: list[str]) -> None:
    real.use_idle_engine(stack_output=(0, '{"sandbox": true}'))
    ended = real.run(task[0], "test", *task[1:])
    assert ended.code == 2
    assert ended.errors == (
        "test: its state was written by the sandbox; choose the real one, or repeat with --sandbox\n"
    )
    assert commands(real.calls()) == [[*OUTPUTS, "test"]]


def test_a_generation_added_and_removed_in_one_step_is_refused(real: Checkout) -> None:
    running = {"internal": {"api": {"7": "linode/debian12"}}}
    real.use_idle_engine(stack_output=(0, json.dumps({"generations": running})))
    ended = real.run("up", "test", "--yes")
    assert ended.code == 2
    assert ended.errors.startswith(
        "Pulumi.test.yaml: chat-tonic:stack.environments.internal.groups.api.generations: adds 1 and removes 7 "
    )
    assert commands(real.calls()) == [[*OUTPUTS, "test"]]


def test_the_problems_of_all_stacks_are_told_before_any_of_them_is_touched(real: Checkout) -> None:
    ended = real.run("up", "test,us-central", "--yes")
    assert ended.code == 2
    assert all("us-central" in line or line.startswith("platform.yaml") for line in ended.errors.splitlines())
    assert real.calls() == []


def test_production_cannot_be_destroyed_for_real_without_a_terminal(checkout: Checkout) -> None:
    checkout.make_real("us-central")
    ended = checkout.run("destroy", "us-central", "--yes")
    assert ended.code == 2
    assert ended.errors == "us-central: destroying it for real needs a terminal, to type its name on\n"
    assert checkout.calls() == []


@pytest.mark.parametrize("options", [["--second"], ["--environment", "production", "--back", "4f1c2ab0"]])
@pytest.mark.parametrize("said", ["", "eu"])
def test_a_dump_does_not_pass_through_a_machine_outside_its_jurisdiction(
    checkout: Checkout, options: list[str], said: str
) -> None:
    checkout.make_real("us-central")
    checkout.environment["CHAT_TONIC_JURISDICTION"] = said
    ended = checkout.run("backups.copy", "us-central", *options)
    assert ended.code == 2
    assert "must not leave the jurisdiction 'us'" in ended.errors
    assert f"CHAT_TONIC_JURISDICTION is {repr(said) if said else 'not set'}" in ended.errors
    assert checkout.calls() == []
    checkout.environment["CHAT_TONIC_JURISDICTION"] = "us"
    assert "jurisdiction" not in checkout.run("backups.copy", "us-central", *options).errors


@pytest.mark.parametrize("task", [["preview"], ["up", "--yes"], ["destroy", "--yes"]])
def test_a_real_run_is_kept_away_from_a_sandbox(real: Checkout, task: list[str]) -> None:
    real.environment |= LEADING_TO_A_SANDBOX
    assert real.run(task[0], "test", *task[1:]).code == 0
    for call in real.calls():
        assert not call.environment.keys() & LEADING_TO_A_SANDBOX.keys()
        assert call.environment["PULUMI_BACKEND_URL"] == "s3://chat-tonic-state"


def test_the_clients_of_a_real_run_go_to_the_official_hosts_whatever_the_environment_says(
    real: Checkout, hosts: RealClouds
) -> None:
    real.make_real("us-central")
    real.reach(hosts, "us-central")
    with socket.create_server(("127.0.0.1", 0)) as sandbox:
        url = f"http://127.0.0.1:{sandbox.getsockname()[1]}"
        real.environment |= {"LINODE_URL": f"{url}/v4", "CLOUDFLARE_BASE_URL": f"{url}/client/v4"}
        hosts.requests.clear()
        ended = real.run("up", "us-central", "--yes")
        assert ended.code == 0, ended.errors
        assert hosts.asked() == set(HOSTS)
        sandbox.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has called there
            sandbox.accept()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "it is not YAML"),
        ("- a", "its top is a list"),
        ("name: chat-tonic\nbackend: s3://state\n", "backend: it holds no keys"),
    ],
)
@pytest.mark.parametrize("where", [[], ["--sandbox"]])
def test_a_broken_project_file_is_refused_by_name(
    checkout: Checkout, content: str, what: str, where: list[str]
) -> None:
    (checkout.root / "Pulumi.yaml").write_text(content)
    ended = checkout.run("preview", "test", *where)
    assert ended.code == 2
    assert f"Pulumi.yaml: {what}" in ended.errors
    assert "Traceback" not in ended.errors
