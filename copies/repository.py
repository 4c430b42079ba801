"""The restic repository of the copies: what is in it, and how it gets in and out.

A snapshot here is one file read from a pipe, with tags that say what it is: `kind`, or `name=value`.
"""

import datetime as dt
import http.client
import json
import re
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import IO, Any

from copies import processes
from copies.config import Config

MISSING, LOCKED, WRONG_KEY = 10, 11, 12
"""restic's exit codes that say why."""

_AT_ONCE = 20.0
_REASONS = (
    (WRONG_KEY, r"wrong password or no key", "the key does not open it, it was made with another one"),
    (MISSING, r"repository does not exist", "there is no repository"),
    (LOCKED, r"already locked", "another job holds it"),
    (None, r"already (initialized|contains)", "a job was killed while it made it: empty the bucket"),
    (None, r"bucket does not exist|NoSuchBucket", "there is no such bucket"),
    (None, r"Quota|Storage ?Full|InsufficientStorage|no space left|\b507\b", "the store is full"),
    (
        None,
        r"Denied|Forbidden|InvalidAccessKeyId|[Aa]ccess [Kk]ey I[Dd]|[Ss]ignature",
        "the store refuses our access key",
    ),
    (None, r"no matching ID|no snapshot found|multiple IDs", "it holds no such snapshot"),
    (
        None,
        r"unreachable|refused|reset|no such host|no route|timeout|timed out|closed|EOF|x509|tls:|\b50[0-4]\b|SlowDown"
        r"|Unavailable",
        "the store can't be reached",
    ),
    (
        None,
        r"ciphertext|verification failed|hash mismatch|does not match|not found in|do not match|unexpected|invalid"
        r"|contains errors|does not exist|decrypt",
        "it is damaged",
    ),
)
"""What restic says of its failures, and what that means; the first that fits."""

_TRIES_AGAIN = re.compile(r"^(\w+\(.*?\)) returned error, retrying")
_WELL_AGAIN = re.compile(r"^(\w+\(.*?\)) operation successful")

Say = Callable[[str], None]


class RepositoryError(Exception):
    """restic did not do it; `str()` says why, first in a few words of ours. `code` is its exit code."""

    def __init__(self, code: int, said: str) -> None:
        text = next((text for known, words, text in _REASONS if code == known or re.search(words, said)), "")
        detail = " ".join(said.rpartition("Fatal: ")[2].split())[:300]
        super().__init__(f"the repository: {text} ({detail})" if text else f"the repository: {detail}")
        self.code = code


@dataclass(frozen=True)
class Snapshot:
    """A file in the repository. `size` is the file's, `id` the long one."""

    id: str
    time: dt.datetime
    tags: tuple[str, ...]
    size: int

    @property
    def values(self) -> Mapping[str, str]:
        """Its tags that have a value."""
        return dict(tag.split("=", 1) for tag in self.tags if "=" in tag)


class Restic:
    """A restic at work, until `finish`. Its error output is read beside it; a store that fails for too long ends it."""

    def __init__(self, process: Any, patience: float) -> None:
        self.process = process
        self._patience = patience
        self._said: deque[str] = deque(maxlen=20)
        self._given_up = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def finish(self) -> bytes:
        """Wait for its end and return what is left of its output.

        Raises:
            RepositoryError: it failed.
        """
        out: bytes = self.process.stdout.read() if self.process.stdout else b""
        code = self.process.wait()
        self._reader.join()
        if code or self._given_up:
            raise RepositoryError(code, self._given_up or self._why())
        return out

    def end(self) -> None:
        """End it, if it still runs."""
        processes.end(self.process)

    def _why(self) -> str:
        for line in reversed(self._said):
            if line.startswith('{"message_type":"exit_error"'):
                return str(json.loads(line)["message"])
        return " ".join(self._said) or f"restic ended with {self.process.returncode}"

    def _read(self) -> None:
        failing: dict[str, float] = {}
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").strip()
            self._said.append(line)
            if again := _TRIES_AGAIN.match(line):
                began = failing.setdefault(again[1], time.monotonic())
                if time.monotonic() - began > self._patience and not self._given_up:
                    self._given_up = line
                    self.process.terminate()
            elif well := _WELL_AGAIN.match(line):
                failing.pop(well[1], None)


