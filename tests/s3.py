"""A real S3 server on the loopback: Versity's gateway before a folder."""

import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.data.gateway import Gateway, Root
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
    with socket.create_server(("127.0.0.1", 0)) as free:
        gateway = Gateway(folder, "127.0.0.1", free.getsockname()[1], REGION)
    gateway.admit({}, {bucket: {} for bucket in buckets})
    root = Root(secrets.token_hex(10), secrets.token_urlsafe(30))
    with gateway.log.open("w") as log:
        process = subprocess.Popen(
            gateway.command(tools.ensure("versitygw", print)), env=root.environment, stdout=log, stderr=log
        )
    try:
        _wait(process, gateway)
        keys = {"AWS_ACCESS_KEY_ID": root.access, "AWS_SECRET_ACCESS_KEY": root.secret}
        yield Server(gateway.url, gateway.objects, keys)
    finally:
        process.terminate()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", gateway: Gateway) -> None:
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and process.poll() is None:
        if gateway.is_up:
            return
        time.sleep(0.02)
    raise AssertionError(f"the S3 server does not serve: {gateway.log.read_text()}")
