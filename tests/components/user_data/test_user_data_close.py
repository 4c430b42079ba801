"""close.sh: nothing is reachable from the first moment on, whatever the image brings and whatever fails."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from components import user_data
from tests.components.user_data.network import (
    ADMIN,
    ADMIN_V6,
    BALANCER,
    PRIVATE,
    PUBLIC,
    PUBLIC_V6,
    STRANGER,
    STRANGER_V6,
    Network,
)

SCRIPT = Path(user_data.__file__).with_name("close.sh")


@dataclass(frozen=True)
class Closing:
    """close.sh, run where only what is in the folder `programs` can be found, systemd's folder being `units`."""

    network: Network
    programs: Path
    units: Path

    def run(self) -> bool:
        script = SCRIPT.read_text().replace("/etc/systemd/system", str(self.units))
        return self.network.server.succeeds("env", f"PATH={self.programs}", "sh", "-c", script)

    def sshd_may_start(self) -> bool:
        """Whether what systemd is told to run before sshd lets it start."""
        section, check = (self.units / "ssh.service.d/closed-first.conf").read_text().splitlines()
        assert section == "[Service]"
        return self.network.server.succeeds("sh", "-c", check.removeprefix("ExecStartPre="))

    def called(self) -> list[str]:
        log = self.programs / "called"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def closing(network: Network, tmp_path: Path) -> Closing:
    """A server at its first boot: what is on every image is there, but not nftables."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "grep", "mkdir"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for name in ("systemctl", "apt-get"):
        stub = programs / name
        stub.write_text(f'#!/bin/sh\necho {name} "$@" >>{programs}/called\n')
        stub.chmod(0o755)
    return Closing(network, programs, tmp_path / "units")


def with_nftables(closing: Closing) -> None:
    nft = shutil.which("nft", path=closing.network.server.environment["PATH"])
    assert nft
    (closing.programs / "nft").symlink_to(nft)


def test_the_first_thing_at_a_first_boot_closes_everything(closing: Closing) -> None:
    with_nftables(closing)
    network = closing.network
    # Debian's own rules, where an image loads them: the same table, and everything accepted.
    network.server.run(
        "nft", "add table inet filter; add chain inet filter input { type filter hook input priority 0; }"
    )
    with network.server.listening(22, 443, 5432):
        assert network.world.connect((ADMIN, PUBLIC, 22), (STRANGER, PUBLIC, 5432)) == ["open", "open"]
        assert closing.run()
        assert (
            network.world.connect(
                (ADMIN, PUBLIC, 22), (ADMIN_V6, PUBLIC_V6, 22), (BALANCER, PRIVATE, 443), (STRANGER, PUBLIC, 5432)
            )
            == ["silent"] * 4
        )
    with network.world.listening(80):
        assert network.server.connect(("", STRANGER, 80), ("", STRANGER_V6, 80)) == ["open", "open"]
    assert closing.called() == ["systemctl daemon-reload"]
    assert closing.sshd_may_start()


def test_the_rules_proper_take_over_from_the_closed_ones(closing: Closing) -> None:
    with_nftables(closing)
    assert closing.run()
    closing.network.load_rules()
    with closing.network.server.listening(22):
        assert closing.network.world.connect((ADMIN, PUBLIC, 22), (STRANGER, PUBLIC, 22)) == ["open", "silent"]


def test_at_a_later_boot_the_loaded_rules_are_left_alone(closing: Closing) -> None:
    with_nftables(closing)
    assert closing.run()
    closing.network.load_rules()
    before = closing.network.server.run("nft", "list", "ruleset").stdout
    assert closing.run()
    assert closing.network.server.run("nft", "list", "ruleset").stdout == before
    assert closing.called() == ["systemctl daemon-reload"]


def test_nftables_is_installed_where_the_image_lacks_it_and_sshd_stays_down_where_that_fails(closing: Closing) -> None:
    assert not closing.run()
    assert closing.called() == [
        "systemctl daemon-reload",
        "apt-get --quiet update",
        "apt-get --quiet --yes --no-install-recommends install nftables",
    ]
    assert not closing.sshd_may_start()
