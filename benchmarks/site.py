"""A scratch checkout with a sandbox of its own, in which programs take turns at one stack."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measuring import Memory, Run
from components import document, settings
from operations import engine, sandbox, stacks
from operations.console import say
from operations.errors import Failed
from operations.project import Apis, Project
from sandbox import process

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(__file__).parent / "programs"
STACK = "us-central"
OURS = "ours"


@dataclass(frozen=True)
class Site:
    """The checkout in `root`, prepared for the stack; `kept` holds its sandbox as it was before any run."""

    root: Path
    kept: Path
    project: Project

    def run(self, program: str, *arguments: str) -> Run:
        """Run the engine for a program, the checkout's own or one of `benchmarks/programs`, and measure it.

        Raises:
            Failed: with what the engine said.
        """
        self.install(program)
        command = [str(self.project.pulumi), *arguments, "--stack", self.project.stack, "--non-interactive"]
        with tempfile.TemporaryFile("w+") as said:
            began = time.perf_counter()
            with (
                subprocess.Popen(
                    command, cwd=self.project.folder, env=self.project.environment, stdout=said, stderr=said
                ) as running,
                Memory(running.pid) as memory,
            ):
                try:
                    running.wait()
                except BaseException:  # whoever stops us means the engine too
                    running.terminate()
                    raise
                seconds = time.perf_counter() - began
            if running.returncode:
                said.seek(0)
                raise Failed(f"{program}: `pulumi {' '.join(arguments)}` failed:\n{said.read()}")
        return Run(seconds, memory.engine, memory.program)

    def preview(self, program: str) -> Run:
        """Run a preview of a program."""
        return self.run(program, "preview")

    def up(self, program: str) -> Run:
        """Run an update with a program, without a preview before it."""
        return self.run(program, "up", "--yes", "--skip-preview")

    def state(self) -> list[dict[str, Any]]:
        """Return the resources of the stack's state, each after those that it waits for."""
        exported = json.loads(engine.ask(self.project, "stack", "export"))
        return list(exported["deployment"]["resources"])

    def install(self, program: str) -> Path:
        """Make a program the checkout's own, and return its file."""
        source = ROOT / "__main__.py" if program == OURS else PROGRAMS / f"{program}.py"
        return Path(shutil.copy(source, self.root / "__main__.py"))

    def fresh(self, latency: float = 0.0) -> "Site":
        """Return the site with clouds and state as they were before any run."""
        sandbox.stop(self.root)
        shutil.rmtree(self.root / sandbox.FOLDER)
        shutil.copytree(self.kept, self.root / sandbox.FOLDER)
        running = process.start(self.root / sandbox.FOLDER, latency=latency)
        environment = {**self.project.environment, "PULUMI_DEBUG_PROVIDERS": running.providers}
        apis = Apis(running.linode_url, running.cloudflare_url)
        return replace(self, project=replace(self.project, environment=environment, apis=apis))


@contextmanager
def prepared(servers: int | None = None) -> Iterator[Site]:
    """Prepare a checkout whose stack has that many servers behind balancers (None: as many as committed).

    They are spread evenly over the groups of all its environments. Everything is removed at the end.
    """
    with tempfile.TemporaryDirectory(prefix="chat-tonic-bench-") as folder:
        root, kept = Path(folder, "checkout"), Path(folder, "kept")
        root.mkdir()
        for path in (ROOT / "platform.yaml", ROOT / "Pulumi.yaml", *ROOT.glob("Pulumi.*.yaml")):
            shutil.copy(path, root)
        for package in ("components", "benchmarks"):
            (root / package).symlink_to(ROOT / package)
        if servers is not None:
            _resize(root / settings.stack_file(STACK), servers)
        try:
            project = sandbox.project(root, STACK, stacks.select(root, STACK)[STACK], engine.ensure(say), say)
            sandbox.stop(root)
            shutil.copytree(root / sandbox.FOLDER, kept)
            yield Site(root, kept, project).fresh()
        finally:
            sandbox.stop(root)


def _resize(file: Path, servers: int) -> None:
    content = document.read(file)
    environments = content["config"][settings.STACK_KEY]["environments"]
    platform = document.read(file.with_name(settings.PLATFORM_FILE))["environments"]
    groups = [(environment, role) for environment in environments for role in platform[environment]["groups"]]
    for position, (environment, role) in enumerate(groups):
        count = servers // len(groups) + (position < servers % len(groups))
        environments[environment].setdefault("groups", {}).setdefault(role, {})["count"] = count
    content["config"][settings.STACK_KEY]["reboots"] = {"hours": 24, "every": 10}  # a window for each of that many
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
