"""Servers with real keys and certificates, and the tools that judge what they get."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from components import user_data
from tests.components.user_data.network import Namespace, Network, NoNamespacesError, server_and_world
from toolchain import debian
from toolchain import tools as built_tools

HOST, OTHER_HOST = "api.chat-tonic-us.example", "bots-api.chat-tonic-us.example"


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0))

    def issue(self, *names: str) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        certificate = self._sign(subject, key.public_key(), alternatives)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Identity(certificate, pem)

    def _sign(self, subject: x509.Name, key: CertificatePublicKeyTypes, extension: x509.ExtensionType) -> str:
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode()


def ssh_key() -> tuple[str, str]:
    """Return a new ed25519 key: private and public, as OpenSSH writes them."""
    key = ed25519.Ed25519PrivateKey.generate()
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
        key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    )


@pytest.fixture(scope="session")
def pull_authority() -> Authority:
    """The CA of our Authenticated Origin Pulls certificates."""
    return Authority("pulls")


@pytest.fixture(scope="session")
def origin_authority() -> Authority:
    return Authority("origins")


@pytest.fixture(scope="session")
def role_server(pull_authority: Authority, origin_authority: Authority) -> user_data.RoleServer:
    # As a zone's certificate, it is good for other servers' names too.
    origin = origin_authority.issue(HOST, OTHER_HOST)
    return user_data.RoleServer(
        hostname="us-prod-api-1",
        role="api",
        environment="production",
        host_key=ssh_key()[0],
        authorized_keys=(f"{ssh_key()[1]} operations", f"{ssh_key()[1]} on call"),
        ssh_sources=("198.51.100.0/24", "198.51.100.7/32", "2001:db8:2::/48"),
        reboot_window="Mon *-*-* 07:20:00 UTC",
        image=f"registry.chat-tonic.example/api@sha256:{'a' * 64}",
        port=8080,
        health_path="/healthz",
        caddy_image=f"docker.io/library/caddy@sha256:{'b' * 64}",
        host_names=(HOST,),
        origin_certificate=origin.certificate,
        origin_key=origin.key,
        client_ca=pull_authority.certificate,
        registry=user_data.Registry("registry.chat-tonic.example", "puller", "registry-password"),
        database=user_data.Database(
            host="db.chat-tonic.example",
            port=18319,
            name="api",
            user="api",
            password="database-password",  # noqa: S106
            ca_cert=Authority("databases").certificate,
        ),
        settings={"LOG_LEVEL": "info"},
        gate=user_data.Gate(interval=1, timeout=1, failures=2),
    )


@pytest.fixture(scope="session")
def bare_role_server(role_server: user_data.RoleServer) -> user_data.RoleServer:
    """Return one that nothing optional is given to: no database, no names, no settings, no SSH over IPv6."""
    return dataclasses.replace(
        role_server,
        hostname="test-web-chat-1",
        database=None,
        host_names=(),
        settings={},
        ssh_sources=("198.51.100.7/32",),
    )


@pytest.fixture(scope="session")
def bare_ops_server() -> user_data.OpsServer:
    """Return one that copies nothing."""
    return user_data.OpsServer(
        hostname="us-ops",
        host_key=ssh_key()[0],
        authorized_keys=(ssh_key()[1],),
        ssh_sources=("198.51.100.0/24",),
        reboot_window="Thu *-*-* 01:00:00 UTC",
    )


@pytest.fixture(scope="session")
def ops_server(bare_ops_server: user_data.OpsServer) -> user_data.OpsServer:
    # The managed service's authorities have RSA keys of this size.
    databases = tuple(
        user_data.Copied(
            environment=environment,
            version=version,
            database=user_data.Database(
                host=f"a{number}-akamai-prod-{number}-default.g2a.akamaidb.net",
                port=18319,
                name="defaultdb",
                user="akmadmin",
                password=f"database-password-{number}",
                ca_cert=Authority("databases", rsa.generate_private_key(65537, 4096)).certificate,
            ),
            store=user_data.Store(
                url=f"s3:https://us-ord-1.linodeobjects.com/chat-tonic-us-{environment}-copies",
                region="us-ord",
                access_key=f"ACCESS{number}",
                secret_key=f"store-secret-{number}",
            ),
            queries=(("select count(*) > 0 from users", "t"),),
        )
        for environment, version, number in (("production", 16, 5021433), ("bot-testing", 17, 5021434))
    )
    alarm = user_data.Alarm(
        "smtps://alarms:relay-password@relay.example:465", "alarms@chat-tonic.example", ("board@chat-tonic.example",)
    )
    copies = user_data.Copies("us-central", hour=5, kept=30, key="copies-key", alarm=alarm, databases=databases)
    return dataclasses.replace(bare_ops_server, copies=copies)


@pytest.fixture(scope="session", params=["role_server", "bare_role_server", "ops_server", "bare_ops_server"])
def any_server(request: pytest.FixtureRequest) -> user_data.Server:
    """One server of each shape."""
    server: user_data.Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def tools() -> debian.Tools:
    return debian.ensure(print)


@pytest.fixture(scope="session")
def caddy() -> Path:
    return built_tools.ensure("caddy", print)


Put = Callable[[user_data.Server], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a server's files under a folder that stands for its root."""

    def write(server: user_data.Server) -> Path:
        root = tmp_path / server.hostname
        for file in user_data.files(server):
            path = root / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(file.content)
            path.chmod(file.mode)
        return root

    return write


@pytest.fixture(scope="package")
def made_namespaces(tools: debian.Tools) -> Iterator[tuple[Namespace, Namespace]]:
    try:
        with server_and_world(tools) as pair:
            yield pair
    except NoNamespacesError as error:
        pytest.skip(f"the server's network can't be tried: no network namespaces on this machine ({error})")


@pytest.fixture
def namespaces(made_namespaces: tuple[Namespace, Namespace]) -> tuple[Namespace, Namespace]:
    """The server without any rules, and the world."""
    made_namespaces[0].run("nft", "flush ruleset")
    return made_namespaces


@pytest.fixture
def network(namespaces: tuple[Namespace, Namespace], role_server: user_data.RoleServer, put: Put) -> Network:
    return Network(*namespaces, put(role_server))
