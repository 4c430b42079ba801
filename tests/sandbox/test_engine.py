"""The whole life of every kind, by the real engine: made, unchanged, changed, replaced, drifted, imported, gone."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import cloudflare, linode, process, store
from sandbox.cloudflare import load_balancing
from sandbox.engine import cloudflare as cloudflare_door
from sandbox.engine import linode as linode_door
from sandbox.linode import instances
from sandbox.model import Body, Model
from sandbox.store import Store
from tests.sandbox.bodies import certificate
from tests.sandbox.conftest import kill
from tests.sandbox.stack import Stack
from toolchain.engine import Engine

TABLES = {resource.token: resource for resource in (*linode_door.RESOURCES, *cloudflare_door.RESOURCES)}

ACCESS = "linode:index/databaseAccessControls:DatabaseAccessControls"

# One change of every kind that is made in place ...
UPDATES: dict[str, dict[str, Any]] = {
    "group": {"label": "api-b"},
    "server": {"type": "g6-standard-2", "tags": ["role-api"]},
    "firewall": {"tags": ["web"], "disabled": True},
    "balancer": {"client_conn_throttle": 5},
    "listener": {"check_attempts": 5, "algorithm": "leastconn"},
    "node": {"mode": "drain", "weight": 1},
    "database": {"cluster_size": 3},
    "access": {"allow_lists": ["192.0.2.0/24"]},
    "bucket": {"versioning": True},
    "writer": {"label": "copies-writer-2"},
    "monitor": {"interval": 120},
    "pool": {"minimum_origins": 0, "check_regions": ["WNAM"]},
    "load-balancer": {"session_affinity": "cookie", "session_affinity_ttl": 3600},
    "record": {"comment": "bots", "proxied": False, "ttl": 300},
    "health": {"interval": 120, "suspended": True},
    "policy": {"enabled": False, "description": "off"},
    "ssl": {"value": "full"},
    "pulls": {"enabled": False},
}
# ... and one that makes another object; what depends on its id follows.
REPLACEMENTS: dict[str, dict[str, Any]] = {
    "group": {"label": "api-c", "region": "us-ord"},
    "server": {"image": "linode/debian13", "region": "us-ord"},
    "balancer": {"region": "us-ord"},
    "database": {"region": "us-ord"},
    "bucket": {"label": "copies-us-2"},
    "record": {"type": "AAAA", "content": "2001:db8::1"},
}


class Life:
    """A sandbox of its own with a stack on it."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.box = folder / "box"
        self.running = process.start(self.box, ["chat-tonic-us.example"])
        self.stack = Stack(folder / "project", self.box, engine)

    def objects(self) -> dict[str, Body]:
        """What the clouds hold beside the zone and its settings, by kind and id."""
        held = store.objects(process.file_of(self.box))
        return {f"{each.kind}/{each.id}": each.body for each in held if each.kind not in cloudflare.STANDING}

    def known(self) -> set[str]:
        """The same of what the state knows; an allow list is no object of its own."""
        found = [(TABLES[each["type"]], each["id"]) for each in self.stack.resources().values()]
        aside = {token for token, each in TABLES.items() if each.kind in cloudflare.STANDING} | {ACCESS}
        return {f"{each.kind}/{identity}" for each, identity in found if each.token not in aside}

    def behind_the_programs_back(self) -> Model:
        """The model while the sandbox does not run."""
        process.stop(self.box)
        return Model(Store(process.file_of(self.box)), (*linode.KINDS, *cloudflare.KINDS))


@pytest.fixture
def life(tmp_path: Path, engine: Engine) -> Iterator[Life]:
    made = Life(tmp_path, engine)
    yield made
    process.stop(made.box)


def test_every_kind_lives_its_whole_life(life: Life) -> None:
    stack = life.stack
    assert set(stack.plan().values()) == {"create"}
    assert life.objects() == {}

    stack.up()
    assert {resource["type"] for resource in stack.resources().values()} == set(TABLES)
    assert stack.plan() == {}

    kill(life.running)
    assert stack.plan("--refresh") == {}

    stack.overrides = {**UPDATES}
    assert stack.plan() == dict.fromkeys(UPDATES, "update")
    before = {name: resource["id"] for name, resource in stack.resources().items()}
    stack.up()
    assert {name: resource["id"] for name, resource in stack.resources().items()} == before
    assert stack.plan("--refresh") == {}

    stack.overrides = {**REPLACEMENTS}
    planned = stack.plan()
    followed = {"device": "replace", "listener": "replace", "node": "replace", "access": "replace", "writer": "replace"}
    assert {name: op for name, op in planned.items() if op == "replace"} == dict.fromkeys(
        REPLACEMENTS, "replace"
    ) | followed
    stack.up()
    assert stack.plan("--refresh") == {}

    stack.run("destroy", "--yes", "--skip-preview", "--stack", "dev")
    assert life.objects() == {}
    assert stack.resources() == {}


