"""A dump of pg_dump's: what it contains, and how that is restored."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from copies import processes, server
from copies.config import NOTICING, variables

_ATTACH = re.compile(r"\d+; \d+ \d+ INDEX ATTACH ")
_LAST = re.compile(r"\d+; \d+ \d+ ((DEFAULT )?ACL|EVENT TRIGGER|MATERIALIZED VIEW DATA|COMMENT - EVENT TRIGGER) ")
"""What pg_restore leaves to its end: what is done before may need rights that owners don't keep."""


def contents(programs: Path, dump: Path) -> list[str]:
    """Return what it contains, a line each, in the form and order of `pg_restore --list`.

    Raises:
        ServerError: it is no dump.
    """
    command: list[str | Path] = [programs / "pg_restore", "--list", dump]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise server.ServerError(f"pg_restore failed: {' '.join(listed.stderr.split())[:500]}")
    return [line for line in listed.stdout.splitlines() if line and not line.startswith(";")]


def restore(
    programs: Path, dump: Path, database: Mapping[str, Any], wanted: Sequence[str], *, user: processes.User | None
) -> None:
    """Restore some of its contents into a database, as a user of this machine.

    Raises:
        ServerError: it can't be.
    """
    environment = variables({name: str(value) for name, value in database.items()})
    chosen = dump.with_name("contents")
    for lines, jobs in _parts(wanted):
        chosen.write_text("".join(f"{line}\n" for line in lines))
        if user:
            os.chown(chosen, *user)
        options = ["--exit-on-error", "--no-password", f"--jobs={jobs}", f"--use-list={chosen}", NOTICING]
        server.finish(processes.start([programs / "pg_restore", *options, dump], environment, user=user), "pg_restore")


def _parts(wanted: Sequence[str]) -> Iterator[tuple[Sequence[str], int]]:
    """Yield what is restored one after the other, and by how many jobs.

    One job alone attaches the indexes of partitions. A table's index is valid once those of all partitions are, and
    where one of these is itself partitioned, PostgreSQL lets go of the table's index before it commits: another job,
    which attaches the last one meanwhile, sees that one still invalid, and the table's stays so for good
    (validatePartitionedIndex in src/backend/commands/tablecmds.c, seen with PostgreSQL 15.18).
    """
    jobs, first = os.cpu_count() or 1, [line for line in wanted if not _LAST.match(line)]
    attaching = [number for number, line in enumerate(first) if _ATTACH.match(line)]
    if not attaching:
        yield wanted, jobs
        return
    begin, end = attaching[0], attaching[-1] + 1
    yield first[:begin], jobs
    yield first[begin:end], 1
    yield [*first[end:], *(line for line in wanted if _LAST.match(line))], jobs
