"""Rules about what holds data."""

from dataclasses import replace

import pytest

from tests.policies.asking import found, resource


@pytest.mark.parametrize("kind", ["linode:DatabasePostgresqlV2", "linode:ObjectStorageBucket", "linode:Volume"])
def test_what_holds_data_is_protected(kind: str) -> None:
    assert found("protection", resource(kind)) == [
        "it holds data and an update could delete it; declare it with `protect=True`"
    ]
    assert found("protection", replace(resource(kind), protected=True)) == []


def test_a_server_needs_no_protection() -> None:
    assert found("protection", resource("linode:Instance")) == []
