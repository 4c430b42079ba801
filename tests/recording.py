"""The real program under Pulumi's mocks, with a monitor that records what every resource was registered with.

Mocks validate nothing and overwrite a repeated URN in silence; this monitor refuses one, and keeps parents,
protection, secrets and registered outputs, which plain mocks do not show.
"""

import asyncio
import base64
import json
import runpy
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from pulumi.runtime import config, mocks, settings
from pulumi.runtime.rpc import _special_secret_sig as _SECRET  # noqa: N812 - the wire's own mark of a secret
from pulumi.runtime.rpc import _special_sig_key as _SIGNATURE  # noqa: N812
from pulumi.runtime.stack import run_in_stack

from components import document
from components import settings as stack_settings
from tests.configuration import ROOT

CA_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
RANGES = {
    "ipv4Cidrs": ["198.41.128.0/17", "103.21.244.0/22"],
    "ipv6Cidrs": ["2606:4700::/32"],
    "chinaColos": [],
}


@dataclass(frozen=True)
class Registered:
    """One registered resource: inputs as plain values, and the dotted paths of those that are secret."""

    urn: str
    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    secrets: frozenset[str]
    protect: bool
    deleted_with: str
    ignore_changes: tuple[str, ...]
    dependencies: frozenset[str]
    provider: str


@dataclass
class Program:
    """What a run of the program registered, in order, what it exported, and what the clouds said, by URN."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Registered]:
        """Return the resources of a kind, named as in the SDK (`Instance`) or whole."""
        return [each for each in self.resources if kind in (each.type, each.type.rsplit(":", 1)[-1])]

    @property
    def exports(self) -> dict[str, Any]:
        """Return the stack's own outputs."""
        return next(outputs for urn, outputs in self.outputs.items() if urn.split("::")[2] == "pulumi:pulumi:Stack")


class Recorder(mocks.MockMonitor):
    """Answers like Pulumi's mock monitor, and records."""

    def __init__(self, program: Program, deployed: Mapping[str, Any]) -> None:
        super().__init__(_Cloud(deployed))
        self.program = program

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the service's method
        urn = self.make_urn(request.parent, request.type, request.name)
        assert urn not in self.resources, f"two resources have the URN {urn}"
        wire = json_format.MessageToDict(request.object)
        self.program.resources.append(
            Registered(
                urn=urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                inputs=_plain(wire),
                secrets=frozenset(_secrets(wire)),
                protect=request.protect,
                deleted_with=request.deletedWith,
                ignore_changes=tuple(request.ignoreChanges),
                dependencies=frozenset(request.dependencies),
                provider=request.provider,
            )
        )
        answer = super().RegisterResource(request)
        if urn in self.resources:  # the stack itself is not
            self.program.state[urn] = self.resources[urn].state
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the service's method
        self.program.outputs[request.urn] = _plain(json_format.MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)


class _Cloud(mocks.Mocks):
    """Gives every resource an id, and the outputs that the program reads."""

    def __init__(self, deployed: Mapping[str, Any]) -> None:
        super().__init__()
        self._deployed = deployed
        self._count = 0

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self._count += 1
        number = self._count
        state = dict(args.inputs)
        match args.typ.rsplit(":", 1)[-1]:
            case "Instance":
                private = f"192.168.130.{number % 250}"
                state |= {"ipv4s": [private, f"198.51.100.{number % 250}"], "privateIpAddress": private}
            case "NodeBalancer":
                state |= {"ipv4": f"192.0.2.{number % 250}"}
            case "DatabasePostgresqlV2":
                state |= {
                    "hostPrimary": f"db-{number}.example",
                    "port": 18319,
                    "rootUsername": "akmadmin",
                    "rootPassword": f"database-password-{number}",
                    "caCert": base64.b64encode(CA_CERTIFICATE.encode()).decode(),
                }
            case "ObjectStorageKey":
                state |= {"accessKey": f"access-{number}", "secretKey": f"secret-{number}"}
            case "ObjectStorageBucket":
                state |= {"s3Endpoint": f"{args.inputs['region']}-1.storage.example"}
        return str(number), state

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        match args.token:
            case "cloudflare:index/getIpRanges:getIpRanges":
                return RANGES
            case "pulumi:pulumi:readStackOutputs":
                return {"name": args.args["name"], "outputs": self._deployed}
        raise AssertionError(f"the program called {args.token}, which no test expects")


def run(
    stack: str,
    inputs: Mapping[str, str],
    root: Path = ROOT,
    deployed: Mapping[str, Any] | None = None,
    *,
    preview: bool = False,
) -> Program:
    """Run the program for a stack file of a folder, and return what it registered.

    `inputs` are the values of what the file does not hold: certificates, keys, ids. `deployed` are the stack's outputs
    as the last update left them.
    """
    differences = document.read(root / f"Pulumi.{stack}.yaml")["config"][stack_settings.STACK_KEY]
    secret = [each.key for each in stack_settings.required_inputs(stack_settings.load(root, stack)) if each.secret]
    program = Program()
    try:
        settings.reset_options()
        config.set_all_config({stack_settings.STACK_KEY: json.dumps(differences), **inputs}, secret)
        settings.configure(
            mocks.MockSettings(
                monitor=Recorder(program, deployed or {}),
                engine=mocks.MockEngine(None),
                project=stack_settings.PROJECT,
                stack=stack,
                dry_run=preview,
                organization="organization",
            )
        )
        with asyncio.Runner() as runner:
            # What fails is raised here; the SDK leaves the same failure in many futures that nobody asks.
            runner.get_loop().set_exception_handler(lambda *_: None)
            runner.run(run_in_stack(lambda: _execute(root)))
    finally:
        settings.reset_options()
    return program


def _execute(root: Path) -> None:
    # The program reads the folder that it stands in: a copy of it stands in the folder of the test.
    entry = root / "__main__.py"
    if root != ROOT:
        shutil.copy(ROOT / "__main__.py", entry)
    runpy.run_path(str(entry))


def _plain(wire: Any) -> Any:
    if isinstance(wire, dict):
        if _SIGNATURE in wire:
            return _plain(wire["value"]) if wire[_SIGNATURE] == _SECRET else wire
        return {key: _plain(value) for key, value in wire.items()}
    if isinstance(wire, list):
        return [_plain(value) for value in wire]
    return int(wire) if isinstance(wire, float) and wire.is_integer() else wire


def _secrets(wire: Any, path: str = "") -> Iterator[str]:
    if isinstance(wire, dict):
        if wire.get(_SIGNATURE) == _SECRET:
            yield path
            return
        for key, value in wire.items():
            yield from _secrets(value, f"{path}.{key}" if path else key)
    elif isinstance(wire, list):
        for position, value in enumerate(wire):
            yield from _secrets(value, f"{path}.{position}")
