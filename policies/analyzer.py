"""The pack as the engine talks to it: `pulumirpc.Analyzer`, over gRPC.

Not by `pulumi_policy.PolicyPack`, whose rules never learn the stack's configuration when the engine starts a pack as a
program, and pass a whole resource over at the first value that is not known. docs/adr/0010 has the whole of it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from components import catalog, settings
from policies import resource as resources
from policies.resource import Resource
from policies.rule import Context, ResourceRule, StackRule
from policies.rules import RESOURCE_RULES, STACK_RULES

NAME, VERSION = "chat-tonic", "1.0.0"

# A stack is looked at in one message, with the user data of all its servers.
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def serve(root: Path) -> tuple[grpc.Server, int]:
    """Start serving the pack of a checkout; return the server, and the port that the engine is to be told."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=_OPTIONS)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(root), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Asks the rules about a stack of the checkout. The engine says which stack before it says anything else."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._context: Context | None = None

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Say the version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetAnalyzerInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """List the rules. They take no configuration: nobody lowers one from outside the pack."""
        listed: dict[Any, Sequence[ResourceRule | StackRule]] = {
            analyzer_pb2.POLICY_TYPE_RESOURCE: RESOURCE_RULES,
            analyzer_pb2.POLICY_TYPE_STACK: STACK_RULES,
        }
        return analyzer_pb2.AnalyzerInfo(
            name=NAME,
            version=VERSION,
            policies=[
                analyzer_pb2.PolicyInfo(
                    name=rule.name,
                    description=rule.promise,
                    enforcementLevel=analyzer_pb2.MANDATORY,
                    policy_type=form,
                )
                for form, rules in listed.items()
                for rule in rules
            ],
        )

    def ConfigureStack(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Learn the stack, from the same configuration as the program."""
        try:
            differences = json.loads(request.config.get(settings.STACK_KEY, "null"))
            self._context = Context(
                request.stack,
                settings.resolve(self._root, request.stack, differences),
                zone_id=request.config.get(f"{settings.PROJECT}:cloudflareZoneId"),
                account_id=request.config.get(f"{settings.PROJECT}:cloudflareAccountId"),
            )
        except settings.ConfigurationError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Remediate(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Change nothing: what is wrong is mended by people."""
        return analyzer_pb2.RemediateResponse()

    def Analyze(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Ask the rules about one resource, before it is made or changed."""
        about, stack = _resource(request), self._stack(context)
        return _answer(
            _diagnostic(rule, what, about.urn, about.secrets)
            for rule in RESOURCE_RULES
            for what in rule.check(about, stack)
        )

    def AnalyzeStack(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Ask the rules about all resources of a stack."""
        every, stack = [_resource(each) for each in request.resources], self._stack(context)
        secrets = frozenset[str]().union(*(each.secrets for each in every))
        return _answer(
            _diagnostic(rule, what, about.urn if about else "", secrets)
            for rule in STACK_RULES
            for about, what in rule.check(every, stack)
        )

    def _stack(self, context: grpc.ServicerContext) -> Context:
        if self._context is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the engine did not say which stack it works on")
            raise AssertionError  # abort has raised
        return self._context


def _resource(message: Any) -> Resource:
    properties, secrets = resources.read(message.properties)
    return Resource(
        kind=catalog.kind_of(message.type),
        name=message.name,
        properties=properties,
        urn=message.urn,
        protected=message.options.protect,
        sources={name: [*each.urns] for name, each in getattr(message, "propertyDependencies", {}).items()},
        secrets=secrets,
    )


def _diagnostic(rule: ResourceRule | StackRule, what: str, urn: str, secrets: Iterable[str]) -> Any:
    for secret in sorted(secrets, key=len, reverse=True):
        what = what.replace(secret, "[secret]")
    return analyzer_pb2.AnalyzeDiagnostic(
        policyName=rule.name,
        policyPackName=NAME,
        policyPackVersion=VERSION,
        description=rule.promise,
        message=f"{rule.promise}\n{urn.rpartition('::')[2]}: {what}" if urn else f"{rule.promise}\n{what}",
        enforcementLevel=analyzer_pb2.MANDATORY,
        urn=urn,
    )


def _answer(diagnostics: Iterator[Any]) -> Any:
    return analyzer_pb2.AnalyzeResponse(diagnostics=diagnostics)
