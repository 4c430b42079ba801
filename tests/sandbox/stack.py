"""A Pulumi project of its own, run by the real engine on a sandbox."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from sandbox import process
from tests.sandbox.bodies import ZONE, certificate
from toolchain.engine import Engine

ROOT = Path(__file__).parents[2]


class Stack:
    """The stack `dev` of the program `every_kind.py`, in a folder of its own.

    `overrides` changes the inputs of a resource by its name; None leaves a resource out.
    """

    def __init__(self, home: Path, box: Path, engine: Engine) -> None:
        self.home = home
        self.box = box
        self.overrides: dict[str, dict[str, Any] | None] = {}
        self._engine = engine
        known = process.tokens(box)
        public, private = certificate()
        config = {
            "linode:token": known.linode_platform,
            "cloudflare:apiToken": known.cloudflare,
            "every-kind:copiesToken": known.linode_copies,
            "every-kind:account": known.cloudflare_account_id,
            "every-kind:zone": known.zone_ids[ZONE],
            "every-kind:certificate": public,
            "every-kind:key": private,
        }
        (home / "state").mkdir(parents=True)
        backend = {"url": (home / "state").as_uri()}
        project = {
            "name": "every-kind",
            "runtime": "python",
            "backend": backend,
            "main": str(ROOT / "tests" / "sandbox"),
        }
        (home / "Pulumi.json").write_text(json.dumps(project))
        (home / "Pulumi.dev.json").write_text(json.dumps({"config": config}))
        self.run("stack", "init", "dev")

    def run(self, *arguments: str) -> str:
        """Runs `pulumi`; what it printed, or a failed test that shows it."""
        done = self.attempt(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs `pulumi`, whatever comes of it."""
        with self.begin(*arguments) as running:
            output, errors = running.communicate(timeout=120)
        return subprocess.CompletedProcess(running.args, running.returncode, output, errors)

    def begin(self, *arguments: str, latency: float = 0.0) -> "subprocess.Popen[str]":
        """Begins to run `pulumi` against a sandbox of that latency."""
        (self.home / "overrides.json").write_text(json.dumps(self.overrides))
        running = process.start(self.box, [ZONE], latency)
        environment = {
            **os.environ,
            **self._engine.environment,
            "PULUMI_HOME": str(self.home / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "only for this test",
            "PULUMI_DEBUG_PROVIDERS": running.providers,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PYTHONPATH": str(ROOT),
            "OVERRIDES": str(self.home / "overrides.json"),
        }
        command = [str(self._engine.pulumi), *arguments, "--non-interactive", "--cwd", str(self.home)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)

    def up(self) -> None:
        """Makes the clouds as the program says."""
        self.run("up", "--yes", "--skip-preview", "--stack", "dev")

    def plan(self, *options: str) -> dict[str, str]:
        """What a preview would do: by a resource's name, `create`, `update`, `replace` or `delete`."""
        said = json.loads(self.run("preview", "--json", "--stack", "dev", *options))
        whole = ("create", "update", "delete", "replace")
        return {
            step["urn"].rpartition("::")[2]: step["op"]
            for step in said["steps"]
            if step["op"] in whole and "pulumi:" not in step["urn"].split("::")[2]
        }

    def resources(self, stack: str = "dev") -> dict[str, dict[str, Any]]:
        """The resources in the state, by name, the providers and the stack left out."""
        exported = json.loads(self.run("stack", "export", "--stack", stack))["deployment"].get("resources", [])
        return {
            resource["urn"].rpartition("::")[2]: resource
            for resource in exported
            if not resource["type"].startswith("pulumi:")
        }
