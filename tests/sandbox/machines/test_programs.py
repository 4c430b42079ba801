"""What a session calls on a machine does what it does on a server: packages, images, units."""

import re
from collections.abc import Iterator

import pytest

from sandbox import machines
from sandbox.machines.machine import PLAYED
from tests.components.user_data.conftest import ssh_key
from tests.configuration import ROOT
from tests.sandbox import bodies
from tests.sandbox.machines.conftest import IMAGE, Fleet
from tests.sandbox.machines.test_balancers import eventually

OTHER, SICK, LOST = (IMAGE.replace("1" * 64, digit * 64) for digit in "345")
HEALTH = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/healthz || true"
CHANGED_SINCE_BOOT = """
booted=$(sed -n 's/^btime //p' "$DESTDIR/proc/stat")
[ "$(stat -c %Y "$DESTDIR/var/lib/dpkg/status")" -le "$booted" ] || echo yes
"""
NEW_KERNEL = "6.1.140-1"


@pytest.fixture(scope="module")
def fleet(shared_fleet: Fleet) -> Iterator[Fleet]:
    shared_fleet.add("api-1")
    shared_fleet.add("api-2")
    shared_fleet.play()
    yield shared_fleet
    shared_fleet.remove("api-1")
    shared_fleet.remove("api-2")


def put_image(image: str) -> str:
    """The script that has the application of an image start, and says its unit's state and its health."""
    return f"""
        printf 'IMAGE=%s\\n' '{image}' >"$DESTDIR/etc/chat-tonic/app-image.env"
        systemctl restart app.service 2>/dev/null || echo failed
        systemctl is-active app.service
        {HEALTH}
    """


def test_a_package_is_upgraded_once_its_version_is_published_and_the_lists_are_read(fleet: Fleet) -> None:
    shown = "dpkg-query -W -f='${Package} ${Version}\\n' openssl"
    machines.publish(fleet.folder, "openssl", "3.0.17-1~deb12u3")
    upgrade = "DEBIAN_FRONTEND=noninteractive apt-get install --only-upgrade -y openssl"
    assert "openssl is already the newest version" in fleet.says("api-1", upgrade)
    assert fleet.says("api-1", shown) == "openssl 3.0.16-1~deb12u1"
    fleet.says("api-1", "apt-get -q update")
    assert "Candidate: 3.0.17-1~deb12u3" in fleet.says("api-1", "apt-cache policy openssl")
    assert "openssl/" in fleet.says("api-1", "apt list --upgradable")
    assert fleet.says("api-1", "apt-get -s upgrade").startswith("Inst openssl [3.0.16-1~deb12u1] (3.0.17-1~deb12u3 ")
    assert fleet.says("api-1", shown) == "openssl 3.0.16-1~deb12u1"
    assert "Setting up openssl (3.0.17-1~deb12u3)" in fleet.says("api-1", upgrade)
    assert fleet.says("api-1", shown) == "openssl 3.0.17-1~deb12u3"
    assert fleet.says("api-2", shown) == "openssl 3.0.16-1~deb12u1"
    assert fleet.run("api-1", '[ -e "$DESTDIR/run/reboot-required" ]').returncode == 1


def test_the_documentation_names_every_program_and_a_use_that_is_not_played_says_so(fleet: Fleet) -> None:
    page = (ROOT / "docs" / "machines.md").read_text()
    table = page[page.index("<!-- programs -->") : page.index("<!-- /programs -->")]
    named = set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE))
    assert named == {*PLAYED, "curl", "sudo"}
    for program in PLAYED:
        refused = fleet.run("api-1", f"{program} --frobnicate")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr == f"{program}: not modelled in the sandbox: {program} --frobnicate\n"


def test_versions_compare_as_dpkg_says(fleet: Fleet) -> None:
    assert fleet.run("api-1", "dpkg --compare-versions 3.0.16-1~deb12u1 lt 3.0.16-1").returncode == 0
    assert fleet.run("api-1", "dpkg --compare-versions 1:1 lt 2").returncode == 1


