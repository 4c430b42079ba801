"""Caddy, for checking the configuration that servers get.

Debian's own is too old: Caddy has a PROXY protocol listener since 2.7.
"""

import re
from pathlib import Path

from toolchain import cache, gobuild


def ensure(say: cache.Say) -> Path:
    """Return the program `caddy`, built from its Go module on first use (some minutes).

    Raises progress.CommandError.
    """
    pinned = (gobuild.MODULES / "caddy" / "go.mod").read_text()
    version = re.findall(r"github\.com/caddyserver/caddy/v2 v(\S+)", pinned)[0]

    def build(work: Path) -> None:
        with gobuild.go(say) as go:
            go.build("caddy", work, say)

    return cache.install(cache.folder("caddy") / version, build, say) / "caddy"
