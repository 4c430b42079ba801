"""The files of a server: those kept under `static/`, and those made from what a server is; and who reads which."""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from pathlib import Path

from components.user_data.server import Copied, Copies, Database, OpsServer, Registry, RoleServer, Server

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"

PROGRAM = "/usr/local/lib/chat-tonic/copies"
"""Where an ops server has the program that makes copies: too large for user data, so `servers.apply` brings it."""

BORN_WITH = ("__init__", "__main__", "alarm", "config", "state")
"""The modules of it that an ops server has from its birth: those that tell that copies fail, which need Python only. So
a server that nobody brought the rest does not fail in silence."""

_STATIC = Path(__file__).with_name("static")
_COPIES = Path(__file__).resolve().parents[2] / "copies"
_SECRET = 0o600

_WINDOW = """\
[Unit]
Description=When this server may reboot

[Timer]
OnCalendar={}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


_DAILY = """\
[Unit]
Description=When {what}
PartOf=copies.target

[Timer]
OnCalendar={when}
RandomizedDelaySec=15min
FixedRandomDelay=yes
Persistent=yes
"""

_TARGET = """\
[Unit]
Description=Copies of the databases
Wants={timers}

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Effect:
    """What makes a unit take up a file that was replaced: `restart` or `reload`, and whether requests notice it."""

    verb: str
    unit: str
    interrupts: bool = False


_APP, _CADDY, _GATE = (Effect("restart", f"{unit}.service", interrupts=True) for unit in ("app", "caddy", "gate"))
_READERS: tuple[tuple[str, Effect | None], ...] = (
    ("/etc/apt/*", None),  # read at every run
    ("/etc/caddy/*", _CADDY),
    ("/etc/chat-tonic/caddy-image.env", _CADDY),
    ("/etc/chat-tonic/copies/*", None),  # read by every copy, as is its program
    ("/etc/chat-tonic/gate.env", _GATE),
    ("/etc/chat-tonic/*", _APP),
    ("/etc/nftables.*", Effect("reload", "nftables.service")),
    ("/etc/postgresql-common/*", None),
    ("/etc/ssh/authorized_keys/*", None),  # read at every login
    ("/etc/ssh/*", Effect("reload", "ssh.service")),
    ("/etc/systemd/system/app.service", _APP),
    ("/etc/systemd/system/caddy.service", _CADDY),
    ("/etc/systemd/system/copies-*.service*", None),
    ("/etc/systemd/system/copies*", Effect("restart", "copies.target")),
    ("/etc/systemd/system/gate.service", _GATE),
    ("/etc/systemd/system/nftables.service.d/*", None),  # it only says how the unit stops
    ("/etc/systemd/system/reboot-window.service*", None),  # read when its window begins, as is what it runs
    ("/etc/systemd/system/reboot-window.timer", Effect("restart", "reboot-window.timer")),
    (f"{PROGRAM}/*", None),
    ("/usr/local/sbin/gate", _GATE),
    ("/usr/local/sbin/*", None),
)
"""By patterns of paths, of which the first that fits counts: who reads a file."""


@dataclass(frozen=True)
class File:
    """A file on a server: `content` at `path`, `mode` as in chmod, owner and group as in chown."""

    path: str
    content: str = field(repr=False)
    mode: int = 0o644
    owner: str = "root:root"


def files(server: Server) -> tuple[File, ...]:
    """Return every file that `server` has from us, in the order of their paths."""
    made = [*_static("common"), *_ssh(server), _reboot_window(server)]
    if isinstance(server, RoleServer):
        made += [*_static("role"), *_application(server), *_caddy(server), _gate(server)]
    if isinstance(server, OpsServer):
        made += [*_static("ops"), *_copies(server.copies)]
    return tuple(sorted(made, key=lambda file: file.path))


def born_with(server: Server) -> tuple[File, ...]:
    """Return those that it has from its birth."""
    later = {file.path for file in _program()} - {f"{PROGRAM}/{module}.py" for module in BORN_WITH}
    return tuple(file for file in files(server) if file.path not in later)


def digest(server: Server) -> str:
    """Return a digest of all files of a server."""
    made = hashlib.sha256()
    for file in files(server):
        made.update(f"{file.mode:o} {file.path}\0{file.content}\0".encode())
    return made.hexdigest()


def effect(path: str) -> Effect | None:
    """Return what has to be done after the file at `path` was replaced on a running server; None for nothing.

    Raises:
        LookupError: nobody is known to read it.
    """
    for pattern, found in _READERS:
        if fnmatchcase(path, pattern):
            return found
    raise LookupError(f"{path}: say in contents.py who reads it")


