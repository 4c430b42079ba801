"""One running sandbox a module, and the official client of its two Linode accounts."""

from collections.abc import Iterator

import pytest
from linode_api4 import LinodeClient

from tests.sandbox.api.box import LINODE, Box
from tests.sandbox.api.linode.client import client_of


@pytest.fixture(scope="module")
def box(running_box: Box) -> Box:
    """A cloud that takes no time."""
    return running_box


@pytest.fixture(scope="module")
def slow_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A cloud that takes its own time, which passes when the test says so."""
    made = Box(tmp_path_factory.mktemp("slow"), latency=1.0)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def client(box: Box) -> LinodeClient:
    return client_of(box, box.token(LINODE))


@pytest.fixture(scope="module")
def slow_client(slow_box: Box) -> LinodeClient:
    return client_of(slow_box, slow_box.token(LINODE))
