"""The Pulumi engine, and the four ways to it, tried in this order.

1. `pulumi` on the PATH, if it is at least the pinned version and brings its Python language host;
2. the one installed here before;
3. the official release;
4. where that can't be downloaded, a build of the same engine from Go modules.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import cache, gobuild, progress

VERSION = "3.255.0"
"""The engine that is installed, and the oldest that is used: the newest known to build from Go modules."""

HOST = "pulumi-language-python"
"""The program through which the engine runs Python."""

PATIENCE = 10.0
"""Seconds without anything arriving after which the official release is given up."""


class EngineError(Exception):
    """No engine could be had; `str()` says why each way failed, and what to do."""


@dataclass(frozen=True)
class Engine:
    """The program `pulumi`, and the variables to add to the environment it runs in."""

    pulumi: Path
    environment: Mapping[str, str]


class _UnavailableError(Exception):
    """One of the ways leads to no engine here; `str()` says why."""


def ensure(say: cache.Say) -> Engine:
    """Return the engine, downloaded or built on first use; `say` is told of the progress.

    Raises EngineError.
    """
    reasons = []
    for title, way in WAYS.items():
        try:
            return _engine(way(say))
        except (_UnavailableError, progress.CommandError, OSError) as error:
            reasons.append("  " + f"{title}: {error}".replace("\n", "\n    "))
    raise EngineError(
        f"no Pulumi engine {VERSION} or newer could be had. Tried, in this order:\n"
        + "\n".join(reasons)
        + f"\nPut Pulumi {VERSION} or newer on the PATH (www.pulumi.com/docs/install), or mend what the last"
        " two ways name; then run this again."
    )


_NO_PROXY = ("no_proxy", "NO_PROXY")

PARALLEL = "16"
"""Operations at once, unless PULUMI_PARALLEL says otherwise. They wait for the clouds, not for processors; the
engine's default of four a core lets a region's servers queue for one another on a small machine."""


def _engine(pulumi: Path) -> Engine:
    # The environment's programs come first: the language host runs the `python3` that it finds on the PATH.
    path = [str(Path(sys.prefix, "bin")), str(pulumi.parent), os.environ.get("PATH", os.defpath)]
    # Engine, program and providers talk over the loopback, which no proxy must get (pulumi/pulumi#2651).
    direct = {name: ",".join(filter(None, [os.environ.get(name), "localhost,127.0.0.1"])) for name in _NO_PROXY}
    return Engine(
        pulumi,
        {
            "PATH": os.pathsep.join(path),
            "PULUMI_PARALLEL": os.environ.get("PULUMI_PARALLEL", PARALLEL),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            **direct,
        },
    )


def _on_path(_: cache.Say) -> Path:
    found = shutil.which("pulumi")
    if not found:
        raise _UnavailableError("not there")
    pulumi = Path(found).absolute()
    version = _version(pulumi)
    pinned = _numbers(VERSION)
    if not pinned <= _numbers(version) < (pinned[0] + 1,):
        raise _UnavailableError(f"{pulumi} is version {version or 'unknown'}")
    if not (pulumi.resolve().with_name(HOST).exists() or shutil.which(HOST)):
        raise _UnavailableError(f"{pulumi} has no {HOST} beside it or on the PATH")
    return pulumi


def _version(pulumi: Path) -> str:
    """Return what `pulumi` says its version is, empty if it can't; remembered, as asking takes 0.2 s."""
    status = pulumi.stat()
    asked = [str(pulumi), status.st_mtime_ns, status.st_size]
    memory = cache.folder("pulumi") / "on-path.json"
    try:
        remembered = json.loads(memory.read_text())
    except (FileNotFoundError, ValueError):
        remembered = {}
    if remembered.get("asked") == asked:
        return str(remembered["version"])
    answer = subprocess.run(
        [pulumi, "version"],
        env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    version = answer.stdout.strip().removeprefix("v")
    # In one rename: a process that reads meanwhile finds a whole file.
    draft = memory.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({"asked": asked, "version": version}))
    draft.rename(memory)
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _home() -> Path:
    return cache.folder("pulumi") / VERSION


def _installed(_: cache.Say) -> Path:
    if not _home().exists():
        raise _UnavailableError(f"nothing in {_home()}")
    return _home() / "bin" / "pulumi"


def _released(say: cache.Say) -> Path:
    def download(work: Path) -> None:
        # The installer's own temporary files go where they can be measured, and are removed whatever happens.
        temporary = work / "download"
        temporary.mkdir()
        progress.Command(
            f"downloading the Pulumi engine {VERSION}",
            [sys.executable, "-P", Path(__file__).with_name("release.py"), work, VERSION],
            measure=lambda _: f"{_size(work) / 1e6:.2f} MB",
            patience=PATIENCE,
            environment={"TMPDIR": str(temporary)},
            folder=temporary,
        ).run(say)
        shutil.rmtree(temporary)

    return cache.install(_home(), download, say) / "bin" / "pulumi"


def _size(folder: Path) -> int:
    """Return the bytes in `folder`; a file that goes away meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def _built(say: cache.Say) -> Path:
    def build(work: Path) -> None:
        programs = work / "bin"
        stamp = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
        with gobuild.go(say) as go:
            say("building the Pulumi engine takes about five minutes on two cores, once")
            go.build("engine", programs, say, f"-s -w {stamp}")
            # The language host is an older version's, about the last that the SDK's Go module carries. The
            # script that it starts programs with has to fit the Python SDK, so that is the engine's.
            go.build("python-host", programs, say)
            script = programs / f"{HOST}-exec"
            source = go.source("engine", "github.com/pulumi/pulumi/sdk/v3")  # which may go with this Go
            shutil.copyfile(source / "python" / "cmd" / script.name, script)
            script.chmod(0o755)

    return cache.install(_home(), build, say) / "bin" / "pulumi"


WAYS: Mapping[str, Callable[[cache.Say], Path]] = {
    "pulumi on the PATH": _on_path,
    "installed before": _installed,
    "the official release": _released,
    "a build from Go modules": _built,
}
