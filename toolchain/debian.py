"""Debian's own tools, for checking and playing what servers get: from the system, else unpacked into the cache.

Nothing is installed and root is not needed: apt, told to keep its state in a folder of ours, works out which
packages are missing on this machine and downloads them; dpkg-deb unpacks them. Debian 12 and Ubuntu 24.04.
"""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain import cache, progress

PACKAGES = {
    "cloud-init": "cloud-init",
    "curl": "curl",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "libnss_wrapper.so": "libnss-wrapper",
    "nft": "nftables",
    "sshd": "openssh-server",
    "systemd-analyze": "systemd",
    "unattended-upgrade": "unattended-upgrades",
}
"""The package of each program, and of a library that is loaded by its name."""

_PATIENCE = 120.0


@dataclass(frozen=True)
class Tools:
    """The programs of PACKAGES: found on the PATH of `environment`, which is added to a process's own.

    Only these programs run in it: it leads Python to Debian's modules, and the linker to their libraries.
    """

    roots: tuple[Path, ...]
    environment: dict[str, str]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, for a minute at most; its output is text, its standard input empty."""
        return subprocess.run(
            arguments,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def file(self, path: str) -> Path:
        """Return where the packages' file `path` is, given from / or, as packages differ, from /usr.

        Raises FileNotFoundError.
        """
        for candidate in (root / under / path for root in self.roots for under in ("", "usr")):
            if candidate.exists():
                return candidate
        raise FileNotFoundError(f"/{path}: none of {', '.join(PACKAGES.values())} brings it")

    def path(self, name: str) -> Path:
        """Return where a program or library of PACKAGES is. Raises FileNotFoundError for one not asked for."""
        found = _find(name, self.environment["PATH"], self.roots)
        if not found:
            raise FileNotFoundError(f"{name} is not among the tools that were asked for")
        return found


def ensure(say: cache.Say, names: Collection[str] | None = None) -> Tools:
    """Return the tools of these names, or all; what the system lacks is downloaded on first use (some seconds, 10 MB).

    Raises progress.CommandError, also where there is no apt.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    wanted = PACKAGES if names is None else names
    missing = sorted(name for name in wanted if not _find(name, path, [Path("/")]))
    if not missing:
        return Tools((Path("/"),), {"PATH": path})

    def check(root: Path) -> None:
        for program in missing:
            if not _find(program, _environment(path, root)["PATH"], [root]):
                raise progress.CommandError(f"{program}: apt takes {PACKAGES[program]} for installed; reinstall it")

    return _cached(missing, [PACKAGES[program] for program in missing], check, path, say)


def package(name: str, say: cache.Say) -> Tools:
    """Return what a package brings, with all that it needs and the system lacks, downloaded on first use.

    Raises progress.CommandError, also where there is no apt, or no such package in this release.
    """
    return _cached([name], [name], lambda _: None, os.environ.get("PATH", os.defpath), say)


def _cached(
    names: Sequence[str], packages: Sequence[str], check: Callable[[Path], None], path: str, say: cache.Say
) -> Tools:
    """Return `packages`, unpacked into the cache under `names` where they are not yet, and found well by `check`."""
    system = "-".join(platform.freedesktop_os_release().get(key, "") for key in ("ID", "VERSION_ID"))

    def build(work: Path) -> None:
        _unpack(packages, work, say)
        check(work)

    root = cache.install(cache.folder("debian") / "-".join([system, platform.machine(), *names]), build, say)
    return Tools((Path("/"), root), _environment(path, root))


def _unpack(packages: Sequence[str], root: Path, say: cache.Say) -> None:
    """Unpack `packages`, and all that they need and the system lacks, into the folder `root`."""
    with tempfile.TemporaryDirectory() as folder:
        lists, archives = Path(folder, "state", "lists"), Path(folder, "cache", "archives")
        for each in (lists, archives):
            each.joinpath("partial").mkdir(parents=True)
        apt = [
            "apt-get",
            "--quiet",
            f"--option=Dir::State={lists.parent}",
            "--option=Dir::State::status=/var/lib/dpkg/status",
            f"--option=Dir::Cache={archives.parent}",
            "--option=Debug::NoLocking=true",
            "--option=APT::Sandbox::User=root",
            "--option=Acquire::Languages=none",
            "--option=Acquire::Retries=3",
        ]
        try:
            _apt("reading Debian's package lists", [*apt, "update"], say)
        except progress.CommandError as error:
            # The list that failed may be one we don't need: what is missing shows in the next step.
            say(str(error))
        _apt(
            f"downloading {', '.join(packages)} and what they need",
            [*apt, "--yes", "--download-only", "--no-install-recommends", "install", *packages],
            say,
        )
        for archive in sorted(archives.glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)


def _apt(title: str, arguments: Sequence[str], say: cache.Say) -> None:
    def measure(lines: Sequence[str]) -> str:
        return f"{sum(line.startswith('Get:') for line in lines)} files"

    progress.Command(title, arguments, measure, _PATIENCE, {"LC_ALL": "C"}).run(say)


def _find(name: str, path: str, roots: Iterable[Path]) -> Path | None:
    """Return the program or library of that name: the one on a PATH, the other below one of the roots."""
    if name.endswith(".so"):
        return next((lib / name for root in roots for lib in _libraries(root) if (lib / name).exists()), None)
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def _libraries(root: Path) -> list[Path]:
    return [folder for pattern in ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*") for folder in sorted(root.glob(pattern))]


def _environment(path: str, root: Path) -> dict[str, str]:
    programs = [root / each for each in ("usr/sbin", "usr/bin", "sbin", "bin")]
    libraries = _libraries(root)
    libraries += [folder / private for folder in libraries for private in ("systemd", "pulseaudio")]
    return {
        "PATH": os.pathsep.join([path, *map(str, programs)]),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "PYTHONPATH": str(root / "usr/lib/python3/dist-packages"),
    }
