"""A checkout of its own for a test: the real program and engine on a sandbox that nobody else uses."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import settings
from operations import engine, sandbox
from operations.project import Project
from sandbox import process, store
from sandbox.cloudflare import STANDING
from sandbox.engine import cloudflare, linode
from tests.configuration import REMOVED, ROOT, change_platform, change_stack, copy_of_the_committed_files

KINDS = {resource.token: resource.kind for resource in (*linode.RESOURCES, *cloudflare.RESOURCES)}
ACCESS = "linode:index/databaseAccessControls:DatabaseAccessControls"


@dataclass(frozen=True)
class Run:
    """What an engine's run ended with: its exit code, and its events, decoded."""

    code: int
    events: list[dict[str, Any]]
    said: str

    def steps(self) -> Counter[str]:
        """Return how often each operation was carried out on a resource that is no component."""
        return Counter(
            event["resOutputsEvent"]["metadata"]["op"]
            for event in self.events
            if "resOutputsEvent" in event and event["resOutputsEvent"]["metadata"].get("provider")
        )


class Checkout:
    """One stack of a scratch checkout on its own sandbox."""

    def __init__(self, root: Path, stack: str) -> None:
        self.root, self.stack = root, stack
        self.folder = root / sandbox.FOLDER

    def project(self) -> Project:
        """Start the sandbox, if it does not run, and return where the engine runs."""
        loaded = settings.load(self.root, self.stack)
        return sandbox.project(self.root, self.stack, loaded, engine.ensure(lambda _: None), lambda _: None)

    def up(self, *arguments: str) -> Run:
        """Bring the stack up, without asking."""
        return self.run("up", "--yes", "--skip-preview", *arguments)

    def preview(self, *arguments: str) -> Run:
        """Show what would change; exit code 7 where anything would."""
        return self.run("preview", "--expect-no-changes", *arguments)

    def destroy(self) -> Run:
        """Unprotect, and destroy."""
        self.run("state", "unprotect", "--all", "--yes", events=False)
        return self.run("destroy", "--yes", "--skip-preview")

    def run(self, *arguments: str, events: bool = True) -> Run:
        """Run the engine to its end."""
        lines = list(self.follow(*arguments, events=events))
        return Run(
            self.code,
            [json.loads(line) for line in lines if line.startswith("{")],
            "".join(line for line in lines if not line.startswith("{")),
        )

    def follow(self, *arguments: str, events: bool = True) -> Iterator[str]:
        """Run the engine, line by line of what it prints; `code` has its exit code afterwards."""
        project = self.project()
        with subprocess.Popen(
            [project.pulumi, *arguments, "--stack", self.stack, "--non-interactive", *(["--json"] if events else [])],
            cwd=project.folder,
            # Without it a preview prints one JSON document at its end; `up` always prints event after event.
            env={**project.environment, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"},
            umask=engine.PRIVATE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            yield from running.stdout or ()
            self.code = running.wait()

    def resources(self) -> list[dict[str, Any]]:
        """Return the state's resources that are neither components nor providers."""
        exported = json.loads(engine.ask(self.project(), "stack", "export"))
        return [each for each in exported["deployment"].get("resources") or [] if each["type"] in KINDS]

    def objects(self) -> set[tuple[str, str]]:
        """Return kind and id of every object that the clouds hold, but for settings."""
        return {
            (each.kind, each.id) for each in store.objects(process.file_of(self.folder)) if each.kind not in STANDING
        }

    def events(self, after: int = 0) -> list[store.Event]:
        """Return the clouds' log."""
        return store.events(process.file_of(self.folder), after)

    def assert_objects_are_resources(self) -> None:
        """Assert that the clouds hold exactly what the state knows, nothing twice."""
        known = [(KINDS[each["type"]], each["id"]) for each in self.resources() if each["type"] != ACCESS]
        known = [each for each in known if each[0] not in STANDING]
        assert Counter(known) == Counter(self.objects())

    def snapshot(self) -> Path:
        """Stop the sandbox and keep the whole folder aside, to come back to."""
        process.stop(self.folder)
        aside = self.root / "snapshot"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(self.folder, aside)
        return aside

    def restore(self, aside: Path) -> None:
        """Come back to a snapshot; the sandbox does not run afterwards."""
        process.stop(self.folder)
        shutil.rmtree(self.folder)
        shutil.copytree(aside, self.folder)


def make(folder: Path, stack: str) -> Checkout:
    """Make a scratch checkout of the committed files: its program and its configuration are its own."""
    root = copy_of_the_committed_files(folder)
    for name in ("__main__.py", "Pulumi.yaml"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "components", root / "components", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "policies").symlink_to(ROOT / "policies")
    return Checkout(root, stack)


def make_small(folder: Path) -> Checkout:
    """Make a checkout whose stack is small and holds every kind of resource that the program declares."""
    checkout = make(folder, "us-central")
    change_platform(
        checkout.root,
        {
            f"environments.{environment}.groups.{role}": REMOVED
            for environment in ("production", "bot-testing")
            for role in ("chat", "customer-service", "web-chat")
        },
    )
    change_stack(checkout.root, "us-central", {"environments.production.groups.api.count": 1})
    return checkout
