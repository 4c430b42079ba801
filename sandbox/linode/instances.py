"""Instances (Linodes): plan, image, addresses, membership of a placement group, and what can be done to them."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from typing_extensions import TypedDict

from sandbox import ids
from sandbox.linode import backups, catalog, disks, events, placement_groups, rules
from sandbox.model import Action, Body, Change, Course, Field, Kind, Problem, allocate, conditions, state
from sandbox.store import Record, Transaction

NAME = "linode.instance"
PUBLIC, PRIVATE = "ipv4", "private_ipv4"  # relations: who has an address
USER_DATA_LIMIT = 65_535  # bytes, decoded


class _Metadata(TypedDict, total=False):
    user_data: str | None


class _Membership(TypedDict):
    id: int


PROVISIONING, BOOTING, REBOOTING, RUNNING, OFFLINE = "provisioning", "booting", "rebooting", "running", "offline"
COURSES: dict[str, Course] = {
    "create": ((PROVISIONING, 25.0), (BOOTING, 35.0)),
    "boot": ((BOOTING, 35.0),),
    "reboot": ((REBOOTING, 45.0),),
    "shutdown": (("shutting_down", 20.0),),
    "resize": (("resizing", 240.0), (BOOTING, 35.0)),
    "rebuild": (("rebuilding", 60.0), (BOOTING, 35.0)),
    "migrate": (("migrating", 600.0), (BOOTING, 35.0)),
    "restore": (("restoring", 600.0),),
}
"""What an instance goes through, with likely seconds; what it does without booting ends before that."""

ENTITY = events.Entity("linode", "/v4/linode/instances/{id}")
_TOLD = {
    PROVISIONING: "linode_create",
    BOOTING: "linode_boot",
    REBOOTING: "linode_reboot",
    "shutting_down": "linode_shutdown",
    "resizing": "linode_resize",
    "rebuilding": "linode_rebuild",
    "migrating": "linode_migrate",
    "restoring": "backups_restore",
    "update": "linode_update",
    "delete": "linode_delete",
    "snapshot": "linode_snapshot",
}
"""The event of each state on a course, and of each action without one; where none is named, the action's own name."""

# What is on after an action; after every other, what was on before, unless it is told otherwise.
_ENDS_ON = {"boot": True, "reboot": True, "shutdown": False, "restore": False}

_ALERTS = {"io": 10_000, "network_in": 10, "network_out": 10, "transfer_quota": 80}  # the API's defaults
_CPU_ALERT = 90  # percent a core


def _plan(change: Change) -> Iterator[Problem]:
    plan = catalog.table("types").get(change.body["type"])
    if plan is None:
        yield Problem("A valid plan type by that ID was not found", "type")
    elif plan["class"] == "premium" and not catalog.offers(change.body["region"], "Premium Plans"):
        yield Problem(f"The region {change.body['region']} does not offer Premium Plans", "type")


def _image(change: Change) -> Iterator[Problem]:
    if change.before is None and change.body["image"] is not None:
        yield from _installable(change)


def _installable(change: Change) -> Iterator[Problem]:
    if change.given["image"] not in catalog.table("images"):
        yield Problem("image is not valid", "image")
    if not any(change.given.get(name) for name in ("root_pass", "authorized_keys", "authorized_users")):
        yield Problem("root_pass is required", "root_pass")


def _options(change: Change) -> Iterator[Problem]:
    region = change.body["region"]
    wanted = {
        "metadata": (change.given.get("metadata"), "Metadata"),
        "disk_encryption": (change.given.get("disk_encryption") == "enabled", "Disk Encryption"),
    }
    for name, (value, capability) in wanted.items():
        if value and not catalog.offers(region, capability):
            yield Problem(f"The region {region} does not offer {capability}", name)
    private = change.value("private_ip")
    if private and change.body["interface_generation"] == "linode":
        yield Problem("Linodes with Linode interfaces can't have a private IPv4 address", "private_ip")
    if change.before is not None and len(change.before["ipv4"]) > 1 and not private:
        yield Problem("A private IP address can't be removed", "private_ip")


def _user_data(change: Change) -> Iterator[Problem]:
    given = (change.given.get("metadata") or {}).get("user_data")
    if given is None:
        return
    try:
        if len(base64.b64decode(given, validate=True)) > USER_DATA_LIMIT:
            yield Problem(f"decoded user_data must not exceed {USER_DATA_LIMIT} bytes", "metadata.user_data")
    except (binascii.Error, ValueError):
        yield Problem("user_data must be Base64-encoded", "metadata.user_data")


def _placement(change: Change) -> Iterator[Problem]:
    wanted = change.body["placement_group"]
    if not change.changed("placement_group") or wanted is None:
        return
    group = change.other(placement_groups.NAME, wanted["id"])
    if group is None:
        yield Problem("A valid placement group by that ID was not found", "placement_group.id")
        return
    if group.body["region"] != change.body["region"]:
        yield Problem("The placement group is in another region", "placement_group.id")
    others = [member for member in change.tx.linked(placement_groups.MEMBER, group.id) if member.id != change.id]
    if len(others) >= placement_groups.capacity(group.body["region"]):
        yield Problem("The placement group has no room for another Linode", "placement_group.id")


