"""NodeBalancers, their configurations (ports) and nodes (backends)."""

import time
from collections.abc import Iterator

from sandbox import ids
from sandbox.linode import events, firewalls, instances, rules
from sandbox.model import Body, Change, Field, Kind, Problem, allocate, conditions
from sandbox.store import Record, Transaction

NAME = "linode.node_balancer"
CONFIG = "linode.node_balancer_config"
NODE = "linode.node_balancer_node"
ENTITY = events.Entity("nodebalancer", "/v4/nodebalancers/{id}")
_CONFIG = events.Entity("nodebalancer_config", "/v4/nodebalancers/{nodebalancer_id}/configs/{id}")
_NODE = events.Entity("nodebalancer_node", "/v4/nodebalancers/{nodebalancer_id}/configs/{config_id}/nodes/{id}")
VERDICTS = "verdicts"  # the setting of what was really found of nodes
REDACTED = "<REDACTED>"  # what the API shows for a certificate or key that is set


def _complete(change: Change) -> None:
    body = change.body
    if change.before is not None:
        return
    body["label"] = body["label"] or f"nodebalancer{change.id}"
    body["ipv4"] = allocate(change.tx, instances.PUBLIC, ids.public_ipv4, NAME, change.id)
    body["ipv6"] = ids.public_ipv6(NAME, change.id)
    body["hostname"] = f"{body['ipv4'].replace('.', '-')}.ip.linodeusercontent.com"
    body |= {"type": "common", "transfer": {"in": None, "out": None, "total": None}, "lke_cluster": None}


def _ports(change: Change) -> Iterator[Problem]:
    body = change.body
    if body["protocol"] == "https" and not (change.value("ssl_cert") and change.value("ssl_key")):
        yield Problem("ssl_cert and ssl_key are required for protocol https", "ssl_cert")
    if body["proxy_protocol"] != "none" and body["protocol"] != "tcp":
        yield Problem("proxy_protocol is only available for protocol tcp", "proxy_protocol")
    if body["check"] in ("http", "http_body") and not body["check_path"]:
        yield Problem(f"check_path is required for check {body['check']}", "check_path")
    if body["check"] == "http_body" and not body["check_body"]:
        yield Problem("check_body is required for check http_body", "check_body")
    if body["check_timeout"] >= body["check_interval"]:
        yield Problem("check_timeout must be less than check_interval", "check_timeout")


def _config(change: Change) -> None:
    if change.before is None:
        change.body |= {"ssl_commonname": "", "ssl_fingerprint": ""}


def _config_status(tx: Transaction, record: Record) -> Body:
    up = [_status(tx, node) == "UP" for node in tx.children(CONFIG, record.id)]
    shown = {name: REDACTED if record.private[name] else None for name in ("ssl_cert", "ssl_key")}
    return {**record.body, **shown, "nodes_status": {"up": sum(up), "down": len(up) - sum(up)}}


def _backend(change: Change) -> Iterator[Problem]:
    config = change.other(CONFIG, change.body["config_id"])
    if config is None or config.body["nodebalancer_id"] != change.body["nodebalancer_id"]:
        yield Problem("A valid NodeBalancer config by that ID was not found", "config_id")
        return
    balancer = change.other(NAME, config.body["nodebalancer_id"])
    assert balancer is not None  # its config exists  # noqa: S101
    address, _, port = change.body["address"].rpartition(":")
    if not port.isdigit() or not 1 <= int(port) <= 65_535:  # noqa: PLR2004
        yield Problem("Must be an address and a port from 1 to 65535: 192.168.130.1:443", "address")
    elif not holder(change.tx, change.account, balancer.body["region"], address):
        said = f"Must be the private IPv4 address of one of your Linodes in {balancer.body['region']}"
        yield Problem(said, "address")


def holder(tx: Transaction, account: str, region: str, address: str) -> Record | None:
    """The instance that has a private address in a region."""
    holders = tx.linked(f"{instances.PRIVATE}:{region}", address)
    return next((holder for holder in holders if holder.account == account), None)


def _is_up(tx: Transaction, node: Record) -> bool:
    """A connection check passes where the backend runs, unless it is said to be unhealthy."""
    balancer = tx.get(NAME, node.body["nodebalancer_id"])
    assert balancer is not None  # a node goes with its balancer  # noqa: S101
    address = node.body["address"].rpartition(":")[0]
    backend = holder(tx, node.account, balancer.body["region"], address)
    if backend is None or instances.status(tx, backend) != instances.RUNNING:
        return False
    return {backend.body["label"], address, node.body["address"]}.isdisjoint(conditions(tx)["unhealthy"])


