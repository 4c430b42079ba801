"""One S3 server: Versity's gateway before a folder, with its buckets, and who may do what in each.

The gateway asks its files at each request, so what is put there counts at once, without a request of ours: `iam` has
the keys, `metadata` the policy of each bucket, `objects` a folder a bucket.
"""

import json
import os
import secrets
import shutil
import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sandbox import children, process

_OBJECTS, _METADATA, _IAM = "objects", "metadata", "iam"
_READS = ("s3:Get*", "s3:List*")
_MAY = {
    "read_only": _READS,
    "read_write": (*_READS, "s3:PutObject*", "s3:DeleteObject*", "s3:AbortMultipartUpload"),
    "everything": ("s3:*",),
}
"""What a key may do, by its permissions in the model."""


@dataclass(frozen=True)
class Root:
    """The key that may do everything."""

    access: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """What a gateway is told it by: no list of processes shows that."""
        return {"ROOT_ACCESS_KEY_ID": self.access, "ROOT_SECRET_ACCESS_KEY": self.secret}


@dataclass(frozen=True)
class Gateway:
    """The server of a folder's buckets. Requests are signed for its region."""

    folder: Path
    address: str
    port: int
    region: str

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.address}:{self.port}"

    @property
    def objects(self) -> Path:
        """Where its buckets are."""
        return self.folder / _OBJECTS

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "log"

    @property
    def is_up(self) -> bool:
        """Whether it takes connections."""
        with closing(socket.socket()) as client:
            return client.connect_ex((self.address, self.port)) == 0

    def command(self, program: Path) -> list[str]:
        """What starts it."""
        return [
            *(str(program), "--port", f"{self.address}:{self.port}", "--region", self.region, "--quiet"),
            *("--iam-dir", str(self.folder / _IAM), "--iam-cache-disable"),
            *("posix", "--sidecar", str(self.folder / _METADATA), str(self.objects)),
        ]

    def serve(self, program: Path) -> int:
        """Has a process be it; its id. It does not outlive this one."""
        return children.fork(lambda: self._serve(program))

    def _serve(self, program: Path) -> None:
        children.say_into(self.log)
        root = Root(secrets.token_hex(10), secrets.token_urlsafe(30))  # nobody's: the gateway wants one
        os.execve(program, self.command(program), {"PATH": os.defpath, **root.environment})  # noqa: S606

    def admit(self, keys: Mapping[str, str], buckets: Mapping[str, Mapping[str, str]]) -> None:
        """Has exactly these keys (with their secrets), and buckets (with what each key may do there).

        A bucket that is none of them is removed with all that it holds. Its own files are made with the first call.
        """
        for each in (_OBJECTS, _METADATA, _IAM):
            (self.folder / each).mkdir(mode=0o700, parents=True, exist_ok=True)
        accounts = {access: {"access": access, "secret": secret, "role": "user"} for access, secret in keys.items()}
        _put(self.folder / _IAM / "users.json", {"accessAccounts": accounts})
        for bucket, openers in buckets.items():
            (self.objects / bucket).mkdir(mode=0o700, parents=True, exist_ok=True)
            _put(self.folder / _METADATA / bucket / "meta" / "policy", _policy(bucket, openers))
        for found in [*self.objects.iterdir()]:
            if found.name not in buckets and found.is_dir():
                shutil.rmtree(found)
                shutil.rmtree(self.folder / _METADATA / found.name, ignore_errors=True)


def _policy(bucket: str, openers: Mapping[str, str]) -> object:
    name = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": [access]}, "Action": _MAY[may], "Resource": [name, f"{name}/*"]}
            for access, may in openers.items()
        ],
    }


def _put(file: Path, content: object) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    process.write_private(file, json.dumps(content))
