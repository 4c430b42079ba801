"""A cache and a PATH of each test's own, and fake programs to put on it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

PutProgram = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "chat-tonic" / "toolchain"


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH: nothing that this machine has installed decides a test."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cat", "chmod", "cmp", "id", "mkdir", "sh"):
        (folder / name).symlink_to(shutil.which(name) or os.devnull)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def program(bin_folder: Path) -> PutProgram:
    """Put a shell script of that name and body on the PATH."""

    def put(name: str, body: str) -> Path:
        path = bin_folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return put


@pytest.fixture
def said() -> list[str]:
    return []
