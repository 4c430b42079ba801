"""Tools of the tests that are built from Go modules: a folder of `toolchain/go` each.

`caddy` checks the configuration that servers get: Debian's own has no PROXY listener. `versitygw` serves S3, `restic`
is the one that ops servers have from Debian 13, `actionlint` checks the workflows.
"""

import re
from pathlib import Path

from toolchain import cache, gobuild


def ensure(tool: str, say: cache.Say) -> Path:
    """Return the program of a tool, built from its Go module on first use.

    Raises progress.CommandError.
    """

    def build(work: Path) -> None:
        with gobuild.go(say) as go:
            go.build(tool, work, say)

    return cache.install(cache.folder(tool) / version(tool), build, say) / tool


def version(tool: str) -> str:
    """Return the version that a tool is pinned to."""
    pinned = (gobuild.MODULES / tool / "go.mod").read_text()
    program = re.findall(r"^tool (\S+)$", pinned, re.MULTILINE)[0]
    modules: dict[str, str] = dict(re.findall(r"^\t(\S+) v(\S+)", pinned, re.MULTILINE))
    return next(version for path, version in modules.items() if program.startswith(f"{path}/"))
