"""A machine's Debian packages: a table of what is installed, and one archive from which all machines are upgraded."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.machines.commands import Command, Ended, parted, unknown

ARCHIVE = "archive.json"
INSTALLED = "packages.json"
KERNEL = "linux-image-amd64"
_STATUS = "install ok installed"
_TAKES = 0.05  # seconds that apt is at work on a package, here

BORN_WITH = {
    "curl": "7.88.1-10+deb12u12",
    "libc6": "2.36-9+deb12u10",
    "libssl3": "3.0.16-1~deb12u1",
    KERNEL: "6.1.137-1",
    "nftables": "1.0.6-2+deb12u2",
    "openssh-server": "1:9.2p1-2+deb12u6",
    "openssl": "3.0.16-1~deb12u1",
    "podman": "4.3.1+ds1-8+deb12u1",
    "sudo": "1.9.13p3-1+deb12u1",
    "systemd": "252.36-1~deb12u1",
    "unattended-upgrades": "2.9.1+nmu3",
}
"""What every machine has at birth, with its version."""


def publish(archive: Path, package: str, version: str, *, reboot: bool) -> None:
    """Puts a version of a package into the archive; `reboot`: one that counts only after a reboot."""
    known = _read(archive, {})
    known[package] = {"version": version, "reboot": reboot}
    _write(archive, known)


class Packages:
    """The packages of the machine in a folder, whose `/` is `root`."""

    def __init__(self, folder: Path, root: Path, archive: Path) -> None:
        self._file = folder / INSTALLED
        self._root = root
        self._archive = archive
        self._one_at_a_time = asyncio.Lock()
        if not self._file.exists():
            self._put(BORN_WITH)

    @property
    def kernel(self) -> str:
        """The release of the kernel that the next boot starts."""
        version = self._known["installed"][KERNEL]
        return f"{version.partition('-')[0]}-amd64"

    @property
    def _known(self) -> dict[str, Any]:
        return _read(self._file, {})

    @property
    def commands(self) -> Mapping[str, Command]:
        """The programs with which packages are looked at and upgraded."""
        return {
            "apt": self._apt,
            "apt-cache": self._policy,
            "apt-get": self._apt_get,
            "dpkg": _dpkg,
            "dpkg-query": self._query,
        }

    async def _apt_get(self, arguments: Sequence[str]) -> Ended:
        options, words = parted(arguments, valued=("-o", "-t", "-c"))
        verb, *names = words or [""]
        async with self._one_at_a_time:
            if verb == "update":
                known = self._known
                _write(self._file, {**known, "lists": _read(self._archive, {})})
                return Ended(output="Reading package lists...\n")
            if verb in ("upgrade", "dist-upgrade", "full-upgrade") and not names:
                # A new kernel is a new package, which a mere upgrade does not bring.
                held = {KERNEL} if verb == "upgrade" and "--with-new-pkgs" not in options else set()
                wanted = [name for name in self._upgradable() if name not in held]
                return await self._install(wanted, simulated=_simulates(options))
            if verb == "install" and "--only-upgrade" in options:
                return await self._upgrade(names, simulated=_simulates(options))
            if verb in ("clean", "autoclean", "autoremove"):
                return Ended()
        return unknown("apt-get", arguments)

    async def _upgrade(self, names: Sequence[str], *, simulated: bool) -> Ended:
        known = self._known
        wanted, said = [], []
        for each in names:
            name, _, version = each.partition("=")
            if name not in known["installed"] and name not in known["lists"]:
                return Ended(100, errors=f"E: Unable to locate package {name}\n")
            if version and version not in (self._candidate(name), known["installed"].get(name)):
                return Ended(100, errors=f"E: Version '{version}' for '{name}' was not found\n")
            if name not in known["installed"]:
                said.append(f"Skipping {name}, it is not installed and only upgrades are requested.\n")
            elif name not in self._upgradable():
                said.append(f"{name} is already the newest version ({known['installed'][name]}).\n")
            else:
                wanted.append(name)
        done = await self._install(wanted, simulated=simulated)
        return Ended(done.code, "".join(said) + done.output, done.errors)

    async def _install(self, names: Iterable[str], *, simulated: bool) -> Ended:
        lines = []
        for name in names:
            known = self._known
            before, found = known["installed"][name], known["lists"][name]
            if simulated:
                lines.append(
                    f"Inst {name} [{before}] ({found['version']} Debian-Security:12/stable-security [amd64])\n"
                )
                continue
            await asyncio.sleep(_TAKES)
            self._put({**known["installed"], name: found["version"]})
            lines.append(f"Setting up {name} ({found['version']}) ...\n")
            if found["reboot"]:
                (self._root / "run/reboot-required").write_text("*** System restart required ***\n")
                with (self._root / "run/reboot-required.pkgs").open("a") as listed:
                    listed.write(f"{name}\n")
        count = f"{0 if simulated else len(lines)} upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"
        return Ended(output="".join(lines) + count)

    async def _apt(self, arguments: Sequence[str]) -> Ended:
        options, words = parted(arguments)
        if words != ["list"] or "--upgradable" not in options:
            return unknown("apt", arguments)
        installed = self._known["installed"]
        lines = (
            f"{name}/stable-security {self._candidate(name)} amd64 [upgradable from: {installed[name]}]\n"
            for name in self._upgradable()
        )
        return Ended(output="Listing...\n" + "".join(lines))

    async def _policy(self, arguments: Sequence[str]) -> Ended:
        verb, *names = arguments or [""]
        if verb != "policy":
            return unknown("apt-cache", arguments)
        known = self._known
        there = {**dict.fromkeys(known["lists"], "(none)"), **known["installed"]}
        shown = [(name, there[name], self._candidate(name)) for name in names if name in there]
        lines = [f"{name}:\n  Installed: {here}\n  Candidate: {newest}\n" for name, here, newest in shown]
        return Ended(output="".join(lines))

    async def _query(self, arguments: Sequence[str]) -> Ended:
        options, names = parted(arguments, valued=("-f",))
        form = options.get("-f", options.get("--showformat", "${binary:Package}\\t${Version}\\n"))
        if "-W" not in options and "--show" not in options:
            return unknown("dpkg-query", arguments)
        installed = self._known["installed"]
        missing = [name for name in names if name not in installed]
        shown = [_shown(form, name, installed[name]) for name in names or sorted(installed) if name in installed]
        errors = "".join(f"dpkg-query: no packages found matching {name}\n" for name in missing)
        return Ended(1 if missing else 0, "".join(shown), errors)

    def _put(self, installed: Mapping[str, str]) -> None:
        """Writes what is installed: also where dpkg does, as the time of that file tells when it last was changed."""
        lists = self._known["lists"] if self._file.exists() else {}
        _write(self._file, {"installed": installed, "lists": lists})
        status = self._root / "var/lib/dpkg/status"
        status.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        paragraphs = (f"Package: {name}\nStatus: {_STATUS}\nVersion: {each}\n" for name, each in installed.items())
        status.write_text("\n".join(paragraphs))

    def _candidate(self, name: str) -> str:
        known = self._known
        newest = known["lists"].get(name)
        return str(newest["version"] if newest else known["installed"].get(name, "(none)"))

    def _upgradable(self) -> list[str]:
        known = self._known
        return [
            name
            for name, found in sorted(known["lists"].items())
            if known["installed"].get(name, found["version"]) != found["version"]
        ]


async def _dpkg(arguments: Sequence[str]) -> Ended:
    # How versions compare is dpkg's own matter; it is asked for nothing else, since it would tell of this machine.
    if len(arguments) != 4 or arguments[0] != "--compare-versions":  # noqa: PLR2004
        return unknown("dpkg", arguments)
    return Ended(subprocess.run(["dpkg", *arguments], check=False).returncode)


def _simulates(options: Mapping[str, str]) -> bool:
    return not options.keys().isdisjoint(("-s", "--simulate", "--dry-run", "--just-print"))


def _shown(form: str, name: str, version: str) -> str:
    fields = {
        "Package": name,
        "binary:Package": name,
        "Version": version,
        "Architecture": "amd64",
        "Status": _STATUS,
        "db:Status-Abbrev": "ii ",
        "db:Status-Status": "installed",
    }
    filled = re.sub(r"\$\{([^};]+)(?:;-?\d+)?\}", lambda found: fields.get(found[1], ""), form)
    return filled.replace("\\n", "\n").replace("\\t", "\t")


def _read(file: Path, default: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        return default


def _write(file: Path, content: Mapping[str, Any]) -> None:
    draft = file.with_name(f".{file.name}")
    draft.write_text(json.dumps(content, indent=1))
    draft.replace(file)
