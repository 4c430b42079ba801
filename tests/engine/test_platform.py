"""The whole platform on the real engine and the sandbox: its life, a generation's, and what comes from outside."""

import json
import shutil
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import process, store
from tests.configuration import ROOT, change_platform, change_stack
from tests.engine.checkout import KINDS, Checkout, make, make_small


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = make_small(tmp_path_factory.mktemp("small") / "checkout")
    yield checkout
    process.stop(checkout.folder)


@pytest.fixture
def test_stack(tmp_path: Path) -> Iterator[Checkout]:
    checkout = make(tmp_path / "checkout", "test")
    yield checkout
    process.stop(checkout.folder)


def test_the_small_stack_holds_every_kind_of_resource(small: Checkout) -> None:
    assert small.up().code == 0
    assert {each["type"] for each in small.resources()} == set(KINDS)


@pytest.mark.parametrize("stack", ["eu-frankfurt", "test", "us-central"])
def test_a_stack_lives_from_up_to_destroy(tmp_path: Path, stack: str) -> None:
    checkout = make(tmp_path / "checkout", stack)
    try:
        first = checkout.up()
        assert first.code == 0, first.said
        assert set(first.steps()) == {"create"}
        assert checkout.preview().code == 0
        checkout.assert_objects_are_resources()
        environment = "internal" if stack == "test" else "production"
        change_stack(checkout.root, stack, {f"environments.{environment}.groups.api.plan": "g6-standard-4"})
        changed = checkout.up()
        assert set(changed.steps()) == {"same", "update"}
        assert changed.steps()["update"] == (1 if stack == "test" else 3)
        process.stop(checkout.folder)
        assert checkout.preview("--refresh").code == 0, "a sandbox that was started again holds the same world"
        gone = checkout.destroy()
        assert gone.code == 0, gone.said
        assert checkout.objects() == set()
        assert checkout.resources() == []
    finally:
        process.stop(checkout.folder)


def test_a_generation_is_added_proved_and_removed_while_every_role_accepts(test_stack: Checkout) -> None:
    assert test_stack.up().code == 0
    log = test_stack.events()[-1].seq
    change_platform(test_stack.root, {"generations.2": "linode/debian13"})
    groups = [f"environments.internal.groups.{role}" for role in ("api", "chat", "customer-service", "web-chat")]
    for generations in ([1, 2], [2]):
        change_stack(test_stack.root, "test", {f"{group}.generations": generations for group in groups})
        assert test_stack.up().code == 0
        assert test_stack.preview().code == 0
    test_stack.assert_objects_are_resources()
    nodes: dict[str, dict[str, dict[str, object]]] = defaultdict(dict)
    for event in test_stack.events():
        if event.kind == "linode.node_balancer_node":
            role = str(event.body["nodebalancer_id"])
            if event.action == "delete":
                del nodes[role][event.id]
            else:
                nodes[role][event.id] = event.body
        if event.seq > log:
            accepting = {r: [n for n in of.values() if n["mode"] == "accept"] for r, of in nodes.items()}
            assert len(accepting) == 4
            assert all(accepting.values()), f"after event {event.seq} a role has no accepting node"
    images = [each["inputs"]["image"] for each in test_stack.resources() if each["type"].endswith(":Instance")]
    assert images == ["linode/debian13"] * 4


def test_generations_swapped_in_one_step_are_refused_by_plain_up_and_nothing_changes(test_stack: Checkout) -> None:
    assert test_stack.up().code == 0
    log = test_stack.events()[-1].seq
    change_platform(test_stack.root, {"generations.2": "linode/debian13"})
    change_stack(test_stack.root, "test", {"environments.internal.groups.api.generations": [2]})
    refused = test_stack.up()
    assert refused.code != 0
    said = refused.said + json.dumps(refused.events)
    assert "adds 2 and removes 1 in one step" in said
    assert test_stack.events(log) == []