@cache
def _static(kind: str) -> tuple[File, ...]:
    """Return the files under `static/<kind>`, at the paths that follow; what is executable there stays so."""
    folder = _STATIC / kind
    return tuple(
        File(f"/{path.relative_to(folder)}", path.read_text(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )


def _ssh(server: Server) -> list[File]:
    return [
        File("/etc/nftables.d/ssh-sources.nft", _ssh_sources(server.ssh_sources)),
        File("/etc/ssh/authorized_keys/ops", "".join(f"{key}\n" for key in server.authorized_keys)),
        # sshd does not read a key whose last line has no end.
        File(HOST_KEY, server.host_key.rstrip() + "\n", _SECRET),
    ]


def _ssh_sources(sources: tuple[str, ...]) -> str:
    """Return nftables' lines for `sources`: overlaps merged, since a set of intervals refuses them."""
    networks = [ip_network(source) for source in sources]
    families = {
        "ssh_sources_v4": collapse_addresses(n for n in networks if isinstance(n, IPv4Network)),
        "ssh_sources_v6": collapse_addresses(n for n in networks if isinstance(n, IPv6Network)),
    }
    return "".join(
        f"add element inet filter {name} {{ {network} }}\n" for name, merged in families.items() for network in merged
    )


def _reboot_window(server: Server) -> File:
    return File("/etc/systemd/system/reboot-window.timer", _WINDOW.format(server.reboot_window))


def _application(server: RoleServer) -> list[File]:
    environment = {
        "CHAT_TONIC_ENVIRONMENT": server.environment,
        "CHAT_TONIC_ROLE": server.role,
        "PORT": str(server.port),
    }
    made = [
        File("/etc/chat-tonic/app-image.env", _environment_file({"IMAGE": server.image})),
        File("/etc/chat-tonic/registry.json", _login(server.registry), _SECRET),
    ]
    if server.database:
        certificate = File("/etc/chat-tonic/app/database-ca.pem", server.database.ca_cert)
        environment |= _libpq(server.database, certificate.path)
        made.append(certificate)
    made.append(File("/etc/chat-tonic/app.env", _environment_file({**environment, **server.settings}), _SECRET))
    return made


def _login(registry: Registry) -> str:
    """Return the login as containers-auth.json(5) has it."""
    login = base64.b64encode(f"{registry.user}:{registry.password}".encode()).decode()
    return json.dumps({"auths": {registry.host: {"auth": login}}}) + "\n"


def _libpq(database: Database, ca_path: str) -> dict[str, str]:
    """Return the variables that libpq, and so nearly every PostgreSQL client, reads."""
    return {
        "PGDATABASE": database.name,
        "PGHOST": database.host,
        "PGPASSWORD": database.password,
        "PGPORT": str(database.port),
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": ca_path,
        "PGUSER": database.user,
    }


def _caddy(server: RoleServer) -> list[File]:
    # A request matcher of the Caddyfile: requests for these names, or all.
    served = f"host {' '.join(server.host_names)}" if server.host_names else "path *"
    return [
        File("/etc/caddy/caddy.env", _environment_file({"APP_PORT": str(server.port), "SERVED": served})),
        File("/etc/caddy/client-ca.pem", server.client_ca),
        File("/etc/caddy/origin.key", server.origin_key, _SECRET),
        File("/etc/caddy/origin.pem", server.origin_certificate),
        File("/etc/chat-tonic/caddy-image.env", _environment_file({"IMAGE": server.caddy_image})),
    ]


def _gate(server: RoleServer) -> File:
    gate = server.gate
    return File(
        "/etc/chat-tonic/gate.env",
        _environment_file(
            {
                "FAILURES": str(gate.failures),
                "INTERVAL": str(gate.interval),
                "TIMEOUT": str(gate.timeout),
                "URL": f"http://127.0.0.1:{server.port}{server.health_path}",
            }
        ),
    )


@cache
def _program() -> tuple[File, ...]:
    return tuple(File(f"{PROGRAM}/{module.name}", module.read_text()) for module in sorted(_COPIES.glob("*.py")))


def _copies(copies: Copies | None) -> list[File]:
    """Return what an ops server has of its own about copies: for each database a configuration, and when it is due.

    What fails is tried again in the hours that the day has left; where the day's copy is there, nothing is done.
    """
    databases = copies.databases if copies else ()
    timers = [f"copies-{what}@{each.environment}.timer" for each in databases for what in ("copy", "check")]
    made = [_unit("copies.target", _TARGET.format(timers=" ".join(timers)))]
    if copies is None:
        return made
    made += _program()
    tries = range(copies.hour, 24, _TRIED_EVERY)
    looks = sorted((copies.hour + _LOOKED_AFTER + later) % 24 for later in range(0, 24, _LOOKED_EVERY))
    made += [
        _unit("copies-copy@.timer", _DAILY.format(what="the database of %i is copied", when=_daily(tries))),
        _unit("copies-check@.timer", _DAILY.format(what="the copies of %i are looked at", when=_daily(looks))),
    ]
    for each in databases:
        certificate = File(f"/etc/chat-tonic/copies/{each.environment}.pem", each.database.ca_cert)
        content = json.dumps(_configuration(copies, each, certificate.path), indent=1) + "\n"
        made += [certificate, File(f"/etc/chat-tonic/copies/{each.environment}.json", content, _SECRET)]
    return made


_TRIED_EVERY, _LOOKED_AFTER, _LOOKED_EVERY = 4, 3, 6  # hours


def _unit(name: str, text: str) -> File:
    return File(f"/etc/systemd/system/{name}", text)


def _daily(hours: Iterable[int]) -> str:
    return f"*-*-* {','.join(f'{hour:02}' for hour in hours)}:00:00 UTC"


def _configuration(copies: Copies, copied: Copied, ca_path: str) -> dict[str, object]:
    """Return what the program `copies` reads."""
    database, store, alarm = copied.database, copied.store, copies.alarm
    return {
        "stack": copies.stack,
        "environment": copied.environment,
        "version": copied.version,
        "database": {
            "host": database.host,
            "port": str(database.port),
            "dbname": database.name,
            "user": database.user,
            "password": database.password,
            "sslmode": "verify-full",
            "sslrootcert": ca_path,
            "connect_timeout": "30",
        },
        "repository": {
            "url": store.url,
            "region": store.region,
            "access_key": store.access_key,
            "secret_key": store.secret_key,
        },
        "key": copies.key,
        "kept": copies.kept,
        "hour": copies.hour,
        "queries": [{"sql": sql, "expects": expects} for sql, expects in copied.queries],
        "alarm": {"smtp": alarm.smtp, "from": alarm.sender, "to": list(alarm.to)} if alarm else None,
    }


def _environment_file(variables: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in sorted(variables.items()))
