import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolchain import progress


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")")[1].split()[0] != "Z"


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


def test_a_failed_command_says_what_it_was_for_its_exit_code_and_its_last_lines(said: list[str]) -> None:
    command = progress.Command("fetching the moon", ["sh", "-c", "seq 1 30; echo no route >&2; exit 3"])
    with pytest.raises(progress.CommandError) as failure:
        command.run(said.append)
    lines = str(failure.value).splitlines()
    assert lines[0] == "fetching the moon: exit code 3"
    assert lines[1:] == [*map(str, range(22, 31)), "no route"]
    assert said == ["fetching the moon"]


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(progress.CommandError, match=r"fetching: .*no-such-program"):
        progress.Command("fetching", ["no-such-program"]).run(print)


def test_a_command_that_stands_still_is_given_up_with_everything_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    command = progress.Command("waiting", ["sh", "-c", f"sleep 600 & echo $! > '{note}'; wait"], patience=0.5)
    with pytest.raises(progress.CommandError, match=r"^waiting: nothing came for 0.5 s$"):
        command.run(lambda _: None)
    assert wait_until_gone(int(note.read_text()))


def test_a_command_that_goes_on_is_not_given_up_and_its_progress_is_shown_in_plain_lines(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.3)
    command = progress.Command(
        "counting",
        ["sh", "-c", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done"],
        measure=lambda lines: f"{len(lines)} lines",
        patience=1.5,
    )
    command.run(said.append)
    assert said[0] == "counting"
    assert any(text.endswith(" lines") for text in said[1:])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_interrupts_this_process_ends_the_command_and_everything_it_started(
    tmp_path: Path, how: signal.Signals
) -> None:
    note = tmp_path / "pid"
    wait = f"sleep 600 & echo $! > '{note}.new'; mv '{note}.new' '{note}'; wait"
    script = f"""
from toolchain import progress
progress.Command("waiting", ["sh", "-c", {wait!r}]).run(print)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.send_signal(how)
    parent.communicate(timeout=20)
    assert wait_until_gone(int(note.read_text()))
