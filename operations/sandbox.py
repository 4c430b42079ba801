"""Runs on the sandbox: they live in `.sandbox/` and leave tracked files and the real state as they are.

The folder holds the local clouds' file, a Pulumi.yaml whose program is the checkout's (`main: ../`), a state
backend, a passphrase, generated stack files with throwaway secrets, and a PULUMI_HOME a stack (runs that
share one corrupt its workspace file, pulumi/pulumi#7738). Only its owner can read it.

A state is known as the sandbox's in two ways, so that no real run works on it: by a file beside it from the
first moment, and by the stack's output `sandbox`, which stays with it wherever it is brought.
"""

import dataclasses
import datetime as dt
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from components import settings
from components.settings import Stack
from operations import credentials, edits, engine, throwaway
from operations.errors import Failed
from operations.project import Apis, Project, read_project_file, without_real
from sandbox import data as holding
from sandbox import front as edge
from sandbox import machines as playing
from sandbox import process
from sandbox.following import Control, GoneError
from toolchain import cache, progress
from toolchain.engine import Engine

FOLDER = ".sandbox"
BACKEND = "backend"
PASSPHRASE = "passphrase"  # noqa: S105 - the name of its file
MARK = "this-is-a-sandbox"
_NO_DATA = "Its databases and buckets are not real; ./inv sandbox.start --data makes them so."
_NO_FRONT = "Nobody answers its public names; ./inv sandbox.start --front has them answered."
_NO_MACHINES = "No machines play its servers; ./inv sandbox.start --machines starts them."
FLAG = f"{settings.PROJECT}:sandbox"


def start(root: Path) -> process.Running:
    """Start the local clouds of a checkout with the zones of all its stacks; one that runs keeps its latency.

    Raises:
        Failed: they don't start.
    """
    folder = root / FOLDER
    found = process.status(folder)
    with _reported():
        return process.start(folder, sorted(_zones(root)), found.latency if found else 0.0)


def machines(root: Path, say: Callable[[str], None]) -> playing.Machines:
    """Start the machines that play a checkout's servers, unless they run, and return where they are.

    Raises:
        Failed: they don't start.
    """
    with _reported():
        return playing.start(root / FOLDER, say)


def data(root: Path, say: Callable[[str], None]) -> holding.Data:
    """Start what plays a checkout's databases and buckets, unless it runs, and return where all that is up now is.

    Raises:
        Failed: they don't start.
    """
    with _reported():
        return holding.start(root / FOLDER, say)


def front(root: Path, say: Callable[[str], None]) -> edge.Front:
    """Start what plays Cloudflare's edge, and the machines behind it, unless they run, and return where it listens.

    Raises:
        Failed: they don't start.
    """
    with _reported():
        return edge.start(root / FOLDER, say)


def stop(root: Path) -> None:
    """Stop the local clouds and what plays parts of them, if they run; what they hold stays.

    Raises:
        Failed: they don't stop.
    """
    with _reported():
        process.stop(root / FOLDER)


def reset(root: Path) -> None:
    """Stop the local clouds and remove the whole folder: a state without its clouds means nothing.

    Raises:
        Failed: they don't stop.
    """
    stop(root)
    with _reported():
        holding.remove(root / FOLDER)
    if (root / FOLDER).exists():
        try:
            shutil.rmtree(root / FOLDER)
        except OSError as error:  # a run is on, and writes into it
            raise Failed(f"{root / FOLDER} can't be removed whole ({error}); end what uses it, then repeat") from None


def status(root: Path) -> process.Running | None:
    """Return the running local clouds, or None."""
    return process.status(root / FOLDER)


def now(root: Path) -> dt.datetime:
    """Return what time it is in the local clouds, whose clock can be moved.

    Raises:
        Failed: they don't run.
    """
    try:
        said = Control(root / FOLDER).ask("/clock")
    except GoneError:
        said = None
    if said is None:
        raise Failed("the sandbox does not say what time it is; ./inv sandbox.start starts it")
    return dt.datetime.fromisoformat(said["now"])


def report(running: process.Running | None) -> dict[str, Any]:
    """Return a status for programs."""
    if running is None:
        return {"running": False}
    played = playing.status(running.file.parent)
    told = {**dataclasses.asdict(played), "key": str(played.key)} if played else None
    held = holding.status(running.file.parent)
    answering = edge.status(running.file.parent)
    return {
        "running": True,
        **dataclasses.asdict(running),
        "file": str(running.file),
        "machines": told,
        "data": dataclasses.asdict(held) if held else None,
        "front": {**dataclasses.asdict(answering), "log": str(answering.log)} if answering else None,
    }


def describe(running: process.Running | None) -> str:
    """Return a status for people."""
    if running is None:
        return "The sandbox does not run; ./inv sandbox.start starts it."
    played = playing.status(running.file.parent)
    told = f"Machines play {len(played.ssh)} servers and {len(played.balancers)} balancers." if played else _NO_MACHINES
    held = holding.status(running.file.parent)
    real = f"Real are {len(held.databases)} databases and {len(held.buckets)} buckets." if held else _NO_DATA
    answering = edge.status(running.file.parent)
    public = f"{len(answering.names)} public names are answered at {answering.url}." if answering else _NO_FRONT
    return f"The sandbox runs: {running.providers} (process {running.pid}), {running.file}\n{told}\n{real}\n{public}"


