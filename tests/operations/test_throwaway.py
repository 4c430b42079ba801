from collections.abc import Mapping
from types import MappingProxyType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from components import settings
from operations import throwaway
from sandbox.process import Tokens
from tests.configuration import ROOT, STACKS

TOKENS = Tokens(
    "platform",
    "copies",
    "cloudflare",
    "control",
    "account",
    {"chat-tonic-us.example": "us", "chat-tonic-eu.example": "eu"},
)

LOGIN = "ssh-ed25519 AAAA operations@sandbox"


def inputs_of(stack: str, kept: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return the values that are made for a stack that keeps some."""
    loaded = settings.load(ROOT, stack)
    return throwaway.renew(loaded, TOKENS, [each.key for each in settings.required_inputs(loaded)], kept, login=LOGIN)


@pytest.mark.parametrize("stack", STACKS)
def test_every_required_input_of_a_stack_has_a_value(stack: str) -> None:
    made = inputs_of(stack)
    assert set(made) == {each.key for each in settings.required_inputs(settings.load(ROOT, stack))}
    assert all(made.values())


def test_what_is_there_is_kept() -> None:
    assert inputs_of("us-central", inputs_of("us-central")) == {}


@pytest.mark.parametrize(
    ("lost", "renewed"),
    [
        ("originKey", {"originKey", "originCertificate"}),
        ("pullCa", {"pullCa", "pullCertificate", "pullKey"}),
        ("hostKey-ops", {"hostKey-ops"}),
        ("registryPassword", {"registryPassword"}),
    ],
)
def test_what_got_lost_is_made_again_with_what_has_to_fit_it(lost: str, renewed: set[str]) -> None:
    kept = {key: value for key, value in inputs_of("us-central").items() if key != f"chat-tonic:{lost}"}
    assert set(inputs_of("us-central", kept)) == {f"chat-tonic:{key}" for key in renewed}


def test_a_stack_that_moved_to_another_zone_gets_everything_anew() -> None:
    kept = {**inputs_of("us-central"), "chat-tonic:cloudflareZoneId": "the id of another"}
    assert set(inputs_of("us-central", kept)) == set(kept)


def test_tokens_and_ids_are_those_that_the_sandbox_knows() -> None:
    made = inputs_of("us-central")
    assert made["linode:token"] == "platform"
    assert made["chat-tonic:copiesToken"] == "copies"
    assert made["cloudflare:apiToken"] == "cloudflare"
    assert made["chat-tonic:cloudflareAccountId"] == "account"
    assert made["chat-tonic:cloudflareZoneId"] == "us"


def test_the_key_that_may_log_in_is_the_sandboxs_own() -> None:
    assert inputs_of("us-central")["chat-tonic:authorizedKeys"] == LOGIN


def test_the_origin_certificate_covers_the_zone_and_fits_its_key() -> None:
    made = inputs_of("us-central")
    certificate = x509.load_pem_x509_certificate(made["chat-tonic:originCertificate"].encode())
    key = serialization.load_pem_private_key(made["chat-tonic:originKey"].encode(), None)
    assert certificate.public_key() == key.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chat-tonic-us.example", "*.chat-tonic-us.example"]


def test_a_stack_without_a_zone_has_an_origin_certificate_of_its_own() -> None:
    certificate = x509.load_pem_x509_certificate(inputs_of("test")["chat-tonic:originCertificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["test.internal", "*.test.internal"]


def test_the_pull_certificate_is_for_clients_and_issued_by_the_pull_authority() -> None:
    made = inputs_of("us-central")
    authority = x509.load_pem_x509_certificate(made["chat-tonic:pullCa"].encode())
    certificate = x509.load_pem_x509_certificate(made["chat-tonic:pullCertificate"].encode())
    key = serialization.load_pem_private_key(made["chat-tonic:pullKey"].encode(), None)
    certificate.verify_directly_issued_by(authority)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.public_key() == key.public_key()
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_each_environment_and_the_ops_server_have_a_host_key_of_their_own() -> None:
    made = inputs_of("us-central")
    keys = [
        serialization.load_ssh_private_key(made[f"chat-tonic:hostKey-{owner}"].encode(), None)
        for owner in ("production", "bot-testing", "ops")
    ]
    assert all(isinstance(key, ed25519.Ed25519PrivateKey) for key in keys)
    assert len({key.public_key().public_bytes_raw() for key in keys if isinstance(key, ed25519.Ed25519PrivateKey)}) == 3


def test_nothing_is_the_same_twice() -> None:
    first, second = inputs_of("test"), inputs_of("test")
    assert {key for key in first if first[key] == second[key]} == {"linode:token", "chat-tonic:authorizedKeys"}
