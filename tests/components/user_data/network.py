"""A server and the world around it, as two network namespaces joined by a cable, and an application.

The server has a public and a private address, as a Linode has. The world has the addresses that connect to it:
a NodeBalancer's, one that SSH is open to, and a stranger's, over IPv4 and IPv6. Everything in it is real: the
kernel's firewall, sockets, processes. Nothing of it is seen from outside, and it ends with the test.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from toolchain.debian import Tools

PUBLIC, PUBLIC_V6, PRIVATE = "203.0.113.10", "2001:db8:1::10", "192.168.140.10"
BALANCER, ADMIN, ADMIN_V6 = "192.168.255.7", "198.51.100.20", "2001:db8:2::20"
STRANGER, STRANGER_V6 = "192.0.2.66", "2001:db8:3::66"
METADATA = "169.254.169.254"

_LIFETIME = 300
"""Seconds after which a namespace ends, whatever became of the test."""

_LISTEN = """
import signal, socket, sys
listeners = [
    socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    for port in sys.argv[1:]
]
print("listening", flush=True)
signal.pause()
"""

_CONNECT = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def outcome(attempt):
    source, target, port = attempt
    with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET) as connection:
        connection.settimeout(0.4)
        if source:
            connection.bind((source, 0))
        try:
            connection.connect((target, port))
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "silent"
        return "open"
print(json.dumps(list(ThreadPoolExecutor().map(outcome, json.loads(sys.argv[1])))))
"""


_APPLICATION = """
import http.server, itertools, json, pathlib, sys
health, asked = pathlib.Path(sys.argv[1]), itertools.count()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        statuses = health.read_text().split() if self.path == "/healthz" else ["200"]
        status = int(statuses[next(asked) % len(statuses)])
        body = json.dumps({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler)
print("listening", flush=True)
server.serve_forever()
"""

PATIENCE = 10.0
"""Seconds in which anything that is going to happen here has happened."""


class NoNamespacesError(Exception):
    """This machine makes no network namespaces; `str()` says why."""


