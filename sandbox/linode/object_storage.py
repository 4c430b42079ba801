"""Object storage: buckets and the keys that open them."""

from collections.abc import Iterator

from typing_extensions import TypedDict

from sandbox import ids
from sandbox.linode import catalog, rules
from sandbox.model import Body, Change, Field, Kind, Problem

BUCKET = "linode.bucket"
KEY = "linode.bucket_key"
_ACL = ("private", "public-read", "authenticated-read", "public-read-write")
_WITH_CORS = ("E0", "E1")  # endpoint types whose buckets have CORS for all origins until told otherwise
_PERMISSIONS = ("read_only", "read_write")


class _Access(TypedDict, total=False):
    bucket_name: str
    region: str
    cluster: str | None
    permissions: str


REDACTED = "[REDACTED]"


def _endpoint(change: Change) -> Iterator[Problem]:
    if not endpoints(change.body):
        wanted = change.body["s3_endpoint"] or change.body["endpoint_type"]
        yield Problem(f"The region {change.body['region']} has no endpoint {wanted or ''}".rstrip(), "endpoint_type")
    if change.value("cors_enabled") and change.given.get("endpoint_type") in ("E2", "E3"):
        yield Problem("CORS can't be set for buckets of this endpoint type", "cors_enabled")


def endpoints(body: Body) -> list[Body]:
    """The endpoints a bucket of that region, endpoint type and host may live on."""
    return [
        endpoint
        for endpoint in catalog.endpoints(body["region"])
        if all(body[name] in (None, endpoint[name]) for name in ("endpoint_type", "s3_endpoint"))
    ]


def region_of(name: str) -> str:
    """The region that is meant by its own name, or by that of its first cluster (`us-ord-1`)."""
    known, (region, _, number) = catalog.table("regions"), name.rpartition("-")
    return region if name not in known and region in known and number == "1" else name


def _bucket(change: Change) -> None:
    endpoint = endpoints(change.body)[0]
    change.body |= {name: endpoint[name] for name in ("endpoint_type", "s3_endpoint")}
    change.body["cluster"] = endpoint["s3_endpoint"].partition(".")[0]
    change.body["hostname"] = f"{change.body['label']}.{endpoint['s3_endpoint']}"
    if change.private["cors_enabled"] is None:
        change.private["cors_enabled"] = endpoint["endpoint_type"] in _WITH_CORS
    if change.before is None:
        change.body |= {"objects": 0, "size": 0}


def _access(change: Change) -> Iterator[Problem]:
    for region in change.given.get("regions") or ():
        if not catalog.offers(region, "Object Storage"):
            yield Problem(f"The region {region} does not offer Object Storage", "regions")
    for entry in change.given.get("bucket_access") or ():
        if entry.get("permissions") not in _PERMISSIONS:
            yield Problem(f"permissions must be one of {', '.join(_PERMISSIONS)}", "bucket_access.permissions")
        if not change.tx.find(BUCKET, change.account, f"{entry.get('region')}:{entry.get('bucket_name')}"):
            said = f"There is no bucket {entry.get('bucket_name')} in {entry.get('region')}"
            yield Problem(said, "bucket_access.bucket_name")


def _key(change: Change) -> None:
    body = change.body
    if change.before is None:
        body["access_key"] = ids.secret(KEY, change.id, "access", length=20).upper()
        change.private["secret"] = ids.secret(KEY, change.id, "secret", length=40)
        body["secret_key"] = REDACTED
        body["limited"] = body["bucket_access"] is not None
        for entry in body["bucket_access"] or ():
            entry["cluster"] = f"{entry['region']}-1"
    wanted = body["regions"] or [entry["region"] for entry in body["bucket_access"] or ()]
    names = [region if isinstance(region, str) else region["id"] for region in wanted]
    body["regions"] = [_served(region) for region in sorted(set(names))]


def _served(region: str) -> Body:
    endpoint = catalog.endpoints(region)[0]
    return {"id": region, "s3_endpoint": endpoint["s3_endpoint"], "endpoint_type": endpoint["endpoint_type"]}


KINDS = (
    Kind(
        BUCKET,
        fields={
            "label": Field(
                required=True,
                fixed=True,
                length=(3, 63),
                pattern=r"[a-z0-9](?:(?!\.\.)[a-z0-9.-])*[a-z0-9]",
                says="Label must hold only lower-case letters, digits, dashes and periods",
            ),
            "region": Field(required=True, fixed=True),
            "endpoint_type": Field(fixed=True, choices=("E0", "E1", "E2", "E3")),
            "s3_endpoint": Field(fixed=True),
            "acl": Field(choices=_ACL, hidden=True, default="private"),
            "cors_enabled": Field(bool, hidden=True),
            "versioning": Field(bool, hidden=True, default=False),
            "lifecycle_rules": Field(list[dict[str, object]], hidden=True),
        },
        key=lambda body: f"{body['region']}:{body['label']}",
        make_id=None,
        taken=Problem("Bucket already exists", "label"),
        rules=(rules.region_offers("Object Storage"), _endpoint),
        complete=_bucket,
        limit=1_000,
        over_limit=Problem("Maximum number of buckets reached"),
    ),
    Kind(
        KEY,
        fields={
            "label": Field(required=True, length=(3, 50)),
            "regions": Field(list[str]),
            "bucket_access": Field(list[_Access], fixed=True),
        },
        key=lambda body: str(body["label"]),
        rules=(_access,),
        complete=_key,
        reveal=lambda _, private: {"secret_key": private["secret"]},
        limit=100,
        over_limit=Problem("Maximum number of keys reached"),
    ),
)
