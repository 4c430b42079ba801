"""Instances (Linodes): plan, image, addresses, backups, membership of a placement group."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from typing_extensions import TypedDict

from sandbox import ids
from sandbox.linode import catalog, placement_groups, rules
from sandbox.model import Body, Change, Course, Field, Kind, Problem, allocate, state
from sandbox.store import Record, Transaction

NAME = "linode.instance"
PUBLIC, PRIVATE = "ipv4", "private_ipv4"  # relations: who has an address
USER_DATA_LIMIT = 65_535  # bytes, decoded


class _Metadata(TypedDict, total=False):
    user_data: str | None


class _Membership(TypedDict):
    id: int


PROVISIONING, BOOTING, RUNNING = "provisioning", "booting", "running"
COURSES: dict[str, Course] = {
    "create": ((PROVISIONING, 25.0), (BOOTING, 35.0)),
    "boot": ((BOOTING, 35.0),),
    "reboot": (("rebooting", 45.0),),
    "shutdown": (("shutting_down", 20.0),),
    "resize": (("resizing", 240.0), (BOOTING, 35.0)),
    "rebuild": (("rebuilding", 60.0), (BOOTING, 35.0)),
    "migrate": (("migrating", 600.0), (BOOTING, 35.0)),
    "restore": (("restoring", 600.0),),
}
"""What an instance goes through, with likely seconds; what it does without booting ends before that."""

_ALERTS = {"io": 10_000, "network_in": 10, "network_out": 10, "transfer_quota": 80}  # the API's defaults
_CPU_ALERT = 90  # percent a core


def _plan(change: Change) -> Iterator[Problem]:
    plan = catalog.table("types").get(change.body["type"])
    if plan is None:
        yield Problem("A valid plan type by that ID was not found", "type")
    elif plan["class"] == "premium" and not catalog.offers(change.body["region"], "Premium Plans"):
        yield Problem(f"The region {change.body['region']} does not offer Premium Plans", "type")


def _image(change: Change) -> Iterator[Problem]:
    if change.before is not None or change.body["image"] is None:
        return
    if change.body["image"] not in catalog.table("images"):
        yield Problem("image is not valid", "image")
    if not any(change.given.get(name) for name in ("root_pass", "authorized_keys", "authorized_users")):
        yield Problem("root_pass is required", "root_pass")


def _options(change: Change) -> Iterator[Problem]:
    region = change.body["region"]
    wanted = {
        "backups_enabled": (change.given.get("backups_enabled"), "Backups"),
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
    region_changed = change.before is not None and change.before["region"] != body["region"]
    if change.before is None or region_changed:
        body["ipv4"] = [allocate(change.tx, PUBLIC, ids.public_ipv4, NAME, change.id, body["region"])]
        body["ipv6"] = f"{ids.public_ipv6(NAME, change.id, body['region'])}/128"
    if change.value("private_ip") and len(body["ipv4"]) == 1:
        relation = f"{PRIVATE}:{body['region']}"
        body["ipv4"].append(allocate(change.tx, relation, ids.private_ipv4, NAME, change.id, body["region"]))
    body["specs"] = {
        name: plan[name] for name in ("disk", "memory", "vcpus", "gpus", "transfer", "accelerated_devices")
    }
    body["alerts"] = _ALERTS | {"cpu": _CPU_ALERT * plan["vcpus"]} | (body["alerts"] or {})
    body["backups"] = _backups(change)
    body["status"] = "offline" if change.value("booted") is False else RUNNING
    if body["placement_group"] and "label" not in body["placement_group"]:
        group = change.other(placement_groups.NAME, body["placement_group"]["id"])
        assert group is not None  # _placement looked  # noqa: S101
        kept = ("id", "label", "placement_group_type", "placement_group_policy")
        body["placement_group"] = {name: group.body[name] for name in kept} | {"migrating_to": None}
    if change.before is None:
        body["label"] = body["label"] or f"linode{change.id}"
        body |= _born(change, plan)
    change.private.pop("root_pass", None)  # the API never gives it back; nothing here needs it


def _backups(change: Change) -> Body:
    enabled = bool(change.value("backups_enabled"))
    if not enabled:
        return {
            "enabled": False,
            "available": False,
            "schedule": {"day": None, "window": None},
            "last_successful": None,
        }
    before = (change.before or {}).get("backups") or {}
    if before.get("enabled"):
        return dict(before)
    schedule = {"day": "Scheduling", "window": "Scheduling"}  # until the service has chosen a window
    return {"enabled": True, "available": False, "schedule": schedule, "last_successful": None}


def _born(change: Change, plan: Body) -> Body:
    """What a new instance has that no later change touches."""
    body = change.body
    image = catalog.table("images").get(body["image"])
    swap = change.private["swap_size"]
    if image:
        root = {"id": ids.number("disk", change.id, "root"), "label": f"{image['label']} Disk", "filesystem": "ext4"}
        swapping = {"id": ids.number("disk", change.id, "swap"), "label": f"{swap} MB Swap Image", "filesystem": "swap"}
        change.private["disks"] = [root | {"size": plan["disk"] - swap}, swapping | {"size": swap}]
        devices = {"sda": {"disk_id": root["id"]}, "sdb": {"disk_id": swapping["id"]}}
        profile = {"id": ids.number("config", change.id), "label": f"My {image['label']} Disk Profile"}
        change.private["configs"] = [{**profile, **_PROFILE, "devices": devices}]
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


_PROFILE = {
    "kernel": "linode/grub2",
    "comments": "",
    "memory_limit": 0,
    "run_level": "default",
    "virt_mode": "paravirt",
    "root_device": "/dev/sda",
    "helpers": {
        "updatedb_disabled": True,
        "distro": True,
        "modules_dep": True,
        "network": True,
        "devtmpfs_automount": True,
    },
    "interfaces": [],
}


def _course(change: Change) -> Course:
    action = change.action
    if action == "update":  # one request may move, resize and start at once; the longest of them is what is seen
        moved = {"migrate": change.changed("region"), "resize": change.changed("type")}
        before = (change.before or {}).get("status")
        powered = {"boot": before == "offline", "shutdown": before == RUNNING}
        ends = {"boot": change.body["status"] == RUNNING, "shutdown": change.body["status"] == "offline"}
        switched = {name: powered[name] and ends[name] for name in powered}
        action = next((name for name, is_so in {**moved, **switched}.items() if is_so), "")
    course = COURSES.get(action, ())
    boots = change.body["status"] == RUNNING
    return tuple(step for step in course if boots or step[0] != BOOTING)


def _present(tx: Transaction, record: Record) -> Body:
    return {**record.body, "status": status(tx, record)}


def status(tx: Transaction, record: Record) -> str:
    """What an instance is doing now: "running" when it is up."""
    return state(tx, record.private) or str(record.body["status"])


def _links(body: Body) -> Iterator[tuple[str, Any]]:
    if body["placement_group"]:
        yield placement_groups.MEMBER, body["placement_group"]["id"]
    yield PUBLIC, body["ipv4"][0]
    for address in body["ipv4"][1:]:
        yield f"{PRIVATE}:{body['region']}", address


KINDS = (
    Kind(
        NAME,
        fields={
            "region": Field(required=True),
            "type": Field(required=True),
            "image": Field(fixed=True),
            "label": rules.label(3, 64),
            "tags": rules.TAGS,
            "root_pass": Field(length=(11, 128), fixed=True, write_only=True),
            "authorized_keys": Field(list[str], fixed=True, write_only=True),
            "authorized_users": Field(list[str], fixed=True, write_only=True),
            "metadata": Field(_Metadata, fixed=True, write_only=True),
            "swap_size": Field(int, within=(0, 10**6), fixed=True, hidden=True, default=512),
            "private_ip": Field(bool, hidden=True, default=False),
            "backups_enabled": Field(bool, hidden=True, default=False),
            "booted": Field(bool, hidden=True),
            "alerts": Field(dict[str, int]),
            "placement_group": Field(_Membership),
            "watchdog_enabled": Field(bool, default=True),
            "disk_encryption": Field(fixed=True, choices=("enabled", "disabled"), default="enabled"),
            "interface_generation": Field(fixed=True, choices=("legacy_config", "linode"), default="legacy_config"),
            "maintenance_policy": Field(choices=("linode/migrate", "linode/power_off_on"), default="linode/migrate"),
        },
        key=lambda body: str(body["label"] or ""),
        taken=Problem("Label must be unique among your linodes", "label"),
        rules=(rules.region_offers("Linodes"), _plan, _image, _options, _user_data, _placement, rules.tags),
        complete=_complete,
        course=_course,
        present=_present,
        links=_links,
        limit=10_000,
        over_limit=Problem("Account Limit reached. Please open a support ticket."),
    ),
)
