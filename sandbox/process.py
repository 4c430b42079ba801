"""Starting, finding and stopping the sandbox's process. Light to import: tasks do.

A folder holds one sandbox: `sandbox.sqlite` (the model), `sandbox.json` (throwaway tokens and the zones),
`sandbox.lock` (held by the process while it runs; says its id and ports) and `sandbox.log`.
"""

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from sandbox import ids, locks

LOCK = "sandbox.lock"
PLATFORM, COPIES = "platform", "copies"  # the two Linode accounts
CLOUDFLARE = ids.hexadecimal("account", "cloudflare")
READY_WITHIN = 180.0  # seconds; it needs one, but on a first start Python may have to compile the SDKs
STOPS_WITHIN = 20.0  # seconds


class SandboxError(Exception):
    """The sandbox can't be started, stopped or reset; the text says why and what to do."""


@dataclass(frozen=True)
class Follower:
    """A process that follows the sandbox's model: its module, its name for people, and its lock's and log's files."""

    module: str
    name: str
    lock: str
    log: str


MACHINES = Follower("sandbox.machines", "machines", "machines.lock", "machines.log")
DATA = Follower("sandbox.data", "databases and buckets", "data.lock", "data.log")
FRONT = Follower("sandbox.front", "front", "front.lock", "front.log")
FOLLOWERS = (FRONT, MACHINES, DATA)


@dataclass(frozen=True)
class Running:
    """A sandbox that listens on these ports of 127.0.0.1."""

    pid: int
    linode_port: int
    cloudflare_port: int
    api_port: int
    file: Path
    zones: tuple[str, ...]
    latency: float

    @property
    def providers(self) -> str:
        """What PULUMI_DEBUG_PROVIDERS must be for the engine to come here."""
        return f"linode:{self.linode_port},cloudflare:{self.cloudflare_port}"

    @property
    def linode_url(self) -> str:
        """The base URL for Linode's official clients. Its plugin adds the version itself: LINODE_URL ends before it."""
        return f"http://127.0.0.1:{self.api_port}/v4"

    @property
    def cloudflare_url(self) -> str:
        """What CLOUDFLARE_BASE_URL must be for the official plugin and clients to come here."""
        return f"http://127.0.0.1:{self.api_port}/client/v4"

    @property
    def control_url(self) -> str:
        """Where the sandbox itself is told what to do: its clock, faults, conditions and tokens."""
        return f"http://127.0.0.1:{self.api_port}/sandbox"


@dataclass(frozen=True)
class Tokens:
    """The tokens that a sandbox takes, and the ids by which its Cloudflare account and zones are known."""

    linode_platform: str
    linode_copies: str
    cloudflare: str
    control: str
    cloudflare_account_id: str
    zone_ids: Mapping[str, str]


@dataclass(frozen=True)
class Settings:
    """What is kept in `sandbox.json`: the tokens, made once, and the zones that the Cloudflare account has."""

    linode_platform: str
    linode_copies: str
    cloudflare: str
    control: str
    zones: tuple[str, ...]


def file_of(folder: Path) -> Path:
    """The model's file."""
    return folder / "sandbox.sqlite"


def start(folder: Path, zones: Sequence[str] = (), latency: float = 0.0) -> Running:
    """Starts the folder's sandbox, unless it runs already, and returns once it listens.

    `zones` are added to those it has; `latency` scales the clouds' own times (0: none). One that runs without one of
    the zones, or with another latency, is started again; its objects stay. Raises SandboxError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = _extend(folder, zones)
    found = status(folder)
    if found and (found.zones != settings.zones or found.latency != latency):
        stop(folder)
    elif found:
        return found
    with locks.open_private(folder / "sandbox.log", os.O_APPEND) as log:
        began = log.tell()
        process = spawn("sandbox", [str(folder.resolve()), "--latency", str(latency)], log)
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until:
        found = status(folder)
        if found:
            return found
        if process.poll() is not None and not locks.is_held(
            folder / LOCK
        ):  # where another is just starting, that one is it
            said = (folder / "sandbox.log").read_bytes()[began:].decode(errors="replace").strip()
            raise SandboxError(said or f"the sandbox ended at once with code {process.returncode}")
        time.sleep(0.02)
    process.kill()
    raise SandboxError(f"the sandbox does not listen after {READY_WITHIN:.0f} s: see {folder / 'sandbox.log'}")


def spawn(module: str, arguments: Sequence[str], log: IO[Any]) -> "subprocess.Popen[bytes]":
    """Starts a module as a process that outlives this one, and writes to a log."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def status(folder: Path) -> Running | None:
    """The folder's sandbox, if it runs and listens."""
    known = locks.holder(folder / LOCK)
    return Running(**{**known, "file": file_of(folder), "zones": tuple(known["zones"])}) if known else None


