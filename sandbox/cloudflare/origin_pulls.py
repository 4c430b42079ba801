"""Authenticated Origin Pulls of a zone: the client certificate that Cloudflare shows to our origins."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from sandbox import ids
from sandbox.cloudflare import rules
from sandbox.model import Body, Change, Field, Kind, Problem

SETTINGS = "cloudflare.origin_pulls_settings"
CERTIFICATE = "cloudflare.origin_pulls_certificate"


def settings_of(zone_id: str) -> tuple[str, Body]:
    """The settings that every zone has, as they are at first."""
    return SETTINGS, {"zone_id": zone_id, "enabled": False}


def _pair(change: Change) -> Iterator[Problem]:
    try:
        certificate = x509.load_pem_x509_certificate(change.body["certificate"].encode())
    except ValueError:
        yield Problem("The certificate is not a PEM certificate", "certificate", 1_408)
        return
    try:
        key = load_pem_private_key(change.value("private_key").encode(), None)
    except (ValueError, TypeError):
        yield Problem("The private key is not a PEM key", "private_key", 1_408)
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        yield Problem("The private key does not belong to the certificate", "private_key", 1_408)


def _complete(change: Change) -> None:
    certificate = x509.load_pem_x509_certificate(change.body["certificate"].encode())
    algorithm = certificate.signature_hash_algorithm
    change.body |= {
        "issuer": certificate.issuer.rfc4514_string(),
        "serial_number": str(certificate.serial_number),
        "signature": algorithm.name.upper() if algorithm else "",
        "expires_on": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "status": "active",
        "enabled": False,
    }
    del change.private["private_key"]  # the API never gives it back


KINDS = (
    Kind(
        SETTINGS,
        fields={"zone_id": Field(required=True, fixed=True), "enabled": Field(bool, required=True)},
        key=lambda body: str(body["zone_id"]),
        taken=Problem("The zone has these settings already"),
        parent=rules.in_zone,
        **{**rules.STYLE, "make_id": None},
    ),
    Kind(
        CERTIFICATE,
        fields={
            "zone_id": Field(required=True, fixed=True),
            "certificate": Field(required=True, fixed=True),
            "private_key": Field(required=True, fixed=True, write_only=True),
        },
        key=lambda body: f"{body['zone_id']}/{ids.digest(body['certificate']).hex()}",
        taken=Problem("This certificate has already been submitted", code=1_406),
        rules=(_pair,),
        complete=_complete,
        parent=rules.in_zone,
        **{**rules.STYLE, "stamps": ("uploaded_on", "uploaded_on")},
    ),
)
