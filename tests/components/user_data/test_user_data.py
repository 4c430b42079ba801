"""What is in a server's user data: every file once, secrets in files for root only, nothing that can't be there."""

import base64
import dataclasses
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from components import user_data
from components.user_data.contents import born_with
from copies import config
from tests.components.user_data.conftest import ssh_key
from tests.configuration import ROOT


def document(server: user_data.Server) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(user_data.render(server))
    return parsed


def contents(server: user_data.Server) -> dict[str, user_data.File]:
    return {file.path: file for file in user_data.files(server)}


def variables(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def secrets(server: user_data.Server) -> list[str]:
    """Return what nobody but root may read: a line of each key, and passwords as the files have them."""
    held = [server.host_key.splitlines()[3]]
    if isinstance(server, user_data.RoleServer):
        login = f"{server.registry.user}:{server.registry.password}"
        held += [server.origin_key.splitlines()[1], base64.b64encode(login.encode()).decode()]
        held += [server.database.password] if server.database else []
    if isinstance(server, user_data.OpsServer) and server.copies:
        # Each database's configuration has them all.
        held += [json.dumps(server.copies.databases[0].database.password), server.copies.databases[0].store.secret_key]
    return held


def test_user_data_begins_with_the_line_by_which_cloud_init_knows_it(any_server: user_data.Server) -> None:
    assert user_data.render(any_server).startswith("#cloud-config\n")


def test_cloud_init_writes_every_file_as_it_is(any_server: user_data.Server) -> None:
    written = {}
    for entry in document(any_server)["write_files"]:
        packed = entry.get("encoding") == "gz+b64"
        text = gzip.decompress(base64.b64decode(entry["content"])).decode() if packed else entry["content"]
        mode = int(entry.get("permissions", "0644"), 8)
        written[entry["path"]] = user_data.File(entry["path"], text, mode, entry.get("owner", "root:root"))
    expected = {file.path: file for file in born_with(any_server)}
    host_key = expected.pop("/etc/ssh/ssh_host_ed25519_key")
    assert written == expected
    assert document(any_server)["ssh_keys"] == {"ed25519_private": host_key.content}


def test_a_secret_is_only_in_files_that_root_alone_can_read(any_server: user_data.Server) -> None:
    for secret in secrets(any_server):
        holding = [file for file in user_data.files(any_server) if secret in file.content]
        assert [(file.mode, file.owner) for file in holding] == [(0o600, "root:root")]


def test_a_secret_shows_in_no_representation(any_server: user_data.Server) -> None:
    shown = repr(any_server) + repr(user_data.files(any_server))
    assert [secret for secret in secrets(any_server) if secret in shown] == []


def test_no_secret_is_in_what_cloud_init_runs_or_logs(any_server: user_data.Server) -> None:
    run = json.dumps([document(any_server)[key] for key in ("bootcmd", "runcmd", "users", "packages")])
    assert [secret for secret in secrets(any_server) if secret in run] == []


def test_the_server_is_closed_before_anything_is_written_and_opened_last(any_server: user_data.Server) -> None:
    keys = list(document(any_server))
    assert keys[0] == "bootcmd"
    assert keys[-1] == "runcmd"
    assert document(any_server)["runcmd"][:2] == [
        "systemctl enable nftables.service",
        "systemctl reload-or-restart nftables.service",
    ]


def test_only_ops_can_log_in_and_only_with_the_configured_keys(any_server: user_data.Server) -> None:
    assert document(any_server)["users"] == [
        {"name": "ops", "shell": "/bin/bash", "lock_passwd": True, "sudo": "ALL=(ALL) NOPASSWD:ALL"}
    ]
    assert contents(any_server)["/etc/ssh/authorized_keys/ops"].content.splitlines() == list(any_server.authorized_keys)


def test_a_role_server_runs_its_image_and_caddy_by_digest(role_server: user_data.RoleServer) -> None:
    files = contents(role_server)
    assert files["/etc/chat-tonic/app-image.env"].content == f"IMAGE={role_server.image}\n"
    assert files["/etc/chat-tonic/caddy-image.env"].content == f"IMAGE={role_server.caddy_image}\n"
    assert document(role_server)["packages"] == ["curl", "nftables", "podman", "sudo", "unattended-upgrades"]
    assert document(role_server)["runcmd"][2:] == [
        "systemctl enable --now --no-block reboot-window.timer app.service caddy.service gate.service"
    ]


def test_an_ops_server_runs_nothing_that_answers_but_sshd(ops_server: user_data.OpsServer) -> None:
    assert document(ops_server)["packages"] == ["nftables", "sudo", "unattended-upgrades"]
    assert document(ops_server)["runcmd"][2:] == [
        "systemctl enable --now --no-block reboot-window.timer copies.target",
        "/usr/local/sbin/copies-programs",
    ]
    text = "".join(entry["content"] for entry in document(ops_server)["write_files"])
    assert "443" not in text


def test_an_ops_server_copies_each_database_by_a_configuration_of_its_own(ops_server: user_data.OpsServer) -> None:
    assert ops_server.copies
    files = contents(ops_server)
    for copied in ops_server.copies.databases:
        told = json.loads(files[f"/etc/chat-tonic/copies/{copied.environment}.json"].content)
        assert (told["version"], told["database"]["host"]) == (copied.version, copied.database.host)
        assert told["queries"] == [{"sql": "select count(*) > 0 from users", "expects": "t"}]
        assert files[told["database"]["sslrootcert"]].content == copied.database.ca_cert
    wanted = files["/etc/systemd/system/copies.target"].content
    for what in ("copy", "check"):
        for environment in ("production", "bot-testing"):
            assert f"copies-{what}@{environment}.timer" in wanted


def test_the_program_of_the_copies_takes_the_configuration(ops_server: user_data.OpsServer, tmp_path: Path) -> None:
    file = tmp_path / "production.json"
    file.write_text(contents(ops_server)["/etc/chat-tonic/copies/production.json"].content)
    known = config.read(file)
    assert (known.name, known.hour, known.kept, known.key) == ("us-central/production", 5, 30, "copies-key")
    assert known.repository.access_key == "ACCESS5021433"
    assert known.alarm
    assert known.alarm.sender == "alarms@chat-tonic.example"


def test_a_copy_is_tried_in_the_hours_that_its_day_has_left_and_looked_at_around_the_clock(
    ops_server: user_data.OpsServer,
) -> None:
    assert ops_server.copies
    timers = {
        hour: [
            re.findall("OnCalendar=(.*)", contents(later)[f"/etc/systemd/system/copies-{what}@.timer"].content)
            for what in ("copy", "check")
        ]
        for hour in (5, 22)
        for later in [dataclasses.replace(ops_server, copies=dataclasses.replace(ops_server.copies, hour=hour))]
    }
    assert timers == {
        5: [["*-*-* 05,09,13,17,21:00:00 UTC"], ["*-*-* 02,08,14,20:00:00 UTC"]],
        22: [["*-*-* 22:00:00 UTC"], ["*-*-* 01,07,13,19:00:00 UTC"]],
    }


def test_an_ops_server_without_copies_has_no_time_and_no_configuration_for_any(
    bare_ops_server: user_data.OpsServer,
) -> None:
    paths = [path for path in contents(bare_ops_server) if "copies" in path]
    assert not [path for path in paths if path.endswith(".timer") or path.startswith("/etc/chat-tonic/")]
    assert contents(bare_ops_server)["/etc/systemd/system/copies.target"].content.count("Wants=\n") == 1


def test_an_ops_server_is_given_the_whole_program_after_its_birth(ops_server: user_data.OpsServer) -> None:
    modules = {path.name for path in (ROOT / "copies").glob("*.py")}
    given = {path for path in contents(ops_server) if path.startswith("/usr/local/lib/chat-tonic/")}
    assert given == {f"/usr/local/lib/chat-tonic/copies/{name}" for name in modules}
    assert "__init__.py" in modules


def test_an_ops_server_that_copies_two_databases_has_room_left_in_its_user_data(
    ops_server: user_data.OpsServer,
) -> None:
    assert ops_server.copies
    certificates = {each.database.ca_cert for each in ops_server.copies.databases}
    assert [len(each) > 1_700 for each in certificates] == [True, True]
    assert len(user_data.compressed(user_data.render(ops_server))) < user_data.LIMIT - 2_000


def test_the_application_is_told_its_port_its_database_and_its_settings(role_server: user_data.RoleServer) -> None:
    assert variables(contents(role_server)["/etc/chat-tonic/app.env"].content) == {
        "CHAT_TONIC_ENVIRONMENT": "production",
        "CHAT_TONIC_ROLE": "api",
        "LOG_LEVEL": "info",
        "PGDATABASE": "api",
        "PGHOST": "db.chat-tonic.example",
        "PGPASSWORD": "database-password",
        "PGPORT": "18319",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/chat-tonic/app/database-ca.pem",
        "PGUSER": "api",
        "PORT": "8080",
    }
    assert role_server.database
    assert contents(role_server)["/etc/chat-tonic/app/database-ca.pem"].content == role_server.database.ca_cert


def test_a_role_without_a_database_is_told_of_none(bare_role_server: user_data.RoleServer) -> None:
    assert set(variables(contents(bare_role_server)["/etc/chat-tonic/app.env"].content)) == {
        "CHAT_TONIC_ENVIRONMENT",
        "CHAT_TONIC_ROLE",
        "PORT",
    }
    assert "/etc/chat-tonic/app/database-ca.pem" not in contents(bare_role_server)


def test_the_registry_login_is_in_the_form_that_podman_reads(role_server: user_data.RoleServer) -> None:
    login = json.loads(contents(role_server)["/etc/chat-tonic/registry.json"].content)
    assert base64.b64decode(login["auths"]["registry.chat-tonic.example"]["auth"]) == b"puller:registry-password"


def test_the_gate_asks_the_applications_health_path_as_often_as_it_is_told(role_server: user_data.RoleServer) -> None:
    assert variables(contents(role_server)["/etc/chat-tonic/gate.env"].content) == {
        "FAILURES": "2",
        "INTERVAL": "1",
        "TIMEOUT": "1",
        "URL": "http://127.0.0.1:8080/healthz",
    }


def test_what_changes_during_a_servers_life_changes_no_unit_and_no_static_file(
    role_server: user_data.RoleServer,
) -> None:
    assert role_server.database
    later = dataclasses.replace(
        role_server,
        image=f"registry.chat-tonic.example/api@sha256:{'c' * 64}",
        registry=user_data.Registry("registry.chat-tonic.example", "puller", "another"),
        database=dataclasses.replace(role_server.database, host="restored.chat-tonic.example"),
        authorized_keys=(ssh_key()[1],),
        ssh_sources=("203.0.113.9/32",),
    )
    before, after = contents(role_server), contents(later)
    assert [path for path in before if before[path] != after[path]] == [
        "/etc/chat-tonic/app-image.env",
        "/etc/chat-tonic/app.env",
        "/etc/chat-tonic/registry.json",
        "/etc/nftables.d/ssh-sources.nft",
        "/etc/ssh/authorized_keys/ops",
    ]


def test_a_host_key_whose_last_line_end_was_lost_gets_it_back(role_server: user_data.RoleServer) -> None:
    trimmed = dataclasses.replace(role_server, host_key=role_server.host_key.rstrip())
    assert contents(trimmed) == contents(role_server)


def test_ssh_sources_that_overlap_are_merged(role_server: user_data.RoleServer) -> None:
    assert contents(role_server)["/etc/nftables.d/ssh-sources.nft"].content == (
        "add element inet filter ssh_sources_v4 { 198.51.100.0/24 }\n"
        "add element inet filter ssh_sources_v6 { 2001:db8:2::/48 }\n"
    )


def test_the_same_server_gives_the_same_user_data(any_server: user_data.Server) -> None:
    assert user_data.render(any_server) == user_data.render(dataclasses.replace(any_server))


def test_a_full_role_server_leaves_room_for_its_settings(role_server: user_data.RoleServer) -> None:
    assert len(user_data.render(role_server).encode()) < user_data.LIMIT - 2_000


def test_user_data_that_linode_would_not_take_is_refused_with_server_and_size(
    role_server: user_data.RoleServer,
) -> None:
    too_much = dataclasses.replace(role_server, settings={f"POWER_{n}": str(n**99) for n in range(2, 99)})
    with pytest.raises(
        ValueError, match=r"user data of us-prod-api-1 has \d{5} bytes, and Linode takes 16384: shorten"
    ):
        user_data.render(too_much)


RSA = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
BEGINNING = base64.b64encode(b"openssh-key-v1\0\0\0\0\x0aaes256-ctr\0\0\0\6bcrypt").decode()
LOCKED = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BEGINNING}\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hostname": "us prod"}, "hostname must be one label of a host name"),
        ({"hostname": "a" * 64}, "hostname must be one label of a host name"),
        ({"host_key": "nothing"}, "host_key must be an ed25519 private key"),
        ({"host_key": RSA.decode()}, "host_key must be an ed25519 private key"),
        ({"host_key": LOCKED}, "host_key must be an ed25519 private key"),
        ({"host_key": ssh_key()[1]}, "host_key must be an ed25519 private key"),
        ({"authorized_keys": ("ssh-ed25519 AAAA\nssh-ed25519 BBBB",)}, "authorized_keys must be OpenSSH public keys"),
        ({"authorized_keys": ('command="sh" ssh-ed25519 AAAA',)}, "authorized_keys must be OpenSSH public keys"),
        ({"ssh_sources": ("198.51.100.1/24",)}, "ssh_sources: 198.51.100.1/24 has host bits set"),
        ({"reboot_window": "daily"}, "reboot_window must be a weekly time such as Mon *-*-* 02:20:00 UTC"),
        ({"ssh_sources": ("anywhere",)}, "ssh_sources: 'anywhere' does not appear to be an IPv4 or IPv6 network"),
        ({"image": "registry.chat-tonic.example/api:latest"}, "image must be an image by digest"),
        ({"caddy_image": "caddy"}, "caddy_image must be an image by digest"),
        ({"health_path": "healthz"}, "health_path must be a path such as /healthz"),
        ({"health_path": "/healthz$(id)"}, "health_path must be a path such as /healthz"),
        ({"host_names": ("api.example\n*",)}, "host_names must be host names in lower case"),
        ({"settings": {"log level": "x"}}, "settings' keys must be names such as LOG_LEVEL"),
        ({"settings": {"A": "x\nPGHOST=elsewhere"}}, "settings' values must be one line each"),
        ({"role": "api\nrole"}, "role, environment must be words"),
        ({"origin_certificate": "none"}, "origin_certificate must be certificates in PEM"),
        ({"origin_key": "none"}, "origin_key must be a private key in PEM"),
        ({"client_ca": ""}, "client_ca must be certificates in PEM"),
    ],
)
def test_a_value_that_would_break_out_of_its_place_is_refused(
    role_server: user_data.RoleServer, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match="user data of ") as caught:
        dataclasses.replace(role_server, **change)
    assert message in str(caught.value)


