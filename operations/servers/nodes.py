"""The nodes of servers in their NodeBalancers: who gets new connections."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import linode_api4

from components import labels
from operations import clouds
from operations.errors import Failed
from operations.servers.fleet import OPS, Fleet

T = TypeVar("T")
ACCEPT, DRAIN = "accept", "drain"
UP = "UP"
PORT = 443


@dataclass(frozen=True)
class Node:
    """A server in its balancer: the path of its node in the API, its mode, and what the balancer says of it."""

    path: str
    mode: str
    status: str

    @property
    def serves(self) -> bool:
        """Whether it gets new connections: it may, and its balancer has found it up."""
        return self.mode == ACCEPT and self.status == UP


class Nodes:
    """The nodes of a fleet's servers, read when they are asked for."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._client, self._stack = fleet.clouds.platform, fleet.stack
        self._paths: dict[tuple[str, str], str | None] = {}

    def of(self, group: tuple[str, str]) -> dict[str, Node]:
        """Return the nodes of an environment's role by their servers' labels; none where it has no balancer.

        Raises:
            Failed: the cloud does not answer.
        """
        path = self._path(group)
        found = self._all(path) if path else []
        return {each["label"]: Node(f"{path}/{each['id']}", each["mode"], each["status"]) for each in found}

    def all(self) -> dict[str, Node]:
        """Return the nodes of all the fleet's servers by their labels.

        Raises:
            Failed: the cloud does not answer.
        """
        found = {label: node for group, _ in self._fleet.groups() for label, node in self.of(group).items()}
        return {member.label: found[member.label] for member in self._fleet.members if member.label in found}

    def set(self, node: Node, mode: str) -> None:
        """Give a node another mode.

        Raises:
            Failed: the cloud refuses, or does not answer.
        """
        self._ask(lambda: self._client.put(node.path, data={"mode": mode}))

    def _path(self, group: tuple[str, str]) -> str | None:
        """Return the path of the nodes behind port 443 of a group's balancer."""
        environment, role = group
        if role == OPS:
            return None
        if group not in self._paths:
            label = labels.label("balancer", self._stack.label, self._stack.environments[environment].label, role)
            balancers = [each["id"] for each in self._all("/nodebalancers") if each["label"] == label]
            configs = [
                f"/nodebalancers/{balancer}/configs/{each['id']}/nodes"
                for balancer in balancers
                for each in self._all(f"/nodebalancers/{balancer}/configs")
                if each["port"] == PORT
            ]
            self._paths[group] = configs[0] if configs else None
        return self._paths[group]

    def _all(self, path: str) -> list[Mapping[str, Any]]:
        return self._ask(lambda: list(clouds.pages(self._client, path)))

    def _ask(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except (linode_api4.ApiError, linode_api4.UnexpectedResponseError, OSError) as error:
            raise Failed(f"{self._stack.label}: the balancers can't be asked, or set: {error}") from None
