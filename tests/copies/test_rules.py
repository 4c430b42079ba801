"""What the program may need: an ops server has Python, Debian's python3-psycopg, and no more of ours."""

import ast
import sys
from pathlib import Path

import copies

ROOM = Path(copies.__file__).parent


def test_it_imports_only_the_standard_library_psycopg_and_itself() -> None:
    imported = set()
    for module in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, module
                imported.add(node.module or "")
            elif isinstance(node, ast.Import):
                imported.update(each.name for each in node.names)
    strangers = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    assert strangers == {"copies", "psycopg"}
