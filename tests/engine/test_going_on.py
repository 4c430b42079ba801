"""A run that is cut off anywhere goes on: nothing is made twice, nothing is left behind that no state knows."""

import datetime as dt
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import linode_api4
import pytest

from operations import engine, updates
from operations.clouds import Found
from operations.errors import Failed, Refused
from operations.recovery import Stray
from operations.updates import Agreed
from sandbox import process
from tests.engine.checkout import ACCESS, KINDS, Checkout, make_small
from tests.engine.cutting import DESTROY, UP, Cut, held

# What an update in place changes of each kind; the others can only be replaced. A plus: appended to what is there.
CHANGES: dict[str, dict[str, Any]] = {
    "linode:index/instance:Instance": {"watchdog_enabled": False},
    "linode:index/placementGroup:PlacementGroup": {"label": "+-changed"},
    "linode:index/firewall:Firewall": {"tags": ["changed"]},
    "linode:index/nodeBalancer:NodeBalancer": {"tags": ["changed"]},
    "linode:index/nodeBalancerConfig:NodeBalancerConfig": {"check_attempts": 7},
    "linode:index/nodeBalancerNode:NodeBalancerNode": {"weight": 7},
    "linode:index/databasePostgresqlV2:DatabasePostgresqlV2": {
        "updates": {"day_of_week": 7, "duration": 4, "frequency": "weekly", "hour_of_day": 7}
    },
    ACCESS: {"allow_lists": ["192.0.2.7/32"]},
    "linode:index/objectStorageBucket:ObjectStorageBucket": {"acl": "authenticated-read"},
    "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor": {"interval": 77},
    "cloudflare:index/loadBalancerPool:LoadBalancerPool": {"description": "changed"},
    "cloudflare:index/loadBalancer:LoadBalancer": {"description": "changed"},
    "cloudflare:index/dnsRecord:DnsRecord": {"tags": ["changed"]},
    "cloudflare:index/healthcheck:Healthcheck": {"description": "changed"},
    "cloudflare:index/notificationPolicy:NotificationPolicy": {"description": "changed"},
    "cloudflare:index/zoneSetting:ZoneSetting": {"value": {"ssl": "full", "min_tls_version": "1.3"}},
    "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings": {"enabled": False},
    "cloudflare:index/workersScript:WorkersScript": {"content": "export default {};"},
    "cloudflare:index/workersRoute:WorkersRoute": {"pattern": "failover.chat-tonic-us.example/changed"},
}
PROGRAM = """\
import json
import pulumi

def changed(args):
    props = dict(args.props)
    for name, value in {changes}.get(args.type_, {{}}).items():
        if "setting_id" in props:
            value = value.get(props["setting_id"], "off")
        props[name] = props[name] + value[1:] if str(value).startswith("+") else value
    return pulumi.ResourceTransformationResult(props=props, opts=args.opts)

pulumi.runtime.register_stack_transformation(changed)
"""


@pytest.fixture
def cut(tmp_path: Path) -> Iterator[Cut]:
    checkout = make_small(tmp_path / "checkout")
    checkout.project()
    yield Cut(checkout)
    process.stop(checkout.folder)


def change_all(checkout: Checkout) -> None:
    """Have the program declare every kind with something changed that is updated in place."""
    main = checkout.root / "__main__.py"
    docstring, _, program = main.read_text().partition('"""\n')
    main.write_text(f'{docstring}"""\n{PROGRAM.format(changes=CHANGES)}{program}')


def test_a_killed_engine_goes_on_after_a_cut_during_each_kinds_creation_update_and_deletion(
    cut: Cut,
) -> None:
    checkout = cut.checkout
    everything = set(KINDS)

    assert cut.cut_once_for_each("Create", everything, UP) == everything
    assert checkout.preview().code == 0
    checkout.assert_objects_are_resources()

    change_all(checkout)
    assert cut.cut_once_for_each("Update", everything, UP) == set(CHANGES)
    assert checkout.preview().code == 0
    checkout.assert_objects_are_resources()

    checkout.run("state", "unprotect", "--all", "--yes", events=False)
    deleted = cut.cut_once_for_each("Delete", everything, DESTROY)
    # A device goes with what it guards; the engine only forgets it.
    assert everything - deleted == {"linode:index/firewallDevice:FirewallDevice"}
    assert checkout.resources() == []
    assert checkout.objects() == set()


