"""Checkouts for the tests of the tasks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations import real_clouds
from tests.operations.checkout import Checkout, sandboxed


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout whose engine does nothing but note its calls."""
    made = Checkout(tmp_path)
    made.use_idle_engine()
    return made


@pytest.fixture(scope="module")
def sandbox_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout with the real engine and a sandbox of its own, shared by the tests of a module."""
    yield from sandboxed(tmp_path_factory.mktemp("sandboxed"))


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_clouds.RealClouds]:
    """The real clouds' hosts on the loopback."""
    with real_clouds.served(tmp_path_factory.mktemp("hosts")) as clouds:
        yield clouds
