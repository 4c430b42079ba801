"""Where the copies of a database are kept: a bucket in the copy region, in the copies account, with its own key."""

from dataclasses import dataclass

import pulumi

from components import labels
from components.sdk import linode


@dataclass(frozen=True)
class CopiesArgs:
    """The label parts of the stack and environment, and the region of the bucket."""

    label: tuple[str, str]
    region: str


class Copies(pulumi.ComponentResource):
    """A protected bucket, and a key that reaches this bucket only. Its provider is the copies account's.

    Resources: ObjectStorageBucket, ObjectStorageKey.

    Attributes:
        bucket, endpoint: the bucket's name and the S3 host that serves it.
        access_key, secret_key: the key; both secret.
    """

    def __init__(self, name: str, args: CopiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:copies:Copies", name, None, opts)
        bucket = linode.ObjectStorageBucket(
            f"{name}-bucket",
            # Bucket names are shared by everybody in the world: the project's name makes ours ours.
            label=labels.label("bucket", "chat-tonic", *args.label, "copies"),
            region=args.region,
            acl="private",
            opts=pulumi.ResourceOptions(parent=self, protect=True, delete_before_replace=True),
        )
        key = linode.ObjectStorageKey(
            f"{name}-key",
            label=labels.label("bucket key", *args.label, "copies"),
            bucket_accesses=[
                linode.ObjectStorageKeyBucketAccessArgs(
                    bucket_name=bucket.label, region=args.region, permissions="read_write"
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=["accessKey", "secretKey"]),
        )
        self.bucket: pulumi.Output[str] = bucket.label
        self.endpoint: pulumi.Output[str] = bucket.s3_endpoint
        self.access_key: pulumi.Output[str] = pulumi.Output.secret(key.access_key)
        self.secret_key: pulumi.Output[str] = pulumi.Output.secret(key.secret_key)
        self.register_outputs({"bucket": self.bucket, "endpoint": self.endpoint})
