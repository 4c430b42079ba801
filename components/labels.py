"""Labels and tags of cloud objects: how they are composed, and what each kind accepts.

A label is `<stack>-<environment>-<role>...`, of the short labels that settings give to stacks and environments, so
that it is unique in the account and says at night what an object belongs to.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelRule:
    """What a kind of object accepts as its label: length in characters, and the alphabet."""

    shortest: int
    longest: int
    alphabet: str

    def problem(self, label: str) -> str | None:
        """Say what is wrong with a label, or None."""
        if not self.shortest <= len(label) <= self.longest:
            return (
                f"'{label}' has {len(label)} characters where {self.shortest} to {self.longest} are allowed: "
                "shorten the labels of the stack and the environment, or the role's name"
            )
        if not re.fullmatch(self.alphabet, label):
            return f"'{label}' has characters that are not allowed there; use a-z, 0-9 and single hyphens"
        return None


_WORDS = r"[a-z0-9]+(-[a-z0-9]+)*"

# The official plugin accepts 3-50 characters for an instance where the API accepts 64; the narrower holds.
RULES: Mapping[str, LabelRule] = {
    "server": LabelRule(3, 50, _WORDS),
    "firewall": LabelRule(3, 32, _WORDS),
    "placement group": LabelRule(3, 64, _WORDS),
    "balancer": LabelRule(3, 32, _WORDS),
    "balancer node": LabelRule(3, 32, _WORDS),
    "database": LabelRule(3, 32, _WORDS),
    "bucket": LabelRule(3, 63, _WORDS),
    "bucket key": LabelRule(3, 50, _WORDS),
    "pool": LabelRule(2, 63, _WORDS),
    "worker": LabelRule(2, 63, _WORDS),
    "tag": LabelRule(3, 50, r"[a-z0-9:.-]+"),
}


class LabelError(ValueError):
    """A composed label or tag that its kind of object does not accept."""


def label(kind: str, *parts: str) -> str:
    """Compose the label of an object of a kind (a key of RULES).

    Raises:
        LabelError: the kind does not accept the composed label.
    """
    composed = "-".join(parts)
    problem = RULES[kind].problem(composed)
    if problem:
        raise LabelError(f"the label of a {kind}: {problem}")
    return composed


def server(stack: str, environment: str, role: str, generation: int, number: int) -> str:
    """Compose a server's label, `us-prod-api-g1-1`; its balancer node has the same."""
    return label("server", stack, environment, role, f"g{generation}", str(number))


def database(stack: str, environment: str, generation: int) -> str:
    """Compose a database's label: `us-prod-db`, and of a later generation `us-prod-db-g2`."""
    return label("database", stack, environment, "db", *([] if generation == 1 else [f"g{generation}"]))


def pool(stack: str, environment: str, role: str, site: str = "") -> str:
    """Compose the label of a name's pool: `us-prod-api`, and of another site's `us-prod-api-us-standby`."""
    return label("pool", stack, environment, role, *([site] if site else []))


def voice(stack: str, *parts: str) -> str:
    """Compose what objects of phone names are called: `us-voice`, and an edge's check `us-voice-us-central-a`."""
    return "-".join((stack, "voice", *parts))


def copies_bucket(stack: str, environment: str) -> str:
    """Compose the label of the bucket that holds the copies of an environment's database."""
    # Bucket names are shared by everybody in the world: the project's name makes ours ours.
    return label("bucket", "chat-tonic", stack, environment, "copies")


def second_bucket(stack: str, environment: str) -> str:
    """Compose the label of the bucket that holds the second copies."""
    return label("bucket", "chat-tonic", stack, environment, "copies", "second")


def copies_key(stack: str, environment: str) -> str:
    """Compose the label of the key that reads and writes the bucket of the copies: the ops server's."""
    return label("bucket key", stack, environment, "copies")


def second_key(stack: str, environment: str) -> str:
    """Compose the label of the key that reads the copies, and reads and writes the second copies."""
    return label("bucket key", stack, environment, "copies", "second")


def generation_and_number(label: str) -> tuple[int, int]:
    """Return a server's generation and its number in it, from its label.

    Raises:
        LabelError: it is no label of a role's server.
    """
    found = re.fullmatch(rf"{_WORDS}-g(\d+)-(\d+)", label)
    if not found:
        raise LabelError(f"'{label}' is no label of a role's server, such as us-prod-api-g1-1")
    return int(found[2]), int(found[3])


def tags(**facts: str) -> list[str]:
    """Compose `name:value` tags, sorted, as the API returns them.

    Raises:
        LabelError: a tag is longer than the API accepts.
    """
    composed = sorted(f"{name}:{value}" for name, value in facts.items())
    for tag in composed:
        problem = RULES["tag"].problem(tag)
        if problem:
            raise LabelError(f"a tag: {problem}")
    return composed


TEST_ENVIRONMENT = "x"
"""What the labels of test environments begin with, and of no other stack: it tells what may be ended."""

MOMENT = "%Y-%m-%dt%H.%M.%Sz"
"""A time in UTC, of the characters that a tag accepts."""


def moment(at: dt.datetime) -> str:
    """Return a time as tags have it: `2026-11-22t18.00.00z`."""
    return at.astimezone(dt.UTC).strftime(MOMENT)


def moment_of(text: str) -> dt.datetime:
    """Return the time that a tag says.

    Raises:
        ValueError: it says none.
    """
    return dt.datetime.strptime(text, MOMENT).replace(tzinfo=dt.UTC)


def identity(urn: str) -> str:
    """Return the short digest of a resource's URN that marks an object without a label of its own."""
    return f"id {hashlib.sha256(urn.encode()).hexdigest()[:12]}"
