"""Tags: a bill, a sweep and whoever is called at night find out from them what an object belongs to."""

from collections.abc import Iterator

from policies.resource import UNKNOWN, Resource
from policies.rule import Context, ResourceRule

# Databases, buckets, keys and placement groups have none.
TAGGED = {
    "linode:Firewall": ("stack",),
    "linode:Instance": ("stack", "role"),
    "linode:NodeBalancer": ("stack", "environment", "role"),
    "linode:Volume": ("stack",),
}


def tagged(resource: Resource, context: Context) -> Iterator[str]:
    """The tags that a kind needs are there, and say what is so; a test environment's also whose it is, and its end."""
    if resource.kind not in TAGGED or resource.get("tags") is UNKNOWN:
        return
    settings = context.settings
    lifetime = settings.lifetime.model_dump() if settings.lifetime else {}
    true = {
        "stack": [context.stack],
        "environment": [*settings.environments],
        "role": [*settings.roles, "ops"],
        **{name: [value] for name, value in lifetime.items()},
    }
    tags = resource.get("tags") or []
    said = {name: value for name, _, value in (tag.partition(":") for tag in resource.known("tags"))}
    for name, values in true.items():
        if name in said and said[name] not in values:
            yield f"its tag `{name}:{said[name]}` is wrong; `{name}:` is one of {', '.join(values)}"
        elif name not in said and name in (*TAGGED[resource.kind], *lifetime) and UNKNOWN not in tags:
            yield f"it has no tag `{name}:`; add one of {', '.join(f'{name}:{value}' for value in values)}"


RULES = (
    ResourceRule(
        "tags",
        "Servers, balancers, firewalls and volumes say in tags what they belong to; in a test environment also whose.",
        tagged,
    ),
)
