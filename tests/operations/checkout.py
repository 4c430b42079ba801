"""A scratch checkout in which the tasks run as people start them, with an engine that notes how it is called."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components import settings
from components.settings import Stack
from operations import engine, sandbox, throwaway
from sandbox import data, process
from tests.configuration import ROOT, change_platform, change_stack, copy_of_the_committed_files
from tests.operations.real_clouds import ZONE, RealClouds
from tests.programs import put_python

LINKED = ("components", "examples", "operations", "policies", "sandbox", "toolchain")
COPIED = ("Pulumi.yaml", "__main__.py", "tasks.py")
TOKENS = process.Tokens("platform", "copies", "cloudflare", "control", "a" * 32, {ZONE: "b" * 32})
LOGIN = "ssh-ed25519 AAAA operations@sandbox"
RELEASED = "registry.chat-tonic.com/{}@sha256:" + "1" * 64

NO_CHANGES = '{"summaryEvent": {"result": "succeeded"}}\n'
NO_STATE = '{"version": 3, "deployment": {}}'

# Notes its call, then becomes the real engine; or, where there is none, answers from a file.
NOTING_ENGINE = """\
import json, os, sys
if sys.argv[1:] == ["version"]:
    print("v3.255.0")
    sys.exit()
with open({calls!r}, "a") as calls:
    calls.write(json.dumps({{"arguments": sys.argv[1:], "environment": dict(os.environ)}}) + "\\n")
if {real!r}:
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
with open({answers!r}) as file:
    answers = json.load(file)
names = ("_".join(sys.argv[1:3]), sys.argv[1] + "_" + sys.argv[-1], sys.argv[1])
if "--event-log" in sys.argv:
    with open(sys.argv[sys.argv.index("--event-log") + 1], "w") as log:
        log.write(answers["events"]["output"])
answer = next((answers[name] for name in names if name in answers), {{"code": 0, "output": ""}})
print(answer["output"])
sys.exit(answer["code"])
"""


@dataclass(frozen=True)
class Ended:
    """How a task ended."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Call:
    """One call of the engine."""

    arguments: list[str]
    environment: Mapping[str, str]


class Checkout:
    """A copy of the project's files in a folder of its own.

    `environment` is what tasks run with there; `standing` is what every idle engine answers; `pack` are the
    engine's arguments that put a run under the policy pack.
    """

    before: dict[str, str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = copy_of_the_committed_files(folder / "checkout")
        for name in COPIED:
            shutil.copy(ROOT / name, self.root)
        for name in LINKED:
            (self.root / name).symlink_to(ROOT / name)
        self.standing: dict[str, tuple[int, str]] = {}
        self.pack = ["--policy-pack", str(self.root / "policies" / "pack")]
        (folder / "home").mkdir()
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        self.environment = {**ours, "HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "cache")}

    def command(self, *arguments: str) -> list[str]:
        """Return what `./inv` starts for the arguments."""
        return [sys.executable, "-m", "toolchain", *arguments]

    def run(self, *arguments: str) -> Ended:
        """Run a task without a terminal, and wait for its end."""
        ended = subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str, output: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
        """Start a task without a terminal, in a process group of its own; what it says goes to `output`, all of it."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def use_real_engine(self) -> None:
        """Have the tasks find the real engine, which notes its calls."""
        found = engine.ensure(lambda _: None)
        self._put_engine(str(found.pulumi))
        self.environment["PATH"] = os.pathsep.join([str(self.folder / "bin"), found.environment["PATH"]])

    def use_idle_engine(self, **answers: tuple[int, str]) -> None:
        """Have the tasks find an engine that does nothing: exit code and output by its command.

        That is its first two arguments, its first and the stack, or its first. It has no state unless it is told so.
        The output of `events` is its log of them: one of a plan without a change, unless it is told so.
        """
        standing = {"stack_output": (0, "{}"), "stack_export": (0, NO_STATE), "events": (0, NO_CHANGES)}
        answers = {**standing, **self.standing, **answers}
        (self.folder / "answers").write_text(
            json.dumps({name: {"code": code, "output": output} for name, (code, output) in answers.items()})
        )
        self._put_engine("")
        (self.folder / "bin" / "pulumi-language-python").touch(mode=0o755)
        self.environment["PATH"] = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])

    def calls(self) -> list[Call]:
        """Return how the engine was called so far."""
        noted = self.folder / "calls"
        lines = noted.read_text().splitlines(keepends=True) if noted.exists() else []
        # While a task runs, the last one may be half written.
        return [Call(**json.loads(line)) for line in lines if line.endswith("\n")]

    def make_real(self, stack: str) -> None:
        """Give a stack what a real run needs: no placeholders, every input, a passphrase, a shared backend."""
        change_platform(
            self.root,
            {
                "registry.host": "registry.chat-tonic.com",
                **{f"roles.{role}.image": RELEASED.format(role) for role in self._load(stack).roles},
            },
        )
        changes: dict[str, Any] = {"admin_sources": ["8.8.8.0/24"]}
        if self._load(stack).zone:
            changes |= {
                "zone": ZONE,
                "alarms": {"board": "board@chat-tonic.com", "on_call": "call@chat-tonic.com"},
            }
        change_stack(self.root, stack, changes)
        path = self.root / settings.stack_file(stack)
        content = yaml.safe_load(path.read_text())
        loaded = self._load(stack)
        required = {each.key: each for each in settings.required_inputs(loaded)}
        for key, value in throwaway.renew(loaded, TOKENS, required, {}, login=LOGIN).items():
            content["config"][key] = {"secure": "v1:made-up"} if required[key].secret else value
        path.write_text(yaml.safe_dump(content))
        self.environment |= {"PULUMI_CONFIG_PASSPHRASE": "made up", "PULUMI_BACKEND_URL": "s3://chat-tonic-state"}

    def reach(self, clouds: RealClouds, *stacks: str) -> None:
        """Lead real runs to hosts on the loopback, those of some stacks with the tokens that these take."""
        self.environment |= clouds.environment
        for stack in stacks:
            required = [each.key for each in settings.required_inputs(self._load(stack))]
            self.standing[f"config_{stack}"] = (0, clouds.configuration(required))
        self.use_idle_engine()

    def _load(self, stack: str) -> Stack:
        return settings.load(self.root, stack)

    def _put_engine(self, real: str) -> None:
        put_python(
            self.folder / "bin" / "pulumi",
            NOTING_ENGINE.format(calls=str(self.folder / "calls"), answers=str(self.folder / "answers"), real=real),
        )


def sandboxed(folder: Path) -> Iterator[Checkout]:
    """Yield a checkout whose tasks run the real engine, and stop its sandbox afterwards."""
    checkout = Checkout(folder)
    checkout.use_real_engine()
    yield checkout
    data.remove(checkout.root / sandbox.FOLDER)
    process.stop(checkout.root / sandbox.FOLDER)
