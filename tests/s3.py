"""A real S3 server on the loopback: Versity's gateway before a folder."""

import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolchain import tools

REGION = "us-ord"
READY_WITHIN = 60.0


@dataclass(frozen=True)
class Server:
    """Where it is, and what opens it. `folder` has a folder a bucket, with the objects as files."""

    url: str
    folder: Path
    environment: Mapping[str, str]

    def backend(self, bucket: str) -> str:
        """Return the URL of a Pulumi backend in a bucket."""
        return f"s3://{bucket}?endpoint={self.url}&s3ForcePathStyle=true&region={REGION}"


@contextmanager
def served(folder: Path, *buckets: str) -> Iterator[Server]:
    """Serve buckets from a folder, with keys of their own."""
    objects, metadata = folder / "objects", folder / "metadata"
    for each in (metadata, *(objects / bucket for bucket in buckets)):
        each.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = {"ACCESS_KEY_ID": secrets.token_hex(10), "SECRET_ACCESS_KEY": secrets.token_urlsafe(30)}
    command = [str(tools.ensure("versitygw", print)), "--port", f"127.0.0.1:{port}", "--region", REGION, "--quiet"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "posix", "--sidecar", str(metadata), str(objects)],
            env={f"ROOT_{name}": value for name, value in keys.items()},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, port, folder / "log")
        yield Server(f"http://127.0.0.1:{port}", objects, {f"AWS_{name}": value for name, value in keys.items()})
    finally:
        process.terminate()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and process.poll() is None:
        with closing(socket.socket()) as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"the S3 server does not serve: {log.read_text()}")
