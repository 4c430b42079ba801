"""Lint, tests and benchmarks, each by the project's own environment."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LINTERS = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",))
# Tests wait as well, for servers that boot and for probes, so that one more than there are processors keeps all busy.
_AT_ONCE = (os.cpu_count() or 1) + 1
# A file's tests stay together, since they share what is dear: a stack on the sandbox. In the order of their names, the
# dear files come first, and what comes last is small; xdist's own order goes by the number of tests. The dearest tests
# are named at the end.
TESTS = (
    "pytest",
    f"--numprocesses={_AT_ONCE}",
    "--dist=loadfile",
    "--no-loadscope-reorder",
    "--durations=20",
    "--durations-min=10",
)


def lint(root: Path) -> int:
    """Run every linter, also after one has complained; return 0 or 1."""
    return max([min(_run(root, [*linter, "."]), 1) for linter in LINTERS])


def test(root: Path, *, exhaustive: bool) -> int:
    """Run lint, then all tests if it has nothing to say, on all cores; return the exit code.

    `exhaustive` adds those tests which kill a run after every single write.
    """
    return lint(root) or _run(root, [*TESTS, *(["--all"] if exhaustive else [])])


def bench(root: Path) -> int:
    """Run the benchmarks; return the exit code."""
    return _run(root, ["benchmarks"])


def _run(root: Path, module: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", *module], cwd=root, check=False).returncode
