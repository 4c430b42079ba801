"""Whatever the engine sends, the door answers in order: nothing crashes, nothing is lost on the wire."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.engine import cloudflare, diffing, linode
from sandbox.engine.checks import Inspection
from sandbox.engine.resource import Resource
from sandbox.engine.values import UNKNOWN, decode, encode

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
EVERY = (*linode.RESOURCES, *cloudflare.RESOURCES)


@given(st.dictionaries(st.text(), values))
def test_values_come_back_from_the_wire_as_they_were(given_values: dict[str, Any]) -> None:
    assert decode(encode(given_values)) == given_values


@given(st.dictionaries(st.text(min_size=1), scalars, min_size=1))
def test_a_secret_comes_back_bare(given_values: dict[str, Any]) -> None:
    assert decode(encode(given_values, secrets=given_values)) == given_values


@pytest.mark.parametrize("resource", EVERY, ids=lambda resource: resource.token.rpartition(":")[2])
@settings(max_examples=30)
@given(st.data())
def test_any_value_of_any_property_is_taken_or_refused(resource: Resource, data: st.DataObject) -> None:
    names = st.sampled_from(sorted(resource.schema.inputs)) | st.text()
    inputs = data.draw(st.dictionaries(names, values, max_size=4))
    inspection = Inspection(resource.checks, resource.serves)
    taken = inspection.object(resource.schema.inputs, inputs)
    assert set(taken) <= set(inputs)
    if not inspection.failures:
        open_still = repr(UNKNOWN) in repr(taken)  # what is not known yet may become a change
        assert open_still or not [*diffing.differences(resource, taken, taken, taken)]
        assert set(resource.preview(taken)) == set(resource.schema.outputs)


def test_reading_the_sdks_types_leaves_the_sdks_whole_for_others() -> None:
    script = (
        "from sandbox.engine import linode; linode.RESOURCES[0].schema\n"
        "import pulumi_linode; assert pulumi_linode.Volume.pulumi_type and pulumi_linode.InstanceArgs\n"
        "from components.sdk import cloudflare; assert cloudflare.DnsRecord.pulumi_type\n"
        "from sandbox.engine import cloudflare; cloudflare.RESOURCES[0].schema\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path.cwd(), timeout=60)
