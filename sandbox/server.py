"""The sandbox's process: one model, and its doors on 127.0.0.1.

A gRPC server for each of the two providers that the engine calls, and an HTTP server for both clouds' REST APIs.
"""

import gc
import os
import signal
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import uvicorn
from pulumi.runtime.proto import provider_pb2_grpc
from starlette.applications import Starlette

from sandbox import cloudflare, linode, process
from sandbox.api import cloudflare as cloudflare_api
from sandbox.api import control
from sandbox.api import linode as linode_api
from sandbox.api.cloud import Access
from sandbox.api.door import Door, application
from sandbox.cloudflare import origin_pulls, zones
from sandbox.engine import cloudflare as cloudflare_door
from sandbox.engine import linode as linode_door
from sandbox.engine.provider import Package, Provider
from sandbox.faults import Faults
from sandbox.model import Model, Problem, Refused
from sandbox.process import Running, SandboxError
from sandbox.store import Store, StoreError

# The engine runs many calls at once, and each may wait for as long as the cloud would take.
CALLS_AT_ONCE = 512
FINISHES_WITHIN = 10.0  # seconds for calls under way when the process is told to stop

LINODE = Package(
    "linode",
    "token",
    {resource.token: resource for resource in linode_door.RESOURCES},
    {},
    linode.error_text,
    Refused(401, Problem("Invalid Token")),
    configures_with_api=True,
)
CLOUDFLARE = Package(
    "cloudflare",
    "apiToken",
    {resource.token: resource for resource in cloudflare_door.RESOURCES},
    cloudflare_door.LOOKUPS,
    cloudflare.error_text,
    Refused(401, Problem("Invalid API Token", code=1000)),
    configures_with_api=False,
)


def serve(folder: Path, ports: tuple[int, int, int] = (0, 0, 0), latency: float = 0.0) -> None:
    """Runs the folder's sandbox until it is told to stop (SIGTERM, SIGINT).

    `ports` are Linode's and Cloudflare's engine doors', and the API door's; 0 is any free one. `latency` scales the
    clouds' own times (0: none).

    Raises SandboxError when the folder's file or a port is taken, or the file can't be used.
    """
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with process.hold(folder) as lock:
        settings = process.settings(folder)
        file = process.file_of(folder)
        try:
            store = Store(file, latency)
        except StoreError as error:
            raise SandboxError(str(error)) from error
        model = Model(store, (*linode.KINDS, *cloudflare.KINDS))
        zones.ensure(model, process.CLOUDFLARE, settings.zones, origin_pulls.settings_of)
        _read_types()
        platform = {settings.linode_platform: process.PLATFORM, settings.linode_copies: process.COPIES}
        edge = {settings.cloudflare: process.CLOUDFLARE}
        faults = Faults()
        providers = (
            Provider(LINODE, model, platform, latency, faults),
            Provider(CLOUDFLARE, model, edge, latency, faults),
        )
        servers = [_listen(provider, port) for provider, port in zip(providers, ports[:2], strict=True)]
        tokens = {"linode": _whole(platform), "cloudflare": _whole(edge)}
        doors = [
            Door(linode_api.CLOUD, model, tokens["linode"], faults),
            Door(cloudflare_api.CLOUD, model, tokens["cloudflare"], faults),
        ]
        web = _Web(application(doors, control.mount(settings.control, control.Held(model, faults, tokens))), ports[2])
        bound = [port for _, port in servers]
        process.announce(lock, Running(os.getpid(), bound[0], bound[1], web.port, file, settings.zones, latency))
        stopped.wait()
        web.stop()
        ending = [server.stop(FINISHES_WITHIN) for server, _ in servers]
        for provider in providers:
            provider.release()
        for ended in ending:
            ended.wait()
        store.close()


class _Web:
    """The HTTP server, in a thread of its own."""

    def __init__(self, app: Starlette, port: int) -> None:
        listener = _bound(port)
        self.port = int(listener.getsockname()[1])
        configured = uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(configured)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends once what is under way is answered."""
        self._server.should_exit = True
        self._thread.join(FINISHES_WITHIN)


def _bound(port: int) -> socket.socket:
    # Only of a socket whose protocol is named does asyncio send every answer at once, instead of 40 ms later.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError:
        raise _taken(port) from None
    return listener


def _taken(port: int) -> SandboxError:
    return SandboxError(f"port {port} of 127.0.0.1 is taken; give another one, or 0 for any free one")


def _whole(accounts: Mapping[str, str]) -> dict[str, Access]:
    """Tokens that may do everything in their account."""
    return {token: Access(account, frozenset({"*"})) for token, account in accounts.items()}


def _read_types() -> None:
    """Reads the SDKs' types of every resource at once: half a second now, none in any call."""
    gc.disable()  # nothing of what is imported is ever garbage
    for package in (LINODE, CLOUDFLARE):
        for resource in package.resources.values():
            _ = resource.schema
    gc.freeze()
    gc.enable()


def _listen(provider: Provider, port: int) -> tuple[grpc.Server, int]:
    # Without SO_REUSEPORT a port that another process has is refused instead of shared.
    options: Mapping[str, int] = {
        "grpc.so_reuseport": 0,
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
    }
    server = grpc.server(ThreadPoolExecutor(CALLS_AT_ONCE), options=[*options.items()])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    try:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError:
        raise _taken(port) from None
    server.start()
    return server, bound
