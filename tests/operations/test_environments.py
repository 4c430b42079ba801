"""Test environments by the real engine on the sandbox: made, listed, cut off, gone on with and ended, by any means."""

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import linode_api4
import pytest
import requests
import yaml

from components import labels, settings
from operations import credentials, engine, sandbox
from operations.environments import files, names
from operations.errors import Refused
from operations.project import Project
from sandbox import process
from tests.configuration import ROOT, STACKS, change_stack
from tests.operations.checkout import Checkout
from tests.operations.real_clouds import RealClouds
from tests.operations.terminal import ENTER, Terminal

BALANCER = "linode:index/nodeBalancer:NodeBalancer"
OBJECTS = {"instances": 4, "nodebalancers": 4, "firewalls": 5, "databases": 1, "groups": 4}
PATHS = {
    "instances": "/linode/instances",
    "nodebalancers": "/nodebalancers",
    "firewalls": "/networking/firewalls",
    "databases": "/databases/postgresql/instances",
    "groups": "/placement/groups",
}
TAGGED = ("instances", "nodebalancers", "firewalls")
LONG_AGO = "2020-01-01t00.00.00z"


@dataclass
class World:
    """A checkout and what its sandbox holds, as the official client sees it."""

    checkout: Checkout
    before: dict[str, bytes]

    @property
    def folder(self) -> Path:
        return self.checkout.root / sandbox.FOLDER

    def client(self) -> linode_api4.LinodeClient:
        running, known = process.status(self.folder), process.tokens(self.folder)
        assert running is not None
        return linode_api4.LinodeClient(known.linode_platform, base_url=running.linode_url)

    def objects(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """Return what bears the label of an environment, by kind."""
        client = self.client()
        prefix = f"{names.label_of(name)}-"
        found = {kind: client.get(f"{path}?page_size=500")["data"] for kind, path in PATHS.items()}
        return {kind: [each for each in some if each["label"].startswith(prefix)] for kind, some in found.items()}

    def counts(self, name: str) -> dict[str, int]:
        return {kind: len(some) for kind, some in self.objects(name).items()}

    def listed(self) -> dict[str, dict[str, Any]]:
        ended = self.checkout.run("env.list", "--sandbox", "--json")
        assert ended.code == 0, ended.errors
        return {each["name"]: each for each in json.loads(ended.output)}

    def kill_in_the_middle(self, *arguments: str) -> None:
        """Run a task, and kill all of it as soon as a balancer is being made."""
        self._control("PUT", [{"what": "hold_after", "where": f"Create {BALANCER}", "seconds": 60, "count": 1}])
        with self.checkout.start(*arguments) as running:
            until = time.monotonic() + 120
            while not self._control("GET")[0]["struck"]:
                assert running.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
            os.killpg(running.pid, signal.SIGKILL)
        self._control("PUT", [])

    def lose_state(self, name: str) -> None:
        for path in (self.folder / sandbox.BACKEND / ".pulumi" / "stacks").rglob(f"{names.stack_of(name)}.*"):
            path.unlink()

    def lose_file(self, name: str) -> None:
        (self.folder / settings.stack_file(names.stack_of(name))).unlink()

    def let_end(self, name: str) -> None:
        """Write into the tags that the environment's end is long ago."""
        client = self.client()
        for kind in TAGGED:
            for each in self.objects(name)[kind]:
                tags = [tag if not tag.startswith("ends:") else f"ends:{LONG_AGO}" for tag in each["tags"]]
                client.put(f"{PATHS[kind]}/{each['id']}", data={"tags": tags})

    def _control(self, method: str, body: Any = None) -> Any:
        running, known = process.status(self.folder), process.tokens(self.folder)
        assert running is not None
        headers = {"Authorization": f"Bearer {known.control}"}
        return requests.request(method, f"{running.control_url}/faults", json=body, headers=headers, timeout=10).json()


@pytest.fixture(scope="module")
def world(sandbox_checkout: Checkout) -> World:
    """A sandbox with the environment `trial`, which lives for eight hours."""
    before = tracked(sandbox_checkout)
    began = time.monotonic()
    ended = sandbox_checkout.run(
        "env.up", "trial", "--allow", "198.51.100.0/24", "--allow", "203.0.113.7/32", "--sandbox", "--yes", *by("trial")
    )
    print(f"env.up took {time.monotonic() - began:.1f} s")
    assert ended.code == 0, ended.output + ended.errors
    assert "84.00 dollars a month, 1.01 for 8h" in ended.errors
    assert "reachable from 198.51.100.0/24, 203.0.113.7/32 only" in ended.errors
    return World(sandbox_checkout, before)


def by(owner: str) -> tuple[str, str]:
    return ("--owner", owner)


def tracked(checkout: Checkout) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in checkout.root.iterdir() if path.is_file()}


