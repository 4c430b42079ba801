"""The engine's side of the engine door: one connection, configured, for tests that need no whole engine."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from sandbox import process
from sandbox.engine.values import decode, encode


class Door:
    """A connection to a running sandbox: to Linode with the platform's token, unless told otherwise."""

    def __init__(self, folder: Path, package: str = "linode", token: str | None = None) -> None:
        running, known = process.status(folder), process.tokens(folder)
        assert running is not None
        keys = {
            "linode": ("token", known.linode_platform, running.linode_port),
            "cloudflare": ("apiToken", known.cloudflare, running.cloudflare_port),
        }
        self._key, own, port = keys[package]
        self._token = own if token is None else token
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
        self.rpc = provider_pb2_grpc.ResourceProviderStub(self._channel)

    def __enter__(self) -> Self:
        self.rpc.Configure(provider_pb2.ConfigureRequest(args=encode({self._key: self._token})))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def check(self, token: str, inputs: dict[str, Any]) -> list[str]:
        """What Check refuses."""
        checked = self.rpc.Check(provider_pb2.CheckRequest(urn=urn(token), news=encode(inputs)))
        return [failure.reason for failure in checked.failures]

    def taken(self, token: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs as Check takes them."""
        return decode(self.rpc.Check(provider_pb2.CheckRequest(urn=urn(token), news=encode(inputs))).inputs)

    def diff(self, token: str, old: dict[str, Any], new: dict[str, Any], state: dict[str, Any]) -> dict[str, str]:
        """Each differing path with what Diff says of it: `update`, `add_replace` ..."""
        request = provider_pb2.DiffRequest(urn=urn(token), olds=encode(state), old_inputs=encode(old), news=encode(new))
        found = self.rpc.Diff(request)
        kinds = provider_pb2.PropertyDiff.Kind
        assert bool(found.detailedDiff) == (found.changes == provider_pb2.DiffResponse.DIFF_SOME)
        return {path: kinds.Name(detail.kind).lower() for path, detail in found.detailedDiff.items()}

    def preview(self, token: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """The outputs before anything is made."""
        request = provider_pb2.CreateRequest(urn=urn(token), properties=encode(self.taken(token, inputs)), preview=True)
        return decode(self.rpc.Create(request).properties)

    def create(self, token: str, inputs: dict[str, Any]) -> Any:
        """The answer to Create."""
        return self.rpc.Create(provider_pb2.CreateRequest(urn=urn(token), properties=encode(self.taken(token, inputs))))

    def read(self, token: str, identity: str, inputs: Any = None, state: Any = None) -> Any:
        """The answer to Read: a refresh with `inputs` and `state`, an import without."""
        return self.rpc.Read(
            provider_pb2.ReadRequest(
                urn=urn(token), id=identity, inputs=encode(inputs or {}), properties=encode(state or {})
            )
        )

    def delete(self, token: str, identity: str) -> None:
        """Deletes."""
        self.rpc.Delete(provider_pb2.DeleteRequest(urn=urn(token), id=identity))


def urn(token: str) -> str:
    return f"urn:pulumi:dev::test::{token}::it"
