"""A running sandbox with databases and buckets, and what plays them."""

import base64
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sandbox import data, locks, process
from sandbox.data import home
from tests.sandbox import bodies
from tests.sandbox.api.box import LINODE, Box
from toolchain import postgresql

REGION, BUCKETS = "us-central", "us-ord"
_DATABASES = "/databases/postgresql/instances"


class Holdings:
    """A sandbox whose databases and buckets are real once `play` has returned."""

    def __init__(self, folder: Path) -> None:
        self.box = Box(folder)
        self.folder = folder
        self.databases: dict[str, int] = {}

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = self.box.ask(LINODE, method, path, **({"json": body} if body is not None else {}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def play(self) -> data.Data:
        return data.start(self.folder, print)

    def add(self, label: str, **changes: Any) -> None:
        """A database, of a version that serves TLS here."""
        usual = (
            {}
            if "fork" in changes
            else bodies.database(engine=f"postgresql/{postgresql.with_tls(print)}", region=REGION)
        )
        body = {**usual, **changes}
        self.databases[label] = self.ask("POST", _DATABASES, {**body, "label": label})["id"]

    def fork(self, label: str, source: str, at: str | None = None) -> None:
        """A database as its source was, by the clouds' clock."""
        self.add(label, fork={"source": self.databases[source], **({"restore_time": at} if at else {})})

    def drop(self, label: str) -> None:
        self.ask("DELETE", f"{_DATABASES}/{self.databases.pop(label)}")

    def login(self, label: str) -> dict[str, Any]:
        """What a client is told of a database, at the API door."""
        told = self.ask("GET", f"{_DATABASES}/{self.databases[label]}")
        credentials = self.ask("GET", f"{_DATABASES}/{self.databases[label]}/credentials")
        certificate = self.folder / f"{label}.pem"
        ssl = self.ask("GET", f"{_DATABASES}/{self.databases[label]}/ssl")
        certificate.write_bytes(base64.b64decode(ssl["ca_certificate"]))
        return {
            "host": told["hosts"]["primary"],
            "port": told["port"],
            "user": credentials["username"],
            "password": credentials["password"],
            "dbname": "defaultdb",
            "sslmode": "verify-full",
            "sslrootcert": str(certificate),
            "connect_timeout": 10,
        }

    @contextmanager
    def connected(self, label: str, **changes: Any) -> Iterator["psycopg.Connection[Any]"]:
        """A connection to what plays a database, at which each statement is a transaction."""
        found = data.status(self.folder)
        assert found
        at = found.databases[label]
        given = {**self.login(label), "hostaddr": at.hostaddr, "sslmode": at.sslmode, **changes}
        with psycopg.connect(**given, autocommit=True) as connection:
            yield connection

    def says(self, label: str, query: str) -> list[Any]:
        """The first column of what a query finds in a database."""
        with self.connected(label) as connection:
            return [row[0] for row in connection.execute(query)]

    def does(self, label: str, statement: str, *values: str) -> None:
        with self.connected(label) as connection:
            connection.execute(statement, values or None)

    def key(self, label: str, bucket: str | None, permissions: str = "read_write") -> dict[str, Any]:
        """A key of one bucket, or of all."""
        limits = [{"region": BUCKETS, "bucket_name": bucket, "permissions": permissions}] if bucket else None
        return dict(self.ask("POST", "/object-storage/keys", {"label": label, "bucket_access": limits}))

    def s3(self, key: Mapping[str, Any], method: str, path: str, content: str = "") -> tuple[int, str]:
        """What the S3 server of the bucket `keep` answers to a request that is signed with a key."""
        found = data.status(self.folder)
        assert found
        at = found.buckets["keep"]
        lines = [
            f'user = "{key["access_key"]}:{key["secret_key"]}"',
            f'aws-sigv4 = "aws:amz:{at.region}:s3"',
            'header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"',
            f'url = "{at.url}/{path}"',
            f"request = {method}",
            *([f'data-binary = "{content}"'] if content else []),
        ]
        command = ["curl", "--silent", "--noproxy", "*", "--write-out", "\n%{http_code}", "--config", "-"]
        ended = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)
        body, _, status = ended.stdout.rpartition("\n")
        return int(status), body

    def processes(self) -> Sequence[str]:
        """The servers that play it, each with its command and the folder it works in."""
        ours = str(home.of(self.folder)), str(self.folder / data.FOLDER)
        said = [_said(each) for each in Path("/proc").iterdir() if each.name.isdigit()]
        return [each for each in said if any(folder in each for folder in ours)]

    def follower(self) -> int:
        found = locks.holder(self.folder / process.DATA.lock)
        assert found
        return int(found["pid"])

    def close(self) -> None:
        data.remove(self.folder)
        self.box.stop()


def _said(process: Path) -> str:
    try:
        command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return f"{command} {(process / 'cwd').readlink()}"
    except OSError:  # it has ended meanwhile
        return ""


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holdings]:
    """A sandbox with nothing in it."""
    made = Holdings(tmp_path_factory.mktemp("held") / "a box")
    yield made
    made.close()
