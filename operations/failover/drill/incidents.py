"""What a drill breaks, and what has to come of it: a table. A new incident is a new row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Conditions = Mapping[str, tuple[str, ...]]
"""What is wrong in the sandbox's clouds (docs/sandbox.md), by its kind; what is in braces is the scene's own."""

MODES = {"pilot-light": "active-passive", "warm": "active-passive", "active": "active-active"}
"""How much of the standby is there before an incident, and by how many sites the stateless names are served then."""


@dataclass(frozen=True)
class Incident:
    """Something that goes wrong, for a while.

    `flaps`: again and again, for short. `faults` strike the clouds' APIs in a move; `cut` has the task of a move be
    killed at each of its steps.

    What has to come of it. `moved`: somebody moves the stateful names, and back; `fails_over`: the front moves the
    stateless names by itself, and back, or may (None). Neither happens where it is not said. `spared`: so large a share
    of the messages may fail at most, in spite of retries; None where names are not served for a while. `keeps`: no
    message that was answered may be lost; otherwise none that the last copy can have.
    """

    what: str
    conditions: Conditions = field(default_factory=dict)
    flaps: bool = False
    faults: tuple[Mapping[str, Any], ...] = ()
    cut: bool = False
    moved: bool = False
    fails_over: bool | None = False
    spared: float | None = None
    keeps: bool = True


_ONE = {"killed": ("{server}", "{page}")}
_CHANGES = ("Create *", "Update *", "POST /v4/*", "PUT /v4/*", "POST /client/v4/*", "PUT /client/v4/*")

INCIDENTS = {
    "server": Incident("a server of each kind is killed", _ONE, spared=0.0),
    "flapping": Incident("a server of each kind goes off and on, again and again", _ONE, flaps=True, spared=0.0),
    # Within a jurisdiction there are not three probe regions, of which two could outvote a blind one.
    "blind": Incident(
        "everything that one probe region asks fails", {"blind": ("{probe}",)}, fails_over=None, spared=0.0
    ),
    # Retries of a tenth of the good messages leave (0.3 - 0.07) / (1 - 0.07) of them, and those to spare make it less.
    "errors": Incident("30 % of the answers are 500", {"failing": ("{all}=0.3",)}, spared=0.25),
    "role": Incident(
        "all servers of a role are killed", {"killed": ("{servers}", "{pages}")}, moved=True, fails_over=True
    ),
    "database": Incident("the database is killed", {"unhealthy": ("{database}",)}, moved=True, keeps=False),
    "site": Incident("the site is killed", {"regions_down": ("{region}",)}, moved=True, fails_over=True, keeps=False),
    "api": Incident(
        "the clouds' APIs take no change in a move",
        faults=tuple({"what": "error", "where": each, "status": 503} for each in _CHANGES),
        moved=True,
    ),
    "task": Incident("the task of a move is killed at each of its steps", cut=True, moved=True),
}
