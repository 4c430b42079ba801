"""Linode's services: their kinds of objects, and the form of the API's errors."""

from typing import Any

from sandbox.linode import databases, firewalls, instances, node_balancers, object_storage, placement_groups
from sandbox.model import Kind, Refused

KINDS: tuple[Kind, ...] = (
    *placement_groups.KINDS,
    *instances.KINDS,
    *firewalls.KINDS,
    *node_balancers.KINDS,
    *databases.KINDS,
    *object_storage.KINDS,
)


def error_body(refused: Refused) -> dict[str, Any]:
    """The body of an answer that refuses."""
    return {
        "errors": [
            {"reason": problem.reason} | ({"field": problem.field} if problem.field else {})
            for problem in refused.problems
        ]
    }


def error_text(refused: Refused) -> str:
    """The same as the official client prints it."""
    told = (f"[{problem.field}] {problem.reason}" if problem.field else problem.reason for problem in refused.problems)
    return f"[{refused.status}] {'; '.join(told)}"
