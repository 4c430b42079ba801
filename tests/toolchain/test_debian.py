"""Debian's tools: those of the system are used, the others unpacked into the cache, and nothing is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.toolchain.conftest import PutProgram
from toolchain import debian, progress

CACHE = os.environ.get("XDG_CACHE_HOME", "")

APT = """
echo "$@" >>{log}
for argument; do
    case $argument in
    --option=Dir::Cache=*) archives=${{argument#*=*=}}/archives ;;
    update) exit {update} ;;
    install) cp {package} "$archives/"; exit {install} ;;
    esac
done
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A real package, built by dpkg-deb: the program `frobnicate`, and a Python module that it needs."""
    tree = tmp_path / "tree"
    for path, text in (
        ("DEBIAN/control", "Package: frobnicate\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: b\n"),
        ("usr/bin/frobnicate", '#!/bin/sh\necho "$1 with $PYTHONPATH"\n'),
        ("usr/lib/python3/dist-packages/frob.py", ""),
        ("lib/systemd/system/frobnicate.service", "[Service]\n"),
    ):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    (tree / "usr/bin/frobnicate").chmod(0o755)
    archive = tmp_path / "frobnicate_1_all.deb"
    dpkg_deb = shutil.which("dpkg-deb")
    if not dpkg_deb:
        pytest.skip("dpkg-deb isn't here: this is no Debian")
    subprocess.run([dpkg_deb, "--build", "--root-owner-group", tree, archive], check=True, capture_output=True)
    return archive


@pytest.fixture
def apt(package: Path, program: PutProgram, bin_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An apt that has one package, which brings the only tool there is; return the log of what it is asked."""
    monkeypatch.setattr(debian, "PACKAGES", {"frobnicate": "frobnicate"})
    for name in {"cp", "dpkg-deb", "gzip", "rm", "tar", "xz", "zstd"} - {each.name for each in bin_folder.iterdir()}:
        (bin_folder / name).symlink_to(f"/usr/bin/{name}")
    log = tmp_path / "log"
    program("apt-get", APT.format(log=log, package=package, update=0, install=0))
    return log


def test_every_tool_runs_from_the_system_or_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    if CACHE:
        monkeypatch.setenv("XDG_CACHE_HOME", CACHE)
    else:
        monkeypatch.delenv("XDG_CACHE_HOME")
    tools = debian.ensure(print)
    for question in (
        ("cloud-init", "--version"),
        ("curl", "--version"),
        ("ip", "-Version"),
        ("nft", "--version"),
        ("systemd-analyze", "--version"),
        ("unattended-upgrade", "--help"),
    ):
        answer = tools.run(*question)
        assert (question, answer.returncode) == (question, 0), answer.stderr
    assert tools.file("lib/systemd/system/nftables.service").exists()


def test_what_is_missing_is_unpacked_into_the_cache_once(apt: Path, cache_folder: Path, said: list[str]) -> None:
    tools = debian.ensure(said.append)
    again = debian.ensure(said.append)
    assert tools == again
    (root,) = (cache_folder / "debian").glob("*-frobnicate")
    modules = root / "usr/lib/python3/dist-packages"
    assert tools.run("frobnicate", "tool").stdout == f"tool with {modules}\n"
    assert tools.file("lib/systemd/system/frobnicate.service").is_relative_to(root)
    assert tools.file("bin/frobnicate") == root / "usr/bin/frobnicate"
    assert [line.split()[-1] for line in apt.read_text().splitlines()] == ["update", "frobnicate"]
    assert len(said) == 2


def test_apt_keeps_its_state_in_a_folder_that_is_gone_afterwards(apt: Path) -> None:
    debian.ensure(lambda _: None)
    for line in apt.read_text().splitlines():
        options = dict(
            each.removeprefix("--option=").split("=", 1) for each in line.split() if each.startswith("--option=")
        )
        assert options["Debug::NoLocking"] == "true"
        assert options["Dir::State::status"] == "/var/lib/dpkg/status"
        assert not Path(options["Dir::State"]).exists()
        assert not Path(options["Dir::Cache"]).exists()


def test_a_tool_that_the_system_has_is_used_and_nothing_is_downloaded(
    apt: Path, program: PutProgram, said: list[str]
) -> None:
    program("frobnicate", "echo the system\\'s")
    assert debian.ensure(said.append).run("frobnicate").stdout == "the system's\n"
    assert not apt.exists()
    assert said == []


def test_a_package_list_that_cant_be_read_may_be_one_that_is_not_needed(
    apt: Path, package: Path, program: PutProgram, said: list[str]
) -> None:
    program("apt-get", APT.format(log=apt, package=package, update=100, install=0))
    assert debian.ensure(said.append).run("frobnicate", "x").returncode == 0
    assert "reading Debian's package lists: exit code 100" in said


def test_a_package_that_cant_be_had_is_an_error_that_names_it(
    apt: Path, package: Path, program: PutProgram, cache_folder: Path
) -> None:
    program("apt-get", APT.format(log=apt, package=package, update=0, install=100))
    with pytest.raises(progress.CommandError, match="downloading frobnicate and what they need: exit code 100"):
        debian.ensure(lambda _: None)
    assert list((cache_folder / "debian").iterdir()) == []


def test_a_package_that_brings_nothing_is_not_taken_for_good(
    apt: Path, program: PutProgram, cache_folder: Path
) -> None:
    program("apt-get", f"echo >>{apt}")
    with pytest.raises(progress.CommandError, match="frobnicate: apt takes frobnicate for installed; reinstall it"):
        debian.ensure(lambda _: None)
    assert list((cache_folder / "debian").iterdir()) == []


@pytest.mark.usefixtures("bin_folder")
def test_where_there_is_no_apt_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "PACKAGES", {"frobnicate": "frobnicate"})
    with pytest.raises(progress.CommandError, match=r"downloading frobnicate .*No such file.*apt-get"):
        debian.ensure(lambda _: None)


def test_a_file_that_no_package_brings_is_named(apt: Path) -> None:
    assert apt.parent.exists()
    with pytest.raises(FileNotFoundError, match="/etc/frob: none of frobnicate brings it"):
        debian.ensure(lambda _: None).file("etc/frob")
