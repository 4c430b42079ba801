"""The sandbox's process: one model, and a gRPC server on 127.0.0.1 for each of the two providers."""

import gc
import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox import cloudflare, linode, process
from sandbox.cloudflare import origin_pulls, zones
from sandbox.engine import cloudflare as cloudflare_door
from sandbox.engine import linode as linode_door
from sandbox.engine.provider import Package, Provider
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


def serve(folder: Path, ports: tuple[int, int] = (0, 0), latency: float = 0.0) -> None:
    """Runs the folder's sandbox until it is told to stop (SIGTERM, SIGINT).

    `ports` are Linode's and Cloudflare's; 0 is any free one. `latency` scales the clouds' own times (0: none).

    Raises SandboxError when the folder's file or a port is taken, or the file can't be used.
    """
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with process.hold(folder) as lock:
        settings = process.settings(folder)
        file = process.file_of(folder)
        try:
            store = Store(file)
        except StoreError as error:
            raise SandboxError(str(error)) from error
        model = Model(store, (*linode.KINDS, *cloudflare.KINDS))
        zones.ensure(model, process.CLOUDFLARE, settings.zones, origin_pulls.settings_of)
        _read_types()
        platform = {settings.linode_platform: process.PLATFORM, settings.linode_copies: process.COPIES}
        providers = (
            Provider(LINODE, model, platform, latency),
            Provider(CLOUDFLARE, model, {settings.cloudflare: process.CLOUDFLARE}, latency),
        )
        servers = [_listen(provider, port) for provider, port in zip(providers, ports, strict=True)]
        bound = [port for _, port in servers]
        process.announce(lock, Running(os.getpid(), bound[0], bound[1], file, settings.zones, latency))
        stopped.wait()
        ending = [server.stop(FINISHES_WITHIN) for server, _ in servers]
        for provider in providers:
            provider.release()
        for ended in ending:
            ended.wait()
        store.close()


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
        raise SandboxError(f"port {port} of 127.0.0.1 is taken; give another one, or 0 for any free one") from None
    server.start()
    return server, bound