def test_an_environment_is_as_small_as_the_catalog_lets_it_be_and_whole(world: World) -> None:
    assert world.counts("trial") == OBJECTS
    objects = world.objects("trial")
    assert {(each["type"], each["backups"]["enabled"]) for each in objects["instances"]} == {("g6-nanode-1", True)}
    assert [(each["type"], each["cluster_size"]) for each in objects["databases"]] == [("g6-nanode-1", 1)]


def test_whose_it_is_and_when_it_ends_is_in_the_tags_and_parses_back(world: World) -> None:
    tags = [tuple(each["tags"]) for kind in TAGGED for each in world.objects("trial")[kind]]
    assert all({"stack:env-trial", "owner:trial"} <= set(each) for each in tags)
    (ends,) = {tag.removeprefix("ends:") for each in tags for tag in each if tag.startswith("ends:")}
    left = labels.moment_of(ends) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(hours=7, minutes=45) < left <= dt.timedelta(hours=8)


def test_it_is_reachable_from_the_given_addresses_only(world: World) -> None:
    for firewall in world.objects("trial")["firewalls"]:
        opened = {address for rule in firewall["rules"]["inbound"] for address in rule["addresses"]["ipv4"]}
        assert opened - {"192.168.255.0/24"} == {"198.51.100.0/24", "203.0.113.7/32"}
        assert firewall["rules"]["inbound_policy"] == "DROP"


def test_the_list_tells_age_owner_cost_and_end_though_a_killed_run_left_a_file_half_written(world: World) -> None:
    (attributes,) = (world.folder / sandbox.BACKEND / ".pulumi" / "stacks").rglob("env-trial.json.attrs")
    attributes.write_bytes(b"")
    trial = world.listed()["trial"]
    assert {key: trial[key] for key in ("owner", "over", "objects", "monthly", "state", "file")} == {
        "owner": "trial",
        "over": False,
        "objects": sum(OBJECTS.values()),
        "monthly": 84.0,
        "state": True,
        "file": True,
    }
    assert trial["so_far"] == 0.126  # the first hour of each is begun
    assert dt.datetime.fromisoformat(trial["began"]) < dt.datetime.fromisoformat(trial["ends"])
    ended = world.checkout.run("env.list", "--sandbox")
    assert [word for word in ended.output.split() if word in {"trial", "84.00", "known"}] == [
        "trial",
        "trial",
        "84.00",
        "known",
    ]


def test_tracked_files_stay_byte_for_byte_and_no_committed_stack_is_added(world: World) -> None:
    assert tracked(world.checkout) == world.before
    assert settings.stack_names(world.checkout.root) == [*STACKS]


@pytest.mark.parametrize("arguments", [("env.up", "trial"), ("env.down", "trial")])
def test_what_is_somebody_elses_is_refused(world: World, arguments: tuple[str, str]) -> None:
    ended = world.checkout.run(*arguments, "--sandbox", "--yes", *by("load"))
    assert ended.code == 2
    assert ended.errors.startswith("trial: it is trial's; ")
    assert world.counts("trial") == OBJECTS


def test_an_environment_that_never_was_can_not_be_ended(world: World) -> None:
    ended = world.checkout.run("env.down", "trail", "--sandbox", "--yes")
    assert ended.code == 2
    assert ended.errors == "there is no test environment 'trail'; the nearest known one is 'trial'\n"


