"""What our program registers, written down as a list that the flat program declares: see `programs/replay.py`.

The program runs under Pulumi's mocks. Every output that it passes on is made up and unlike any other value, so that
it is recognised where it comes back as another resource's input.
"""

import asyncio
import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from pulumi.runtime import config, mocks, settings
from pulumi.runtime.rpc import _special_secret_sig as _SECRET  # noqa: N812 - the wire's own mark of a secret
from pulumi.runtime.rpc import _special_sig_key as _SIGNATURE  # noqa: N812
from pulumi.runtime.stack import run_in_stack

from components.settings import PROJECT
from sandbox.cloudflare.ip_ranges import ADDRESSES

Recorded = dict[str, Any]

_STACK = "pulumi:pulumi:Stack"


def record(program: Path, stack: str, inputs: Mapping[str, str], secret: list[str]) -> list[Recorded]:
    """Run a program for a stack with these inputs; return what it registers at a cloud, in an order that works."""
    recorder = _Recorder()
    try:
        settings.reset_options()
        config.set_all_config(dict(inputs), secret)
        settings.configure(
            mocks.MockSettings(
                monitor=recorder,
                engine=mocks.MockEngine(None),
                project=PROJECT,
                stack=stack,
                dry_run=False,
                organization="organization",
            )
        )
        with asyncio.Runner() as runner:
            runner.run(run_in_stack(lambda: runpy.run_path(str(program))))
    finally:
        settings.reset_options()
    return recorder.recorded


class _Recorder(mocks.MockMonitor):
    def __init__(self) -> None:
        self._cloud = _Cloud()
        super().__init__(self._cloud)
        self.recorded: list[Recorded] = []

    def make_urn(self, parent: str, type_: str, name: str) -> Any:
        """Return the URN that the engine would give: some descriptions hold a digest of it."""
        parents = parent.split("::")[2] if parent else _STACK
        return super().make_urn("", type_ if parents == _STACK else f"{parents}${type_}", name)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the service's method
        if request.custom:
            self.recorded.append(self._written(request))
        return super().RegisterResource(request)

    def _written(self, request: Any) -> Recorded:
        package, _, kind = request.type.split(":")
        if package == "pulumi":  # a provider: pulumi:providers:linode
            package, kind = kind, "Provider"
        wire = json_format.MessageToDict(request.object)
        needed = {key: [_name(urn) for urn in each.urns] for key, each in request.propertyDependencies.items()}
        explicit = {_name(urn) for urn in request.dependencies}.difference(*needed.values())
        timeouts = json_format.MessageToDict(request.customTimeouts)
        return {
            "name": request.name,
            "type": [package, kind],
            "inputs": {_snake_case(key): self._input(value, needed.get(key, [])) for key, value in wire.items()},
            "depends_on": sorted(explicit),
            "resources": {
                **({"deleted_with": _name(request.deletedWith)} if request.deletedWith else {}),
                **({"provider": _name(request.provider.rpartition("::")[0])} if request.provider else {}),
            },
            "options": {
                "protect": request.protect,
                "delete_before_replace": request.deleteBeforeReplace,
                "ignore_changes": list(request.ignoreChanges),
                "additional_secret_outputs": list(request.additionalSecretOutputs),
                **({"custom_timeouts": timeouts} if timeouts else {}),
            },
        }

    def _input(self, wire: Any, needed: list[str]) -> Any:
        """Return an input with the outputs that it is made of, or else with the resources that it waits for."""
        value = self._written_value(wire, frozenset(needed))
        return {"after": needed, "value": value} if needed and not any(_references(value)) else value

    def _written_value(self, wire: Any, needed: frozenset[str]) -> Any:
        match wire:
            case dict() if wire.get(_SIGNATURE) == _SECRET:
                return {"secret": self._written_value(wire["value"], needed)}
            case dict():
                return {key: self._written_value(value, needed) for key, value in wire.items()}
            case list():
                return [self._written_value(value, needed) for value in wire]
        value = int(wire) if isinstance(wire, float) and wire.is_integer() else wire  # the wire knows floats only
        text, slash, mask = str(value).partition("/")
        text, colon, port = text.partition(":")
        name, output = self._cloud.made_up.get(text, ("", ""))
        reference = [name, output, type(value).__name__, colon + port + slash + mask]
        return {"output": reference} if name in needed else value


class _Cloud(mocks.Mocks):
    """Gives every resource an id and the outputs that the program reads; `made_up` has whose each value is."""

    def __init__(self) -> None:
        super().__init__()
        self.made_up: dict[str, tuple[str, str]] = {}
        self._count = 0

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self._count += 1
        identity = str(10**9 + self._count)
        outputs = _outputs(args.typ.rpartition(":")[2], "{}.{}".format(*divmod(self._count, 250)))
        self.made_up[identity] = (args.name, "id")
        self.made_up |= {str(value): (args.name, _snake_case(output)) for output, value in outputs.items()}
        return identity, {**args.inputs, **outputs, "ipv4s": [outputs[key] for key in outputs if key in _ADDRESSES]}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        match args.token:
            case "cloudflare:index/getIpRanges:getIpRanges":
                return {"ipv4Cidrs": ADDRESSES["ipv4_cidrs"], "ipv6Cidrs": ADDRESSES["ipv6_cidrs"]}
            case "pulumi:pulumi:readStackOutputs":
                return {"name": args.args["name"], "outputs": {}}
        raise LookupError(f"the program calls {args.token}: say in {__file__} what it answers")


_ADDRESSES = ("ipAddress", "privateIpAddress")


def _outputs(kind: str, host: str) -> dict[str, Any]:
    """Return the outputs of a kind that the program passes on; `host` is the last half of an address."""
    match kind:
        case "Instance":
            return {"ipAddress": f"198.18.{host}", "privateIpAddress": f"192.168.{host}"}
        case "NodeBalancer":
            return {"ipv4": f"198.19.{host}"}
        case "DatabasePostgresqlV2":
            return {
                "hostPrimary": f"database-{host}.example",
                "port": 18319,
                "rootUsername": "akmadmin",
                "rootPassword": "made-up",
                "caCert": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            }
    return {}


def _references(value: Any) -> Iterator[Any]:
    """Yield the references to other resources in a written value."""
    match value:
        case {"output": reference}:
            yield reference
        case dict():
            for each in value.values():
                yield from _references(each)
        case list():
            for each in value:
                yield from _references(each)


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda match: f"_{match[0].lower()}", name)
