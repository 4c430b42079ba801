"""Cloudflare's services: their kinds of objects, and the form of the API's errors."""

import json
from typing import Any

from sandbox.cloudflare import alerting, dns, health_checks, load_balancing, origin_pulls, workers, zones
from sandbox.model import Kind, Refused

KINDS: tuple[Kind, ...] = (
    *zones.KINDS,
    *load_balancing.KINDS,
    *health_checks.KINDS,
    *dns.KINDS,
    *alerting.KINDS,
    *origin_pulls.KINDS,
    *workers.KINDS,
)

# What every zone has always; it is neither made nor deleted by anybody.
STANDING = frozenset({zones.NAME, zones.SETTING, origin_pulls.SETTINGS})


def error_body(refused: Refused) -> dict[str, Any]:
    """The body of an answer that refuses."""
    errors = [
        {"code": problem.code, "message": f"{problem.field}: {problem.reason}" if problem.field else problem.reason}
        for problem in refused.problems
    ]
    return {"success": False, "errors": errors, "messages": [], "result": None}


def error_text(refused: Refused) -> str:
    """The same as the official client prints it."""
    return f"{refused.status} {json.dumps(error_body(refused))}"
