"""The per-user cache of tools: where it is, one writer at a time, and folders that are whole or absent."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Say = Callable[[str], None]


def folder(*parts: str) -> Path:
    """Return the folder `parts` of the cache, made when it is missing.

    The cache is `chat-tonic/toolchain` in `XDG_CACHE_HOME`, or in `~/.cache` where that is unset or relative
    (a relative path there is invalid: XDG Base Directory Specification). Raises OSError if it can't be made.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path.home() / ".cache"
    path = base.joinpath("chat-tonic", "toolchain", *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def held(path: Path, say: Say) -> Iterator[None]:
    """Hold the file or folder `path` alone; `say` is told once if another process holds it and we wait.

    The kernel lets go of it when the process ends, however it ends: nothing stale is left behind.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is at work on {path}; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def lock(name: str, say: Say = lambda _: None) -> Iterator[None]:
    """Hold the lock `name` of this cache: processes that share the cache take turns."""
    with held(folder("locks", name), say):
        yield


def install(final: Path, build: Callable[[Path], None], say: Say = lambda _: None) -> Path:
    """Return the folder `final` of the cache, made by `build(work)` if it is not there yet.

    `build` fills an empty folder beside `final`, which becomes `final` in one rename when `build` returns:
    what is there is whole. What an interrupted build left is removed, by itself or by the next one. Two
    processes at once build once. Whatever `build` raises, passes through.
    """
    if final.exists():
        return final
    with lock("-".join(final.relative_to(folder()).parts), say):
        if final.exists():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        work = final.with_name(f".{final.name}.partial")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            build(work)
            work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final