def test_a_killed_engine_goes_on_after_a_cut_during_every_single_call(
    cut: Cut, exhaustive: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if not exhaustive:
        pytest.skip("every single call takes half an hour and more: ./inv test --all")
    checkout = cut.checkout

    def cut_every(verb: str, command: Sequence[str]) -> None:
        calls = cut.cut_everywhere(verb, command)
        assert calls
        with capsys.disabled():
            print(f"\nkilled during {verb} {calls} of {calls}: went on", end="", flush=True)

    cut_every("Create", UP)
    assert checkout.preview().code == 0
    change_all(checkout)
    cut_every("Update", UP)
    assert checkout.preview().code == 0
    checkout.run("state", "unprotect", "--all", "--yes", events=False)
    cut_every("Delete", DESTROY)
    assert checkout.resources() == []
    assert checkout.objects() == set()


@pytest.mark.parametrize("writes", [5, 17, 29])
def test_a_run_goes_on_after_the_sandbox_was_killed_with_writes_in_flight(
    cut: Cut, writes: int, exhaustive: bool
) -> None:
    if writes != 17 and not exhaustive:
        pytest.skip("one cut is always made, in the middle: ./inv test --all")
    checkout = cut.checkout
    project = checkout.project()
    with subprocess.Popen(
        [project.pulumi, *UP, "--stack", checkout.stack, "--non-interactive"],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as running:
        before = len(checkout.events())
        while len(checkout.events()) < before + writes:
            assert running.poll() is None
            time.sleep(0.01)
        found = process.status(checkout.folder)
        assert found is not None
        os.kill(found.pid, signal.SIGKILL)
    assert running.returncode != 0
    cut.go_on(Agreed(adopt=True))
    ended = checkout.up()
    assert ended.code == 0, ended.said
    checkout.assert_objects_are_resources()
    assert checkout.preview().code == 0


def test_a_run_goes_on_where_a_tenth_of_all_calls_fails(cut: Cut) -> None:
    checkout = cut.checkout
    tenth = [
        {"what": "error", "status": 429, "probability": 0.025, "seed": 1, "retry_after": 0},
        {"what": "error", "status": 500, "probability": 0.025, "seed": 2},
        {"what": "close_before", "probability": 0.025, "seed": 3},
        {"what": "close_after", "probability": 0.025, "seed": 4},
    ]
    cut.control("PUT", "faults", tenth)

    def until_done(*command: str) -> int:
        for attempt in itertools.count(1):
            assert attempt < 30, "it does not converge"
            try:
                cut.settle() if command == DESTROY else cut.go_on(Agreed(adopt=True))
            except Failed:  # a cloud that does not answer; whoever was told so repeats the task
                continue
            if checkout.run(*command).code == 0:
                return attempt
        raise AssertionError

    until_done(*UP)
    assert sum(each["struck"] for each in cut.control("GET", "faults")) > 3
    cut.control("PUT", "faults", [])
    cut.go_on()
    assert checkout.up().code == 0
    checkout.assert_objects_are_resources()

    cut.control("PUT", "faults", tenth)
    checkout.run("state", "unprotect", "--all", "--yes", events=False)
    until_done(*DESTROY)
    assert checkout.objects() == set()


def test_what_exists_and_belongs_to_no_stack_is_not_made_again_and_is_taken_over_when_that_is_agreed(cut: Cut) -> None:
    checkout = cut.checkout
    made = checkout.up()
    assert made.code == 0, made.said
    (server,) = (each for each in checkout.resources() if each["urn"].endswith("Instance::region-ops-server"))
    engine.ask(checkout.project(), "state", "delete", server["urn"], "--force", "--target-dependents", "--yes")
    assert server["urn"] not in {each["urn"] for each in checkout.resources()}

    running = process.status(checkout.folder)
    assert running is not None
    client = linode_api4.LinodeClient(process.tokens(checkout.folder).linode_platform, base_url=running.linode_url)
    client.put(path := f"/linode/instances/{server['id']}", data={"tags": ["role:ops", "stack:other"]})
    with pytest.raises(Refused, match=r"Instance us-ops \(\d+\) is of stack:other, .* never taken over"):
        cut.go_on(Agreed(adopt=True))
    assert server["urn"] not in {each["urn"] for each in checkout.resources()}
    with begun(checkout, server):  # what a run that was cut off left there stops whoever needs it, and nobody else
        with pytest.raises(Refused, match=r"Instance us-ops \(\d+\) is of stack:other, .* never taken over"):
            cut.go_on(Agreed(adopt=True))
        updates.go_on(checkout.project(), Agreed(adopt=True), ["cloudflare:index/loadBalancer:LoadBalancer"])
    client.put(path, data={"tags": server["inputs"]["tags"]})

    with pytest.raises(Refused, match=r"Instance us-ops \(\d+\): exists already, and belongs to no stack; .*--adopt"):
        cut.go_on()
    cut.go_on(Agreed(adopt=True))
    last = checkout.events()[-1].seq
    again = checkout.up()
    assert again.code == 0, again.said
    assert [event for event in checkout.events(after=last) if event.action in ("create", "delete")] == []
    assert checkout.preview().code == 0
    checkout.assert_objects_are_resources()


@contextmanager
def begun(checkout: Checkout, resource: dict[str, Any]) -> Iterator[None]:
    """The state says that the making of a resource was begun, and not how it ended."""
    project = checkout.project()
    exported = engine.ask(project, "stack", "export")
    pending = json.loads(exported)
    pending["deployment"]["pending_operations"] = [{"type": "creating", "resource": {**resource, "id": ""}}]
    engine.ask(project, "stack", "import", text=json.dumps(pending))
    yield
    engine.ask(project, "stack", "import", text=exported)


def test_what_is_in_another_region_is_not_what_would_be_made() -> None:
    def elsewhere(body: dict[str, Any], inputs: dict[str, Any]) -> str:
        found = Found("linode:index/instance:Instance", "1", "us-ops", ours=False, delete=list, body=body)
        return Stray(found, {"inputs": inputs}).elsewhere

    tags = ["role:ops", "stack:one"]
    assert elsewhere({"region": "us-ord", "tags": tags}, {"region": "us-central", "tags": tags}) == "us-ord"
    assert elsewhere({"region": "us-central", "tags": ["by:hand"]}, {"region": "us-central", "tags": tags}) == ""
    assert elsewhere({}, {"region": "us-central", "tags": tags}) == ""


def test_while_somebody_else_holds_the_lock_nothing_is_settled_and_nothing_deleted(cut: Cut) -> None:
    key = "linode:index/objectStorageKey:ObjectStorageKey"
    assert cut.kill_during(UP, [held("Create", key, "hold_after")])
    project = cut.checkout.project()
    assert project.state is not None
    (lock,) = project.state.glob(f".pulumi/locks/organization/chat-tonic/{project.stack}/*.json")
    taken = {**json.loads(lock.read_text()), "pid": os.getpid(), "timestamp": dt.datetime.now(dt.UTC).isoformat()}
    lock.write_text(json.dumps(taken))
    before = cut.checkout.objects()
    with pytest.raises(Failed, match=rf"it is locked by .*\(pid {os.getpid()}\) since .*`pulumi cancel"):
        cut.go_on()
    assert cut.checkout.objects() == before
    lock.unlink()
    cut.go_on()
    assert {kind for kind, _ in before - cut.checkout.objects()} == {"linode.bucket_key"}


def test_what_was_taken_over_and_could_not_be_read_is_read_the_next_time(cut: Cut) -> None:
    server = "linode:index/instance:Instance"
    assert cut.kill_during(UP, [held("Create", server, "hold_after")])
    cut.control("PUT", "faults", [{"what": "error", "status": 500, "where": f"Read {server}"}])
    with pytest.raises(Failed):
        cut.go_on()
    cut.control("PUT", "faults", [])
    cut.go_on()
    (taken,) = (each for each in cut.checkout.resources() if each["type"] == server)
    assert taken["outputs"]["ipAddress"].startswith("198.1")
    assert not taken.get("initErrors")
    assert cut.checkout.up().code == 0
    cut.checkout.assert_objects_are_resources()