def test_the_cost_is_shown_before_it_asks_and_a_no_leaves_nothing(world: World) -> None:
    command = world.checkout.command("env.up", "look", "--sandbox", "--ttl", "2d", *by("look"))
    terminal = Terminal(command, world.checkout.root, world.checkout.environment)
    terminal.wait_for("84.00 dollars a month, 6.05 for 2d")
    terminal.wait_for("perform this update?")
    terminal.type(f"no{ENTER}")
    assert terminal.end() == 1
    assert world.counts("look") == dict.fromkeys(OBJECTS, 0)
    assert list(world.listed()) == ["trial"]
    assert not (world.folder / "Pulumi.env-look.yaml").exists()


def test_a_killed_run_is_listed_and_another_goes_on_with_it(world: World) -> None:
    world.kill_in_the_middle("env.up", "load", "--sandbox", "--yes", "--ttl", "2h", *by("load"))
    before = world.listed()["load"]
    assert (before["owner"], before["state"], before["over"]) == ("load", True, False)
    assert 0 < before["objects"] < sum(OBJECTS.values())
    ended = world.checkout.run("env.up", "load", "--sandbox", "--yes", *by("load"))
    assert ended.code == 0, ended.output + ended.errors
    assert world.counts("load") == OBJECTS
    ends = labels.moment(dt.datetime.fromisoformat(before["ends"]))
    assert {f"ends:{ends}" in each["tags"] for kind in TAGGED for each in world.objects("load")[kind]} == {True}


def test_a_sweep_ends_what_is_over_by_state_and_by_tags_and_touches_nothing_else(world: World) -> None:
    world.kill_in_the_middle("env.up", "brief", "--sandbox", "--yes", "--ttl", "1s", *by("brief"))
    world.lose_file("brief")  # as on a machine that has only what is committed
    world.lose_state("load")
    world.lose_file("load")
    world.let_end("load")
    # They look like those of `load`, and bear no tag, or the stack of somebody else's.
    client, region = world.client(), {"region": "us-central"}
    alike = [
        ("/nodebalancers", client.post("/nodebalancers", data={"label": "xload-a-other", **region})["id"]),
        ("/nodebalancers", client.post("/nodebalancers", data={"label": "load-a-api", **region})["id"]),
    ]
    # Nothing but its label says of a database whose it is: this one's is no label of ours.
    databases = "/databases/postgresql/instances"
    theirs = {"label": "xload-main-db", "engine": "postgresql/16", "type": "g6-nanode-1", "cluster_size": 1, **region}
    alike.append((databases, client.post(databases, data=theirs)["id"]))
    listed = world.listed()
    assert {name: (each["over"], each["state"]) for name, each in listed.items()} == {
        "trial": (False, True),
        "load": (True, False),
        "brief": (True, True),
    }
    assert listed["load"]["owner"] == "load"
    untouched = world.objects("trial")

    ended = world.checkout.run("env.sweep", "--sandbox", "--yes")

    assert ended.code == 0, ended.output + ended.errors
    assert "load: ended. It cost 0.13 dollars.\n" in ended.errors
    assert "brief: ended." in ended.errors
    assert "trial" not in {line.partition(":")[0] for line in ended.errors.splitlines()}
    assert world.objects("trial") == untouched
    assert world.counts("brief") == dict.fromkeys(OBJECTS, 0)
    assert world.counts("load") == {**dict.fromkeys(OBJECTS, 0), "nodebalancers": 1, "databases": 1}
    for path, identity in alike:
        assert client.get(f"{path}/{identity}")["id"] == identity
        client.delete(f"{path}/{identity}")


def test_what_can_not_be_gone_on_with_from_here_is_refused_and_can_be_ended(world: World) -> None:
    world.lose_state("trial")
    ended = world.checkout.run("env.up", "trial", "--sandbox", "--yes", *by("trial"))
    assert ended.code == 2
    assert ended.errors == (
        "trial: it exists, and its state is missing; choose another name, or end it: `./inv env.down trial --sandbox`\n"
    )
    ended = world.checkout.run("env.down", "trial", "--sandbox", "--yes", *by("trial"))
    assert ended.code == 0, ended.output + ended.errors
    assert world.counts("trial") == dict.fromkeys(OBJECTS, 0)
    assert world.listed() == {}
    assert tracked(world.checkout) == world.before


