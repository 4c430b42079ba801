"""What all tests share."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--all`, which `./inv test --all` passes on."""
    parser.addoption("--all", action="store_true", help="add the exhaustive tests, which kill after every single write")


@pytest.fixture(scope="session")
def exhaustive(pytestconfig: pytest.Config) -> bool:
    """Whether the exhaustive tests were asked for."""
    return bool(pytestconfig.getoption("--all"))