@dataclass(frozen=True)
class Namespace:
    """A network namespace, alive as long as `holder` sleeps in it."""

    holder: int
    enter: tuple[str, ...]
    environment: Mapping[str, str]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end; raise CalledProcessError where it fails."""
        return subprocess.run(
            self._command(arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )

    def succeeds(self, *arguments: str | Path) -> bool:
        """Run a command in it to its end; whether that went well."""
        try:
            self.run(*arguments)
        except subprocess.CalledProcessError:
            return False
        return True

    @contextmanager
    def running(
        self,
        *arguments: str | Path,
        folder: Path | None = None,
        said: Path | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Have a command run in it, and end it; what it says goes to the file `said`."""
        with ExitStack() as stack:
            output = stack.enter_context(said.open("wb")) if said else subprocess.PIPE
            process = stack.enter_context(
                subprocess.Popen(
                    self._command(arguments),
                    cwd=folder,
                    env={**self.environment, **variables},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    process.kill()

    @contextmanager
    def listening(self, *ports: int) -> Iterator[None]:
        """Have something accept connections at `ports` of all its addresses."""
        with self.running(sys.executable, "-c", _LISTEN, *map(str, ports)) as process:
            assert process.stdout
            assert process.stdout.readline() == b"listening\n"
            yield

    def connect(self, *attempts: tuple[str, str, int], user: int | None = None) -> list[str]:
        """Connect from (source address, or "", to target address, to port), at once: open, refused or silent."""
        as_user = [] if user is None else ["setpriv", f"--reuid={user}", "--clear-groups"]
        result = self.run(*as_user, sys.executable, "-c", _CONNECT, json.dumps(attempts))
        outcomes: list[str] = json.loads(result.stdout)
        return outcomes

    def _command(self, arguments: Sequence[str | Path]) -> list[str | Path]:
        return [*self.enter, f"--target={self.holder}", "--", *arguments]


@dataclass(frozen=True)
class Network:
    """The server, with its files under `root`, and the world."""

    server: Namespace
    world: Namespace
    root: Path

    def load_rules(self) -> None:
        """Do what nftables.service does, with /etc where the files are."""
        self.server.run("nft", "--includepath", self.root / "etc", "--file", self.root / "etc/nftables.conf")

    def https(self) -> str:
        """Return what a balancer meets at 443."""
        return self.world.connect((BALANCER, PRIVATE, 443))[0]


def eventually(outcome: Callable[[], object], wanted: object) -> None:
    """Wait until `outcome` is as wanted."""
    end = time.monotonic() + PATIENCE
    while (last := outcome()) != wanted:
        assert time.monotonic() < end, f"still {last} after {PATIENCE} s, instead of {wanted}"
        time.sleep(0.05)


def variables(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


@contextmanager
def application(network: Network) -> Iterator[Path]:
    """Run an application behind 127.0.0.1:8080; yield the file that holds the statuses its /healthz answers."""
    health = network.root / "health"
    health.write_text("200")
    with network.server.running(sys.executable, "-c", _APPLICATION, health) as process:
        assert process.stdout
        assert process.stdout.readline() == b"listening\n"
        yield health


@contextmanager
def server_and_world(tools: Tools) -> Iterator[tuple[Namespace, Namespace]]:
    """Make the two namespaces. Raises NoNamespacesError."""
    environment = {**os.environ, **tools.environment}
    with ExitStack() as stack:
        # Root needs no user namespace of its own, and has all user ids without one.
        user = () if os.geteuid() == 0 else ("--user",)
        enter = ("nsenter", "--net", *((*user, "--preserve-credentials") if user else ()))
        map_root = ("--map-root-user",) if user else ()
        server = Namespace(_hold(stack, ("unshare", "--net", *map_root)), enter, environment)
        into_user = ("nsenter", *user, "--preserve-credentials", f"--target={server.holder}", "--") if user else ()
        world = Namespace(_hold(stack, (*into_user, "unshare", "--net")), enter, environment)
        server.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(world.holder))
        for namespace, addresses in (
            (server, (f"{PUBLIC}/24", f"{PRIVATE}/17", f"{PUBLIC_V6}/64")),
            (
                world,
                (
                    "203.0.113.1/24",
                    f"{BALANCER}/17",
                    f"{ADMIN}/32",
                    f"{STRANGER}/32",
                    f"{METADATA}/32",
                    "2001:db8:1::1/64",
                    f"{ADMIN_V6}/128",
                    f"{STRANGER_V6}/128",
                ),
            ),
        ):
            # An IPv6 address is else in doubt for its first second, in case somebody else claims it.
            namespace.run("ip", "link", "set", "eth0", "addrgenmode", "none")
            for address in addresses:
                namespace.run("ip", "address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
            for link in ("lo", "eth0"):
                namespace.run("ip", "link", "set", link, "up")
        server.run("ip", "route", "add", "default", "via", "203.0.113.1")
        server.run("ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")
        # The kernel takes up to a second to see that the cable is in, and only then speaks IPv6.
        end = time.monotonic() + 5
        while world.connect((ADMIN_V6, PUBLIC_V6, 9)) != ["refused"]:
            assert time.monotonic() < end, "the two namespaces don't reach each other"
        yield server, world


def _hold(stack: ExitStack, make: Sequence[str]) -> int:
    """Start a process that sleeps in namespaces which `make` makes, until `stack` ends; return its id."""
    holder = stack.enter_context(
        subprocess.Popen(
            [*make, "sh", "-c", f"echo made; exec sleep {_LIFETIME}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    )
    stack.callback(holder.terminate)
    assert holder.stdout
    assert holder.stderr
    if holder.stdout.readline() != b"made\n":
        raise NoNamespacesError(holder.stderr.read().decode().strip())
    return holder.pid
