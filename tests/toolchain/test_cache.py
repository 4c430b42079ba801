import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolchain import cache

BUILDER = """
import sys, time
from pathlib import Path
from toolchain import cache

def build(work):
    print("building", flush=True)
    (work / "half").touch()
    time.sleep(float(sys.argv[1]))
    (work / "whole").touch()

cache.install(cache.folder("tool") / "1.0", build)
"""

HOLDER = """
import time
from toolchain import cache

with cache.lock("x"):
    print("held", flush=True)
    time.sleep(60)
"""


def builder(seconds: float) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", BUILDER, str(seconds)], stdout=subprocess.PIPE, encoding="utf-8")


def test_the_cache_is_below_the_home_folder_where_xdg_cache_home_is_unset_or_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".cache" / "chat-tonic" / "toolchain" / "pulumi"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.folder("pulumi") == expected
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder("pulumi") == expected
    assert expected.is_dir()


def test_two_processes_at_once_build_once_and_both_find_it_whole(cache_folder: Path) -> None:
    both = [builder(0.5), builder(0.5)]
    printed = "".join(process.communicate(timeout=20)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert printed == "building\n"
    assert sorted(path.name for path in (cache_folder / "tool" / "1.0").iterdir()) == ["half", "whole"]


def test_a_killed_build_leaves_nothing_half_made_and_the_next_one_begins_anew(cache_folder: Path) -> None:
    killed = builder(60)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "building\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=20)
    assert not (cache_folder / "tool" / "1.0").exists()
    found: list[Path] = []
    cache.install(cache.folder("tool") / "1.0", lambda work: found.extend(work.iterdir()))
    assert found == []
    assert [path.name for path in (cache_folder / "tool").iterdir()] == ["1.0"]


def test_a_build_that_fails_leaves_nothing_and_its_error_passes_through(cache_folder: Path) -> None:
    def build(work: Path) -> None:
        (work / "half").touch()
        raise ValueError("no such tool")

    with pytest.raises(ValueError, match="no such tool"):
        cache.install(cache.folder("tool") / "1.0", build)
    assert list((cache_folder / "tool").iterdir()) == []


def test_who_waits_for_a_lock_is_told_and_gets_it_when_the_holder_is_killed(said: list[str]) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()

    def say(text: str) -> None:
        said.append(text)
        holder.kill()

    began = time.monotonic()
    with cache.lock("x", say):
        assert time.monotonic() - began < 30
    holder.communicate(timeout=20)
    assert said == [f"another process is at work on {cache.folder('locks', 'x')}; waiting for it"]
