"""Putting instances into placement groups and taking them out, several at once: all of them, or none."""

from collections.abc import Iterator
from dataclasses import replace

from sandbox.linode import instances, placement_groups
from sandbox.model import Action, Body, Change, Field, Problem
from sandbox.store import Record


def _assign(change: Change) -> Iterator[Problem]:
    wanted = [*_named(change)]
    members = {member.id for member in change.tx.linked(placement_groups.MEMBER, change.id)}
    group = change.other(placement_groups.NAME, change.id)
    assert group is not None  # it is what is acted upon  # noqa: S101
    for identity, record in wanted:
        if record is None:
            yield _missing(identity)
        elif record.body["region"] != group.body["region"]:
            yield Problem(f"Linode {identity} is not in the placement group's region", "linodes")
        elif record.body["placement_group"] and record.id not in members:
            yield Problem(f"Linode {identity} is already in a placement group", "linodes")
    known = [record for _, record in wanted if record]
    if len(members | {record.id for record in known}) > placement_groups.capacity(group.body["region"]):
        yield Problem("The placement group has no room for another Linode", "linodes")
    elif len(known) == len(wanted):
        _place(change, known, placement_groups.shown_to_members(group))


def _unassign(change: Change) -> Iterator[Problem]:
    wanted = [*_named(change)]
    for identity, record in wanted:
        if record is None or str((record.body["placement_group"] or {}).get("id")) != change.id:
            yield _missing(identity)
    _place(change, [record for _, record in wanted if record], None)


def _named(change: Change) -> Iterator[tuple[int, Record | None]]:
    for identity in dict.fromkeys(change.given["linodes"]):
        yield identity, change.other(instances.NAME, identity)


def _missing(identity: int) -> Problem:
    return Problem(f"A valid Linode by the ID {identity} was not found", "linodes")


def _place(change: Change, records: list[Record], group: Body | None) -> None:
    for record in records:
        body = {**record.body, "placement_group": group}
        change.tx.put(replace(record, body=body), instances.links(body), "update")


_LINODES = Field(list[int], required=True)
ACTIONS = (
    Action("assign", _assign, {"linodes": _LINODES, "compliant_only": Field(bool, default=False)}),
    Action("unassign", _unassign, {"linodes": _LINODES}),
)
