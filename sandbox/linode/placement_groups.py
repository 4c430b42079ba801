"""Placement groups: which instances must not share a host."""

from sandbox.linode import catalog, events, rules
from sandbox.model import Body, Change, Field, Kind, Problem
from sandbox.store import Record, Transaction

NAME = "linode.placement_group"
MEMBER = "placement_group"  # the relation of an instance to its group


def capacity(region: str) -> int:
    """How many instances a group may hold there: 5 wherever it is recorded."""
    return int(catalog.table("regions")[region]["placement_group_limits"]["maximum_linodes_per_pg"])


def shown_to_members(group: Record) -> Body:
    """What an instance's answer says of the group that it is in."""
    names = ("id", "label", "placement_group_type", "placement_group_policy")
    return {name: group.body[name] for name in names} | {"migrating_to": None}


def _present(tx: Transaction, record: Record) -> Body:
    members = sorted(int(member.id) for member in tx.linked(MEMBER, record.id))
    return {**record.body, "members": [{"linode_id": member, "is_compliant": True} for member in members]}


def _complete(change: Change) -> None:
    if change.before is None:
        change.body |= {"is_compliant": True, "migrations": None}


KINDS = (
    Kind(
        NAME,
        fields={
            "label": Field(
                required=True,
                length=(1, 64),
                pattern=r"[a-zA-Z0-9][a-zA-Z0-9-]*",
                says="Label must include only ASCII letters, numbers, and dashes",
            ),
            "region": Field(required=True, fixed=True),
            "placement_group_type": Field(required=True, fixed=True, choices=("anti_affinity:local",)),
            "placement_group_policy": Field(fixed=True, choices=("strict", "flexible"), default="strict"),
        },
        key=lambda body: str(body["label"]),
        taken=Problem("Label must be unique among your placement groups", "label"),
        rules=(rules.region_offers("Placement Group"),),
        complete=_complete,
        present=_present,
        notices=events.life("placement_group", events.Entity("placement_group", "/v4/placement/groups/{id}")),
        keeps={MEMBER: (400, Problem("Placement group must be empty: unassign its Linodes first"))},
        limit=100,
        over_limit=Problem("Maximum number of placement groups reached"),
    ),
)