@pytest.mark.parametrize("change", [{"host": "db\nPGUSER=root"}, {"password": "a\nb"}, {"ca_cert": "none"}])
def test_a_database_that_would_break_out_of_its_file_is_refused(
    role_server: user_data.RoleServer, change: dict[str, Any]
) -> None:
    assert role_server.database
    with pytest.raises(ValueError, match="user data of us-prod-api-1: database's") as caught:
        dataclasses.replace(role_server, database=dataclasses.replace(role_server.database, **change))
    assert next(iter(change.values())) not in str(caught.value)


def test_what_changes_about_copies_restarts_their_timers_at_most(ops_server: user_data.OpsServer) -> None:
    effects = {path: user_data.effect(path) for path in contents(ops_server) if "copies" in path}
    restarted = {path.rpartition("/")[2] for path, found in effects.items() if found}
    assert restarted == {"copies.target", "copies-copy@.timer", "copies-check@.timer"}
    assert {found for found in effects.values() if found} == {user_data.Effect("restart", "copies.target")}


def test_it_is_known_of_every_file_what_makes_its_reader_take_it_up(any_server: user_data.Server) -> None:
    effects = {file.path: user_data.effect(file.path) for file in user_data.files(any_server)}
    assert effects["/etc/ssh/authorized_keys/ops"] is None
    assert effects["/etc/nftables.d/ssh-sources.nft"] == user_data.Effect("reload", "nftables.service")


def test_only_what_requests_pass_through_interrupts_them(role_server: user_data.RoleServer) -> None:
    effects = {file.path: user_data.effect(file.path) for file in user_data.files(role_server)}
    assert {effect.unit for effect in effects.values() if effect and effect.interrupts} == {
        "app.service",
        "caddy.service",
        "gate.service",
    }
    assert effects["/etc/chat-tonic/app-image.env"] == user_data.Effect("restart", "app.service", interrupts=True)


def test_a_file_that_nobody_is_known_to_read_is_said() -> None:
    with pytest.raises(LookupError, match=r"/etc/motd: say in contents\.py who reads it"):
        user_data.effect("/etc/motd")
