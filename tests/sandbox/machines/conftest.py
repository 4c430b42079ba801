"""Servers of a role in a running sandbox, and the machines that play them."""

import base64
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from components import user_data
from sandbox import locks, machines, process
from sandbox.machines import Endpoint
from tests.components.user_data.conftest import ssh_key
from tests.sandbox import bodies
from tests.sandbox.api.box import LINODE, Box

IMAGE = "registry.chat-tonic.example/api@sha256:" + "1" * 64
CADDY = "docker.io/library/caddy:2.11.2-alpine@sha256:" + "2" * 64
REGION = "us-central"


class Fleet:
    """A sandbox with servers, as the model has them; `play` has machines run for them."""

    def __init__(self, folder: Path) -> None:
        self.box = Box(folder)
        self.folder = folder
        self.host_key, self.known = ssh_key()
        self.instances: dict[str, dict[str, Any]] = {}
        self.balancers: dict[str, dict[str, Any]] = {}

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = self.box.ask(LINODE, method, path, **({"json": body} if body is not None else {}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def add(self, label: str, region: str = REGION, **changes: Any) -> dict[str, Any]:
        """A server of the role `api`, born as the platform's are."""
        certificate, key = bodies.certificate()
        given = {
            "hostname": label,
            "host_key": self.host_key,
            "authorized_keys": (machines.login(self.folder),),
            "ssh_sources": ("203.0.113.0/24",),
            "reboot_window": "Mon *-*-* 07:20:00 UTC",
            "role": "api",
            "environment": "production",
            "image": IMAGE,
            "port": 8080,
            "health_path": "/healthz",
            "caddy_image": CADDY,
            "host_names": (),
            "origin_certificate": certificate,
            "origin_key": key,
            "client_ca": certificate,
            "registry": user_data.Registry("registry.chat-tonic.example", "deploy", "the registry's password"),
            "settings": {"SECRET": "a secret setting"},
        }
        text = user_data.render(user_data.RoleServer(**{**given, **changes}))
        metadata = {"user_data": base64.b64encode(text.encode()).decode()}
        body = bodies.instance(label=label, region=region, metadata=metadata)
        self.instances[label] = made = self.ask("POST", "/linode/instances", body)
        return dict(made)

    def remove(self, label: str) -> None:
        self.ask("DELETE", f"/linode/instances/{self.instances.pop(label)['id']}")

    def play(self) -> machines.Machines:
        return machines.start(self.folder, print)

    def ssh_of(self, label: str) -> Endpoint:
        found = machines.status(self.folder)
        assert found
        return found.ssh[self.instances[label]["ipv4"][0]]

    def root(self, label: str) -> Path:
        return self.folder / machines.FOLDER / label / "root"

    def process(self, name: str) -> int:
        """The process of a machine, or another of the same host; 0 where there is none."""
        host = locks.holder(self.folder / process.MACHINES.lock)
        children = Path(f"/proc/{host['pid']}/task/{host['pid']}/children").read_text() if host else ""
        named = {Path(f"/proc/{each}/comm").read_text().strip(): int(each) for each in children.split()}
        return named.get(name, 0)

    def log_in(
        self, label: str, *command: str, script: str = "", key: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What a command, given a script to read, does on a machine: with OpenSSH's own client and the pinned key."""
        return subprocess.run(
            self._client(label, key, command), input=script, capture_output=True, text=True, timeout=60, check=False
        )

    @contextmanager
    def session(self, label: str, command: str) -> Iterator[subprocess.Popen[str]]:
        """A session in which a command runs: it has begun, and is there until it ends."""
        client = self._client(label, None, [f"echo begun; {command}"])
        with subprocess.Popen(client, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
            try:
                assert session.stdout
                assert session.stdout.readline() == "begun\n"
                yield session
            finally:
                session.kill()

    def _client(self, label: str, key: Path | None, command: Sequence[str]) -> list[str]:
        at = self.ssh_of(label)
        known = self.folder / "known_hosts"
        known.write_text(f"[{at.host}]:{at.port} {self.known}\n")
        options = (
            "StrictHostKeyChecking=yes",
            f'UserKnownHostsFile="{known}"',
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "LogLevel=ERROR",
        )
        return [
            *("ssh", "-F", "none", "-p", str(at.port), "-i", str(key or self.folder / machines.KEY)),
            *(word for option in options for word in ("-o", option)),
            *(f"{at.user}@{at.host}", *command),
        ]

    def run(self, label: str, script: str) -> subprocess.CompletedProcess[str]:
        """What a script of operations does on a machine."""
        return self.log_in(label, "sudo sh -s", script=script)

    def says(self, label: str, script: str) -> str:
        """What a script that succeeds prints."""
        ended = self.run(label, script)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.strip()

    def close(self) -> None:
        self.box.stop()


@pytest.fixture(scope="module")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A sandbox with nothing in it."""
    made = Fleet(tmp_path_factory.mktemp("fleet") / "box")
    yield made
    made.close()