def stop(folder: Path) -> None:
    """Stops the folder's sandbox, if it runs: what it has under way is finished first. Its followers go before it.

    Raises SandboxError.
    """
    for follower in FOLLOWERS:
        stop_follower(folder, follower)
    _end(folder / LOCK, "the sandbox")


def stop_follower(folder: Path, follower: Follower) -> None:
    """Stops a follower of the folder's sandbox, if it runs. Raises SandboxError."""
    _end(folder / follower.lock, f"what runs its {follower.name}")


def reset(folder: Path) -> None:
    """Stops the folder's sandbox and deletes its file, so that the next begins empty; its tokens stay.

    Raises SandboxError.
    """
    stop(folder)
    with hold(folder):
        for part in ("", "-wal", "-shm", ".new"):
            Path(f"{file_of(folder)}{part}").unlink(missing_ok=True)


def tokens(folder: Path) -> Tokens:
    """The tokens of the folder's sandbox, made now if there are none yet."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = settings(folder)
    return Tokens(
        linode_platform=known.linode_platform,
        linode_copies=known.linode_copies,
        cloudflare=known.cloudflare,
        control=known.control,
        cloudflare_account_id=CLOUDFLARE,
        zone_ids={zone: zone_id(zone) for zone in known.zones},
    )


def zone_id(zone: str) -> str:
    """The id that a zone has in every sandbox."""
    return ids.hexadecimal("cloudflare.zone", CLOUDFLARE, zone, "0")


def settings(folder: Path) -> Settings:
    """The folder's settings; made, with new tokens, where there are none. Raises SandboxError."""
    file = folder / "sandbox.json"
    if not file.exists():
        first, second, third, fourth = (secrets.token_hex(32) for _ in range(4))
        made = Settings(first, second, third, fourth, zones=())
        _write(file, asdict(made), into=os.link)
    try:
        known = json.loads(file.read_text())
        return Settings(**{**known, "zones": tuple(known["zones"])})
    except (ValueError, KeyError, TypeError) as error:
        raise SandboxError(f"{file} is damaged ({error}); reset the sandbox, and it makes new tokens") from None


def hold(folder: Path) -> IO[str]:
    """The folder's lock, open and held until it is closed. Raises SandboxError where a sandbox runs."""
    lock = locks.hold(folder / LOCK)
    if lock is None:
        raise SandboxError(f"a sandbox runs in {folder} already and has its file open; stop it first")
    return lock


def announce(lock: IO[str], running: Running) -> None:
    """Writes into the held lock who holds it and where it listens."""
    known = {name: value for name, value in asdict(running).items() if name != "file"}
    locks.announce(lock, known)


def _end(lock: Path, name: str) -> None:
    left = locks.end(lock, STOPS_WITHIN)
    if left:
        raise SandboxError(f"{name} (process {left}) does not stop; end it by hand: kill -9 {left}")


def _extend(folder: Path, zones: Sequence[str]) -> Settings:
    known = settings(folder)
    wanted = tuple(dict.fromkeys((*known.zones, *zones)))
    if wanted != known.zones:
        _write(folder / "sandbox.json", {**asdict(known), "zones": wanted})
    return settings(folder)


def _write(file: Path, content: Any, into: Callable[[Path, Path], None] = os.replace) -> None:
    write_private(file, json.dumps(content), into)


def write_private(file: Path, text: str, into: Callable[[Path, Path], None] = os.replace) -> None:
    """Writes a file that only its owner reads, whole at once; with `os.link` into place, the first to come stays."""
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    with locks.open_private(unfinished, os.O_TRUNC) as opened:
        opened.write(text)
    with suppress(FileExistsError):
        into(unfinished, file)
    unfinished.unlink(missing_ok=True)
