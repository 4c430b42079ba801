"""The two clouds as a stack's own tokens open them: what exists there, whatever a state says."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cloudflare
import linode_api4

from components.settings import PROJECT
from operations import engine
from operations.errors import Failed, Refused
from operations.project import Project

CALLS_AT_ONCE = 8
PAGE = 500
AGENT = "chat-tonic"
GONE = 404
PATIENCE = 60.0  # seconds for an answer

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Clouds:
    """The accounts that a stack's tokens open. `copies` and `edge` are None for a stack that has no such token."""

    platform: linode_api4.LinodeClient
    copies: linode_api4.LinodeClient | None
    edge: cloudflare.Cloudflare | None
    account_id: str
    zone_id: str


@dataclass(frozen=True)
class Found:
    """An object that a cloud has: the resource type that it would be, its id as the engine has it, and what names it.

    `key` is what the inputs of its resource say as well: its label, else the digest in its description or comment,
    else its parents with port, address or device. `ours` says that nobody but this project gives that key. `body` is
    what its cloud says of an object with a label: plan, tags, when it was made.
    """

    type: str
    id: str
    key: str
    ours: bool
    delete: Callable[[], Any]
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The object for people: `Instance us-ops (123)`."""
        return f"{self.type.rpartition(':')[2]} {(self.key or 'without a name')[:60]} ({self.id})"


@dataclass(frozen=True)
class Listed:
    """An object as its kind is listed."""

    id: str
    key: str
    delete: Callable[[], Any]
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """How a type of resource is found at its cloud.

    `find` lists all its objects; `key` makes the key of a resource's inputs. `ours`: the key
    is a digest, or of parents. `readable`: what was made can be read again, secrets included; but for its `unread`,
    which is taken to be what the configuration says.
    """

    find: Callable[[Clouds], Iterable[Listed]]
    key: Callable[[Inputs], str]
    ours: bool = False
    readable: bool = True
    unread: str = ""


def configuration(project: Project) -> dict[str, str]:
    """Return the values of a stack's configuration by key, secrets in clear.

    Raises:
        Failed: the engine does not give it.
    """
    said = json.loads(engine.ask(project, "config", "--json", "--show-secrets"))
    return {key: each["value"] for key, each in said.items() if each.get("value") is not None}


def connect(project: Project, values: Mapping[str, str] | None = None) -> Clouds:
    """Return the clouds of a stack: the sandbox's for its runs, else the real ones.

    `values` is its configuration, where that is known already.

    Raises:
        Refused: it has no token for Linode.
        Failed: the engine does not give the configuration.
    """
    values = configuration(project) if values is None else values
    if not values.get("linode:token"):
        raise Refused(f"{project.stack}: linode:token is missing; pulumi config set --secret linode:token")
    apis = project.apis
    copies, edge = values.get(f"{PROJECT}:copiesToken"), values.get("cloudflare:apiToken")
    return Clouds(
        platform=_linode(values["linode:token"], apis.linode),
        copies=_linode(copies, apis.linode) if copies else None,
        edge=_cloudflare(edge, apis.cloudflare) if edge else None,
        account_id=values.get(f"{PROJECT}:cloudflareAccountId") or "",
        zone_id=values.get(f"{PROJECT}:cloudflareZoneId") or "",
    )


def census(clouds: Clouds, types: Iterable[str] | None = None) -> list[Found]:
    """Return every object of the kinds that the program declares, of all or of some types.

    Raises:
        Failed: a cloud does not answer.
    """

    def of(name: str) -> list[Found]:
        kind = KINDS[name]
        return [Found(name, each.id, each.key, kind.ours, each.delete, each.body) for each in kind.find(clouds)]

    wanted = [name for name in (KINDS if types is None else dict.fromkeys(types)) if name in KINDS]
    try:
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            return [found for some in pool.map(of, wanted) for found in some]
    except (linode_api4.ApiError, linode_api4.UnexpectedResponseError, cloudflare.CloudflareError, OSError) as error:
        raise Failed(f"a cloud does not say what exists there: {error}") from None


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Say what can't be done, where Linode refuses it or does not answer.

    Raises:
        Failed: with Linode's own words.
    """
    try:
        yield
    except (linode_api4.ApiError, linode_api4.UnexpectedResponseError, OSError) as error:
        raise Failed(f"{what}: {error}") from None


