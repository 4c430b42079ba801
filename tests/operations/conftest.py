"""Checkouts for the tests of the tasks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
