"""Serves the pack to the engine that started it, until that engine is gone."""

import contextlib
import sys
from pathlib import Path

from policies import analyzer

server, port = analyzer.serve(Path.cwd())
print(port, flush=True)
with contextlib.suppress(KeyboardInterrupt):  # the engine's way to end a plugin that it needs no more
    sys.stdin.buffer.read()  # it holds the other end and never writes: this returns when the engine is gone
server.stop(None)
