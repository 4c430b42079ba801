"""Cloudflare's edge: one real HAProxy with a backend a name and a server an origin, as the model and the probes say.

Visitors speak plain HTTP to it, and it to the origins: TLS is modelled. An origin is asked once, as without
zero-downtime failover, and on a connection of its own, so that what it refuses is seen at once.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import haproxy, machines
from sandbox.addresses import loopback, port_for
from sandbox.front import LOG, steering, workers
from toolchain.debian import Tools

PORT = port_for(80)
_HTTPS = 443
_NO_ORIGIN = 'http-request return status 530 content-type text/plain string "error code: 1016\\n"'

# A server's name says which it is (`_server`); srv_name is of the one that was chosen, also where it has not answered.
_LINE = (
    '{"time":%Ts.%ms,"host":"%[var(txn.host),json(utf8s)]","method":"%HM","path":"%[var(txn.path),json(utf8s)]",'
    '"status":%ST,"milliseconds":%Ta,"pool":"%[srv_name,field(1,:)]","site":"%[srv_name,field(2,:)]",'
    '"region":"%[srv_name,field(3,:)]","address":"%[srv_name,field(4,:,0)]"}'
)

_COMMON = f"""\
{haproxy.GLOBAL}    log stdout format raw local0

defaults
    mode http
    option http-server-close
    timeout connect 5s
    timeout client 100s
    timeout server 100s
    retries 0
"""


@dataclass(frozen=True)
class Server:
    """An origin: its name in HAProxy, where it is, and its weight; None where it may not be asked."""

    name: str
    address: str
    weight: int | None


@dataclass(frozen=True)
class Name:
    """A name that is answered; `affinity` is how many seconds a visitor stays where it is, 0: not at all."""

    host: str
    servers: tuple[Server, ...]
    affinity: int = 0

    @property
    def backend(self) -> str:
        """What it is called in HAProxy."""
        return f"b-{self.host.replace('*', '_')}"


class Edge:
    """The edge of the sandbox in a folder; this process works in `own`."""

    def __init__(self, folder: Path, own: Path, tools: Tools) -> None:
        self._machines = folder / machines.FOLDER
        self.address = loopback(folder, "front", "edge")
        self._haproxy = haproxy.Haproxy(own, tools, output=LOG)
        self._shape = ""
        self._set: dict[str, int | None] = {}

    def names(self, shown: Mapping[str, Any], well: Mapping[str, bool], running: Mapping[str, str]) -> list[Name]:
        """The names that the model shows.

        `well` says of watches whether what they watch is, `running` of Workers' scripts where they listen.
        """
        routed = [
            Name(each["host"], (Server(":::", f"{running[each['script']]}:{workers.PORT}", 1),))
            for each in shown["routes"]
            if each["script"] in running
        ]
        balanced = [self._balanced(each, shown["pools"], well) for each in shown["balancers"]]
        recorded = [self._recorded(each["name"], shown["records"]) for each in shown["records"]]
        # A Worker goes before a load balancer, and that before a record of its name.
        return [*{each.host: each for each in (*recorded, *balanced, *routed)}.values()]

    def follow(self, names: Sequence[Name]) -> None:
        """Brings HAProxy to these names. What is under way is not cut off."""
        shape = "".join(self._lines(names, weighed=False))
        if shape != self._shape or not self._haproxy.runs:
            self._haproxy.replace("".join(self._lines(names, weighed=True)))
            self._shape, self._set = shape, {}
        for name in names:
            # Who takes over first: there is always somebody to ask.
            for server in sorted(name.servers, key=lambda each: not each.weight):
                self._put(f"{name.backend}/{server.name}", server.weight)

    def end(self) -> None:
        """Ends HAProxy, and what it has under way."""
        self._haproxy.end()

    def _balanced(
        self, balancer: Mapping[str, Any], pools: Mapping[str, Mapping[str, Any]], well: Mapping[str, bool]
    ) -> Name:
        weights = steering.weights(balancer, pools, well)
        used = dict.fromkeys((*balancer["default_pools"], balancer["fallback_pool"]))
        servers = [
            self._server(pools[each]["name"], origin["name"], origin, weights.get(origin["watch"]))
            for each in used
            for origin in pools[each]["origins"]
        ]
        stays = balancer["session_affinity"] in ("cookie", "ip_cookie")
        # Cookie-based sessions default to 23 hours (cloudflare-docs: session-affinity-by-cookie-process).
        return Name(balancer["name"], tuple(servers), int(balancer["session_affinity_ttl"] or 82_800) if stays else 0)

    def _recorded(self, host: str, records: Sequence[Mapping[str, Any]]) -> Name:
        own = [each for each in records if each["name"] == host]
        return Name(host, tuple(self._server("", "", each, 1) for each in own))

    def _server(self, pool: str, site: str, origin: Mapping[str, Any], weight: int | None) -> Server:
        place = origin["place"]
        name = ":".join((pool, "".join(c if c.isalnum() or c in "-_." else "_" for c in site), place["region"]))
        where = loopback(self._machines, place["kind"], place["id"])
        return Server(f"{name}:{place['address']}", f"{where}:{port_for(origin.get('port') or _HTTPS)}", weight)

    def _put(self, server: str, weight: int | None) -> None:
        """Has a server be asked, or not; what is under way there is left alone."""
        if server not in self._set or self._set[server] != weight:
            for command in ["state maint"] if weight is None else [f"weight {weight}", "state ready"]:
                self._haproxy.ask(f"set server {server} {command}")
            self._set[server] = weight

    def _lines(self, names: Sequence[Name], *, weighed: bool) -> Iterator[str]:
        yield _COMMON
        yield f"\nfrontend edge\n    bind {self.address}:{PORT}\n    log global\n    log-format '{_LINE}'\n"
        yield "    http-request set-var(txn.host) req.hdr(host),host_only,lower\n"
        yield "    http-request set-var(txn.path) path\n"
        for name in names:
            yield f"    use_backend {name.backend} if {{ var(txn.host) -m str {name.host} }}\n"
        yield f"    default_backend nowhere\n\nbackend nowhere\n    {_NO_ORIGIN}\n"
        for name in names:
            yield f"\nbackend {name.backend}\n    balance random(1)\n"
            # One that another has taken over from counts no servers, and goes on with what it has all the same.
            yield f"    {_NO_ORIGIN} if {{ nbsrv lt 1 }} !{{ stopping }}\n"
            if name.affinity:
                yield f"    cookie __cflb insert indirect nocache httponly maxlife {name.affinity}s\n"
            for server in name.servers:
                yield f"    server {server.name} {server.address}"
                yield f" cookie {hashlib.sha256(server.name.encode()).hexdigest()[:16]}" if name.affinity else ""
                yield (" disabled" if server.weight is None else f" weight {server.weight}") if weighed else ""
                yield "\n"
