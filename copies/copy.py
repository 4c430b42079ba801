"""Making a copy: a dump and a record of what it holds, of one and the same snapshot of the database."""

import argparse
import datetime as dt
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import Any

from copies import alarm, config, listing, processes, record, retention, state
from copies.alarm import AlarmError
from copies.config import Config
from copies.listing import DUMP, RECORD, Copy
from copies.repository import LOCKED, Repository, RepositoryError, Say, Snapshot, stored

DRIFT = dt.timedelta(minutes=10)
"""How far this machine's clock may be from the store's: S3 itself refuses requests at 15 minutes."""

_MOMENT = 1.0

_GRANTED_WITHIN, _TRIES = "5s", 5
"""How long pg_dump may wait for locks, and how often it is tried again. It bounds its listing of the tables by that,
too, which is slow on a busy server; but whoever wants a table for himself, and all behind him, wait as long."""


class CopyError(Exception):
    """There is no copy; `str()` says why."""


class _InTheWayError(CopyError):
    """Between our locks and pg_dump's somebody asked for one that excludes both: each would wait for the other."""


def run(config: Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Make a copy, one process at a time, tell that what was wrong is over, and return what is told of the copy.

    Raises:
        CopyError, RepositoryError, psycopg.Error: there is none.
    """
    remembered = wanted.config.with_suffix(".state")
    with state.held(wanted.config.with_suffix(".lock"), say):
        with state.held(remembered, say) as known:
            seen = known.get("repository") == config.repository.url
        made = make(config, dt.datetime.now(dt.UTC), by_hand=wanted.by_hand, known=seen, say=say)
        with state.held(remembered, say) as known:
            known["repository"] = config.repository.url
            try:
                alarm.over(config, known, "job", "overdue")
            except AlarmError as error:  # the next copy tells it
                say(str(error))
    return made.json()


def make(config: Config, now: dt.datetime, *, by_hand: bool, known: bool, say: Say) -> Copy:
    """Make today's copy, or return it where it is made, and forget what is not kept.

    A copy counts as today's once it was taken after the hour at which one is due. Where the repository is `known`, it
    is not made anew.

    Raises:
        CopyError, RepositoryError, psycopg.Error: there is none.
    """
    repository = Repository(config, say)
    _compare_clocks(now, repository.reach())
    repository.prepare(known=known)
    snapshots = [] if by_hand else repository.snapshots()
    due = now.replace(hour=config.hour, minute=0, second=0, microsecond=0)
    done = [copy for copy in listing.copies(snapshots) if copy.day == now.date() and copy.taken >= due]
    if done:
        say(f"{config.name}: today's copy is there")
        made = done[0]
    else:
        made = _take(config, repository, now, by_hand=by_hand, say=say)
        snapshots = repository.snapshots()
    _tidy(config, repository, snapshots, now, say)
    return made


def _compare_clocks(ours: dt.datetime, stores: dt.datetime) -> None:
    """Refuse to go by a clock that is wrong: a copy would be of the wrong day, and another be forgotten for it."""
    if abs(ours - stores) > DRIFT:
        raise CopyError(f"the clock says {ours:%Y-%m-%d %H:%M} here, and {stores:%Y-%m-%d %H:%M} in the store: set it")


def _tidy(config: Config, repository: Repository, snapshots: Collection[Snapshot], now: dt.datetime, say: Say) -> None:
    leaving = retention.forgotten(listing.copies(snapshots), listing.halves(snapshots), now, config.kept)
    if not leaving:
        return
    say(f"{config.name}: forgetting {len(leaving)} of {len(snapshots)} snapshots")
    try:
        repository.forget(leaving)
        repository.prune()
    except RepositoryError as error:
        if error.code != LOCKED:
            raise
        say(f"{error}; the next copy does it")


def _take(config: Config, repository: Repository, now: dt.datetime, *, by_hand: bool, say: Say) -> Copy:
    began = time.monotonic()
    say(f"{config.name}: copying")
    for left in reversed(range(_TRIES)):
        try:
            with record.snapshot(config.database) as snapshot:
                _refuse_older(config, snapshot.major)
                snapshot.lock()
                dump, size, found = _both(config, repository, snapshot, now)
            break
        except _InTheWayError:
            if not left:
                raise
            say(f"{config.name}: somebody wants a table for himself, and goes first")
    seconds = round(time.monotonic() - began, 1)
    made = Copy(dump, "", now, size, found["rows"], seconds, found["server"]["version"], by_hand)
    repository.save(json.dumps({**made.json(), "dump": dump, "record": found}).encode(), RECORD, made.tags, now)
    say(f"{config.name}: copied {made.rows} rows, {made.size} bytes, in {made.seconds} s")
    return made


def _refuse_older(config: Config, server: int) -> None:
    program = config.program("pg_dump")
    if not program.exists():
        raise CopyError(f"{program} is not there: install postgresql-{server}")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    version = int(re.findall(r"\d+", said)[0])
    if version < server:
        raise CopyError(f"{program} is of version {version}, the server of {server}: install postgresql-{server}")


def _both(
    config_: Config, repository: Repository, snapshot: record.Snapshot, now: dt.datetime
) -> tuple[str, int, dict[str, Any]]:
    """Dump and record beside one another; return the dump's id and size, and the record."""
    source, sink = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
    running: list[Any] = []
    try:
        dump = processes.start(
            [
                config_.program("pg_dump"),
                "--format=custom",
                "--compress=0",  # restic compresses, and finds again what it has
                f"--snapshot={snapshot.name}",
                "--no-password",
                config.NOTICING,
                # We hold its locks already: it waits only for one who waits for us.
                f"--lock-wait-timeout={_GRANTED_WITHIN}",
            ],
            config.variables(config_.database),
            stdout=sink,
        )
        running.append(lambda: processes.end(dump))
        restic = repository.storing(DUMP, [DUMP], now, source)
        running.append(restic.end)
        source.close()

        def dumped() -> None:
            said = dump.communicate()[1].decode(errors="replace")
            if "statement timeout" in said:  # which is how pg_dump limits its wait for locks
                raise _InTheWayError("somebody wants a table for himself (TRUNCATE, ALTER) again and again")
            if dump.returncode:
                raise CopyError(f"pg_dump ended with {dump.returncode}: {' '.join(said.split())[-300:]}")
            sink.close()  # only now: the end of its input makes restic store a snapshot

        running.append(snapshot.abort)
        everything = [_beside(work) for work in (restic.finish, dumped, snapshot.take)]
        others = wait(everything, return_when=FIRST_EXCEPTION).not_done
        if others:  # who fails takes the others with it, and who is told of is the reason, not who came first
            wait(others, _MOMENT)
        for each in everything:
            if each.done():
                each.result()
        running.clear()
        return *stored(everything[0].result()), snapshot.end(everything[2].result())
    finally:
        for end in reversed(running):
            end()
        source.close()
        sink.close()


def _beside(work: Callable[[], Any]) -> "Future[Any]":
    """Do some work beside this thread; nobody waits for it when the program ends."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
