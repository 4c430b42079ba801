"""The pack as the engine talks to it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy import deserialize, proxy

from components import document, settings
from policies import analyzer
from policies.rules import RESOURCE_RULES, STACK_RULES
from tests.configuration import ROOT

URN = "urn:pulumi:us-central::chat-tonic::linode:index/instance:Instance::it"


@pytest.fixture
def pack() -> Iterator[Any]:
    """A client of a pack that nobody has told a stack yet."""
    server, port = analyzer.serve(ROOT)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield analyzer_pb2_grpc.AnalyzerStub(channel)
    server.stop(None)


@pytest.fixture
def configured(pack: Any) -> Any:
    """The client of a pack that works on a committed stack."""
    differences = document.read(ROOT / "Pulumi.us-central.yaml")["config"][settings.STACK_KEY]
    pack.ConfigureStack(configuration(differences))
    return pack


def configuration(differences: object) -> Any:
    config = {settings.STACK_KEY: json.dumps(differences)}
    return analyzer_pb2.AnalyzerStackConfigureRequest(stack="us-central", project="chat-tonic", config=config)


def request(**properties: Any) -> Any:
    struct = struct_pb2.Struct()
    struct.update({"type": "g6-nanode-1", "tags": ["role:ops", "stack:us-central"], **properties})
    return analyzer_pb2.AnalyzeRequest(type="linode:index/instance:Instance", name="it", urn=URN, properties=struct)


def test_it_lists_every_rule_as_mandatory_and_takes_no_configuration(pack: Any) -> None:
    info = pack.GetAnalyzerInfo(empty_pb2.Empty())
    assert [each.name for each in info.policies] == [each.name for each in (*RESOURCE_RULES, *STACK_RULES)]
    assert len({each.name for each in info.policies}) == len(info.policies)
    assert {each.enforcementLevel for each in info.policies} == {analyzer_pb2.MANDATORY}
    assert not info.supportsConfig


def test_a_violation_names_rule_resource_and_what_to_do(configured: Any) -> None:
    answer = configured.Analyze(request(region="us-central", backupsEnabled=False, diskEncryption="enabled"))
    (violation,) = answer.diagnostics
    assert (violation.policyName, violation.urn) == ("backups", URN)
    assert violation.enforcementLevel == analyzer_pb2.MANDATORY
    assert violation.message == "Every server has daily backups.\nit: its `backupsEnabled` is False; write True"


def test_a_secret_is_judged_and_not_repeated(configured: Any) -> None:
    secret = {deserialize.SPECIAL_SIG_KEY: deserialize.SPECIAL_SECRET_SIG, "value": "eu-central"}
    answer = configured.Analyze(request(region=secret, backupsEnabled=True, diskEncryption="enabled"))
    (violation,) = answer.diagnostics
    assert "it: the region '[secret]' is outside the jurisdiction 'us'" in violation.message
    assert "eu-central" not in violation.message


def test_what_is_not_known_yet_stops_no_other_rule_and_says_nothing(configured: Any) -> None:
    unknown = proxy.UNKNOWN_STRING_VALUE
    answer = configured.Analyze(request(region=unknown, backupsEnabled=False, diskEncryption=unknown))
    assert [each.policyName for each in answer.diagnostics] == ["backups"]


def test_a_stack_is_looked_at_as_a_whole(configured: Any) -> None:
    server = request(region="us-central")
    of_stack = analyzer_pb2.AnalyzerResource(type=server.type, name="it", urn=URN, properties=server.properties)
    (violation,) = configured.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=[of_stack])).diagnostics
    assert (violation.policyName, violation.urn) == ("firewalls", URN)


def test_a_configuration_that_is_wrong_is_refused_by_file_and_key(pack: Any) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        pack.ConfigureStack(configuration({"label": "us", "regio": "us-central"}))
    assert "Pulumi.us-central.yaml: chat-tonic:stack.regio: unknown key; the nearest" in refusal.value.details()


def test_a_resource_of_no_stack_is_not_let_pass(pack: Any) -> None:
    with pytest.raises(grpc.RpcError, match="the engine did not say which stack it works on"):
        pack.Analyze(request(region="us-central"))


def test_a_rule_that_fails_ends_the_run_instead_of_letting_pass(
    configured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[str]:
        raise ValueError("a mistake in a rule")

    monkeypatch.setattr(analyzer, "RESOURCE_RULES", (type(RESOURCE_RULES[0])("broken", "", fail),))
    with pytest.raises(grpc.RpcError, match="a mistake in a rule"):
        configured.Analyze(request(region="us-central"))


def test_the_program_starts_in_any_folder_and_ends_with_who_started_it(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [ROOT / "policies" / "pack", "127.0.0.1:1"], cwd=tmp_path, stdin=pipe, stdout=pipe
    ) as started:
        assert started.stdout is not None
        assert started.stdin is not None
        assert int(started.stdout.readline()) > 0
        started.stdin.close()
        assert started.wait(timeout=30) == 0
