"""Rules that several of Linode's services share."""

from collections.abc import Callable, Iterator
from typing import Any

from sandbox.linode import catalog
from sandbox.model import Change, Field, Problem, Rule

# Letters, digits, dashes, underscores and periods; begins and ends with a letter or digit; none of --, __, .. in it.
LABEL = r"[a-zA-Z0-9](?:(?!--|__|\.\.)[a-zA-Z0-9._-])*(?<![._-])"
LABEL_SAYS = (
    "Label must begin and end with a letter or digit, hold only letters, digits, dashes, underscores and periods, "
    "and no two of the same sign in a row"
)


def label(least: int, most: int, **more: Any) -> Field:
    """A label of that length and of the API's alphabet."""
    return Field(**{"length": (least, most), "pattern": LABEL, "says": LABEL_SAYS, **more})


def region_offers(*capabilities: str) -> Rule:
    """The region exists and has all these capabilities."""

    def rule(change: Change) -> Iterator[Problem]:
        region = change.body.get("region")
        if region not in catalog.table("regions"):
            yield Problem("region is not valid", "region")
            return
        for capability in capabilities:
            if not catalog.offers(str(region), capability):
                yield Problem(f"The region {region} does not offer {capability}", "region")

    return rule


TAGS = Field(list[str], default=(), normal=sorted)


def tags(change: Change) -> Iterator[Problem]:
    """Each tag is 3 to 50 characters long."""
    for tag in change.body["tags"]:
        if not 3 <= len(tag) <= 50:  # noqa: PLR2004
            yield Problem("Tags must be between 3 and 50 characters", "tags")


def same_parent(name: str) -> Callable[[dict[str, Any]], str]:
    """The natural key of what is labelled within something else."""
    return lambda body: f"{body[name]}/{body['label']}"
