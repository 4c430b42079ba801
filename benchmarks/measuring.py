"""Measuring runs against each other: turn by turn, so that what else the machine does falls on both sides alike."""

import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from operations.console import say
from operations.errors import Failed

SAMPLED_EVERY = 0.1  # seconds between two looks at the memory; each process's own peak is kept by the kernel


@dataclass(frozen=True)
class Run:
    """One run: wall seconds, and peak memory in MB of the engine and of the program (None: not known)."""

    seconds: float
    engine: float | None = None
    program: float | None = None


def in_turns(runs: Mapping[str, Callable[[], Run]], times: int) -> dict[str, list[Run]]:
    """Run each once, then each again, `times` times, and say how long each took; return the runs by name."""
    done: dict[str, list[Run]] = {name: [] for name in runs}
    for turn in range(1, times + 1):
        for name, run in runs.items():
            done[name].append(run())
            say(f"  {turn} of {times}: {name:<10}{done[name][-1].seconds:>8.2f} s")
    return done


def ratio(ours: Sequence[Run], against: Sequence[Run]) -> float:
    """Return the median of the ratios turn by turn: what slowed a whole turn cancels out."""
    return statistics.median(a.seconds / b.seconds for a, b in zip(ours, against, strict=True))


def median(runs: Sequence[Run]) -> float:
    """Return the median of the runs' seconds."""
    return statistics.median(run.seconds for run in runs)


def command(*arguments: str, folder: Path) -> Run:
    """Run a command and measure its time.

    Raises:
        Failed: with what it said.
    """
    began = time.perf_counter()
    ended = subprocess.run(arguments, cwd=folder, check=False, capture_output=True, encoding="utf-8")
    seconds = time.perf_counter() - began
    if ended.returncode:
        raise Failed(f"`{' '.join(arguments)}` failed:\n{ended.stderr}")
    return Run(seconds)


class Memory:
    """Follows the peak memory of a process and of all that it starts, until it is left."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    @property
    def engine(self) -> float | None:
        """The process's own peak, in MB; None where the system has no /proc."""
        return self._peaks.get(self._pid)

    @property
    def program(self) -> float | None:
        """The peak of the largest process that it started, in MB; None where there was none to see."""
        return max((peak for pid, peak in self._peaks.items() if pid != self._pid), default=None)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(SAMPLED_EVERY):
            waiting = [self._pid]
            while waiting:
                pid = waiting.pop()
                process = Path("/proc", str(pid))
                try:
                    status = (process / "status").read_text()
                    children = [(task / "children").read_text() for task in (process / "task").iterdir()]
                except OSError:  # it has ended meanwhile
                    continue
                if "VmHWM:" in status:  # one that is about to end has none
                    self._peaks[pid] = int(status.partition("VmHWM:")[2].split()[0]) / 1024
                waiting += [int(child) for text in children for child in text.split()]
