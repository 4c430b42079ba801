"""Chromium, in which the tests run what browsers and Cloudflare's Workers get: the system's, else Debian's package."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import cache, debian, progress

NAMES = ("chromium", "google-chrome-stable", "google-chrome")


@dataclass(frozen=True)
class Chromium:
    """The program, and what its process needs in its environment."""

    program: Path
    environment: Mapping[str, str]


def ensure(say: cache.Say) -> Chromium:
    """Return Chromium; where the system has none, Debian's is downloaded on first use (half a minute, 110 MB).

    Raises progress.CommandError, which says what to install.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return Chromium(Path(found), {})
    try:
        tools = debian.package("chromium", say)
        return Chromium(tools.file("usr/lib/chromium/chromium"), tools.environment)
    except (progress.CommandError, FileNotFoundError) as error:  # Ubuntu's package is a snap
        raise progress.CommandError(f"{error}; install Chromium or Google Chrome: {', '.join(NAMES)}") from None
