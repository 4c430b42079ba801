"""What Linode offers, as its API lists it: regions and their capabilities, plans, images, engines, endpoints.

After recorded answers of the real API (2024-07 to 2026-07), written out by hand and cut to the regions of the two
jurisdictions and their neighbours, and to the plans that are priced. Image ids and endpoint hosts beyond ours are
likely, not recorded.
"""

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def table(name: str) -> dict[str, dict[str, Any]]:
    """One list of the catalog by id: `regions`, `types`, `images`, `database_types` or `database_engines`."""
    return {entry["id"]: entry for entry in _entries(name)}


def endpoints(region: str) -> list[dict[str, Any]]:
    """The object storage endpoints of a region, oldest type first."""
    found = [entry for entry in _entries("object_storage_endpoints") if entry["region"] == region]
    return sorted(found, key=lambda entry: str(entry["endpoint_type"]))


def offers(region: str, capability: str) -> bool:
    """Whether a region exists and has that capability."""
    return region in table("regions") and capability in table("regions")[region]["capabilities"]


@cache
def _entries(name: str) -> list[dict[str, Any]]:
    text = resources.files(__name__).joinpath(f"{name}.json").read_text()
    entries: list[dict[str, Any]] = json.loads(text)
    return entries