def has_stack(root: Path, name: str) -> bool:
    """Whether a sandbox run of the stack was ever prepared here."""
    return _stack_file(root, name).exists()


def project(root: Path, name: str, stack: Stack, found: Engine, say: Callable[[str], None]) -> Project:
    """Start the local clouds and return a stack's project on them, made or brought up to date.

    The stack's differences are copied afresh from its tracked file; secrets are made once.

    Raises:
        Failed: the clouds don't start, or the engine refuses.
    """
    project_file = _yaml(_project_file(root))
    running = start(root)
    folder = (root / FOLDER).resolve()  # a work tree's is a link to the checkout's that it is of
    home = folder / "home" / name
    prepared = Project(
        root,
        folder,
        name,
        found.pulumi,
        {
            **without_real(os.environ),
            **found.environment,
            "PULUMI_HOME": str(home),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / PASSPHRASE),
            "PULUMI_DEBUG_PROVIDERS": running.providers,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        },
        sandbox=True,
        state=folder / BACKEND,
        apis=Apis(running.linode_url, running.cloudflare_url),
    )
    with cache.held(folder, say):  # another stack's run may be preparing at this moment
        for each in (folder / BACKEND, home.parent, home):
            each.mkdir(mode=0o700, exist_ok=True)
        edits.write_private(
            folder / BACKEND / MARK, "The state of runs with --sandbox. A run for real refuses to use it.\n"
        )
        edits.write_private(folder / "Pulumi.yaml", project_file)
        if not (folder / PASSPHRASE).exists():
            edits.write_private(folder / PASSPHRASE, secrets.token_urlsafe(32))
        _configure(prepared, stack)
    return prepared


def is_sandbox_backend(url: str, relative_to: Path) -> bool:
    """Whether a backend's URL names the state of a sandbox."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return False
    path = Path(unquote(parts.netloc + parts.path)).expanduser()
    return (relative_to / path / MARK).exists()


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except (process.SandboxError, progress.CommandError) as error:
        raise Failed(str(error)) from None


def _zones(root: Path) -> set[str]:
    zones = set()
    for name in settings.stack_names(root):
        try:
            zones.add(settings.load(root, name).zone)
        except settings.ConfigurationError:
            continue  # it is reported when that stack is asked for
    return {zone for zone in zones if zone}


def _project_file(root: Path) -> dict[str, Any]:
    return {
        **read_project_file(root),
        "main": os.path.relpath(root.resolve(), (root / FOLDER).resolve()),
        "runtime": {"name": "python", "options": {"virtualenv": sys.prefix}},
        "backend": {"url": ((root / FOLDER).resolve() / BACKEND).as_uri()},
    }


def _stack_file(root: Path, name: str) -> Path:
    return root / FOLDER / settings.stack_file(name)


def _configure(prepared: Project, stack: Stack) -> None:
    """Bring the generated stack file up to date: the tracked differences and the required inputs.

    The differences of a test environment are nowhere else: they stay as they were written there.
    """
    path = prepared.stack_file
    before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    required = {each.key: each for each in settings.required_inputs(stack)}
    kept = {key: value for key, value in before.get("config", {}).items() if key in required}
    if stack.standby:
        kept[credentials.PULL_CA] = _pull_ca(dataclasses.replace(prepared, stack=stack.standby.of))
    tokens, login = process.tokens(prepared.folder), playing.login(prepared.folder)
    fresh = throwaway.renew(stack, tokens, required, kept, login=login)
    plain = {key: value for key, value in fresh.items() if not required[key].secret}
    is_tracked = not prepared.stack.startswith(settings.TEST_ENVIRONMENT)
    said = yaml.safe_load((prepared.root / path.name).read_text(encoding="utf-8")) if is_tracked else before
    config = {FLAG: "true", settings.STACK_KEY: said["config"][settings.STACK_KEY], **kept, **plain}
    edits.write_private(path, _yaml({**before, "config": config}))
    # Where the engine's file backend keeps a state (pkg/v3/backend/diy).
    if not (prepared.folder / BACKEND / ".pulumi" / "stacks" / settings.PROJECT / f"{prepared.stack}.json").exists():
        engine.ask(prepared, "stack", "init", "--no-select")
    for key, value in fresh.items():
        if required[key].secret:
            engine.ask(prepared, "config", "set", "--secret", "--raw", key, text=value)


def _pull_ca(primary: Project) -> str:
    """Return the authority of the certificate that the front presents, also to the servers of its standby."""
    if not primary.stack_file.exists():
        _configure(primary, settings.load(primary.root, primary.stack))
    return str(yaml.safe_load(primary.stack_file.read_text(encoding="utf-8"))["config"][credentials.PULL_CA])


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False)
