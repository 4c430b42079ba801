"""Comparing what a database holds with a record of what it should hold."""

import argparse
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from copies import config, record
from copies.repository import Say

ELSEWHERE = frozenset({"roles", "memberships", "settings"})
"""Sections of what belongs to the whole server: there may be more than in the record, others' too."""

_MOST, _LONGEST = 20, 200
"""Differences that a summary names, and characters of one value."""


def run(config_: config.Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Compare a live database with a record in a file: `record`'s answer."""
    expected = json.loads(wanted.record.read_text())
    found = record.run(config_, wanted, say)
    wrong = differences(expected, found)
    return {"compared": counted(expected), "differences": wrong, **({"reason": summary(wrong)} if wrong else {})}


def differences(
    expected: Mapping[str, Any],
    found: Mapping[str, Any],
    *,
    without: Collection[str] = (),
    given: Mapping[str, Any] | None = None,
) -> list[str]:
    """Return what is other than expected, a line each; nothing is said of the sections `without`.

    `given` is the record of what was there before, which may still be.
    """
    for each in (expected, found):
        if each["format"] != record.FORMAT:
            return [
                f"a record has format {each['format']}, this program knows {record.FORMAT}: take the one of its time"
            ]
    ours, theirs = (each["server"]["major"] for each in (expected, found))
    if ours != theirs:
        return [f"the server is PostgreSQL {theirs}, the copy is of PostgreSQL {ours}"]
    before = (given or {}).get("sections", {})
    return [
        line
        for section, things in expected["sections"].items()
        if section not in without
        for line in _section(section, things, found["sections"][section], before.get(section, {}))
    ]


def summary(wrong: Collection[str]) -> str:
    """Return the first of the differences as one text."""
    more = f"; and {len(wrong) - _MOST} more" if len(wrong) > _MOST else ""
    return "; ".join([*wrong][:_MOST]) + more


def counted(expected: Mapping[str, Any]) -> dict[str, int]:
    """Return how much there is to compare: rows, and things by section."""
    things = {name: len(section) for name, section in expected["sections"].items()}
    (objects,) = expected["sections"]["contents of large objects"].values()
    return {"rows": expected["rows"], **things, "contents of large objects": objects["number"]}


def _section(
    section: str, expected: Mapping[str, Any], found: Mapping[str, Any], before: Mapping[str, Any]
) -> Iterator[str]:
    for name, facts in expected.items():
        if name not in found:
            yield f"{section}: {name} is missing"
        elif section == "sequences":
            yield from _sequence(name, facts, found[name])
        else:
            yield from _facts(f"{section}: {name}", facts, found[name])
    if section not in ELSEWHERE:
        yield from (f"{section}: {name} is not in the copy" for name in found.keys() - expected.keys() - before.keys())


def _facts(what: str, expected: Any, found: Any) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted(expected.keys() | found.keys()):
            yield from _facts(f"{what}: {name}", expected.get(name), found.get(name))
    elif expected != found:
        yield f"{what}: is {_short(found)}, was {_short(expected)}"


def _sequence(name: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Compare a sequence, which may have gone on while it was copied: then its value lies between the two."""
    span = ("from", "until")
    yield from _facts(
        f"sequences: {name}", *({k: v for k, v in each.items() if k not in span} for each in (expected, found))
    )
    least, most = sorted(_given(expected[end], expected) for end in span)
    value = _given(found["from"], found)
    turned = expected["cycle"] and least != most
    if not (least <= value <= most or turned):
        yield f"sequences: {name}: has given {value}, had {least if least == most else f'{least} to {most}'}"


def _given(position: Any, facts: Mapping[str, Any]) -> int:
    """Return the value that was given out last: what was only set is the next one."""
    value, given = position
    return int(value) if given else int(value) - int(facts["increment"])


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
