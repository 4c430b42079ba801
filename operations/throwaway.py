"""The inputs of a sandbox run: secrets that open nothing, made here and thrown away with the sandbox.

They are of the same kinds as real ones, so that what checks them (the servers' files, the clouds' rules) can.
"""

import datetime as dt
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.settings import PROJECT, Stack
from sandbox.process import Tokens

HOST_KEY = f"{PROJECT}:hostKey-"
ZONE_ID = f"{PROJECT}:cloudflareZoneId"
LIFETIME = dt.timedelta(days=3650)


def renew(stack: Stack, tokens: Tokens, keys: Collection[str], kept: Mapping[str, object]) -> dict[str, str]:
    """Return new values for the configuration keys that `kept` lacks, together with what has to fit them.

    `tokens` are those that the sandbox takes. A stack that has moved to another zone gets all its values anew: its
    certificate is for the old one.
    """
    moved = kept.get(ZONE_ID) not in (None, tokens.zone_ids.get(stack.zone or ""))
    return {
        key: value
        for family in _families(stack, tokens, keys)
        if moved or not family.keys() <= kept.keys()
        for key, value in family.items()
    }


def _families(stack: Stack, tokens: Tokens, keys: Collection[str]) -> list[dict[str, str]]:
    """Return values for the keys, grouped: what is in one family fits together."""
    families: list[Mapping[str, str]] = [
        {"linode:token": tokens.linode_platform},
        {f"{PROJECT}:copiesToken": tokens.linode_copies},
        {"cloudflare:apiToken": tokens.cloudflare},
        {f"{PROJECT}:cloudflareAccountId": tokens.cloudflare_account_id},
        {ZONE_ID: tokens.zone_ids.get(stack.zone or "", "")},
        {f"{PROJECT}:registryPassword": secrets.token_urlsafe(24)},
        {f"{PROJECT}:authorizedKeys": _public_key(ed25519.Ed25519PrivateKey.generate())},
        _origin(stack.zone or f"{stack.label}.internal"),
        _pull(),
        *({key: _host_key()} for key in keys if key.startswith(HOST_KEY)),
    ]
    return [{key: value for key, value in family.items() if key in keys} for family in families]


@dataclass(frozen=True)
class _Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


def _origin(domain: str) -> Mapping[str, str]:
    """Return a certificate for the domain and the names one level below it, and its key."""
    names = x509.SubjectAlternativeName([x509.DNSName(domain), x509.DNSName(f"*.{domain}")])
    leaf = _issue(domain, _authority("Sandbox origin CA"), ExtendedKeyUsageOID.SERVER_AUTH, names)
    return {f"{PROJECT}:originCertificate": leaf.certificate_pem, f"{PROJECT}:originKey": leaf.key_pem}


def _pull() -> Mapping[str, str]:
    """Return a client certificate for Authenticated Origin Pulls, its key, and the authority of both."""
    authority = _authority("Sandbox origin pull CA")
    names = x509.SubjectAlternativeName([x509.DNSName("origin-pull.internal")])
    leaf = _issue("origin-pull.internal", authority, ExtendedKeyUsageOID.CLIENT_AUTH, names)
    return {
        f"{PROJECT}:pullCa": authority.certificate_pem,
        f"{PROJECT}:pullCertificate": leaf.certificate_pem,
        f"{PROJECT}:pullKey": leaf.key_pem,
    }


def _authority(name: str) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _builder(subject, subject, key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    return _Issued(builder.sign(key, hashes.SHA256()), key)


def _issue(name: str, authority: _Issued, usage: x509.ObjectIdentifier, names: x509.SubjectAlternativeName) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(name), authority.certificate.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(names, critical=False)
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


def _host_key() -> str:
    return (
        ed25519.Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
        .decode()
    )


def _public_key(key: ed25519.Ed25519PrivateKey) -> str:
    """Return the public half of a key whose private half is kept nowhere: it lets nobody in."""
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{public.decode()} nobody@sandbox"
