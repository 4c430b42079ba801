"""The real clouds' hosts on the loopback: a proxy ends their TLS with an authority of its own, before a sandbox.

Nothing tells the clients of a real run where to go: they name the official hosts, as they would anywhere.
"""

import json
import ssl
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox import process
from tests.operations import certificates

HOSTS = ("api.linode.com", "api.cloudflare.com")
ZONE = "chat-tonic.com"
_OF_ONE_CONNECTION = frozenset({"connection", "content-length", "transfer-encoding"})


@dataclass(frozen=True)
class RealClouds:
    """What leads a task to the hosts, and what came to them.

    `environment` is for the task. `requests` are all that came: "GET api.linode.com/v4/regions", and "CONNECT host"
    for a host that is neither cloud's, to which nothing goes through.
    """

    sandbox: process.Running
    tokens: process.Tokens
    environment: Mapping[str, str]
    requests: list[str]

    def asked(self) -> set[str]:
        """Return the hosts that requests came for."""
        return {request.split()[1].partition("/")[0] for request in self.requests}

    def configuration(self, keys: Collection[str]) -> str:
        """Return what the engine says of a stack's configuration with these keys, secrets shown."""
        values = {
            "linode:token": self.tokens.linode_platform,
            "chat-tonic:copiesToken": self.tokens.linode_copies,
            "cloudflare:apiToken": self.tokens.cloudflare,
            "chat-tonic:cloudflareAccountId": self.tokens.cloudflare_account_id,
            "chat-tonic:cloudflareZoneId": self.tokens.zone_ids[ZONE],
        }
        return json.dumps({key: {"value": values.get(key, "made up")} for key in keys})


@contextmanager
def served(folder: Path) -> Iterator[RealClouds]:
    """Serve the hosts from a sandbox in a folder, and stop both afterwards."""
    running = process.start(folder / "clouds", [ZONE])
    authority = folder / "hosts.pem"
    server = _Proxy(running.api_port, certificates.serving(authority, HOSTS))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    environment = {
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), address),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
        **dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(authority)),
    }
    try:
        yield RealClouds(running, process.tokens(folder / "clouds"), environment, server.requests)
    finally:
        server.shutdown()
        server.server_close()
        process.stop(folder / "clouds")


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, sandbox_port: int, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.sandbox_port = sandbox_port
        self.context = context
        self.requests: list[str] = []


class _Connection(BaseHTTPRequestHandler):
    """One client's: first it says which host it wants, then it speaks with that host inside TLS."""

    protocol_version = "HTTP/1.1"
    server: _Proxy
    host = ""

    def do_CONNECT(self) -> None:
        host = self.path.removesuffix(":443")
        if host not in HOSTS:
            self.server.requests.append(f"CONNECT {host}")
            self.send_error(403)
            return
        self.host = host
        self.send_response_only(200)
        self.end_headers()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")
        self.close_connection = False

    def forward(self) -> None:
        self.server.requests.append(f"{self.command} {self.host}{self.path}")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if (self.command, self.path) == ("POST", "/client/v4/certificates"):
            self._answer(200, [("Content-Type", "application/json")], _signed(json.loads(body)))
            return
        with closing(HTTPConnection("127.0.0.1", self.server.sandbox_port, timeout=60)) as sandbox:
            sandbox.request(self.command, self.path, body, dict(self.headers))
            answer = sandbox.getresponse()
            content = answer.read()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OF_ONE_CONNECTION]
        self._answer(answer.status, kept, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 (the server looks for these names)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**dict(headers), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing: `requests` has it."""


def _signed(asked: Mapping[str, Any]) -> bytes:
    """Answer as Cloudflare's authority for origin certificates does, which the sandbox does not have."""
    request = x509.load_pem_x509_csr(asked["csr"].encode())
    authority = ec.generate_private_key(ec.SECP256R1())
    name = "Cloudflare Origin ECC Certificate Authority"
    certificate = certificates.builder(name, request.public_key(), asked["hostnames"]).sign(authority, hashes.SHA256())
    made = {**asked, "id": "1", "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode()}
    return json.dumps({"success": True, "errors": [], "messages": [], "result": made}).encode()
