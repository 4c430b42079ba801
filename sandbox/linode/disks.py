"""What is on an instance: its disks, and the configuration profile that boots from them."""

from collections.abc import Iterable

from sandbox import ids
from sandbox.model import Body, Change

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
_SLOTS = tuple(f"sd{letter}" for letter in "abcdefgh")


def install(change: Change, image: Body, size: int) -> None:
    """Puts an image onto all of an instance's space, in the place of whatever was there."""
    swap = change.private["swap_size"]
    wanted = [{"label": f"{image['label']} Disk", "filesystem": "ext4", "size": size - swap}]
    if swap:
        wanted.append({"label": f"{swap} MB Swap Image", "filesystem": "swap", "size": swap})
    change.private |= {"disks": [], "configs": [], "restored": None}
    add(change, wanted, f"My {image['label']} Disk Profile")


def add(change: Change, wanted: Iterable[Body], profile: str) -> None:
    """Adds disks of these labels, file systems and sizes, and a profile that boots from them."""
    private, now = change.private, change.kind.time(change.tx.now)
    private["builds"] = build = private.get("builds", 0) + 1
    stamps = {"created": now, "updated": now}
    made = [
        {"id": ids.number("disk", change.id, str(build), str(position)), **disk, **stamps}
        for position, disk in enumerate(wanted)
    ]
    devices = {slot: {"disk_id": disk["id"]} for slot, disk in zip(_SLOTS, made, strict=False)}
    config = {"id": ids.number("config", change.id, str(build)), "label": profile, **_PROFILE, **stamps}
    private["disks"] = [*private.get("disks", ()), *made]
    private["configs"] = [*private.get("configs", ()), {**config, "devices": devices}]


def used(private: Body) -> int:
    """The space that an instance's disks take, in MB."""
    return sum(disk["size"] for disk in private.get("disks", ()))


def fit(change: Change, size: int) -> None:
    """Makes the disk with the system as large as the instance's space lets it be."""
    for disk in change.private.get("disks", ())[:1]:
        disk["size"] += size - used(change.private)


def shown(body: Body, private: Body) -> list[Body]:
    """An instance's disks as the API presents them."""
    more = {"status": "ready", "disk_encryption": body["disk_encryption"]}
    return [{**disk, **more} for disk in private.get("disks", ())]


def profiles(private: Body) -> list[Body]:
    """An instance's configuration profiles as the API presents them."""
    return [
        {**config, "initrd": None, "devices": {slot: _device(config["devices"].get(slot)) for slot in _SLOTS}}
        for config in private.get("configs", ())
    ]


def _device(device: Body | None) -> Body | None:
    return device and {**device, "volume_id": None}
