"""The NodeBalancers: one real HAProxy with a frontend a port and a server a node, as the model has them.

A node's mode and weight are set while it runs. All else is a new configuration. One whose region is down is cut off.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox import haproxy
from sandbox.addresses import loopback, port_for
from sandbox.machines.units import PACE
from toolchain.debian import Tools

_ALGORITHMS = {"roundrobin": "roundrobin", "leastconn": "leastconn", "source": "source"}
_PROXY_HEADERS = {"none": "", "v1": " send-proxy", "v2": " send-proxy-v2"}

# Idle connections are closed after a while, as NodeBalancers do. A node that can't be reached is tried again elsewhere.
_COMMON = f"""\
{haproxy.GLOBAL}
defaults
    mode tcp
    timeout connect 3s
    timeout client 300s
    timeout server 300s
    retries 3
    option redispatch 1
    load-server-state-from-file global
"""

_WORDS = {"UP": "UP", "DRAIN": "UP", "DOWN": "DOWN"}
"""What a node is, by the first word of what HAProxy says of it; unknown where it is not checked."""


class Balancers:
    """The NodeBalancers of the sandbox whose machines are in a folder: this process's own, too."""

    def __init__(self, folder: Path, tools: Tools) -> None:
        self._folder, self._haproxy = folder, haproxy.Haproxy(folder, tools)
        self._shape = ""
        self._set: dict[str, Sequence[str]] = {}
        self._found: dict[str, str] = {}

    def follow(self, balancers: Sequence[Mapping[str, Any]]) -> None:
        """Brings HAProxy to what the model says."""
        configs = [config for balancer in balancers for config in balancer["configs"]]
        shape = "".join(self._lines(balancers, modes=False)) if configs else ""
        if shape != self._shape or bool(shape) != self._haproxy.runs:
            self._haproxy.replace("".join(self._lines(balancers, modes=True)) if configs else "")
            self._shape, self._set = shape, {}
        for config in configs:
            for node in config["nodes"]:
                self._put(_server(config, node), node)

    def verdicts(self, balancers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """What each node really is, by its id: UP, DOWN or unknown."""
        nodes = {
            _server(config, node): node["id"]
            for each in balancers
            for config in each["configs"]
            for node in config["nodes"]
        }
        found = {node: self._found.get(node, "unknown") for node in nodes.values()}
        lines = self._haproxy.ask("show stat").splitlines() if self._haproxy.runs else []
        names = lines[0].removeprefix("# ").split(",") if lines else []
        for line in lines[1:]:
            row = dict(zip(names, line.split(","), strict=False))
            server = f"{row.get('pxname')}/{row.get('svname')}"
            said = _WORDS.get(row.get("status", "").split(" ")[0], "unknown")
            # A process that has not checked yet goes on with what the one before it found.
            if server in nodes and (said == "unknown" or row["check_status"] not in ("", "INI")):
                found[nodes[server]] = said
        self._found = found
        return found

    def endpoints(self, balancers: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
        """Where each balancer listens, by its public address: for HTTPS if it has that, else for its lowest port."""
        ports = {each["ipv4"]: sorted(config["port"] for config in each["configs"]) for each in balancers}
        return {
            each["ipv4"]: (
                loopback(self._folder, "balancer", each["id"]),
                port_for(443 if 443 in ports[each["ipv4"]] else ports[each["ipv4"]][0]),  # noqa: PLR2004
            )
            for each in balancers
            if ports[each["ipv4"]] and self._haproxy.runs
        }

    def end(self) -> None:
        """Ends HAProxy, and what it has under way."""
        self._haproxy.end()

    def _put(self, server: str, node: Mapping[str, Any]) -> None:
        """Has a node taken connections, or not, as its mode says; what is established is left alone."""
        commands = [f"set server {server} {command}" for command in _commands(node)]
        if self._set.get(server) != commands:
            for command in commands:
                self._haproxy.ask(command)
            self._set[server] = commands

    def _lines(self, balancers: Sequence[Mapping[str, Any]], *, modes: bool) -> Iterator[str]:
        yield _COMMON
        for balancer in balancers:
            address = loopback(self._folder, "balancer", balancer["id"])
            for config in balancer["configs"]:
                name = _backend(config)
                yield f"\nfrontend f-{name}\n    bind {address}:{port_for(config['port'])}\n"
                yield f"    default_backend {name}\n"
                yield f"\nbackend {name}\n    balance {_ALGORITHMS[config['algorithm']]}\n    hash-type consistent\n"
                if config["check"] != "none":
                    yield f"    timeout check {config['check_timeout']}s\n"
                for node in config["nodes"]:
                    yield f"    server {self._node(config, node)}{_initially(node) if modes else ''}\n"

    def _node(self, config: Mapping[str, Any], node: Mapping[str, Any]) -> str:
        instance = ("instance", node["instance"]) if node["instance"] else ("node", node["id"])
        where = f"{loopback(self._folder, *instance)}:{port_for(node['port'])}"
        checked = (
            f" check inter {int(1000 * config['check_interval'] * PACE)}ms rise 1 fall {config['check_attempts']}"
            if config["check"] != "none"
            else ""
        )
        backup = " backup" if node["mode"] == "backup" else ""
        return f"{node['id']} {where}{_PROXY_HEADERS[config['proxy_protocol']]}{checked}{backup}"


def _backend(config: Mapping[str, Any]) -> str:
    return f"config-{config['id']}"


def _server(config: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    return f"{_backend(config)}/{node['id']}"


def _initially(node: Mapping[str, Any]) -> str:
    """A node's mode as a new process begins with it."""
    return {"reject": " disabled", "drain": " weight 0"}.get(node["mode"], f" weight {node['weight']}")


def _commands(node: Mapping[str, Any]) -> list[str]:
    """A node's mode as a process that runs is told it. Without weight, a server gets no new connection."""
    if node["mode"] == "reject":
        return ["state maint"]
    return [f"weight {0 if node['mode'] == 'drain' else node['weight']}", "state ready"]