def test_what_was_changed_and_deleted_behind_the_programs_back_is_found_and_mended(life: Life) -> None:
    stack = life.stack
    stack.up()
    ids = {name: resource["id"] for name, resource in stack.resources().items()}
    model = life.behind_the_programs_back()
    model.update(process.PLATFORM, instances.NAME, ids["server"], {"type": "g6-standard-4"})
    model.update(process.CLOUDFLARE, load_balancing.POOL, ids["pool"], {"minimum_origins": 0, "enabled": False})
    model.delete(process.PLATFORM, "linode.node_balancer_node", ids["node"])
    model.delete(process.CLOUDFLARE, "cloudflare.health_check", ids["health"])
    assert stack.plan() == {}  # without a refresh nobody asks the cloud
    drifted = {"server": "update", "node": "create", "health": "create"}
    assert stack.plan("--refresh") == drifted
    stack.run("up", "--yes", "--skip-preview", "--refresh", "--stack", "dev")
    assert stack.plan("--refresh") == {}
    assert life.objects()[f"{instances.NAME}/{ids['server']}"]["type"] == "g6-standard-1"


def test_what_exists_is_imported_by_the_plugins_own_ids_and_then_unchanged(life: Life) -> None:
    stack = life.stack
    stack.up()
    stack.run("refresh", "--yes", "--skip-preview", "--stack", "dev")  # now it knows its firewalls' devices, too
    own = stack.resources()
    stack.run("stack", "init", "adopted")
    (stack.home / "Pulumi.adopted.json").write_text((stack.home / "Pulumi.dev.json").read_text())
    wanted = [
        {"name": name, "type": resource["type"], "id": _import_id(resource)}
        for name, resource in own.items()
        if name not in ("bucket", "writer")  # of the other account; and keys can't be imported at all
    ]
    (stack.home / "imports.json").write_text(json.dumps({"resources": wanted}))
    options = ("--yes", "--file", "imports.json", "--generate-code=false", "--protect=false", "--stack", "adopted")
    stack.run("import", *options)
    adopted = stack.resources("adopted")
    assert {name: resource["id"] for name, resource in adopted.items()} == {
        name: resource["id"] for name, resource in own.items() if name in adopted
    }
    for name, resource in adopted.items():
        assert _comparable(resource) == _comparable(own[name]), name


def _import_id(resource: dict[str, Any]) -> str:
    described = TABLES[resource["type"]]
    above = [str(resource["outputs"][name]) for name in described.above]
    return described.separator.join((*above, resource["id"]))


def _comparable(resource: dict[str, Any]) -> dict[str, Any]:
    """The outputs that an import can know: not what is only written, and not what is encrypted."""
    kept = ("rootPass", "metadatas", "privateKey", "caCert", "rootPassword", "rootUsername", "sslCert", "sslKey")
    aside = (*kept, "stackscriptData", "migrationType", "resizeDisk", "allowLists", "updated")
    return {name: value for name, value in resource["outputs"].items() if name not in aside}


def test_no_secret_is_in_the_state_in_clear_or_printed(life: Life) -> None:
    printed = life.stack.run("up", "--yes", "--skip-preview", "--diff", "--stack", "dev")
    exported = life.stack.run("stack", "export", "--stack", "dev")
    made = json.loads(life.stack.run("stack", "output", "--json", "--show-secrets", "--stack", "dev"))
    secrets = ("correct horse battery", "I2Nsb3VkLWNvbmZpZwo=", certificate()[1].splitlines()[1], made["password"])
    for secret in secrets:
        assert secret not in printed
        assert secret not in exported


def test_an_interrupted_update_knows_what_it_made_and_the_next_one_goes_on(life: Life) -> None:
    stack = life.stack
    with stack.begin("up", "--yes", "--skip-preview", "--stack", "dev", latency=0.1) as running:
        while not any("instance" in name for name in life.objects()):  # it takes 6 s to boot
            assert running.poll() is None
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode != 0
    assert life.known() == set(life.objects())
    assert any(name.startswith(f"{instances.NAME}/") for name in life.known())
    stack.up()
    assert stack.plan("--refresh") == {}


def test_a_refusal_of_the_cloud_ends_the_update_with_the_apis_words(life: Life) -> None:
    life.stack.overrides = {"balancer": {"region": "no-osl-1"}}
    done = life.stack.attempt("up", "--yes", "--skip-preview", "--stack", "dev")
    assert done.returncode != 0
    said = "Error creating a Linode NodeBalancer: [400] [region] The region no-osl-1 does not offer NodeBalancers"
    assert said in done.stdout + done.stderr


def test_a_mistyped_property_ends_the_preview_with_its_name(life: Life) -> None:
    life.stack.overrides = {"listener": {"port": 0}}
    done = life.stack.attempt("preview", "--stack", "dev")
    assert done.returncode != 0
    assert "Attribute port value must be between 1 and 65535, got: 0. Examine values at 'listener.port'." in done.stdout
