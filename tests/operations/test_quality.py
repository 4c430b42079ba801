import json
import sys
from pathlib import Path

import pytest

from operations import quality
from tests.programs import put_python

# Notes its arguments; ends with the code that the file `codes` has for the module that it is asked to run.
PYTHON = """\
import json, sys
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(sys.argv[2:]) + "\\n")
sys.exit({codes!r}.get(sys.argv[2], 0))
"""

LINT = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", "."]]


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


def use_python(calls: Path, monkeypatch: pytest.MonkeyPatch, **codes: int) -> None:
    program = calls.with_name("python")
    put_python(program, PYTHON.format(calls=str(calls), codes=codes))
    monkeypatch.setattr(sys, "executable", str(program))


def called(calls: Path) -> list[list[str]]:
    return [json.loads(line) for line in calls.read_text().splitlines()]


def test_lint_runs_every_linter_also_after_one_has_complained(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_python(calls, monkeypatch, ruff=1, mypy=2)
    assert quality.lint(calls.parent) == 1
    assert called(calls) == LINT


def test_tests_run_after_lint_and_theirs_is_the_exit_code(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_python(calls, monkeypatch, pytest=5)
    assert quality.test(calls.parent, exhaustive=False) == 5
    assert called(calls) == [*LINT, list(quality.TESTS)]


def test_exhaustive_tests_are_asked_for_with_all(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_python(calls, monkeypatch)
    assert quality.test(calls.parent, exhaustive=True) == 0
    assert called(calls)[-1] == [*quality.TESTS, "--all"]


def test_no_test_runs_while_lint_complains(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_python(calls, monkeypatch, mypy=1)
    assert quality.test(calls.parent, exhaustive=False) == 1
    assert called(calls) == LINT


def test_benchmarks_run_as_a_module(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_python(calls, monkeypatch, benchmarks=3)
    assert quality.bench(calls.parent) == 3
    assert called(calls) == [["benchmarks"]]
