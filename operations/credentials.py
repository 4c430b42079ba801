"""Certificates and keys, made here: what the servers and Cloudflare show each other, and SSH host keys.

All are inputs of a stack by their configuration keys. What comes in one mapping fits together.
"""

import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.settings import PROJECT

HOST_KEY = f"{PROJECT}:hostKey-"
ORIGIN_CERTIFICATE, ORIGIN_KEY = f"{PROJECT}:originCertificate", f"{PROJECT}:originKey"
PULL_CA, PULL_CERTIFICATE, PULL_KEY = f"{PROJECT}:pullCa", f"{PROJECT}:pullCertificate", f"{PROJECT}:pullKey"
COPIES_KEY = f"{PROJECT}:copiesKey"
LIFETIME = dt.timedelta(days=3650)


@dataclass(frozen=True)
class _Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def copies_key() -> str:
    """Return a new key for the encrypted copies of the databases."""
    return secrets.token_urlsafe(32)


def covered(domain: str) -> list[str]:
    """Return the names of an origin certificate: the domain, and those one level below it."""
    return [domain, f"*.{domain}"]


def origin(domain: str) -> Mapping[str, str]:
    """Return a certificate for a domain, of an authority that nobody knows, and its key."""
    leaf = _issue(domain, _authority("Chat-Tonic origin CA"), ExtendedKeyUsageOID.SERVER_AUTH, covered(domain))
    return {ORIGIN_CERTIFICATE: _certificate(leaf.certificate), ORIGIN_KEY: _private(leaf.key)}


def origin_request(domain: str) -> tuple[str, str]:
    """Return a request for a certificate for a domain, and the key that it is for."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name(domain))
        .add_extension(_names(covered(domain)), critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode(), _private(key)


def fit(certificate: str, key: str) -> bool:
    """Whether a certificate, the first of its chain, is for a private key; both PEM.

    Raises:
        ValueError: one of them is not what it should be.
    """
    public = serialization.load_pem_private_key(key.encode(), None).public_key()
    return x509.load_pem_x509_certificates(certificate.encode())[0].public_key() == public


def pull() -> Mapping[str, str]:
    """Return the client certificate that Cloudflare presents to the servers, its key, and its own authority."""
    authority = _authority("Chat-Tonic origin pull CA")
    name = "origin-pull.internal"
    leaf = _issue(name, authority, ExtendedKeyUsageOID.CLIENT_AUTH, [name])
    return {
        PULL_CA: _certificate(authority.certificate),
        PULL_CERTIFICATE: _certificate(leaf.certificate),
        PULL_KEY: _private(leaf.key),
    }


def host_key() -> str:
    """Return an SSH host key, in OpenSSH's form."""
    return (
        ed25519.Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
        .decode()
    )


def _authority(name: str) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _builder(subject, subject, key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    return _Issued(builder.sign(key, hashes.SHA256()), key)


def _issue(name: str, authority: _Issued, usage: x509.ObjectIdentifier, names: list[str]) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(name), authority.certificate.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(_names(names), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _Issued(certificate, key)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # a clock that is a little behind must accept it
        .not_valid_after(now + LIFETIME)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _names(names: list[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _certificate(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
