"""Runs with --sandbox by the real engine: what they leave behind, and what they leave alone."""

import datetime as dt
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import linode_api4
import pytest
import yaml

from components import settings
from operations import sandbox
from sandbox import process
from tests.configuration import change_platform
from tests.operations.checkout import Checkout

REAL_STATE = {".pulumi/stacks/chat-tonic/test.json": '{"real": true}', ".pulumi/meta.yaml": "version: 1\n"}

GROUP = {"placement_group_type": "anti_affinity:local", "placement_group_policy": "strict"}


@pytest.fixture(scope="module")
def up(sandbox_checkout: Checkout) -> Checkout:
    """A checkout with `test` up on its sandbox, started where a real state and real tokens were at hand."""
    state = sandbox_checkout.folder / "real-state"
    for name, content in REAL_STATE.items():
        path = state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    sandbox_checkout.environment |= {
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "real passphrase",
        "LINODE_TOKEN": "real token",
        "CLOUDFLARE_API_TOKEN": "real token",
    }
    sandbox_checkout.before = digests(sandbox_checkout)
    ended = sandbox_checkout.run("up", "test", "--sandbox", "--yes")
    assert ended.code == 0, ended.output + ended.errors
    return sandbox_checkout


def digests(checkout: Checkout) -> dict[str, str]:
    """Return a digest of every file but the sandbox's own, the engine's calls and what Python compiles."""
    ours = {sandbox.FOLDER, "calls", "cache", "__pycache__"}
    return {
        str(path.relative_to(checkout.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(checkout.folder.rglob("*"))
        if path.is_file() and not ours & set(path.relative_to(checkout.folder).parts)
    }


def stack_file(checkout: Checkout) -> Path:
    return checkout.root / sandbox.FOLDER / "Pulumi.test.yaml"


def lock(checkout: Checkout, pid: int, taken: dt.datetime | None = None) -> Path:
    """Leave a lock as the engine's file backend does, taken just now unless it is said when."""
    backend = checkout.root / sandbox.FOLDER / sandbox.BACKEND
    path = backend / ".pulumi" / "locks" / "organization" / "chat-tonic" / "test" / "left.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    taken = taken or dt.datetime.now(dt.UTC)
    held = {"pid": pid, "username": "ops", "hostname": socket.gethostname(), "timestamp": taken.isoformat()}
    path.write_text(json.dumps(held))
    return path


def test_nothing_is_left_to_change_after_an_update(up: Checkout) -> None:
    ended = up.run("preview", "test", "--sandbox", "--expect-no-changes")
    assert ended.code == 0, ended.output + ended.errors


def test_drift_is_told_for_people_and_programs_with_7_for_any(up: Checkout) -> None:
    sent = up.root / sandbox.FOLDER / "alarms" / "us-central" / "sent"
    ended = up.run("drift", "test", "--sandbox", "--alarm")
    assert (ended.code, "no drift" in ended.output) == (0, True), ended.output + ended.errors
    assert list(sent.glob("*")) == []
    running, known = process.status(up.root / sandbox.FOLDER), process.tokens(up.root / sandbox.FOLDER)
    assert running is not None
    client = linode_api4.LinodeClient(known.linode_platform, base_url=running.linode_url)
    added = client.post("/placement/groups", data={"label": "added", "region": "us-central", **GROUP})
    try:
        ended = up.run("drift", "test", "--sandbox", "--json", "--alarm")
        assert ended.code == 7
        assert "us-central: nothing is sent from the sandbox; " in ended.errors
        [mail] = sent.glob("*")
        assert "Subject: [chat-tonic] test: the clouds and the program differ (1 found)" in mail.read_text()
        (found,) = json.loads(ended.output)["test"]
        assert found["resource"] == f"PlacementGroup added ({added['id']})"
        assert found["means"] == "exists, and no stack knows it"
    finally:
        client.delete(f"/placement/groups/{added['id']}")


def test_tracked_files_and_the_real_state_stay_byte_for_byte(up: Checkout) -> None:
    assert digests(up) == up.before


def test_the_engine_never_sees_what_leads_to_real_accounts(up: Checkout) -> None:
    for call in up.calls():
        assert not call.environment.keys() & {"LINODE_TOKEN", "CLOUDFLARE_API_TOKEN", "PULUMI_CONFIG_PASSPHRASE"}
        assert "PULUMI_BACKEND_URL" not in call.environment


def test_secrets_are_in_no_argument_and_no_variable(up: Checkout) -> None:
    tokens = json.loads((up.root / sandbox.FOLDER / "sandbox.json").read_text())
    passphrase = (up.root / sandbox.FOLDER / sandbox.PASSPHRASE).read_text()
    set_by_the_engine = [call.arguments for call in up.calls() if call.arguments[:2] == ["config", "set"]]
    required = settings.required_inputs(settings.load(up.root, "test"))
    assert [arguments[4] for arguments in set_by_the_engine] == [each.key for each in required if each.secret]
    for call in up.calls():
        said = " ".join([*call.arguments, *call.environment.values()])
        assert tokens["linode_platform"] not in said
        assert passphrase not in said
        assert "PRIVATE KEY" not in said


def test_everything_in_the_folder_is_its_owners_alone(up: Checkout) -> None:
    folder = up.root / sandbox.FOLDER
    open_to_others = [path for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert open_to_others == []


def test_the_generated_stack_file_has_exactly_what_the_stack_needs(up: Checkout) -> None:
    config = yaml.safe_load(stack_file(up).read_text())["config"]
    required = settings.required_inputs(settings.load(up.root, "test"))
    assert set(config) == {"chat-tonic:stack", "chat-tonic:sandbox", *(each.key for each in required)}
    assert (
        config["chat-tonic:stack"]
        == yaml.safe_load((up.root / "Pulumi.test.yaml").read_text())["config"]["chat-tonic:stack"]
    )
    assert [each.key for each in required if each.secret] == [
        key for key in (e.key for e in required) if isinstance(config[key], dict)
    ]


def test_secrets_are_made_once(up: Checkout) -> None:
    before = stack_file(up).read_bytes()
    assert up.run("preview", "test", "--sandbox").code == 0
    assert stack_file(up).read_bytes() == before


def test_the_state_is_marked_as_the_sandboxs(up: Checkout) -> None:
    backend = up.root / sandbox.FOLDER / sandbox.BACKEND
    assert sandbox.is_sandbox_backend(backend.as_uri(), up.root)
    assert sandbox.is_sandbox_backend("file://.sandbox/backend", up.root)
    assert not sandbox.is_sandbox_backend((up.folder / "real-state").as_uri(), up.root)
    state = json.loads((backend / ".pulumi" / "stacks" / "chat-tonic" / "test.json").read_text())
    resources = state["checkpoint"]["latest"]["resources"]
    outputs = [each["outputs"] for each in resources if each["type"] == "pulumi:pulumi:Stack"]
    assert [each["sandbox"] for each in outputs] == [True]


def test_changed_configuration_is_seen_by_the_next_preview_and_ends_it_with_7(up: Checkout) -> None:
    original = (up.root / "platform.yaml").read_bytes()
    change_platform(up.root, {"environments.internal.groups.api.plan": "g6-standard-1"})
    try:
        ended = up.run("preview", "test", "--sandbox", "--expect-no-changes", "--json")
    finally:
        (up.root / "platform.yaml").write_bytes(original)
    assert ended.code == 7
    changed = [step["urn"] for step in json.loads(ended.output)["test"]["steps"] if step["op"] == "update"]
    assert [urn.rpartition("::")[2] for urn in changed] == ["region-internal-api-g1-1"]


def test_a_generation_added_and_removed_in_one_step_is_refused(up: Checkout) -> None:
    original = (up.root / "platform.yaml").read_bytes()
    change_platform(up.root, {"generations.2": "linode/debian12", "environments.internal.groups.api.generations": [2]})
    try:
        ended = up.run("up", "test", "--sandbox", "--yes")
    finally:
        (up.root / "platform.yaml").write_bytes(original)
    assert ended.code == 2
    assert "adds 2 and removes 1 in one step" in ended.errors
    assert up.calls()[-1].arguments[:2] == ["stack", "output"]


def test_the_lock_of_a_killed_run_is_released(up: Checkout) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = lock(up, gone.pid)
    ended = up.run("up", "test", "--sandbox", "--yes")
    assert ended.code == 0, ended.output + ended.errors
    assert f"test: released the lock of a run that was killed (process {gone.pid})\n" in ended.errors
    assert not left.exists()


def test_the_lock_of_a_killed_run_is_released_though_another_process_has_its_number_now(up: Checkout) -> None:
    left = lock(up, os.getpid(), dt.datetime.now(dt.UTC) - dt.timedelta(days=1000))
    ended = up.run("up", "test", "--sandbox", "--yes")
    assert ended.code == 0, ended.output + ended.errors
    assert not left.exists()


def test_a_lock_that_is_not_whole_is_respected(up: Checkout) -> None:
    left = lock(up, os.getpid())
    left.write_text("")
    try:
        assert up.run("up", "test", "--sandbox", "--yes").code == 1
        assert left.exists()
    finally:
        left.unlink()


def test_the_lock_of_a_run_that_goes_on_is_respected(up: Checkout) -> None:
    left = lock(up, os.getpid())
    try:
        ended = up.run("up", "test", "--sandbox", "--yes")
        assert ended.code == 1
        assert f"(pid {os.getpid()})" in ended.errors
        assert left.exists()
    finally:
        left.unlink()


def test_the_status_tells_where_the_sandbox_listens(up: Checkout) -> None:
    told = json.loads(up.run("sandbox.status", "--json").output)
    assert told["running"] is True
    with socket.create_connection(("127.0.0.1", told["linode_port"]), timeout=5):
        pass
    assert (told["machines"], told["data"]) == (None, None)


def test_what_plays_parts_of_the_sandbox_is_in_its_status_and_gone_with_it(up: Checkout) -> None:
    sandbox.data(up.root, print)  # here, as the checkout's own cache has no S3 server yet
    started = up.run("sandbox.start", "--front")
    assert started.code == 0, started.errors
    told = json.loads(up.run("sandbox.status", "--json").output)
    front = told["front"]
    assert started.output.splitlines()[1:] == [
        "Machines play 4 servers and 4 balancers.",
        "Real are 1 databases and 0 buckets.",
        f"0 public names are answered at http://{front['host']}:{front['port']}.",
    ]
    machines, databases = told["machines"], told["data"]["databases"].values()
    listening = [(each["host"], each["port"]) for each in machines["balancers"].values()]
    listening += [(front["host"], front["port"]), *((each["hostaddr"], each["port"]) for each in databases)]
    for where in (*listening, *((each["host"], each["port"]) for each in machines["ssh"].values())):
        socket.create_connection(where, timeout=5).close()
    assert up.run("sandbox.stop").code == 0
    for where in listening:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where, timeout=5)


def test_the_sandbox_starts_again_with_all_that_it_holds(up: Checkout) -> None:
    assert up.run("sandbox.stop").code == 0
    assert json.loads(up.run("sandbox.status", "--json").output) == {"running": False}
    ended = up.run("preview", "test", "--sandbox", "--expect-no-changes")
    assert ended.code == 0, ended.output + ended.errors


def test_destroy_leaves_an_empty_stack_and_a_second_one_has_nothing_to_do(up: Checkout) -> None:
    first = up.run("destroy", "test", "--sandbox", "--yes")
    assert first.code == 0, first.output + first.errors
    state = up.root / sandbox.FOLDER / sandbox.BACKEND / ".pulumi" / "stacks" / "chat-tonic" / "test.json"
    assert "resources" not in json.loads(state.read_text())["checkpoint"]["latest"]
    assert up.run("destroy", "test", "--sandbox", "--yes").code == 0
    assert digests(up) == up.before


def test_reset_forgets_everything(up: Checkout) -> None:
    assert up.run("sandbox.reset").code == 0
    assert not (up.root / sandbox.FOLDER).exists()
