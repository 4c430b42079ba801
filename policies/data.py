"""What holds data is not lost by a slip, nor readable on a disk that left the data center."""

from collections.abc import Iterator

from policies import required
from policies.required import Required
from policies.resource import Resource
from policies.rule import Context, ResourceRule

HOLD_DATA = frozenset(
    {
        "linode:DatabaseMysqlV2",
        "linode:DatabasePostgresqlV2",
        "linode:ObjectStorageBucket",
        "linode:Volume",
    }
)


def protected(resource: Resource, _: Context) -> Iterator[str]:
    """A protected resource is neither deleted nor replaced by an update."""
    if resource.kind in HOLD_DATA and not resource.protected:
        yield "it holds data and an update could delete it; declare it with `protect=True`"


def keys_name_their_buckets(resource: Resource, _: Context) -> Iterator[str]:
    """A key that names no buckets opens all of its account."""
    if resource.kind == "linode:ObjectStorageKey" and resource.get("bucketAccesses") in (None, []):
        yield "it opens every bucket of the account; name those that it is for in `bucket_accesses`"


RULES = (
    ResourceRule(
        "keys", "A key of object storage opens the buckets that it names, and no other.", keys_name_their_buckets
    ),
    ResourceRule("protection", "What holds data (databases, buckets, volumes) is protected.", protected),
    required.rule(
        "backups",
        "Every server has daily backups.",
        Required("linode:Instance", "backupsEnabled", value=True),
    ),
    required.rule(
        "encryption",
        "The disks of servers, and volumes, are encrypted.",
        Required("linode:Instance", "diskEncryption", "enabled"),
        Required("linode:Volume", "encryption", "enabled"),
    ),
)