def delete(found: Found) -> None:
    """Delete an object at its cloud; one that is gone is as good.

    Raises:
        Failed: the cloud refuses, or does not answer.
    """
    try:
        found.delete()
    except (linode_api4.ApiError, cloudflare.APIStatusError) as error:
        if getattr(error, "status", None) != GONE and getattr(error, "status_code", None) != GONE:
            raise Failed(f"{found.name} can't be deleted: {error}") from None
    except (linode_api4.UnexpectedResponseError, cloudflare.CloudflareError, OSError) as error:
        raise Failed(f"{found.name} can't be deleted: {error}") from None


def _linode(token: str, url: str) -> linode_api4.LinodeClient:
    client = linode_api4.LinodeClient(token, base_url=url, user_agent=AGENT)
    client.session.request = partial(client.session.request, timeout=PATIENCE)  # it waits forever by itself
    return client


def _cloudflare(token: str, url: str) -> cloudflare.Cloudflare:
    client = cloudflare.Cloudflare(api_token=token, base_url=url, timeout=PATIENCE)
    # It takes these from the environment, and they would go before the stack's own token.
    client.api_key = client.api_email = client.user_service_key = None
    return client


def pages(client: linode_api4.LinodeClient, path: str) -> Iterator[Mapping[str, Any]]:
    """Yield all that a path of Linode's API lists."""
    number, pages = 1, 1
    while number <= pages:
        answer = client.get(f"{path}?page={number}&page_size={PAGE}")
        yield from answer["data"]
        number, pages = number + 1, answer["pages"]


def _labelled(path: str) -> Callable[[Clouds], Iterable[Listed]]:
    def find(clouds: Clouds) -> Iterator[Listed]:
        for each in pages(clouds.platform, path):
            delete = _deletion(clouds.platform, f"{path}/{each['id']}")
            yield Listed(str(each["id"]), each["label"], delete, each)

    return find


def _deletion(client: linode_api4.LinodeClient, path: str) -> Callable[[], Any]:
    return lambda: client.delete(path)


def _devices(clouds: Clouds) -> Iterator[Listed]:
    for firewall in pages(clouds.platform, "/networking/firewalls"):
        path = f"/networking/firewalls/{firewall['id']}/devices"
        for each in pages(clouds.platform, path):
            entity = each["entity"]
            key = f"{firewall['id']}/{entity['type']}/{entity['id']}"
            yield Listed(str(each["id"]), key, _deletion(clouds.platform, f"{path}/{each['id']}"))


def _configs(clouds: Clouds) -> Iterator[Listed]:
    for balancer in pages(clouds.platform, "/nodebalancers"):
        path = f"/nodebalancers/{balancer['id']}/configs"
        for each in pages(clouds.platform, path):
            key = f"{balancer['id']}/{each['port']}"
            yield Listed(str(each["id"]), key, _deletion(clouds.platform, f"{path}/{each['id']}"))


def _nodes(clouds: Clouds) -> Iterator[Listed]:
    for config in _configs(clouds):
        balancer = config.key.partition("/")[0]
        path = f"/nodebalancers/{balancer}/configs/{config.id}/nodes"
        for each in pages(clouds.platform, path):
            named = f"{balancer}/{config.id}/{each['address']}"
            yield Listed(str(each["id"]), named, _deletion(clouds.platform, f"{path}/{each['id']}"))


def _buckets(clouds: Clouds) -> Iterator[Listed]:
    if clouds.copies:
        for each in pages(clouds.copies, "/object-storage/buckets"):
            place = f"{each['region']}/{each['label']}"
            delete = _deletion(clouds.copies, f"/object-storage/buckets/{place}")
            yield Listed(f"{each['region']}:{each['label']}", f"{each['region']}:{each['label']}", delete)


def _bucket_keys(clouds: Clouds) -> Iterator[Listed]:
    if clouds.copies:
        for each in pages(clouds.copies, "/object-storage/keys"):
            delete = _deletion(clouds.copies, f"/object-storage/keys/{each['id']}")
            yield Listed(str(each["id"]), each["label"], delete)


@dataclass(frozen=True)
class _Edge:
    """Objects at Cloudflare: where the client lists them, in which account or zone, and what names one."""

    resource: Callable[[cloudflare.Cloudflare], Any]
    named: Callable[[Any], str]
    in_zone: bool = False

    def __call__(self, clouds: Clouds) -> Iterator[Listed]:
        place = {"zone_id": clouds.zone_id} if self.in_zone else {"account_id": clouds.account_id}
        if clouds.edge and all(place.values()):
            resource = self.resource(clouds.edge)
            for each in resource.list(**place):
                yield Listed(str(each.id), self.named(each), self._deletion(resource, str(each.id), place))

    def _deletion(self, resource: Any, identity: str, place: Mapping[str, str]) -> Callable[[], Any]:
        return lambda: resource.delete(identity, **place)