def _complete(change: Change) -> None:
    body, plan = change.body, catalog.table("types")[change.body["type"]]
    moved = change.before is not None and change.before["region"] != body["region"]
    if change.before is None or moved:
        body["ipv4"] = [allocate(change.tx, PUBLIC, ids.public_ipv4, NAME, change.id, body["region"])]
        body["ipv6"] = f"{ids.public_ipv6(NAME, change.id, body['region'])}/128"
    if change.value("private_ip") and len(body["ipv4"]) == 1:
        relation = f"{PRIVATE}:{body['region']}"
        body["ipv4"].append(allocate(change.tx, relation, ids.private_ipv4, NAME, change.id, body["region"]))
    body["specs"] = {
        name: plan[name] for name in ("disk", "memory", "vcpus", "gpus", "transfer", "accelerated_devices")
    }
    body["alerts"] = _ALERTS | {"cpu": _CPU_ALERT * plan["vcpus"]} | (body["alerts"] or {})
    if body["placement_group"] and "label" not in body["placement_group"]:
        group = change.other(placement_groups.NAME, body["placement_group"]["id"])
        assert group is not None  # _placement looked  # noqa: S101
        body["placement_group"] = placement_groups.shown_to_members(group)
    if change.before is None:
        body["label"] = body["label"] or f"linode{change.id}"
        body |= _born(change, plan)
    enabled = "since" in (change.private.get(backups.STATE) or {})
    backups.follow(change, moved=moved)
    body["backups"] = backups.shown(change.tx.now, change.id, change.private)
    change.action = _deed(change, enabled=enabled)
    body["status"] = _ends_as(change)
    change.private.pop("root_pass", None)  # the API never gives it back; nothing here needs it


def _deed(change: Change, *, enabled: bool) -> str:
    """What an update really does: it may move, resize and start at once; the longest of them is what is seen."""
    if change.action != "update":
        return change.action
    before = (change.before or {})["status"]
    deeds = {
        "migrate": change.changed("region"),
        "resize": change.changed("type"),
        "boot": before == OFFLINE and _goes_on(change),
        "shutdown": before == RUNNING and not _goes_on(change),
        "backups_enable": change.body["backups"]["enabled"] and not enabled,
        "backups_cancel": enabled and not change.body["backups"]["enabled"],
    }
    return next((name for name, is_so in deeds.items() if is_so), "update")


def _goes_on(change: Change) -> bool:
    """Whether an instance is to be on afterwards; it then boots, if there is anything to boot from."""
    if not change.private.get("configs"):
        return False
    if change.action in _ENDS_ON:
        return _ENDS_ON[change.action]
    told = change.given.get("booted")
    if told is None and change.before is not None and change.action != "rebuild":
        return bool(change.before["status"] == RUNNING)
    return told is not False


def _ends_as(change: Change) -> str:
    if change.action not in COURSES:
        return str((change.before or {})["status"])
    fails = change.body["label"] in conditions(change.tx)["unbootable"] and any(
        step[0] in (BOOTING, REBOOTING) for step in COURSES[change.action]
    )
    return RUNNING if _goes_on(change) and not fails else OFFLINE


def _born(change: Change, plan: Body) -> Body:
    """What a new instance has that no later change touches."""
    image = catalog.table("images").get(change.body["image"])
    if image:
        disks.install(change, image, plan["disk"])
    user_data = (change.private["metadata"] or {}).get("user_data")
    return {
        "group": "",
        "site_type": "core",
        "hypervisor": "kvm",
        "host_uuid": ids.host_uuid(change.id),
        "has_user_data": user_data is not None,
        "lke_cluster_id": None,
        "capabilities": ["Block Storage Encryption", "Maintenance Policy"],
        "locks": [],
    }


def _course(change: Change) -> Course:
    boots = _goes_on(change)
    return tuple(step for step in COURSES.get(change.action, ()) if boots or step[0] != BOOTING)


def _boot(change: Change) -> Iterator[Problem]:
    wanted = change.given["config_id"]
    known = [config["id"] for config in change.private.get("configs", ())]
    if not known:
        yield Problem("There is no configuration profile to boot.")
    elif wanted is not None and wanted not in known:
        yield Problem("A valid configuration profile by that ID was not found", "config_id")
    elif change.action == "boot" and change.body["status"] == RUNNING and not _is_busy(change):
        yield Problem(f"Linode {change.id} already booted.")


def _is_busy(change: Change) -> bool:
    return state(change.tx, change.private) is not None


def _shutdown(_: Change) -> Iterable[Problem]:
    return ()


def _resize(change: Change) -> Iterator[Problem]:
    before, change.body["type"] = change.body["type"], change.given["type"]
    found = list(_plan(change))
    yield from found
    if found:
        return
    size = catalog.table("types")[change.body["type"]]["disk"]
    if change.body["type"] == before:
        yield Problem("The Linode has this plan already.", "type")
    elif change.given["allow_auto_disk_resize"]:
        disks.fit(change, size)
    elif disks.used(change.private) > size:
        says = "Linode has allocated more disk than the new service plan allows. Delete or resize disks smaller."
        yield Problem(says)


