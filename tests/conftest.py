"""What all tests share."""

import os
import signal

import hypothesis
import pytest

# The tests run the engine again and again, for seconds each: there is memory enough for it to collect less often.
os.environ.setdefault("GOGC", "400")

# How long a case takes is no property: another job on the machine would fail it.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--all`, which `./inv test --all` passes on."""
    parser.addoption("--all", action="store_true", help="add the exhaustive tests, which kill after every single write")


@pytest.fixture(scope="session")
def exhaustive(pytestconfig: pytest.Config) -> bool:
    """Whether the exhaustive tests were asked for."""
    return bool(pytestconfig.getoption("--all"))


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Programs that tests interrupt take it, also where the tests themselves were started to ignore it (nohup, &)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