def test_a_change_from_outside_is_found_by_a_refresh_and_mended_by_up(small: Checkout) -> None:
    assert small.up().code == 0
    file = process.file_of(small.folder)
    process.stop(small.folder)
    with sqlite3.connect(file) as sql:
        (label,) = sql.execute(
            "SELECT json_extract(body, '$.label') FROM object WHERE kind = 'linode.firewall'"
        ).fetchone()
        sql.execute(
            "UPDATE object SET body = json_set(body, '$.rules.inbound_policy', 'ACCEPT') "
            "WHERE kind = 'linode.firewall' AND json_extract(body, '$.label') = ?",
            (label,),
        )
        sql.execute("UPDATE object SET body = json_set(body, '$.interval', 120) WHERE kind = 'cloudflare.monitor'")
        sql.execute("DELETE FROM object WHERE kind = 'cloudflare.dns_record'")
    assert small.preview().code == 0, "a plain preview does not ask the clouds"
    found = small.preview("--refresh")
    assert found.code == 7
    mended = small.up("--refresh")
    assert mended.code == 0, mended.said
    assert (mended.steps()["update"], mended.steps()["create"]) == (2, 3), "a name, and the two of the metadata"
    assert small.preview("--refresh").code == 0
    small.assert_objects_are_resources()
    bodies = {each.kind: each.body for each in store.objects(file) if each.kind == "cloudflare.monitor"}
    assert bodies["cloudflare.monitor"]["interval"] == 60
    for each in store.objects(file):
        if each.kind == "linode.firewall":
            assert each.body["rules"]["inbound_policy"] == "DROP"


def test_a_second_identical_run_from_an_empty_file_gives_the_same_ids_and_addresses(test_stack: Checkout) -> None:
    seen = []
    for _ in range(2):
        assert test_stack.up().code == 0
        file = process.file_of(test_stack.folder)
        seen.append({(e.kind, e.id, json.dumps(e.body.get("ipv4"))) for e in store.objects(file)})
        process.reset(test_stack.folder)
        shutil.rmtree(test_stack.folder / "backend")
    assert seen[0] == seen[1]
    assert len(seen[0]) > 30


def test_a_sandbox_run_leaves_tracked_files_and_the_real_state_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone, state, home = tmp_path / "clone", tmp_path / "state", tmp_path / "home"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    for folder in (state, home):
        folder.mkdir()
        (folder / "kept").write_text("as it was")
    monkeypatch.setenv("PULUMI_BACKEND_URL", state.as_uri())
    monkeypatch.setenv("PULUMI_HOME", str(home))
    monkeypatch.setenv("LINODE_TOKEN", "of a real account")
    before = contents(clone)
    checkout = Checkout(clone, "test")
    try:
        assert checkout.up().code == 0
        assert checkout.destroy().code == 0
    finally:
        process.stop(checkout.folder)
    shutil.rmtree(clone / ".sandbox")
    assert contents(clone) == before
    assert contents(state) == contents(home) == {"kept": b"as it was"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_no_secret_stands_in_clear_in_state_files_or_in_what_the_engine_prints(test_stack: Checkout) -> None:
    first = test_stack.up()
    assert first.code == 0
    tokens = process.tokens(test_stack.folder)
    (database,) = [e for e in store.objects(process.file_of(test_stack.folder)) if e.kind == "linode.database"]
    secrets = [tokens.linode_platform, database.private["credentials"]["password"], "BEGIN OPENSSH", "#cloud-config"]
    printed = first.said + json.dumps(first.events)
    backend = "".join(
        path.read_text(errors="replace") for path in (test_stack.folder / "backend").rglob("*") if path.is_file()
    )
    stack_file = (test_stack.folder / "Pulumi.test.yaml").read_text()
    for secret in secrets:
        assert secret not in printed
        assert secret not in backend
        assert secret not in stack_file
    for path in test_stack.folder.rglob("*"):
        if path.is_file() and "home" not in path.relative_to(test_stack.folder).parts:
            assert path.stat().st_mode & 0o077 == 0, f"{path} is readable by others"