def _digest(text: object) -> str:
    """Return the digest of a URN that a description or comment ends with, or the whole where it has none."""
    found = re.search(r"\[(id [0-9a-f]+)\]$", str(text or ""))
    return found[1] if found else f"{text or ''}"


def _same(*names: str) -> Callable[[Inputs], str]:
    return lambda inputs: "/".join(str(inputs.get(name)) for name in names)


def _one_line(pem: object) -> str:
    return "".join(str(pem or "").split())


_LABEL = _same("label")

KINDS: Mapping[str, Kind] = {
    "linode:index/placementGroup:PlacementGroup": Kind(_labelled("/placement/groups"), _LABEL),
    "linode:index/instance:Instance": Kind(_labelled("/linode/instances"), _LABEL, unread="the user data"),
    "linode:index/firewall:Firewall": Kind(_labelled("/networking/firewalls"), _LABEL),
    "linode:index/firewallDevice:FirewallDevice": Kind(
        _devices, _same("firewallId", "entityType", "entityId"), ours=True
    ),
    "linode:index/nodeBalancer:NodeBalancer": Kind(_labelled("/nodebalancers"), _LABEL),
    "linode:index/nodeBalancerConfig:NodeBalancerConfig": Kind(_configs, _same("nodebalancerId", "port"), ours=True),
    "linode:index/nodeBalancerNode:NodeBalancerNode": Kind(
        _nodes, _same("nodebalancerId", "configId", "address"), ours=True
    ),
    "linode:index/databasePostgresqlV2:DatabasePostgresqlV2": Kind(
        _labelled("/databases/postgresql/instances"), _LABEL
    ),
    "linode:index/objectStorageBucket:ObjectStorageBucket": Kind(
        _buckets, lambda inputs: f"{inputs.get('region')}:{inputs.get('label')}"
    ),
    "linode:index/objectStorageKey:ObjectStorageKey": Kind(_bucket_keys, _LABEL, readable=False),
    "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor": Kind(
        _Edge(lambda edge: edge.load_balancers.monitors, lambda each: _digest(each.description)),
        lambda inputs: _digest(inputs.get("description")),
        ours=True,
    ),
    "cloudflare:index/loadBalancerPool:LoadBalancerPool": Kind(
        _Edge(lambda edge: edge.load_balancers.pools, lambda each: str(each.name)), _same("name")
    ),
    "cloudflare:index/loadBalancer:LoadBalancer": Kind(
        _Edge(lambda edge: edge.load_balancers, lambda each: str(each.name), in_zone=True), _same("name")
    ),
    "cloudflare:index/dnsRecord:DnsRecord": Kind(
        _Edge(lambda edge: edge.dns.records, lambda each: _digest(each.comment), in_zone=True),
        lambda inputs: _digest(inputs.get("comment")),
        ours=True,
    ),
    "cloudflare:index/healthcheck:Healthcheck": Kind(
        _Edge(lambda edge: edge.healthchecks, lambda each: str(each.name), in_zone=True), _same("name")
    ),
    "cloudflare:index/notificationPolicy:NotificationPolicy": Kind(
        _Edge(lambda edge: edge.alerting.policies, lambda each: str(each.name)), _same("name")
    ),
    "cloudflare:index/authenticatedOriginPullsCertificate:AuthenticatedOriginPullsCertificate": Kind(
        _Edge(
            lambda edge: edge.origin_tls_client_auth.zone_certificates,
            lambda each: _one_line(each.certificate),
            in_zone=True,
        ),
        lambda inputs: _one_line(inputs.get("certificate")),
        ours=True,
        unread="the private key",
    ),
    "cloudflare:index/workersScript:WorkersScript": Kind(
        _Edge(lambda edge: edge.workers.scripts, lambda each: str(each.id)), _same("scriptName")
    ),
    "cloudflare:index/workersRoute:WorkersRoute": Kind(
        _Edge(lambda edge: edge.workers.routes, lambda each: str(each.pattern), in_zone=True), _same("pattern")
    ),
}
"""By type, all resources that a cloud makes. What a cloud always has (settings, access lists) is not among them."""