def test_a_new_kernel_runs_after_the_reboot_that_it_asks_for(fleet: Fleet) -> None:
    machines.publish(fleet.folder, "linux-image-amd64", NEW_KERNEL, reboot=True)
    fleet.says("api-2", "apt-get update; apt-get upgrade -y")
    assert fleet.says("api-2", "dpkg-query -W -f='${Version}' linux-image-amd64") == "6.1.137-1"
    fleet.says("api-2", "apt-get upgrade --with-new-pkgs -y")
    assert fleet.says("api-2", 'cat "$DESTDIR/run/reboot-required.pkgs"') == "linux-image-amd64"
    assert fleet.says("api-2", "uname -r") == "6.1.137-amd64"
    assert fleet.says("api-2", CHANGED_SINCE_BOOT) == "yes"
    fleet.log_in("api-2", "sudo systemctl reboot")
    eventually(lambda: fleet.run("api-2", "uname -r").stdout == "6.1.140-amd64\n", True)
    assert fleet.run("api-2", '[ -e "$DESTDIR/run/reboot-required" ]').returncode == 1
    assert fleet.says("api-2", CHANGED_SINCE_BOOT) == ""


def test_a_package_or_program_that_is_not_there_is_an_error(fleet: Fleet) -> None:
    assert fleet.run("api-1", "apt-get install --only-upgrade -y frob").returncode == 100
    missing = fleet.run("api-1", "dpkg-query -W -f='${Version}' frob openssh-server")
    assert (missing.returncode, missing.stdout) == (1, "1:9.2p1-2+deb12u6")
    assert missing.stderr == "dpkg-query: no packages found matching frob\n"


def test_a_restarted_application_runs_the_image_that_its_file_names(fleet: Fleet) -> None:
    assert fleet.run("api-1", f"podman image exists {OTHER}").returncode == 1
    fleet.says("api-1", f"podman pull {OTHER}")
    assert fleet.says("api-1", f"podman image inspect --format '{{{{.Digest}}}}' {OTHER}") == OTHER.partition("@")[2]
    assert fleet.says("api-1", put_image(OTHER)).split() == ["active", "200"]
    assert OTHER in fleet.says("api-1", "curl -s http://127.0.0.1:8080/")
    assert IMAGE in fleet.says("api-2", "curl -s http://127.0.0.1:8080/")


def test_an_application_of_a_sick_image_starts_and_is_not_well(fleet: Fleet) -> None:
    machines.mark_sick(fleet.folder, SICK)
    assert fleet.says("api-1", put_image(SICK)).split() == ["active", "503"]
    assert fleet.says("api-1", put_image(IMAGE)).split() == ["active", "200"]


def test_an_image_that_cannot_be_pulled_leaves_no_application(fleet: Fleet) -> None:
    machines.mark_lost(fleet.folder, LOST)
    assert fleet.run("api-1", f"podman pull {LOST}").returncode == 125
    assert fleet.says("api-1", put_image(LOST)).split() == ["failed", "failed", "000"]
    machines.mark_lost(fleet.folder, LOST, lost=False)
    assert fleet.says("api-1", put_image(LOST)).split() == ["active", "200"]
    assert fleet.says("api-1", put_image(IMAGE)).split() == ["active", "200"]


def test_caddy_does_not_start_with_a_certificate_and_a_key_that_do_not_fit(fleet: Fleet) -> None:
    bodies.certificate.cache_clear()
    certificate, key = bodies.certificate()
    new, old = fleet.root("api-1") / "etc/caddy/origin.pem", fleet.root("api-2") / "etc/caddy/origin.pem"
    new.write_text(certificate)
    assert fleet.run("api-1", "systemctl restart caddy.service").returncode == 1
    assert fleet.run("api-1", "systemctl is-active caddy.service").stdout == "failed\n"
    new.with_name("origin.key").write_text(key)
    assert fleet.run("api-1", "systemctl restart caddy.service").returncode == 0
    assert new.read_text() != old.read_text()


def test_sshd_shows_a_new_host_key_once_it_is_reloaded(fleet: Fleet) -> None:
    before, (private, public) = fleet.known, ssh_key()
    (fleet.root("api-1") / "etc/ssh/ssh_host_ed25519_key").write_text(private)
    assert fleet.says("api-1", "systemctl reload ssh.service") == ""
    assert fleet.log_in("api-1", "true").returncode == 255
    fleet.known = public
    with fleet.session("api-1", "read answer; echo $answer") as session:
        assert fleet.says("api-1", "systemctl restart ssh.service; systemctl is-active ssh.service") == "active"
        assert session.communicate("still here\n", timeout=20)[0] == "still here\n"
    assert fleet.log_in("api-1", "true").returncode == 0
    fleet.known = before


def test_a_key_is_let_in_as_soon_as_it_is_in_the_servers_file_and_no_longer(fleet: Fleet) -> None:
    keys = fleet.root("api-2") / "etc/ssh/authorized_keys/ops"
    before = keys.read_text()
    keys.write_text("")
    assert fleet.log_in("api-2", "true").returncode == 255
    keys.write_text(before)
    assert fleet.log_in("api-2", "true").returncode == 0