@pytest.mark.parametrize(
    "arguments", [("env.up", "trial"), ("env.down", "trial"), ("env.sweep",)], ids=lambda each: each[0]
)
def test_what_changes_a_cloud_needs_a_terminal_or_yes(checkout: Checkout, arguments: tuple[str, ...]) -> None:
    ended = checkout.run(*arguments, "--sandbox")
    assert ended.code == 2
    assert ended.errors.endswith(f"./inv {' '.join(arguments)} --sandbox --yes\n")
    assert checkout.calls() == []


@pytest.mark.parametrize("name", ["test", "production", "prod", "us", "eu-frankfurt", "bots", "internal", "all", "ops"])
def test_a_reserved_name_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"'{name}' is a reserved name"):
        names.check(ROOT, name)


@pytest.mark.parametrize("name", ["", "eightlet", "Trial", "a-b", "a b", "ä", "../x"])
def test_a_name_that_labels_have_no_room_or_no_letters_for_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="choose 1 to 7 characters a-z, 0-9"):
        names.check(ROOT, name)


def test_the_longest_name_has_room_in_every_label() -> None:
    lifetime = {"owner": "o" * names.OWNER_LENGTH, "ends": LONG_AGO}
    stack = settings.resolve(ROOT, "env-longest", files.differences(ROOT, "longest", lifetime))
    assert stack.label == "xlongest"
    names.check(ROOT, "longest")


@pytest.mark.parametrize(
    ("ttl", "length"),
    [("30s", dt.timedelta(seconds=30)), ("90m", dt.timedelta(minutes=90)), ("14d", dt.timedelta(days=14))],
)
def test_a_time_to_live_is_a_number_and_a_unit(ttl: str, length: dt.timedelta) -> None:
    assert names.lifetime(ttl) == length


@pytest.mark.parametrize("ttl", ["8", "h", "0h", "-1h", "1w", "8 h", "15d", "999999d"])
def test_a_time_to_live_that_is_none_or_too_long_is_refused(ttl: str) -> None:
    with pytest.raises(Refused, match=f"--ttl {ttl}: "):
        names.lifetime(ttl)


@pytest.mark.parametrize(
    ("given", "owner"), [("trial", "trial"), ("Trial.Example", "trial.example"), ("-Trial Ö!", "trial")]
)
def test_an_owner_is_written_as_a_tag_takes_it(given: str, owner: str) -> None:
    assert names.owner(ROOT, given) == owner


def test_without_an_owner_it_is_whose_git_address_it_is(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "config", "user.email", "sysop@chat-tonic.example"], cwd=tmp_path, check=True)
    assert names.owner(tmp_path, "") == "sysop"


def test_an_environment_is_closed_whatever_the_test_stack_is(checkout: Checkout) -> None:
    change_stack(
        checkout.root,
        "test",
        {
            "zone": "chat-tonic-test.example",
            "alarms": {"board": "board@chat-tonic.example", "on_call": "call@chat-tonic.example"},
            "voice": {"sites": {"test": {"edges": {"a": "198.51.100.11", "b": "198.51.100.12"}}}},
            "ops": {},
            "copies": {},
            "environments": {
                "internal": {
                    "publish": "proxied",
                    "groups": {"api": {"count": 3}},
                    "database": {"generations": [1, 2], "serving": 2, "restored": {"2": "0123abcd"}},
                },
                "bot-testing": {},
            },
        },
    )
    made = files.differences(checkout.root, "trial", {"owner": "trial", "ends": LONG_AGO})
    stack = settings.resolve(checkout.root, "env-trial", made)
    assert (stack.zone, stack.ops, stack.copies, stack.alarms, stack.voice) == (None,) * 5
    assert {each.publish for each in stack.environments.values()} == {"none"}
    assert {(group.count, group.plan) for _, _, _, group in stack.groups()} == {(1, "g6-nanode-1")}
    assert {(each.database.plan, each.database.copies) for each in stack.environments.values()} == {
        ("g6-nanode-1", False)
    }
    assert {(each.database.generations, each.database.serves) for each in stack.environments.values()} == {((1,), 1)}
    assert stack.jurisdiction == "us"