class Repository:
    """The repository that a configuration names."""

    def __init__(self, config: Config, say: Say = lambda _: None) -> None:
        self._config = config
        self._say = say

    def reach(self) -> dt.datetime:
        """Ask the store, without a key, whether it is there: restic would go on trying. Return what time it has.

        Raises:
            RepositoryError: it can't be reached, or has no such bucket, which restic would make.
        """
        try:
            url = self._config.repository.url.removeprefix("s3:")  # http or https, `config.read` saw to it
            with urllib.request.urlopen(url, timeout=_AT_ONCE) as answer:  # noqa: S310
                said = answer.headers["Date"]
        except urllib.error.HTTPError as answer:
            if answer.code == http.HTTPStatus.NOT_FOUND:
                raise RepositoryError(1, "NoSuchBucket") from None
            said = answer.headers["Date"]
        except (OSError, http.client.HTTPException) as error:
            raise RepositoryError(1, f"unreachable: {error}") from None
        if not said:
            raise RepositoryError(1, "unreachable: who answers is no S3 server")
        return parsedate_to_datetime(said)

    def prepare(self, *, known: bool) -> None:
        """Make it where there is none, and take away the locks of jobs that were killed.

        Raises:
            RepositoryError: it can't be reached, or opened with our key, or is `known` to have been there and is not.
        """
        try:
            self._run("unlock")
        except RepositoryError as error:
            if error.code != MISSING or known:
                raise
            self._say(f"making the repository {self._config.repository.url}")
            self._run("init", "--json")

    def snapshots(self, *tags: str) -> list[Snapshot]:
        """Return the snapshots that have all these tags, newest first. Locks nothing, so a read-only key will do.

        Raises:
            RepositoryError: it can't be read.
        """
        chosen = [f"--tag={','.join(tags)}"] if tags else []
        found = json.loads(self._run("snapshots", "--json", "--no-lock", *chosen) or "[]")
        made = [
            Snapshot(
                each["id"],
                dt.datetime.fromisoformat(_whole_seconds(each["time"])),
                tuple(each.get("tags") or ()),
                each.get("summary", {}).get("total_bytes_processed", 0),
            )
            for each in found
        ]
        return sorted(made, key=lambda each: each.time, reverse=True)

    def storing(self, name: str, tags: Sequence[str], taken: dt.datetime, source: int | IO[bytes]) -> Restic:
        """Start to store what comes from `source` as a snapshot. It is whole for restic once `source` ends."""
        return self._start(
            "backup",
            "--stdin",
            f"--stdin-filename={name}",
            f"--host={self._config.stack}-{self._config.environment}",
            f"--tag={','.join(tags)}",
            f"--time={taken.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}",
            "--json",
            "--quiet",
            stdin=source,
        )

    def save(self, data: bytes, name: str, tags: Sequence[str], taken: dt.datetime) -> str:
        """Store data as a snapshot and return its id.

        Raises:
            RepositoryError: it can't be stored.
        """
        with tempfile.TemporaryFile() as source:
            source.write(data)
            source.seek(0)
            return stored(self._finish(self.storing(name, tags, taken, source)))[0]

    def read(self, snapshot: str, name: str) -> bytes:
        """Return a file of a snapshot.

        Raises:
            RepositoryError: it is not there, or damaged.
        """
        return self._run("dump", "--no-lock", snapshot, f"/{name}")

    def reading(self, snapshot: str, name: str, into: int | IO[bytes]) -> Restic:
        """Start to write a file of a snapshot to `into`."""
        return self._start("dump", "--no-lock", snapshot, f"/{name}", stdout=into)

    def forget(self, ids: Collection[str]) -> None:
        """Forget these snapshots, and no other.

        Raises:
            RepositoryError: it can't be done now.
        """
        if ids:
            self._run("forget", *sorted(ids))

    def prune(self) -> None:
        """Give back the room of what no snapshot needs.

        Raises:
            RepositoryError: it can't be done now.
        """
        self._run("prune", "--quiet")

    def check(self) -> None:
        """Read everything and compare it with what it should be.

        Raises:
            RepositoryError: it is damaged, or can't be read.
        """
        self._run("check", "--read-data", "--quiet")

    def _run(self, *arguments: str) -> bytes:
        return self._finish(self._start(*arguments))

    @staticmethod
    def _finish(restic: Restic) -> bytes:
        try:
            return restic.finish()
        finally:
            restic.end()

    def _start(self, *arguments: str, **streams: Any) -> Restic:
        config, store = self._config, self._config.repository
        process = processes.start(
            [
                config.restic,
                "--no-cache",
                f"--retry-lock={2 * config.patience}s",
                f"--stuck-request-timeout={config.patience}s",
                "--option=s3.retries=2",
                *arguments,
            ],
            {
                "RESTIC_REPOSITORY": store.url,
                "RESTIC_PASSWORD": config.key,
                "AWS_ACCESS_KEY_ID": store.access_key,
                "AWS_SECRET_ACCESS_KEY": store.secret_key,
                "AWS_DEFAULT_REGION": store.region,
            },
            **streams,
        )
        return Restic(process, config.patience)


def stored(summary: bytes) -> tuple[str, int]:
    """Return the id and the size of a snapshot, from what restic says after it stored it."""
    last = json.loads(summary.splitlines()[-1])
    return last["snapshot_id"], last["total_bytes_processed"]


def _whole_seconds(time: str) -> str:
    """Return a time of restic's, whose nanoseconds Python does not take."""
    return re.sub(r"\.\d+", "", time)
