"""What a drill found, for people: every bound that does not hold, and a table."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

HELD, FAILED = "held", "failed"


def broken(found: Mapping[str, Any]) -> list[str]:
    """Return in words what does not hold, of the whole drill."""
    background = found["background"]
    moves = f"in {background['years']:g} simulated years of background errors it moved {background['moves']} times"
    took, allowed = background["seconds_to_detect"], background["detect_within"]
    late = f"a simulated outage is noticed after {took} s, and {allowed} s are allowed ('detect_within')"
    return [
        *([moves] if background["moves"] else []),
        *([late] if allowed and took > allowed else []),
        *(f"{each['mode']}, {each['incident']}: {line}" for each in found["incidents"] for line in each["broken"]),
        *([found["reason"]] if "reason" in found else []),
    ]


def table(found: Mapping[str, Any]) -> Table:
    """Return what was measured."""
    title = f"{found['stack']} and {found['standby']}, {found['commit'][:12]}"
    shown = Table("Mode", "Incident", title=title)
    for column in ("Messages", "Failed", "Detected, s", "Computed, s", "Unserved, s", "Moves", "Lost", "Bounds"):
        shown.add_column(column, justify="right")
    for each in found["incidents"]:
        figures = _figures(each) if "messages" in each else [""] * 7  # one that did not come to its end has none
        verdict, style = ("broken", "red") if each["broken"] else ("hold", "")
        shown.add_row(each["mode"], each["incident"], *figures, verdict, style=style)
    return shown


def _figures(incident: Mapping[str, Any]) -> list[str]:
    return [
        str(incident["messages"]),
        str(incident["failed"]),
        _most(incident["seconds_to_detect"]),
        f"{incident['seconds_to_detect_computed']:.1f}",
        _most(incident["seconds_unserved"]),
        str(max(incident["moves"].values(), default=0)),
        str(incident["lost"]),
    ]


def _most(seconds: Mapping[str, float]) -> str:
    return f"{max(seconds.values()):.1f}" if seconds else ""
