"""Declares what `resources.json`, in the folder that the program runs in, lists: `benchmarks/recording.py` writes it.

A value that is not plain is one of these:

- `{"output": [name, attribute, type, suffix]}`: another resource's output, as `int` or `str`, and text after it;
- `{"after": [names], "value": value}`: known once the resources are there;
- `{"secret": value}`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi

ADDRESSES = {"Instance": "ip_address", "NodeBalancer": "ipv4"}


def declare(packages: Mapping[str, Any]) -> None:
    """Declare every resource of the list, and export the addresses; `packages` are the SDKs by name."""
    made: dict[str, Any] = {}
    addresses: dict[str, Any] = {}
    for each in json.loads(Path("resources.json").read_text(encoding="utf-8")):
        name, (package, kind) = each["name"], each["type"]
        inputs = {key: _value(value, made) for key, value in each["inputs"].items()}
        options = pulumi.ResourceOptions(
            **each["options"],
            **{key: made[other] for key, other in each["resources"].items()},
            depends_on=[made[other] for other in each["depends_on"]],
        )
        made[name] = getattr(packages[package], kind)(name, opts=options, **inputs)
        if kind in ADDRESSES:
            addresses[name] = getattr(made[name], ADDRESSES[kind])
    pulumi.export("addresses", addresses)


def _value(value: Any, made: Mapping[str, Any]) -> Any:
    match value:
        case {"output": [name, attribute, kind, suffix]}:
            output = getattr(made[name], attribute)
            output = output.apply(int) if kind == "int" else output
            return pulumi.Output.concat(output, suffix) if suffix else output
        case {"after": names, "value": late}:
            ids = pulumi.Output.all(*(made[name].id for name in names))
            return ids.apply(lambda _: _value(late, made))
        case {"secret": plain}:
            return pulumi.Output.secret(_value(plain, made))
        case list():
            return [_value(each, made) for each in value]
        case dict():
            return {key: _value(each, made) for key, each in value.items()}
    return value
