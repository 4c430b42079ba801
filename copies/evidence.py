"""Evidence that a copy restores: kept beside the copies, for ever, and told in lists.

It says what was done and counted, and holds nothing of what is in the rows: it may leave the jurisdiction.
"""

import datetime as dt
import hashlib
import importlib.resources
import json
from collections.abc import Collection
from typing import Any
from urllib.parse import quote, unquote

from copies.repository import Repository, Snapshot

PROOF = "proof"
"""The tag, and the name of the file."""

PROVED, FAILED = "proved", "failed"


def keep(repository: Repository, evidence: dict[str, Any], now: dt.datetime) -> None:
    """Keep it. Its tags say what a list shows; a comma would end one.

    Raises:
        RepositoryError: it can't be kept.
    """
    copy = evidence["copy"]
    said = {"result": evidence["result"], "seconds": evidence["seconds"]["total"], "reason": evidence.get("reason", "")}
    said |= {name: copy[name] for name in ("id", "taken", "version")}
    tags = [f"{name}={quote(str(value), safe=' :/+')}" for name, value in said.items() if value != ""]
    repository.save(json.dumps(evidence, indent=2).encode(), PROOF, [PROOF, *tags], now)


def listed(snapshots: Collection[Snapshot]) -> list[dict[str, Any]]:
    """Return the proofs in short, newest first. A drill that failed is none."""
    return [each for each in drills(snapshots) if each["result"] == PROVED]


def drills(snapshots: Collection[Snapshot]) -> list[dict[str, Any]]:
    """Return what is known of all drills that left evidence, newest first."""
    found = []
    for each in sorted(snapshots, key=lambda each: each.time, reverse=True):
        if PROOF in each.tags:
            said = {name: unquote(value) for name, value in each.values.items()}
            copy = {name: said[name] for name in ("id", "taken", "version")}
            reason = {"reason": said["reason"]} if "reason" in said else {}
            at = f"{each.time.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
            seconds = float(said["seconds"])
            found.append({"at": at, "result": said["result"], "copy": copy, "seconds": seconds, **reason})
    return found


def program() -> str:
    """Return what tells one version of this program from another: a digest of its modules."""
    modules = importlib.resources.files("copies").iterdir()
    texts = {each.name: each.read_bytes() for each in modules if each.name.endswith(".py")}
    return hashlib.sha256(b"".join(texts[name] for name in sorted(texts))).hexdigest()[:12]
