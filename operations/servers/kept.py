"""Servers that were replaced by one restored from a backup: kept, off, until somebody deletes them by name.

Their backups would go with them. No state knows them; their tags say whose they are, and who has their place.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from operations import guards
from operations.clouds import Found

TAG = "replaced-by"
DEVICE = "linode:index/firewallDevice:FirewallDevice"


def label(server: str, identity: int) -> str:
    """Return the label that a server has once it is replaced; Linode takes one of 64 characters."""
    return f"{server}-was-{identity}"


def is_kept(server: Mapping[str, Any], stack: str) -> bool:
    """Whether a server, as its cloud has it, is one that was replaced in a stack."""
    return f"stack:{stack}" in server["tags"] and bool(re.search(r"-was-\d+$", server["label"]))


def of(found: Iterable[Found]) -> list[Found]:
    """Return those of what is there that are servers which were replaced, of any stack."""
    return [
        each
        for each in found
        if each.type == guards.SERVER and any(tag.startswith(f"{TAG}:") for tag in each.body["tags"])
    ]


def without(found: Iterable[Found]) -> Iterator[Found]:
    """Yield what is there but for servers that were replaced, and what goes with them: their firewalls' devices."""
    known = list(found)
    replaced = {each.id for each in of(known)}
    for each in known:
        server = {guards.SERVER: each.id, DEVICE: each.key.partition("/linode/")[2]}.get(each.type)
        if server not in replaced:
            yield each
