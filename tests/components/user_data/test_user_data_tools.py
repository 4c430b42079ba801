"""The programs that will read a server's files accept them, judged here by those programs themselves."""

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from components import user_data
from tests.components.user_data.conftest import HOST, Put
from toolchain.debian import Tools

PACKAGE = Path(user_data.__file__).parent


def schema(tools: Tools, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "user-data.yaml"
    path.write_text(text)
    return tools.run("cloud-init", "schema", "--config-file", path)


def test_cloud_init_accepts_the_user_data_and_finds_nothing_deprecated(
    tools: Tools, any_server: user_data.Server, tmp_path: Path
) -> None:
    result = schema(tools, user_data.render(any_server), tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Valid" in result.stdout
    assert "deprecat" not in result.stdout.lower()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"package_update": 3}, "3 is not of type 'boolean'"),
        ({"write_files": [{"path": "/a", "mode": "0600"}]}, "'mode' was unexpected"),
        ({"apt_update": True}, "deprecated"),
    ],
)
def test_cloud_init_would_have_said_what_is_wrong(
    tools: Tools, ops_server: user_data.OpsServer, tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    broken = yaml.safe_load(user_data.render(ops_server)) | wrong
    result = schema(tools, "#cloud-config\n" + yaml.safe_dump(broken), tmp_path)
    assert said in (result.stdout + result.stderr).lower()


def test_every_top_level_key_is_one_that_cloud_init_knows(tools: Tools, any_server: user_data.Server) -> None:
    # Its schema lets unknown ones pass.
    modules = "lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json"
    definitions = json.loads(tools.file(modules).read_text())["$defs"].values()
    known = {key for definition in definitions for key in definition.get("properties", ())}
    assert set(yaml.safe_load(user_data.render(any_server))) - known == set()


def effective_sshd(tools: Tools, root: Path) -> dict[str, str]:
    """Return what sshd makes of Debian's configuration, with an image's additions at its end, and ours."""
    shipped = tools.file("share/openssh/sshd_config").read_text()
    assert "Include /etc/ssh/sshd_config.d/*.conf" in shipped
    main = root / "etc/ssh/sshd_config"
    main.write_text(
        shipped.replace("/etc/ssh/", f"{root}/etc/ssh/") + "\nPermitRootLogin yes\nPasswordAuthentication yes\n"
    )
    for ours in main.with_name("sshd_config.d").iterdir():
        ours.write_text(ours.read_text().replace("/etc/ssh/", f"{root}/etc/ssh/"))
    sshd = shutil.which("sshd", path=tools.environment["PATH"])
    assert sshd
    # As root, sshd also asks for its unprivileged user and its run-time folder, which are the package's to make.
    unprivileged = ["unshare", "--user"] if os.geteuid() == 0 else []
    result = tools.run(*unprivileged, sshd, "-T", "-f", main)
    if unprivileged and "unshare" in result.stderr:
        pytest.skip(f"sshd can't be asked: no user namespace on this machine ({result.stderr.strip()})")
    assert (result.returncode, result.stderr) == (0, "")
    return dict(line.split(" ", 1) for line in result.stdout.splitlines() if " " in line)


def test_sshd_lets_in_only_ops_with_a_key_whatever_the_image_says(
    tools: Tools, any_server: user_data.Server, put: Put
) -> None:
    root = put(any_server)
    effective = effective_sshd(tools, root)
    wanted = {
        "allowusers": "ops",
        "authenticationmethods": "publickey",
        "authorizedkeysfile": f"{root}/etc/ssh/authorized_keys/%u",
        "hostkey": f"{root}/etc/ssh/ssh_host_ed25519_key",
        "hostkeyalgorithms": "ssh-ed25519",
        "kbdinteractiveauthentication": "no",
        "maxauthtries": "3",
        "passwordauthentication": "no",
        "permitemptypasswords": "no",
        "permitrootlogin": "no",
        "pubkeyauthentication": "yes",
        "x11forwarding": "no",
    }
    assert {key: effective[key] for key in wanted} == wanted


def test_only_the_ops_server_may_be_jumped_through(
    tools: Tools, role_server: user_data.RoleServer, ops_server: user_data.OpsServer, put: Put
) -> None:
    assert effective_sshd(tools, put(role_server))["disableforwarding"] == "yes"
    assert effective_sshd(tools, put(ops_server))["disableforwarding"] == "no"


def verify(tools: Tools, root: Path) -> str:
    """Return what systemd finds wrong with the units under `root`, where the programs that they run are stubs."""
    targets = tools.file("lib/systemd/system/sysinit.target").parent
    installed = root / "usr/lib/systemd/system"
    shutil.copytree(targets, installed, ignore=lambda _, names: [n for n in names if not n.endswith(".target")])
    shutil.copy(tools.file("lib/systemd/system/nftables.service"), installed)
    for program in ("usr/bin/podman", "usr/bin/python3", "usr/bin/systemctl", "usr/sbin/nft"):
        stub = root / program
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.touch(mode=0o755)
    ours = root / "etc/systemd/system"
    units = sorted(path.name for kind in ("service", "timer", "target") for path in ours.glob(f"*.{kind}"))
    return tools.run("systemd-analyze", "verify", f"--root={root}", *units).stderr


def test_systemd_finds_nothing_wrong_with_the_units(tools: Tools, any_server: user_data.Server, put: Put) -> None:
    assert verify(tools, put(any_server)) == ""


def test_systemd_would_have_said_what_is_wrong(tools: Tools, role_server: user_data.RoleServer, put: Put) -> None:
    root = put(role_server)
    unit = root / "etc/systemd/system/app.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restart=sometimes").replace("podman run", "docker run"))
    timer = unit.with_name("reboot-window.timer")
    timer.write_text(timer.read_text().replace("OnCalendar=", "OnCalendar=now and then, "))
    said = verify(tools, root)
    assert "Failed to parse calendar specification, ignoring: now and then, " in said
    assert "Failed to parse service restart specifier, ignoring: sometimes" in said
    assert "Command /usr/bin/docker is not executable" in said


