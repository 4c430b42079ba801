"""A sandbox for a module's tests of the API door."""

from collections.abc import Iterator

import pytest

from tests.sandbox.api.box import Box


@pytest.fixture(scope="module")
def running_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A cloud that takes no time."""
    made = Box(tmp_path_factory.mktemp("api") / "box")
    yield made
    made.stop()


@pytest.fixture
def calm_box(running_box: Box) -> Box:
    """The same without the faults and conditions of the test before."""
    running_box.fail()
    running_box.wrong()
    return running_box