def _verdict(tx: Transaction, node: Record) -> str | None:
    """What was really found of a node, where somebody looks: see `fleet`."""
    found = tx.setting(VERDICTS)
    return found["nodes"].get(node.id) if found and time.time() < found["until"] else None


def _status(tx: Transaction, node: Record) -> str:
    usual = "UP" if _is_up(tx, node) else "DOWN"
    return _verdict(tx, node) or usual if usual == "UP" else usual


def _node_status(tx: Transaction, record: Record) -> Body:
    return {**record.body, "status": _status(tx, record), "vpc_config_id": None}


def _firewalls(tx: Transaction, record: Record) -> Body:
    return {"firewalls": [found.body for found in firewalls.of(tx, "nodebalancer", record.id)]}


KINDS = (
    Kind(
        NAME,
        fields={
            "region": Field(required=True, fixed=True),
            "label": rules.label(3, 32),
            "client_conn_throttle": Field(int, within=(0, 20), default=0),
            "client_udp_sess_throttle": Field(int, within=(0, 20), default=0),
            "tags": rules.TAGS,
        },
        key=lambda body: str(body["label"] or ""),
        taken=Problem("Label must be unique among your NodeBalancers", "label"),
        rules=(rules.region_offers("NodeBalancers"), rules.tags),
        complete=_complete,
        links=lambda body: ((instances.PUBLIC, body["ipv4"]),),
        beside=_firewalls,
        notices=events.life("nodebalancer", ENTITY),
        limit=1_000,
        over_limit=Problem("Maximum number of NodeBalancers reached"),
    ),
    Kind(
        CONFIG,
        fields={
            "nodebalancer_id": Field(int, required=True, fixed=True),
            "port": Field(int, within=(1, 65_535), default=80),
            "protocol": Field(choices=("http", "https", "tcp"), default="http"),
            "algorithm": Field(choices=("roundrobin", "leastconn", "source"), default="roundrobin"),
            "stickiness": Field(choices=("none", "table", "http_cookie"), default="none"),
            "check": Field(choices=("none", "connection", "http", "http_body"), default="none"),
            # The default of check_interval is recorded nowhere; the others are.
            "check_interval": Field(int, within=(2, 3_600), default=31),
            "check_timeout": Field(int, within=(1, 30), default=30),
            "check_attempts": Field(int, within=(1, 30), default=3),
            "check_path": Field(default=""),
            "check_body": Field(default=""),
            "check_passive": Field(bool, default=True),
            "cipher_suite": Field(choices=("recommended", "legacy"), default="recommended"),
            "proxy_protocol": Field(choices=("none", "v1", "v2"), default="none"),
            "udp_check_port": Field(int, within=(1, 65_535), default=80),
            "udp_session_timeout": Field(int),
            "ssl_cert": Field(write_only=True),
            "ssl_key": Field(write_only=True),
        },
        key=lambda body: f"{body['nodebalancer_id']}/{body['port']}",
        taken=Problem("Port must be unique among the configs of a NodeBalancer", "port"),
        rules=(_ports,),
        complete=_config,
        parent=lambda body: (NAME, body["nodebalancer_id"]),
        present=_config_status,
        notices=events.life("nodebalancer_config", _CONFIG, within=("nodebalancer_id", NAME, ENTITY)),
    ),
    Kind(
        NODE,
        fields={
            "nodebalancer_id": Field(int, required=True, fixed=True),
            "config_id": Field(int, required=True, fixed=True),
            "label": rules.label(3, 32, required=True),
            "address": Field(required=True),
            "weight": Field(int, within=(1, 255), default=50),
            "mode": Field(choices=("accept", "reject", "drain", "backup"), default="accept"),
        },
        key=lambda body: f"{body['config_id']}/{body['address']}",
        taken=Problem("Address must be unique among the nodes of a config", "address"),
        rules=(_backend,),
        parent=lambda body: (CONFIG, body["config_id"]),
        present=_node_status,
        notices=events.life("nodebalancer_node", _NODE, within=("nodebalancer_id", NAME, ENTITY)),
    ),
)
