"""Certificates for the hosts that tests put on the loopback."""

import datetime as dt
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOUR = dt.timedelta(hours=1)


def builder(name: str, key: Any, hosts: Sequence[str]) -> x509.CertificateBuilder:
    """Return what makes a certificate of a public key for hosts, by an authority of the same name."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(subject, subject, key, x509.random_serial_number(), now - HOUR, now + HOUR)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    return made.add_extension(names, critical=False)


def serving(path: Path, hosts: Sequence[str]) -> ssl.SSLContext:
    """Write a certificate for hosts that is its own authority, with its key; return what serves with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = builder(hosts[0], key.public_key(), hosts).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