@pytest.fixture
def real_files(tmp_path: Path) -> tuple[Project, Project]:
    """The test stack's project and an environment's beside it, with the real engine and a state of their own."""
    for name in ("Pulumi.yaml", "platform.yaml", "Pulumi.test.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    found = engine.ensure(lambda _: None)
    (tmp_path / "state").mkdir()
    environment = {
        **os.environ,
        **found.environment,
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": (tmp_path / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "made up",
    }
    test = Project(tmp_path, tmp_path, "test", found.pulumi, environment, sandbox=False)
    files.make_stack(test, test)
    return test, files.beside(test, "trial")


def test_on_real_accounts_the_inputs_are_the_test_stacks_and_the_host_keys_its_own(
    real_files: tuple[Project, Project],
) -> None:
    test, trial = real_files
    for key, text in (("linode:token", "secret token"), ("chat-tonic:hostKey-internal", credentials.host_key())):
        engine.ask(test, "config", "set", "--secret", "--raw", key, text=text)
    engine.ask(test, "config", "set", "--plaintext", "chat-tonic:pullCa", "a certificate")
    made = files.differences(test.root, "trial", {"owner": "trial", "ends": LONG_AGO})
    files.make_stack(trial, test)
    files.declare(trial, made)
    stack = settings.resolve(test.root, "env-trial", made)
    files.fill_in(trial, stack, test)

    written = trial.stack_file.read_bytes()
    config = yaml.safe_load(written)["config"]
    assert config["chat-tonic:stack"] == made
    assert config["chat-tonic:pullCa"] == "a certificate"
    assert b"secret token" not in written
    given, own = files._values(test), files._values(trial)
    assert own["linode:token"] == "secret token"
    assert own["chat-tonic:hostKey-internal"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert own["chat-tonic:hostKey-internal"] != given["chat-tonic:hostKey-internal"]
    assert trial.stack_file.stat().st_mode & 0o077 == 0
    files.declare(trial, made)
    files.fill_in(trial, stack, test)
    assert yaml.safe_load(trial.stack_file.read_bytes()) == yaml.safe_load(written)

    trial.stack_file.unlink()  # as on another machine, which ends it
    files.declare(trial, made)
    files.fill_in(trial, stack, test)
    assert files._values(trial)["linode:token"] == "secret token"
    assert engine.resources(trial) == []


def test_on_real_accounts_it_is_brought_up_in_a_stack_and_a_file_of_its_own(
    checkout: Checkout, hosts: RealClouds
) -> None:
    checkout.make_real("test")
    # As an earlier run left it: the engine here only notes what it is to set.
    shutil.copy(checkout.root / "Pulumi.test.yaml", checkout.root / "Pulumi.env-trial.yaml")
    change_stack(checkout.root, "env-trial", {"label": "xtrial", "lifetime": {"owner": "trial", "ends": LONG_AGO}})
    checkout.reach(hosts, "test")
    checkout.use_idle_engine(**{"config_env-trial": checkout.standing["config_test"]}, stack_ls=(0, "[]"))
    before = tracked(checkout)
    ended = checkout.run("env.up", "trial", "--yes", *by("trial"))
    assert ended.code == 0, ended.errors
    after = tracked(checkout)
    made = yaml.safe_load(after["Pulumi.env-trial.yaml"])["config"]["chat-tonic:stack"]
    assert {name for name in after if after[name] != before[name]} == {"Pulumi.env-trial.yaml"}
    assert made["lifetime"]["owner"] == "trial"
    assert made["admin_sources"] == ["8.8.8.0/24"]
    assert [call.arguments[-1] for call in checkout.calls() if call.arguments[0] == "up"] == ["env-trial"]
    assert not [call for call in checkout.calls() if call.arguments[:2] == ["stack", "rm"]]


def test_an_update_that_is_not_begun_leaves_the_end_and_the_addresses_as_they_were(
    checkout: Checkout, hosts: RealClouds
) -> None:
    checkout.make_real("test")
    shutil.copy(checkout.root / "Pulumi.test.yaml", checkout.root / "Pulumi.env-again.yaml")
    ends = labels.moment(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    change_stack(checkout.root, "env-again", {"label": "xagain", "lifetime": {"owner": "again", "ends": ends}})
    checkout.reach(hosts, "test")
    checkout.use_idle_engine(
        **{"config_env-again": checkout.standing["config_test"]}, stack_ls=(0, '[{"name": "env-again"}]')
    )
    client = linode_api4.LinodeClient(hosts.tokens.linode_platform, base_url=hosts.sandbox.linode_url)
    tags = ["stack:env-again", "owner:again", f"ends:{ends}"]
    made = client.post("/nodebalancers", data={"label": "xagain-a-api", "region": "us-central", "tags": tags})
    before = tracked(checkout)
    try:
        ended = checkout.run("env.up", "again", "--yes", "--ttl", "2d", "--allow", "203.0.113.0/24", *by("again"))
    finally:
        client.delete(f"/nodebalancers/{made['id']}")
    assert ended.code == 2
    assert "'203.0.113.0/24' is a network reserved for documentation" in ended.errors
    assert "`./inv env.up again` goes on, `./inv env.down again` takes it away." in ended.errors
    assert tracked(checkout) == before
    assert not [call for call in checkout.calls() if call.arguments[0] == "up"]


def test_on_real_accounts_tags_alone_are_enough_to_end_one_and_nothing_of_another_stack_goes(
    checkout: Checkout, hosts: RealClouds
) -> None:
    checkout.make_real("test")
    checkout.reach(hosts, "test")
    client = linode_api4.LinodeClient(hosts.tokens.linode_platform, base_url=hosts.sandbox.linode_url)
    tags = ["stack:env-stray", "owner:stray", f"ends:{LONG_AGO}"]
    made = {
        label: client.post("/nodebalancers", data={"label": label, "region": "us-central", "tags": tags})["id"]
        for label in ("xstray-a-api", "xstray-a-chat", "xother-a-api")
    }
    known = {"type": BALANCER, "urn": "urn:pulumi:test::chat-tonic::x::y", "id": str(made["xstray-a-chat"])}
    states = json.dumps({"version": 3, "deployment": {"resources": [known]}})
    checkout.use_idle_engine(stack_ls=(0, "[]"), stack_export=(0, states))
    try:
        ended = checkout.run("env.sweep", "--yes")
        assert ended.code == 0, ended.errors
        left = {each["id"] for each in client.get("/nodebalancers?page_size=500")["data"]}
        # One is in the state of another stack, and one bears the label of another environment than its tags.
        assert {label for label, identity in made.items() if identity in left} == {"xstray-a-chat", "xother-a-api"}
        assert (
            f"stray: deleted NodeBalancer xstray-a-api ({made['xstray-a-api']}), which no state knew\n" in ended.errors
        )
    finally:
        for label in ("xstray-a-chat", "xother-a-api"):
            client.delete(f"/nodebalancers/{made[label]}")


def test_one_that_can_not_be_ended_stops_no_other_and_alarms(checkout: Checkout, hosts: RealClouds) -> None:
    checkout.make_real("test")
    checkout.reach(hosts, "test")
    checkout.use_idle_engine(
        **{"config_env-stuck": checkout.standing["config_test"]},
        stack_ls=(0, '[{"name": "env-stuck"}]'),
        destroy=(4, ""),
    )
    client = linode_api4.LinodeClient(hosts.tokens.linode_platform, base_url=hosts.sandbox.linode_url)
    made = {}
    for name in ("stuck", "quick"):
        tags = [f"stack:env-{name}", f"owner:{name}", f"ends:{LONG_AGO}"]
        labelled = {"label": f"x{name}-a-api", "region": "us-central", "tags": tags}
        made[name] = client.post("/nodebalancers", data=labelled)["id"]
    try:
        ended = checkout.run("env.sweep", "--yes", "--alarm")
        assert ended.code == 1
        left = {each["id"] for each in client.get("/nodebalancers?page_size=500")["data"]}
        assert {name: identity in left for name, identity in made.items()} == {"stuck": True, "quick": False}
        told = "".join(path.read_text() for path in (checkout.root / ".alarms").rglob("*.json"))
        assert "stuck: this test environment is over its time, and could not be ended" in told
        assert "quick" not in told
    finally:
        client.delete(f"/nodebalancers/{made['stuck']}")