def test_apt_upgrades_from_the_security_archive_only_and_never_reboots(
    tools: Tools, any_server: user_data.Server, put: Put
) -> None:
    parts = put(any_server) / "etc/apt/apt.conf.d"
    shutil.copy(tools.file("share/unattended-upgrades/50unattended-upgrades"), parts)
    configuration = parts.parent / "read-these-parts"
    configuration.write_text(f'Dir::Etc::parts "{parts}";\n')
    result = subprocess.run(
        ["apt-config", "dump", "Unattended-Upgrade", "APT::Periodic"],
        env={**os.environ, "APT_CONFIG": str(configuration)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    prefix = "Unattended-Upgrade::Origins-Pattern:: "
    security = '"origin=Debian,codename=${distro_codename}-security,label=Debian-Security";'
    postgresql = ['"origin=apt.postgresql.org,codename=${distro_codename}-pgdg";']
    assert [line.removeprefix(prefix) for line in result.stdout.splitlines() if line.startswith(prefix)] == [
        security,
        *(postgresql if isinstance(any_server, user_data.OpsServer) else []),
    ]
    for line in (
        'Unattended-Upgrade::Automatic-Reboot "false";',
        'APT::Periodic::Update-Package-Lists "1";',
        'APT::Periodic::Unattended-Upgrade "1";',
    ):
        assert line in result.stdout


SCRIPTS = [PACKAGE / "close.sh", *sorted(path for path in PACKAGE.glob("static/*/usr/local/sbin/*"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_shell_can_read_the_scripts(script: Path) -> None:
    subprocess.run(["sh", "-n", script], timeout=60, check=True)


def caddy_says(caddy: Path, root: Path) -> subprocess.CompletedProcess[str]:
    """Return what Caddy says of its configuration, read as the unit has it read: beside its files."""
    folder = root / "etc/caddy"
    environment = dict(line.split("=", 1) for line in (folder / "caddy.env").read_text().splitlines())
    return subprocess.run(
        [caddy, "validate", "--config", "Caddyfile"],
        cwd=folder,
        env={**environment, "HOME": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_caddy_accepts_its_configuration(
    caddy: Path, role_server: user_data.RoleServer, bare_role_server: user_data.RoleServer, put: Put
) -> None:
    for server in (role_server, bare_role_server):
        result = caddy_says(caddy, put(server))
        assert result.returncode == 0, result.stderr
        assert "not formatted" not in result.stderr


def test_caddy_would_have_said_what_is_wrong(caddy: Path, role_server: user_data.RoleServer, put: Put) -> None:
    root = put(dataclasses.replace(role_server, host_names=(HOST,)))
    (root / "etc/caddy/client-ca.pem").unlink()
    result = caddy_says(caddy, root)
    assert result.returncode == 1
    assert "client-ca.pem: no such file" in result.stderr
