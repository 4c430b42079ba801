"""What pytest passes over in silence: files that it does not collect, assertions that never run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))


def test_every_test_file_is_collected() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(TESTS)],
        capture_output=True,
        text=True,
        check=True,
        cwd=TESTS.parent,
    ).stdout
    collected = {line.partition("::")[0] for line in listed.splitlines() if "::" in line}
    with_tests = {
        str(path.relative_to(TESTS.parent))
        for path in FILES
        if any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert collected == with_tests


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_assertion_waits_inside_an_output_that_may_never_resolve(path: Path) -> None:
    # An assertion in a callback of `apply` runs only where the output is known and somebody waits for it. Ours read
    # what was registered, after the program is over, so none stands in a callback.
    tree = ast.parse(path.read_text())
    callbacks = {
        argument.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply"
        for argument in node.args
        if isinstance(argument, ast.Name)
    }
    asserting = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
    }
    assert not callbacks & asserting
