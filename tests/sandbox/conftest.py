"""A model on a file of its own, a sandbox that runs in a folder of its own, and the engine."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import process
from sandbox.model import Model
from tests.sandbox.bodies import new_model
from toolchain import engine as toolchain


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return new_model(tmp_path / "sandbox.sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a sandbox may run; it does not outlive the test."""
    home = tmp_path / "box"
    yield home
    process.stop(home)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture(scope="session")
def engine() -> toolchain.Engine:
    return toolchain.ensure(print)


def kill(running: process.Running) -> None:
    """Ends a sandbox as a power cut would: it gets no chance to finish anything."""
    os.kill(running.pid, signal.SIGKILL)
    while process.status(running.file.parent):
        pass
