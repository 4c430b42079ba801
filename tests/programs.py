"""Programs that tests put on the PATH in the place of real ones."""

import shlex
import sys
from pathlib import Path


def put_python(program: Path, script: str) -> None:
    """Make a program of a Python script; also where a path has a space in it, which `#!` does not take."""
    program.parent.mkdir(exist_ok=True)
    source = program.with_name(f"{program.name}.script.py")
    source.write_text(script)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(source))} "$@"\n')
    program.chmod(0o755)
