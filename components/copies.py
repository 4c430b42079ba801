"""Where the copies of a database are kept: two buckets outside its data center, in the copies account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components import labels, outfit
from components.sdk import linode


@dataclass(frozen=True)
class CopiesArgs:
    """The label parts of the stack and environment, and the regions of the bucket and of the second one."""

    label: tuple[str, str]
    region: str
    second: str


class Copies(pulumi.ComponentResource):
    """The bucket of the daily copies, and the one of the second copies. Its provider is the copies account's.

    Each has a key of its own, and no key can be changed: it is made anew. The ops server holds that of the first, which
    can destroy all that is there (Linode has none that only adds). The second's reads the first bucket and writes the
    second; only the job that pulls the second copies has it.

    Resources: ObjectStorageBucket and ObjectStorageKey, two of each; the buckets are protected.

    Attributes:
        bucket, endpoint: the first bucket's name and the S3 host that serves it.
        store: what opens the first bucket, as `outfit.Copied` has it. A secret.
    """

    def __init__(self, name: str, args: CopiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:copies:Copies", name, None, opts)
        first = self._bucket(f"{name}-bucket", labels.copies_bucket(*args.label), args.region)
        second = self._bucket(f"{name}-second-bucket", labels.second_bucket(*args.label), args.second)
        writes, reads = "read_write", "read_only"
        key = self._key(f"{name}-key", labels.copies_key(*args.label), {writes: (first, args.region)})
        self._key(
            f"{name}-second-key",
            labels.second_key(*args.label),
            {reads: (first, args.region), writes: (second, args.second)},
        )
        self.bucket: pulumi.Output[str] = first.label
        self.endpoint: pulumi.Output[str] = first.s3_endpoint
        self.store: pulumi.Output[dict[str, str]] = pulumi.Output.secret(
            pulumi.Output.all(
                label=first.label,
                region=first.region,
                s3Endpoint=first.s3_endpoint,
                accessKey=key.access_key,
                secretKey=key.secret_key,
            ).apply(lambda found: outfit.store(found, found))
        )
        self.register_outputs({"bucket": self.bucket, "endpoint": self.endpoint})

    def _bucket(self, name: str, label: str, region: str) -> Any:
        return linode.ObjectStorageBucket(
            name,
            label=label,
            region=region,
            acl="private",
            opts=pulumi.ResourceOptions(parent=self, protect=True, delete_before_replace=True),
        )

    def _key(self, name: str, label: str, accesses: Mapping[str, tuple[Any, str]]) -> Any:
        return linode.ObjectStorageKey(
            name,
            label=label,
            bucket_accesses=[
                linode.ObjectStorageKeyBucketAccessArgs(
                    bucket_name=bucket.label, region=region, permissions=permissions
                )
                for permissions, (bucket, region) in accesses.items()
            ],
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=["accessKey", "secretKey"]),
        )
