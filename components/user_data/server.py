"""What a server's user data is made from, and the forms that keep a value on its own line of a file.

Everything here ends up in files that are read line by line (environment files, nftables, authorized_keys), so
each value is checked for its form when it is given: ValueError names the server and the field, never a secret.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

_LINE = r"[^\x00-\x1f\x7f]+"
_HOST_NAME = r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
_IMAGE = r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}"
_CERTIFICATES = r"(-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\s*)+"
_KEY = r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END [A-Z ]*PRIVATE KEY-----\s*"
_PUBLIC_KEY = r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\x00-\x1f\x7f]*)?"
_WEEKLY = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \*-\*-\* [0-2][0-9]:[0-5][0-9]:00 UTC"

_HOST_KEY = r"-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END OPENSSH PRIVATE KEY-----\s*"

_ED25519 = b"openssh-key-v1\0\0\0\0\4none\0\0\0\4none\0\0\0\0\0\0\0\1\0\0\0\x33\0\0\0\x0bssh-ed25519"
"""How every ed25519 key without a passphrase begins (OpenSSH's PROTOCOL.key)."""


def _is_ed25519(private_key: str) -> bool:
    found = re.fullmatch(_HOST_KEY, private_key)
    try:
        return bool(found and base64.b64decode(found[1]).startswith(_ED25519))
    except ValueError:
        return False


@dataclass(frozen=True)
class Registry:
    """The container registry that images are pulled from, and the login for it."""

    host: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Database:
    """The database of a role: reached over TLS, its certificate checked against `ca_cert` (PEM)."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    ca_cert: str = field(repr=False)


@dataclass(frozen=True)
class Gate:
    """When 443 closes: after `failures` failed answers in a row, asked every `interval` seconds.

    An answer has `timeout` seconds. So a dead application is noticed after at most
    failures * (interval + timeout) seconds.
    """

    interval: int = 2
    timeout: int = 2
    failures: int = 3


@dataclass(frozen=True, kw_only=True)
class Server:
    """What every server has. Raises ValueError for a value whose form would break a file.

    host_key:         the environment's SSH host key: ed25519, private, OpenSSH's format, no passphrase
    authorized_keys:  public keys that may log in as the user `ops`
    ssh_sources:      CIDRs that SSH is open to, IPv4 and IPv6
    reboot_window:    when it may reboot by itself: the beginning, weekly, as systemd.time(7) has it, UTC
    """

    hostname: str
    host_key: str = field(repr=False)
    authorized_keys: tuple[str, ...]
    ssh_sources: tuple[str, ...]
    reboot_window: str

    def __post_init__(self) -> None:
        self._check("hostname", self.hostname, r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "one label of a host name")
        self._check("authorized_keys", self.authorized_keys, _PUBLIC_KEY, "OpenSSH public keys, one line each")
        self._check("reboot_window", self.reboot_window, _WEEKLY, "a weekly time such as Mon *-*-* 02:20:00 UTC")
        for source in self.ssh_sources:
            try:
                ip_network(source)
            except ValueError as error:
                raise ValueError(f"user data of {self.hostname}: ssh_sources: {error}") from error
        if not _is_ed25519(self.host_key):
            raise ValueError(
                f"user data of {self.hostname}: host_key must be an ed25519 private key "
                "in OpenSSH's format, without a passphrase"
            )

    def _check(self, name: str, values: str | Iterable[str], form: str, meaning: str) -> None:
        for value in (values,) if isinstance(values, str) else values:
            if not re.fullmatch(form, value):
                raise ValueError(f"user data of {self.hostname}: {name} must be {meaning}")


@dataclass(frozen=True)
class Store:
    """A bucket of copies: restic's URL of it, its region, and a key that reads and writes it."""

    url: str
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Copied:
    """A database that is copied: PostgreSQL's major version, and queries with what a restored one must answer."""

    environment: str
    version: int
    database: Database
    store: Store
    queries: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Alarm:
    """Who is told of what fails, from which address, by which SMTP relay (its URL)."""

    smtp: str = field(repr=False)
    sender: str
    to: tuple[str, ...]


@dataclass(frozen=True)
class Copies:
    """The daily copies that an ops server makes for a stack.

    hour:  from when on, UTC
    kept:  days of which the copy is kept
    key:   what encrypts them
    """

    stack: str
    hour: int
    kept: int
    key: str = field(repr=False)
    alarm: Alarm | None
    databases: tuple[Copied, ...]


@dataclass(frozen=True, kw_only=True)
class OpsServer(Server):
    """The server that operations run on: reached by SSH, open to nothing else. `copies`: those that it makes."""

    copies: Copies | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for each in self.copies.databases if self.copies else ():
            self._check("environment", each.environment, r"[a-z0-9-]+", "a word of a-z, 0-9 and -")
            self._check("database's ca_cert", each.database.ca_cert, _CERTIFICATES, "certificates in PEM")


@dataclass(frozen=True, kw_only=True)
class RoleServer(Server):
    """A server of a role: the role's image behind Caddy.

    The image is run as user 65532 on a read-only file system (/tmp is writable), and must serve HTTP on
    127.0.0.1, at the port in its environment variable PORT; `health_path` answers 2xx while it is fit to serve.

    image, caddy_image:              by digest, NAME@sha256:DIGEST
    host_names:                      names that Caddy serves; none: it serves any
    origin_certificate, origin_key:  what Caddy shows to Cloudflare (PEM)
    client_ca:                       who may connect: our Authenticated Origin Pulls CA (PEM; several while one
                                     replaces another)
    database:                        None for a role without one; libpq's variables (PGHOST ...) otherwise
    settings:                        further environment variables of the application
    """

    role: str
    environment: str
    image: str
    port: int
    health_path: str
    caddy_image: str
    host_names: tuple[str, ...]
    origin_certificate: str
    origin_key: str = field(repr=False)
    client_ca: str
    registry: Registry
    database: Database | None = None
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    gate: Gate = Gate()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("host_names", self.host_names, _HOST_NAME, "host names in lower case")
        by_digest = "an image by digest: NAME@sha256:<64 hexadecimal digits>"
        self._check("image", self.image, _IMAGE, by_digest)
        self._check("caddy_image", self.caddy_image, _IMAGE, by_digest)
        self._check("health_path", self.health_path, r"/[A-Za-z0-9._~/-]*", "a path such as /healthz")
        self._check("role, environment", (self.role, self.environment), r"[a-z0-9-]+", "words of a-z, 0-9 and -")
        self._check("settings' keys", self.settings, r"[A-Z_][A-Z0-9_]*", "names such as LOG_LEVEL")
        self._check("settings' values", self.settings.values(), f"({_LINE})?", "one line each")
        self._check("origin_certificate", self.origin_certificate, _CERTIFICATES, "certificates in PEM")
        self._check("client_ca", self.client_ca, _CERTIFICATES, "certificates in PEM")
        self._check("origin_key", self.origin_key, _KEY, "a private key in PEM")
        if self.database:
            self._check(
                "database's host, name, user and password",
                (self.database.host, self.database.name, self.database.user, self.database.password),
                _LINE,
                "one line each",
            )
            self._check("database's ca_cert", self.database.ca_cert, _CERTIFICATES, "certificates in PEM")
