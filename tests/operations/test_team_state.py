"""A team's state in a bucket: two people, each with a home and a checkout, and one S3 server between them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

import pytest

from operations import engine
from tests import s3
from tests.configuration import change_platform, change_stack
from tests.operations import real_clouds
from tests.operations.checkout import RELEASED, Checkout
from tests.programs import put_python

BUCKET = "chat-tonic-state"
ROLES = ("api", "chat", "customer-service", "web-chat")

# Leads real runs of the real engine to the sandbox's engine door, as the hosts on the loopback lead the clients.
LED_ENGINE = """\
import os, sys
os.environ.update({{"PULUMI_DEBUG_PROVIDERS": {providers!r}, "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}})
os.execv({real!r}, [{real!r}, *sys.argv[1:]])
"""


@dataclass(frozen=True)
class Team:
    """Two people's checkouts, and the bucket that they share."""

    one: Checkout
    other: Checkout
    bucket: Path

    def locks(self) -> list[Path]:
        """Return the locks in the bucket."""
        return list((self.bucket / ".pulumi" / "locks" / "organization" / "chat-tonic" / "test").glob("*.json"))

    def checkpoint(self) -> str:
        """Return the stack's state as it is in the bucket."""
        return (self.bucket / ".pulumi" / "stacks" / "chat-tonic" / "test.json").read_text()

    def settled(self) -> str:
        """Return the same once all that a stopped engine had sent has arrived: when it stays so for half a second."""
        while True:
            before = self.checkpoint()
            time.sleep(0.5)
            if before and before == self.checkpoint():
                return before


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    with s3.served(folder / "s3", BUCKET) as server, real_clouds.served(folder / "hosts") as clouds:
        one, other = (_person(folder / name, clouds, server) for name in ("one", "other"))
        change_platform(one.root, {"registry.host": "registry.chat-tonic.com"})
        change_platform(one.root, {f"roles.{role}.image": RELEASED.format(role) for role in ROLES})
        change_stack(one.root, "test", {"admin_sources": ["8.8.8.0/24"]})
        given = {
            "PULUMI_BACKEND_URL": server.backend(BUCKET),
            "LINODE_TOKEN": clouds.tokens.linode_platform,
            "CHAT_TONIC_AUTHORIZED_KEYS": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJrJ8s0h5gJ6vF1mC2m7bJcQ8fGk3X",
            "CHAT_TONIC_REGISTRY_PASSWORD": "made-up",
        }
        before, one.environment = one.environment, {**one.environment, **given}
        ended = one.run("setup", "test")
        assert ended.code == 0, ended.output + ended.errors
        one.environment = before
        for name in ("Pulumi.yaml", "Pulumi.test.yaml", "platform.yaml"):  # as the repository brings them
            shutil.copy(one.root / name, other.root)
        yield Team(one, other, server.folder / BUCKET)


def _person(folder: Path, clouds: real_clouds.RealClouds, server: s3.Server) -> Checkout:
    folder.mkdir()
    made = Checkout(folder)
    found = engine.ensure(lambda _: None)
    put_python(
        folder / "bin" / "pulumi",
        LED_ENGINE.format(providers=clouds.sandbox.providers, real=str(found.pulumi)),
    )
    made.environment |= {
        **clouds.environment,
        **server.environment,
        "PULUMI_CONFIG_PASSPHRASE": "shared",
        "PATH": os.pathsep.join([str(folder / "bin"), found.environment["PATH"]]),
    }
    return made


def wait_until(what: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 120
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def test_who_comes_second_is_told_who_holds_the_lock_and_goes_on_after_a_kill(team: Team) -> None:
    with team.one.start("up", "test", "--yes", output=subprocess.PIPE) as first:
        wait_until(lambda: team.locks() and '"linode:index/instance:Instance"' in team.checkpoint(), first)
        [path] = team.locks()
        lock = json.loads(path.read_text())
        os.kill(lock["pid"], signal.SIGSTOP)
        try:
            before = team.settled()
            second = team.other.run("up", "test", "--yes")
        finally:
            os.kill(lock["pid"], signal.SIGKILL)
    assert first.returncode == 1
    who = f"{getuser()}@{socket.gethostname()} (pid {lock['pid']}) since {lock['timestamp'][:19]}"
    assert second.code == 1
    assert f"test: it is locked by {who}" in second.errors
    assert "wait for its end. Where nothing of it runs any more, `pulumi cancel --stack test` takes" in second.errors
    assert "`./inv up test` goes on from there." in second.errors
    assert (team.locks(), team.checkpoint()) == ([path], before)

    second = team.other.run("up", "test", "--yes")
    assert second.code == 1
    assert who in second.errors
    assert "which was killed on this host; `pulumi cancel --stack test` takes the lock away (s3://" in second.errors
    assert (team.locks(), team.checkpoint()) == ([path], before)

    cancelled = subprocess.run(
        ["pulumi", "cancel", "--stack", "test", "--yes", "--non-interactive"],
        cwd=team.other.root,
        env=team.other.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert cancelled.returncode == 0, cancelled.stderr
    second = team.other.run("up", "test", "--yes")
    assert second.code == 0, second.output + second.errors
    assert team.locks() == []


def test_what_one_has_changed_the_other_sees(team: Team) -> None:
    ended = team.one.run("preview", "test", "--expect-no-changes")
    assert ended.code == 0, ended.output + ended.errors