def _rebuild(change: Change) -> Iterator[Problem]:
    found = [*_installable(change), *_user_data(change)]
    yield from found
    if not found:
        change.body["image"] = change.given["image"]
        change.body["disk_encryption"] = change.given["disk_encryption"] or change.body["disk_encryption"]
        if change.given["metadata"]:
            change.body["has_user_data"] = change.given["metadata"].get("user_data") is not None
        disks.install(change, catalog.table("images")[change.given["image"]], change.body["specs"]["disk"])


def _present(tx: Transaction, record: Record) -> Body:
    return {
        **record.body,
        "status": status(tx, record),
        "backups": backups.shown(tx.now, record.id, record.private),
    }


def status(tx: Transaction, record: Record) -> str:
    """What an instance is doing now: "running" when it is up."""
    wrong = conditions(tx)
    if record.body["region"] in wrong["regions_down"]:
        return OFFLINE
    if any(fnmatchcase(record.body["label"], pattern) for pattern in wrong["killed"]):
        return OFFLINE
    return state(tx, record.private) or str(record.body["status"])


def _notices(tx: Transaction, record: Record, action: str) -> None:
    """Tells of each step of an action's course, one after the other."""
    begins, about = tx.now.timestamp(), (ENTITY.of(record),)
    course = record.private["course"] if action in COURSES else []
    for name, until in course:
        fails = name in (BOOTING, REBOOTING) and record.body["status"] == OFFLINE
        events.tell(tx, record.account, _TOLD[name], about, events.Span(begins, until, fails))
        begins = until
    if not course:
        taken = record.private[backups.STATE].get("snapshots") if action == backups.SNAPSHOT.name else None
        lasts = events.Span(begins, taken[-1]["ends"]) if taken else None
        events.tell(tx, record.account, _TOLD.get(action, action), about, lasts)


def links(body: Body) -> Iterator[tuple[str, Any]]:
    """What an instance refers to: its placement group, and its addresses."""
    if body["placement_group"]:
        yield placement_groups.MEMBER, body["placement_group"]["id"]
    yield PUBLIC, body["ipv4"][0]
    for address in body["ipv4"][1:]:
        yield f"{PRIVATE}:{body['region']}", address


_ENCRYPTIONS = ("enabled", "disabled")
_METADATA = Field(_Metadata, fixed=True, write_only=True)
_LOGINS = {
    "root_pass": Field(length=(11, 128), fixed=True, write_only=True),
    "authorized_keys": Field(list[str], fixed=True, write_only=True),
    "authorized_users": Field(list[str], fixed=True, write_only=True),
}

ACTIONS = (
    Action("boot", _boot, {"config_id": Field(int)}),
    Action("reboot", _boot, {"config_id": Field(int)}),
    Action("shutdown", _shutdown),
    Action(
        "resize",
        _resize,
        {
            "type": Field(required=True),
            "allow_auto_disk_resize": Field(bool, default=True),
            "migration_type": Field(choices=("cold", "warm"), default="cold"),
        },
    ),
    Action(
        "rebuild",
        _rebuild,
        {
            "image": Field(required=True),
            **_LOGINS,
            "metadata": _METADATA,
            "booted": Field(bool, default=True),
            "disk_encryption": Field(choices=_ENCRYPTIONS),
        },
    ),
)
"""What can be done to an instance, beside what `backups` has."""

KINDS = (
    Kind(
        NAME,
        fields={
            "region": Field(required=True),
            "type": Field(required=True),
            "image": Field(fixed=True),
            "label": rules.label(3, 64),
            "tags": rules.TAGS,
            **_LOGINS,
            "metadata": _METADATA,
            "swap_size": Field(int, within=(0, 10**6), fixed=True, hidden=True, default=512),
            "private_ip": Field(bool, hidden=True, default=False),
            "backups_enabled": Field(bool, hidden=True, default=False),
            "booted": Field(bool, hidden=True),
            "alerts": Field(dict[str, int]),
            "backups": Field(backups.Settings),
            "placement_group": Field(_Membership),
            "watchdog_enabled": Field(bool, default=True),
            "disk_encryption": Field(fixed=True, choices=_ENCRYPTIONS, default="enabled"),
            "interface_generation": Field(fixed=True, choices=("legacy_config", "linode"), default="legacy_config"),
            "maintenance_policy": Field(choices=("linode/migrate", "linode/power_off_on"), default="linode/migrate"),
        },
        key=lambda body: str(body["label"] or ""),
        taken=Problem("Label must be unique among your linodes", "label"),
        rules=(
            *(rules.region_offers("Linodes"), _plan, _image, _options, _user_data, _placement),
            *(backups.allowed, rules.tags),
        ),
        complete=_complete,
        course=_course,
        present=_present,
        links=links,
        notices=_notices,
        limit=10_000,
        over_limit=Problem("Account Limit reached. Please open a support ticket."),
    ),
)
