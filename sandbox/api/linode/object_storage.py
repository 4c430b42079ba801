"""Object storage: buckets, who may reach them, and keys."""

from sandbox.api import listing
from sandbox.api.linode.common import collection, listed, reads, without, writes
from sandbox.api.route import Call, Page, Route
from sandbox.linode import object_storage
from sandbox.model import Body

_BUCKETS, _ONE, _SCOPE = "/object-storage/buckets", "/object-storage/buckets/{region}/{label}", "object_storage"

KEYS = collection(
    "/object-storage/keys",
    object_storage.KEY,
    "object storage key",
    _SCOPE,
    hides=("created", "updated"),
    named="",
)
_shown = without("updated")


def _identity(call: Call) -> str:
    return f"{object_storage.region_of(call.path['region'])}:{call.path['label']}"


def _list(call: Call) -> Page:
    def part(start: int, count: int) -> tuple[list[Body], int]:
        found, total = call.model.page(call.account, object_storage.BUCKET, None, start, count)
        return [*map(_shown, found)], total

    return listing.linode(call, part, lambda: part(0, -1)[0])


def _list_region(call: Call) -> Page:
    region = object_storage.region_of(call.path["region"])
    found, _ = call.model.page(call.account, object_storage.BUCKET, None, 0, -1)
    return listed(call, [_shown(bucket) for bucket in found if bucket["region"] == region])


def _create(call: Call) -> Body:
    """The region may also be said by its cluster, as it was before there were several endpoints in one."""
    given, cluster = dict(call.body), call.body.get("cluster")
    if given.get("region") is None and isinstance(cluster, str):
        given["region"] = object_storage.region_of(cluster)
    return _shown(call.model.create(call.account, object_storage.BUCKET, given))


def _read(call: Call) -> Body:
    return _shown(call.model.read(call.account, object_storage.BUCKET, _identity(call)))


def _delete(call: Call) -> Body:
    call.model.delete(call.account, object_storage.BUCKET, _identity(call))
    return {}


def _access(call: Call) -> Body:
    found = call.model.read_whole(call.account, object_storage.BUCKET, _identity(call))
    return {"acl": found["acl"], "acl_xml": "", "cors_enabled": found["cors_enabled"], "cors_xml": None}


def _set_access(call: Call) -> Body:
    given = {name: call.body[name] for name in ("acl", "cors_enabled") if call.body.get(name) is not None}
    call.model.update(call.account, object_storage.BUCKET, _identity(call), given)
    return {}


ROUTES: tuple[Route, ...] = (
    reads(_BUCKETS, "lists buckets", _list, _SCOPE),
    writes("POST", _BUCKETS, "makes a bucket", _create, _SCOPE),
    reads(f"{_BUCKETS}/{{region}}", "lists a region's buckets", _list_region, _SCOPE),
    reads(_ONE, "shows a bucket", _read, _SCOPE),
    writes("DELETE", _ONE, "deletes a bucket", _delete, _SCOPE),
    reads(f"{_ONE}/access", "shows who may reach a bucket", _access, _SCOPE),
    writes("PUT", f"{_ONE}/access", "sets who may reach a bucket", _set_access, _SCOPE),
    writes("POST", f"{_ONE}/access", "sets who may reach a bucket", _set_access, _SCOPE),
    *KEYS.routes(),
)
