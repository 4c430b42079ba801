"""Placement groups, and which instances are in them."""

from sandbox.api.linode.common import acts, collection, without, writes
from sandbox.api.route import Route
from sandbox.linode import membership, placement_groups

_HIDDEN = ("created", "updated")

GROUPS = collection("/placement/groups", placement_groups.NAME, "placement group", "linodes", hides=_HIDDEN)

ROUTES: tuple[Route, ...] = (
    *GROUPS.routes(),
    *(
        writes(
            "POST",
            f"/placement/groups/{{id}}/{action.name}",
            f"{action.name}s instances",
            acts(placement_groups.NAME, action, without(*_HIDDEN)),
            "linodes",
        )
        for action in membership.ACTIONS
    ),
)
