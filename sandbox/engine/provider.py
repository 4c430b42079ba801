"""The gRPC service that the engine calls, once for each of the two packages."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.engine import diffing
from sandbox.engine.checks import Inspection, examine
from sandbox.engine.resource import Properties, Resource, now
from sandbox.engine.values import UNKNOWN, Unknown, decode, encode
from sandbox.faults import Fault, Faults
from sandbox.model import Model, Problem, Refused

GONE, TOO_MANY = 404, 429
_CUT = "unexpected EOF"  # what is said where the connection ended without an answer


@dataclass(frozen=True)
class Package:
    """What one cloud's provider serves: its token's setting, its resource types and its lookups."""

    name: str
    token_key: str
    resources: Mapping[str, Resource]
    lookups: Mapping[str, Callable[[Properties], Properties]]
    error_text: Callable[[Refused], str]
    unauthorized: Refused
    configures_with_api: bool  # whether the plugin asks the API something before anything else


@dataclass
class _Connection:
    """One of the engine's connections: a provider resource has one of its own, with its own token."""

    account: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One package. `accounts` is the account of each token; `latency` scales the cloud's own times (0: none).

    `faults` strike calls that make, read, change or delete a resource.
    """

    def __init__(
        self, package: Package, model: Model, accounts: Mapping[str, str], latency: float, faults: Faults
    ) -> None:
        self._faults = faults
        self._package = package
        self._model = model
        self._accounts = accounts
        self._latency = latency
        self._connections: dict[str, _Connection] = {}

    def release(self) -> None:
        """Ends every wait for the cloud: the process stops."""
        for connection in [*self._connections.values()]:
            connection.cancelled.set()

    # What the engine asks of any plugin.

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Says that values come and go bare: the engine itself keeps track of what is secret."""
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Nothing to do: the engine is told nothing in turn."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """The version that the installed SDK asks for."""
        return plugin_pb2.PluginInfo(version=version(f"pulumi_{self._package.name}"))

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Takes the provider's settings as they are; the token is judged when it is used."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Another token is no reason to replace anything."""
        same = request.olds == request.news
        changes = provider_pb2.DiffResponse.DIFF_NONE if same else provider_pb2.DiffResponse.DIFF_SOME
        return provider_pb2.DiffResponse(changes=changes)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Learns which account this connection works for."""
        given = decode(request.args)
        token = given.get(self._package.token_key) or request.variables.get(
            f"{self._package.name}:config:{self._package.token_key}"
        )
        account = None if isinstance(token, Unknown) else self._accounts.get(str(token))
        if account is None and token is not UNKNOWN and self._package.configures_with_api:
            self._refuse(context, "Error connecting to the API", self._package.unauthorized)
        self._connections[context.peer()] = _Connection(account)
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Ends what this connection has under way, and nothing else."""
        self._connection(context).cancelled.set()
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answers a lookup."""
        lookup = self._package.lookups.get(request.tok)
        if lookup is None:
            self._fail(context, f"the sandbox does not serve the lookup {request.tok}")
        try:
            return provider_pb2.InvokeResponse(**{"return": encode(lookup(decode(request.args)))})
        except ValueError as error:
            self._fail(context, str(error))

    # The life of a resource.

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Refuses what the official plugin refuses at preview, and what the sandbox does not serve."""
        resource = self._resource(request.urn, context)
        inspection = Inspection(resource.checks, resource.serves)
        inputs = inspection.object(resource.schema.inputs, decode(request.news))
        return provider_pb2.CheckResponse(
            inputs=encode({**resource.fills, **inputs}),
            failures=[provider_pb2.CheckFailure(reason=text) for text in examine(inspection.failures, request.urn)],
        )

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Tells nothing to do, an update in place and a replacement apart."""
        resource = self._resource(request.urn, context)
        found = [*diffing.differences(resource, decode(request.olds), decode(request.old_inputs), decode(request.news))]
        detail, replaces = {}, []
        for difference in found:
            new = difference.top in resource.replaces
            kind = f"{difference.kind}_replace" if new else difference.kind
            detail[difference.path] = provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(kind.upper()))
            if new and difference.top not in replaces:
                replaces.append(difference.top)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=dict.fromkeys(difference.top for difference in found),
            replaces=replaces,
            detailedDiff=detail,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Makes the object; at preview, says what is known of it before."""
        resource = self._resource(request.urn, context)
        inputs = decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=self._encode(resource, resource.preview(inputs)))
        account = self._account(context)
        doing = f"Error creating a {resource.noun}"
        struck = self._strike(context, resource, "Create", doing)
        try:
            made = resource.life.create(self._model, account, resource.kind, resource.body(inputs))
            identity = resource.identify(made)
            self._strike_after(context, struck)
            finished = self._waited(context, resource.seconds.create)
            whole = resource.life.read(self._model, account, resource.kind, resource.locate(identity, inputs))
        except Refused as refused:
            self._refuse(context, doing, refused)
        properties = self._encode(resource, resource.outputs(now(made, whole), inputs))
        if not finished:
            self._unfinished(context, resource, identity, properties)
        return provider_pb2.CreateResponse(id=identity, properties=properties)

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Reports what the cloud holds now, for a refresh or an import; no id when it is gone."""
        resource = self._resource(request.urn, context)
        account = self._account(context)
        doing = f"Error reading the {resource.noun} {request.id}"
        struck = self._strike(context, resource, "Read", doing)
        state, old = decode(request.properties), decode(request.inputs)
        if not state and not resource.importable:
            self._fail(context, f"resource {resource.token} does not support import")
        *above, identity = request.id.split(resource.separator) if resource.above else [request.id]
        given = dict(zip(resource.above, above, strict=False))
        try:
            located = resource.locate(identity, {**state, **given})
            document = resource.life.read(self._model, account, resource.kind, located)
        except Refused as refused:
            if refused.status == GONE:
                return provider_pb2.ReadResponse()
            self._refuse(context, doing, refused)
        self._strike_after(context, struck)
        outputs = resource.outputs(document, state)
        if any(str(outputs[name]) != value for name, value in given.items()):
            return provider_pb2.ReadResponse()
        inputs = diffing.refreshed(resource, old, outputs) if old else diffing.imported(resource, outputs)
        return provider_pb2.ReadResponse(
            id=resource.identify(document),
            properties=self._encode(resource, outputs),
            inputs=encode(inputs, resource.secret_outputs),
        )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Sends the fields that differ."""
        resource = self._resource(request.urn, context)
        state, old, new = decode(request.olds), decode(request.old_inputs), decode(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=self._encode(resource, {**state, **new}))
        account = self._account(context)
        doing = f"Error updating the {resource.noun} {request.id}"
        struck = self._strike(context, resource, "Update", doing)
        changed = {difference.top for difference in diffing.differences(resource, state, old, new)}
        wanted = resource.body(new)
        fields = {name: wanted.get(name) for name in resource.fields(changed)}
        identity = resource.locate(request.id, state)
        finished = True
        try:
            if fields:  # none where the engine only asks again after a wait that was cut short
                self._settle(context, account, resource, identity)
                resource.life.update(self._model, account, resource.kind, identity, fields)
                self._strike_after(context, struck)
                finished = self._waited(context, resource.seconds.update)
                finished = self._settle(context, account, resource, identity) and finished
            document = resource.life.read(self._model, account, resource.kind, identity)
        except Refused as refused:
            self._refuse(context, doing, refused)
        kept = {**{name: value for name, value in state.items() if resource.is_computed(name)}, **new}
        properties = self._encode(resource, resource.outputs(document, kept))
        if not finished:
            self._unfinished(context, resource, request.id, properties)
        return provider_pb2.UpdateResponse(properties=properties)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Deletes the object; gone already is as good as deleted."""
        resource = self._resource(request.urn, context)
        account = self._account(context)
        doing = f"Error deleting the {resource.noun} {request.id}"
        struck = self._strike(context, resource, "Delete", doing)
        identity = resource.locate(request.id, decode(request.properties))
        try:
            resource.life.delete(self._model, account, resource.kind, identity)
        except Refused as refused:
            if refused.status != GONE:
                self._refuse(context, doing, refused)
        self._strike_after(context, struck)
        # Nothing is left to record when this is cut short: the object is gone.
        self._connection(context).cancelled.wait(self._latency * resource.seconds.delete)
        return empty_pb2.Empty()

    # What they share.

    def _resource(self, urn: str, context: grpc.ServicerContext) -> Resource:
        token = urn.split("::")[2].rpartition("$")[2]
        if token not in self._package.resources:
            self._fail(context, f"the sandbox does not serve the resource type {token}")
        return self._package.resources[token]

    def _connection(self, context: grpc.ServicerContext) -> _Connection:
        return self._connections.setdefault(context.peer(), _Connection())

    def _account(self, context: grpc.ServicerContext) -> str:
        account = self._connection(context).account
        if account is None:
            self._refuse(context, "Error connecting to the API", self._package.unauthorized)
        return account

    def _encode(self, resource: Resource, outputs: Properties) -> Any:
        return encode(outputs, resource.secret_outputs)

    def _strike(self, context: grpc.ServicerContext, resource: Resource, verb: str, doing: str) -> list[Fault]:
        """Meets the faults of a call before its work, as the plugin would; returns those that strike after it.

        The plugin waits and asks again when there are too many requests; what else fails, fails the call.
        """
        struck = self._faults.meet(f"{verb} {resource.token}")
        cancelled = self._connection(context).cancelled
        for fault in struck:
            cancelled.wait(fault.waits("before"))
            if fault.what == "error" and fault.status == TOO_MANY:
                cancelled.wait(fault.retry_after)
            elif fault.what == "error":
                self._refuse(context, doing, Refused(fault.status, Problem("Internal Server Error", code=10_500)))
            elif fault.closes("before"):
                self._fail(context, f"{doing}: {_CUT}")
        return struck

    def _strike_after(self, context: grpc.ServicerContext, struck: list[Fault]) -> None:
        for fault in struck:
            self._connection(context).cancelled.wait(fault.waits("after"))
            if fault.closes("after"):
                self._fail(context, _CUT)

    def _waited(self, context: grpc.ServicerContext, seconds: float) -> bool:
        """Takes as long as the cloud would; whether that was not cut short."""
        return not self._connection(context).cancelled.wait(self._latency * seconds)

    def _settle(self, context: grpc.ServicerContext, account: str, resource: Resource, identity: str) -> bool:
        """Waits, as the plugin does, until the object has arrived where earlier changes send it."""
        remaining = self._model.remaining(account, resource.kind, identity)
        return not self._connection(context).cancelled.wait(remaining)

    def _unfinished(
        self, context: grpc.ServicerContext, resource: Resource, identity: str, properties: Any
    ) -> NoReturn:
        """Says what was made when the wait for it is cut short, so that the state has it."""
        reason = f"the {resource.noun} {identity} was made; waiting for it to be ready was cancelled"
        failed = provider_pb2.ErrorResourceInitFailed(id=identity, properties=properties, reasons=[reason])
        detail = any_pb2.Any()
        detail.Pack(failed)
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=reason, details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, reason)
        raise AssertionError  # pragma: no cover (abort raises)

    def _refuse(self, context: grpc.ServicerContext, doing: str, refused: Refused) -> NoReturn:
        self._fail(context, f"{doing}: {self._package.error_text(refused)}")

    def _fail(self, context: grpc.ServicerContext, text: str) -> NoReturn:
        context.abort(grpc.StatusCode.UNKNOWN, text)
        raise AssertionError  # pragma: no cover (abort raises)
