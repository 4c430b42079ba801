"""The wrapper `inv`, in a copy of the project with a lock file of one small local package."""

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from toolchain import environment

ROOT = Path(__file__).parents[2]
TASKS = """
from invoke import task

@task
def where(c):
    print("the task runs")
"""
PutProgram = Callable[[str, str], Path]
MAKING = "making the Python environment"


def lock_with(project: Path, package: str) -> None:
    """Make requirements.lock pin `package`, whose one file lends the packages of this interpreter."""
    wheel = project / f"{package}-1.0-py3-none-any.whl"
    info = f"{package}-1.0.dist-info"
    files = {
        f"{package}.pth": sysconfig.get_path("purelib") + "\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},"
        for name, text in files.items()
    ]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (project / "requirements.lock").write_text(f"./{wheel.name} --hash=sha256:{digest}\n")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a clone" / "chat tonic"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "inv", folder)
    shutil.copytree(ROOT / "toolchain", folder / "toolchain", ignore=shutil.ignore_patterns("__pycache__", "go"))
    (folder / "tasks.py").write_text(TASKS)
    lock_with(folder, "first")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


def inv(project: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [project / "inv", *arguments],
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )


def run(project: Path, *arguments: str) -> tuple[int, str]:
    process = inv(project, *arguments)
    printed, _ = process.communicate(timeout=120)
    return process.returncode, printed


def test_the_environment_is_made_on_first_use_kept_then_and_made_again_when_the_lock_changes(
    project: Path,
) -> None:
    code, printed = run(project, "where")
    assert code == 0, printed
    assert MAKING in printed
    assert printed.endswith("the task runs\n")
    assert run(project, "where") == (0, "the task runs\n")
    packages = next((project / ".venv" / "lib").glob("python3*/site-packages"))
    assert (packages / "first.pth").exists()
    lock_with(project, "second")
    code, printed = run(project, "where")
    assert (code, MAKING in printed) == (0, True)
    assert (packages / "second.pth").exists()
    assert not (packages / "first.pth").exists()


def test_wrong_use_exits_2_and_names_what_is_wrong(project: Path) -> None:
    for wrong, why in [
        (["no-such-task"], "No idea what 'no-such-task' is!"),
        (["where", "--no-such-option"], "No idea what '--no-such-option' is!"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "toolchain", *wrong],
            cwd=project,
            capture_output=True,
            check=False,
            text=True,
        )
        assert (done.returncode, done.stderr) == (2, f"inv: {why}\n")


def test_two_at_once_make_the_environment_once_and_both_run(project: Path) -> None:
    both = [inv(project, "where"), inv(project, "where")]
    printed = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert "".join(printed).count(MAKING) == 1
    assert all(text.endswith("the task runs\n") for text in printed)


def test_pip_asks_nobody_when_the_engine_has_it_list_the_packages(project: Path, tmp_path: Path) -> None:
    assert run(project, "where")[0] == 0
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0)
        ended = subprocess.run(
            [project / ".venv" / "bin" / "python", "-m", "pip", "list", "-v", "--format", "json"],
            env={"HOME": str(tmp_path), "HTTPS_PROXY": f"http://127.0.0.1:{proxy.getsockname()[1]}"},
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert json.loads(ended.stdout)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_an_environment_that_was_interrupted_half_way_is_made_again(project: Path) -> None:
    process = inv(project, "where")
    deadline = time.monotonic() + 60
    while not (project / ".venv" / "bin" / "python").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)  # shells differ in how they pass it on
    assert printed.endswith("inv: interrupted; run ./inv again to go on\n")
    assert not (project / ".venv" / "stamp").exists()
    code, printed = run(project, "where")
    assert (code, MAKING in printed) == (0, True)


def test_a_package_that_is_not_what_the_lock_says_is_refused(project: Path) -> None:
    lock = project / "requirements.lock"
    lock.write_text(lock.read_text().split("--hash")[0] + f"--hash=sha256:{'0' * 64}\n")
    code, printed = run(project, "where")
    assert code == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in printed
    assert printed.endswith(".venv is not complete: mend this, then run ./inv again.\n")
    assert not (project / ".venv" / "stamp").exists()


@pytest.mark.usefixtures("bin_folder")
def test_without_a_python_it_prints_the_one_apt_line_and_exits_2(project: Path) -> None:
    code, printed = run(project, "where")
    assert code == 2
    assert printed.splitlines()[-1].strip().removeprefix("sudo ") == "apt-get install -y git python3 python3-venv"
    assert not (project / ".venv").exists()


def test_a_python_without_its_venv_module_is_passed_over_for_one_that_has_it(
    project: Path, program: PutProgram
) -> None:
    program("python3", "exit 1")
    program("python3.12", 'echo "python3.12 $*"')
    assert "python3.12 -m toolchain.environment\n" in run(project, "where")[1]


def put_environment(project: Path) -> None:
    """Put an environment whose `python` says how it is run, with the stamp of one that is complete."""
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "run with $*"\n')
    python.chmod(0o755)
    made_from = [project / "requirements.lock", project / "toolchain" / "environment.py"]
    (project / ".venv" / "stamp").write_text(f"{project}\n" + "".join(each.read_text() for each in made_from))


def test_with_a_current_environment_it_only_runs_invoke_in_it(project: Path, program: PutProgram) -> None:
    put_environment(project)
    program("python3", "echo made again")
    assert run(project, "where", "an argument") == (0, "run with -m toolchain where an argument\n")
    assert environment.is_current(project)


def test_the_environment_is_made_again_when_what_makes_it_has_changed(project: Path, program: PutProgram) -> None:
    put_environment(project)
    program("python3", '[ "$1" = -c ] || echo "made again"')
    with (project / "toolchain" / "environment.py").open("a") as maker:
        maker.write("# changed\n")
    assert run(project, "where")[1].startswith("made again\n")
    assert not environment.is_current(project)


def test_the_environment_is_made_again_when_it_was_copied_here_or_its_python_is_gone(
    project: Path, program: PutProgram
) -> None:
    put_environment(project)
    program("python3", '[ "$1" = -c ] || echo "made again"')
    copy = project.with_name("copy")
    shutil.copytree(project, copy)
    assert run(copy, "where")[1].startswith("made again\n")
    assert not environment.is_current(copy)
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/usr/bin/python3.0")
    assert run(project, "where")[1].startswith("made again\n")


def test_an_environment_that_is_only_linked_here_stays_as_it_is(project: Path) -> None:
    put_environment(project)
    others = project.with_name("others")
    shutil.copytree(project, others)
    (others / ".venv" / "stamp").write_text("of another checkout")
    shutil.rmtree(project / ".venv")
    (project / ".venv").symlink_to(others / ".venv")
    code, printed = run(project, "where")
    assert (code, MAKING in printed) == (0, True), printed
    assert not (project / ".venv").is_symlink()
    assert (others / ".venv" / "bin" / "python").exists()


def test_ci_runs_all_the_tests_and_nothing_more(project: Path) -> None:
    shutil.copytree(ROOT / ".ci", project / ".ci")
    (project / "inv").write_text('#!/bin/sh\necho "${0##*/}" "$@" in "$PWD"\nexit 5\n')
    done = subprocess.run(["bash", project / ".ci" / "run"], cwd="/", capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (5, f"inv test in {project}\n")
