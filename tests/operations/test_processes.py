"""Which processes are taken to be at work."""

import datetime as dt
import os
import subprocess
from pathlib import Path

from operations import processes

NOW = dt.datetime.now(dt.UTC)


def test_a_process_that_works_is_alive_at_any_time_since_it_began() -> None:
    assert processes.is_alive(os.getpid())
    assert processes.is_alive(os.getpid(), dt.datetime.now(dt.UTC))
    assert not processes.is_alive(os.getpid(), NOW - dt.timedelta(days=1000))


def test_a_process_that_has_ended_is_not_alive_also_where_nobody_has_asked_about_it() -> None:
    with subprocess.Popen(["true"], stdout=subprocess.PIPE) as ended:
        assert ended.stdout
        assert ended.stdout.read() == b""
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert "\nState:\tZ" in Path(f"/proc/{ended.pid}/status").read_text()
        assert not processes.is_alive(ended.pid)
        assert not processes.is_alive(ended.pid, NOW)
    assert not processes.is_alive(ended.pid)
