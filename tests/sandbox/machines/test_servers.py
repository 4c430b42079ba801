"""A machine is what its server's user data says, is reached by SSH alone, and does what a server does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox import machines
from sandbox.machines.sshd import Sshd
from tests.components.user_data.conftest import ssh_key
from tests.sandbox.machines.conftest import IMAGE, Fleet
from toolchain import debian

OTHER = IMAGE.replace("1" * 64, "3" * 64)


@pytest.fixture(scope="module")
def fleet(shared_fleet: Fleet) -> Fleet:
    """Two servers, played."""
    shared_fleet.add("api-1")
    shared_fleet.add("api-2")
    shared_fleet.play()
    return shared_fleet


def test_a_session_finds_the_servers_files_below_destdir(fleet: Fleet) -> None:
    assert fleet.says("api-1", 'cat "$DESTDIR/etc/chat-tonic/app-image.env"') == f"IMAGE={IMAGE}"
    assert fleet.says("api-2", 'cat "$DESTDIR/etc/hostname"') == "api-2"
    assert "SECRET=a secret setting" in (fleet.root("api-1") / "etc/chat-tonic/app.env").read_text()


def test_nobody_else_can_read_a_servers_files(fleet: Fleet) -> None:
    root = fleet.root("api-1")
    assert [oct(folder.stat().st_mode & 0o777) for folder in (root.parent.parent, root.parent, root)] == ["0o700"] * 3
    secret = ("chat-tonic/app.env", "chat-tonic/registry.json", "caddy/origin.key", "ssh/ssh_host_ed25519_key")
    assert [oct((root / "etc" / name).stat().st_mode & 0o777) for name in secret] == ["0o600"] * 4
    assert oct((fleet.folder / machines.KEY).stat().st_mode & 0o777) == "0o600"


def test_who_pins_another_host_key_does_not_connect(fleet: Fleet) -> None:
    fleet.known, right = ssh_key()[1], fleet.known
    try:
        refused = fleet.log_in("api-1", "true")
    finally:
        fleet.known = right
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


def test_another_key_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(ssh_key()[0])
    key.chmod(0o600)
    refused = fleet.log_in("api-1", "true", key=key)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_the_application_answers_for_its_server(fleet: Fleet) -> None:
    ask = "curl --silent --fail http://127.0.0.1:8080/"
    for label in ("api-1", "api-2"):
        said = fleet.says(label, f"{ask}hello")
        assert f'"server": "{label}"' in said
        assert f'"image": "{IMAGE}"' in said
    assert fleet.says("api-1", f"{ask}healthz --output /dev/null --write-out '%{{http_code}}'") == "200"


def test_a_program_that_is_not_played_fails_as_on_a_real_shell(fleet: Fleet) -> None:
    assert fleet.run("api-1", "frobnicate").returncode == 127
    assert fleet.run("api-1", "nft list ruleset").returncode == 127
    assert fleet.run("api-1", "systemctl restart frob").returncode == 5
    assert "not modelled in the sandbox: apt-get install frob" in fleet.run("api-1", "apt-get install frob").stderr


def test_the_users_of_a_server_are_known_where_its_tools_lie_below_a_path_with_a_blank(tmp_path: Path) -> None:
    found = debian.ensure(print, ("libnss_wrapper.so",))
    library = found.path("libnss_wrapper.so")
    root = tmp_path / "a blank"
    (root / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    shutil.copy(library, root / "usr/lib/x86_64-linux-gnu" / library.name)
    server = Sshd(root, "127.0.0.1", debian.Tools((root,), found.environment), root)
    assert server.tools.path("libnss_wrapper.so").is_relative_to(root)
    server.prepare()
    told = subprocess.run(
        ["getent", "passwd", "ops"], env=server.environment(), capture_output=True, text=True, check=False
    )
    assert (told.stdout.split(":")[:2], told.stderr) == (["ops", "x"], "")
