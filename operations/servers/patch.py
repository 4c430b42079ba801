"""Upgrading Debian's packages on servers, for an urgent vulnerability, and rebooting where that takes it."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from operations.servers.remote import Remote, ScriptError, Unreachable
from operations.servers.rolling import Work

AUTO, ALWAYS, NEVER = "auto", "always", "never"
REBOOTS = (AUTO, ALWAYS, NEVER)
# apt waits for unattended-upgrades, and keeps the configuration that is there.
_APT = (
    "apt() { DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes -o DPkg::Lock::Timeout=300 "
    '-o Dpkg::Options::=--force-confold "$@" >&2; }\n'
)
# A new kernel is a new package, which the one that is installed needs.
_UPGRADE = (
    'if [ -n "$package" ]; then set -- install --only-upgrade "$package"; else set -- upgrade --with-new-pkgs; fi\n'
)
# apt's own patience does not cover the lock of the lists, which the daily update holds for a moment.
_UPDATE = (
    _APT
    + """\
tries=12
until apt update; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 5
done
"""
)
_LOOK = (
    _UPGRADE
    + """\
found="$(apt-get --simulate "$@")"
printf '%s\n' "$found" | grep '^Inst ' || true
root="${DESTDIR-}"
if reboot-due; then echo 'reboot required'; fi
booted="$(sed -n 's/^btime //p' "$root/proc/stat")"
changed="$(stat -c %Y "$root/var/lib/dpkg/status")"
[ "$changed" -le "$booted" ] || echo 'changed since boot'
"""
)
_VERSIONS = "dpkg-query -W -f '${Package} ${Version}\\n'"
_BOOT = 'cat "${DESTDIR-}/proc/sys/kernel/random/boot_id"'
_REBOOT = "systemctl reboot"
_INST = re.compile(r"Inst (?P<package>\S+) (\[(?P<before>[^\]]+)\] )?\((?P<after>\S+)")


@dataclass(frozen=True)
class Wanted:
    """What is asked for: one package or all that have a newer version, and when to reboot (one of REBOOTS)."""

    package: str = ""
    reboot: str = AUTO
    back_within: float = 600.0  # seconds that a reboot may take
    asks: float = 2.0


@dataclass(frozen=True)
class Lack:
    """What a server has not yet: by package, its version and the one to be had; and whether a reboot is due."""

    upgrades: Mapping[str, tuple[str, str]]
    reboot_required: bool
    changed_since_boot: bool


@dataclass(frozen=True)
class Patch(Work):
    """Upgrades and reboots that are due.

    An upgrade may restart what serves, so all of it waits until the server is out. Packages are not taken back: an
    older version has the hole that this one closes.
    """

    wanted: Wanted
    lack: Lack
    interrupts: bool = True

    @property
    def what(self) -> str:
        """What is due, in words."""
        upgrades = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in sorted(self.lack.upgrades.items()))
        return upgrades or "a reboot"

    def act(self, remote: Remote) -> str:
        """Upgrade, and reboot where that is due; return the versions before and after."""
        before = _versions(remote)
        if self.lack.upgrades:
            remote.run(f'{_APT}{_UPGRADE}apt "$@"', package=self.wanted.package)
        after = _versions(remote)
        said = [
            f"{name} {before.get(name, 'none')} -> {version}"
            for name, version in sorted(after.items())
            if before.get(name) != version
        ]
        if is_reboot_due(lack(remote, self.wanted.package), self.wanted):
            self._reboot(remote)
            said.append("rebooted")
        return ", ".join(said) or "nothing was upgraded"

    def _reboot(self, remote: Remote) -> None:
        """Reboot, and wait until the server runs again.

        Raises:
            Unreachable: it does not come back.
        """
        boot = remote.run(_BOOT)
        with suppress(Unreachable, ScriptError):  # it may go at once, and take the shell with it
            remote.run(_REBOOT)
        until = time.monotonic() + self.wanted.back_within
        while True:
            try:
                if remote.run(_BOOT) != boot:
                    return
            except Unreachable:
                if time.monotonic() > until:
                    raise
            if time.monotonic() > until:
                raise Unreachable("it was told to reboot, and runs on")
            time.sleep(self.wanted.asks)


def update(remote: Remote) -> None:
    """Have a server learn which versions there are."""
    remote.run(_UPDATE)


def look(remote: Remote, wanted: Wanted) -> Patch | None:
    """Say what is due on a server that has learnt which versions there are; None for nothing."""
    found = lack(remote, wanted.package)
    return Patch(wanted, found) if found.upgrades or is_reboot_due(found, wanted) else None


def lack(remote: Remote, package: str = "") -> Lack:
    """Return what a server has not yet, of one package or of all."""
    lines = remote.run(_LOOK, package=package).splitlines()
    found = [match for line in lines if (match := _INST.match(line))]
    return Lack(
        {each["package"]: (each["before"] or "none", each["after"]) for each in found},
        "reboot required" in lines,
        "changed since boot" in lines,
    )


def is_reboot_due(found: Lack, wanted: Wanted) -> bool:
    """Whether a server is to be rebooted: `always` means after every change of packages, so it can be repeated."""
    return {AUTO: found.reboot_required, ALWAYS: found.changed_since_boot, NEVER: False}[wanted.reboot]


def _versions(remote: Remote) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in remote.run(_VERSIONS).splitlines())
