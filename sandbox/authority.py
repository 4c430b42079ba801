"""Certificate authorities that derive from what they are for, as ids do: whoever knows the name has the same one.

They are for names that no other machine answers to, and prove nothing outside of a sandbox. EC keys: libpq binds no
channel to a certificate signed with Ed25519.
"""

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox import ids

# The same whatever the time is: here, or in the clouds, whose clock may be moved.
_BEGINS, _ENDS = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2120))
_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of the curve


@cache
def certificate(*parts: str) -> str:
    """The certificate (PEM) of the authority for `parts`."""
    return _pem(_made(_key("authority", *parts), _name(parts), _key("authority", *parts), _name(parts)))


def issue(hosts: Iterable[str], *parts: str) -> tuple[str, str]:
    """A server's certificate for these host names and addresses, of the authority for `parts`, and its key (PEM)."""
    key = _key("server", *parts)
    made = _made(key, _name(["server", *parts]), _key("authority", *parts), _name(parts), [*hosts])
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _pem(made), private.decode()


def _made(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    signs: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    hosts: Iterable[str] = (),
) -> x509.Certificate:
    public, names = key.public_key(), [_host(each) for each in hosts]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(int.from_bytes(ids.digest("serial", subject.rfc4514_string())[:16]))
        .not_valid_before(_BEGINS)
        .not_valid_after(_ENDS)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signs.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    else:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        signing = x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
        builder = builder.add_extension(signing, critical=True)
    return builder.sign(signs, hashes.SHA256(), ecdsa_deterministic=True)


def _key(*parts: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(ids.digest("key", *parts)) % (_ORDER - 1) + 1, _CURVE)


def _name(parts: Iterable[str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, " ".join(parts)[:64])])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(made: x509.Certificate) -> str:
    return made.public_bytes(serialization.Encoding.PEM).decode()
