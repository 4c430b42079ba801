"""How the engine's messages become what rules see."""

import pytest
from google.protobuf import struct_pb2
from pulumi_policy import deserialize, proxy

from components.catalog import kind_of
from policies.resource import UNKNOWN, read


def test_numbers_secrets_and_unknown_values_are_plain() -> None:
    secret = {deserialize.SPECIAL_SIG_KEY: deserialize.SPECIAL_SECRET_SIG, "value": {"key": ["hidden"], "port": 22}}
    struct = struct_pb2.Struct()
    struct.update(
        {"size": 3, "ratio": 0.5, "inner": {"of": [proxy.UNKNOWN_STRING_VALUE, "known"]}, "of_a_secret": secret}
    )
    assert read(struct) == (
        {"size": 3, "ratio": 0.5, "inner": {"of": [UNKNOWN, "known"]}, "of_a_secret": {"key": ["hidden"], "port": 22}},
        frozenset({"hidden"}),
    )


@pytest.mark.parametrize("form", ["STRING", "NUMBER", "BOOLEAN", "ARRAY", "OBJECT"])
def test_an_unknown_value_of_any_form_is_unknown(form: str) -> None:
    struct = struct_pb2.Struct()
    struct.update({"value": getattr(proxy, f"UNKNOWN_{form}_VALUE")})
    assert read(struct)[0]["value"] is UNKNOWN


def test_a_kind_is_named_after_package_and_type() -> None:
    assert kind_of("linode:index/databasePostgresqlV2:DatabasePostgresqlV2") == "linode:DatabasePostgresqlV2"
    assert kind_of("chat-tonic:region:Region") == "chat-tonic:Region"
