"""Linode's resource types: SDK properties and API fields, what replaces, what the plugin refuses at preview.

What replaces is from the upstream provider's schema (v4); what is refused at preview was seen with the plugin.
"""

from typing import Any

from sandbox.engine.checks import between, length, one_of
from sandbox.engine.resource import Life, Resource, Seconds
from sandbox.linode import (
    databases,
    firewalls,
    instances,
    node_balancers,
    object_storage,
    placement_groups,
)
from sandbox.model import Body, Model, not_found

_ACTIONS = one_of("ACCEPT", "DROP")
_PROTOCOLS = one_of("TCP", "UDP", "ICMP", "IPENCAP")


def _swap(document: Body) -> int:
    return sum(disk["size"] for disk in document.get("disks", ()) if disk["filesystem"] == "swap")


def _firewall_body(body: Body) -> Body:
    if "status" in body:  # as the SDK has it: whether it is disabled
        body["status"] = "disabled" if body["status"] else "enabled"
    return body


def _guarded(kind: str) -> Any:
    return lambda document: sorted(entity["id"] for entity in document["entities"] if entity["type"] == kind)


def _with_masks(addresses: list[str]) -> list[str]:
    try:
        return databases.with_masks(addresses)
    except ValueError:  # one is no address: the API will refuse it
        return addresses


class _AllowList(Life):
    """A database's allow list: changed with the database, emptied when it is deleted."""

    def create(self, model: Model, account: str, kind: str, body: Body) -> Body:
        identity = str(body["id"])
        if body["type"] != "postgresql":
            raise not_found()
        self.update(model, account, kind, identity, body)
        return self.read(model, account, kind, identity)

    def read(self, model: Model, account: str, kind: str, identity: str) -> Body:
        database = model.read(account, kind, identity.partition(":")[0])
        return {"id": database["id"], "type": "postgresql", "allow_list": database["allow_list"]}

    def update(self, model: Model, account: str, kind: str, identity: str, body: Body) -> None:
        model.update(account, kind, identity.partition(":")[0], {"allow_list": body["allow_list"]})

    def delete(self, model: Model, account: str, kind: str, identity: str) -> None:
        self.update(model, account, kind, identity, {"allow_list": []})


RESOURCES = (
    Resource(
        "linode:index/instance:Instance",
        "instance",
        instances.NAME,
        "Linode Instance",
        Seconds(create=60, update=5, delete=10),
        names={
            "metadatas": "metadata",
            "ipv4s": "ipv4",
            "backups.schedules": "schedule",
            "configs.interfaces": "interfaces",
        },
        singles=frozenset({"metadatas", "backups", "backups.schedules", "specs"}),
        sets=frozenset({"tags", "authorizedKeys", "authorizedUsers", "sharedIpv4s", "ipv4s"}),
        replaces=frozenset(
            {
                *("image", "rootPass", "authorizedKeys", "authorizedUsers", "stackscriptId", "stackscriptData"),
                *("backupId", "metadatas", "firewallId", "interfaceGeneration", "diskEncryption", "networkHelper"),
                "ipv4s",
            }
        ),
        fills={"type": "g6-nanode-1", "migrationType": "cold", "resizeDisk": False, "watchdogEnabled": True},
        derived={
            "ipAddress": lambda document: document["ipv4"][0],
            "privateIp": lambda document: len(document["ipv4"]) > 1,
            "privateIpAddress": lambda document: (document["ipv4"][1:] or [""])[0],
            "backupsEnabled": lambda document: document["backups"]["enabled"],
            "booted": lambda document: document["status"] == "running",
            "bootConfigLabel": lambda document: (document.get("configs") or [{"label": ""}])[0]["label"],
            "swapSize": _swap,
            "sharedIpv4s": lambda _: [],
            "lkeClusterId": lambda document: document["lke_cluster_id"] or 0,
        },
        chosen=frozenset(
            {f"placementGroup.{name}" for name in ("label", "placementGroupPolicy", "placementGroupType")}
        ),
        only_written=frozenset({"rootPass", "metadatas", "authorizedKeys", "authorizedUsers"}),
        unserved=frozenset(
            {
                *("backupId", "bootConfigLabel", "bootSize", "configs", "disks", "firewallId", "interfaces", "ipv4s"),
                *("kernel", "linodeInterfaces", "networkHelper", "sharedIpv4s", "stackscriptData", "stackscriptId"),
                "placementGroup.compliantOnly",
                "placementGroupExternallyManaged",
            }
        ),
        checks={"label": length(3, 50), "rootPass": length(11, 128)},
        secrets=frozenset({"metadatas"}),
    ),
    Resource(
        "linode:index/placementGroup:PlacementGroup",
        "placement_group",
        placement_groups.NAME,
        "Linode Placement Group",
        Seconds(create=1, update=1, delete=1),
        replaces=frozenset({"region", "placementGroupType"}),
        checks={"placementGroupPolicy": one_of("strict", "flexible")},
    ),
    Resource(
        "linode:index/firewall:Firewall",
        "firewall",
        firewalls.NAME,
        "Linode Firewall",
        Seconds(create=1, update=1, delete=1),
        names={
            "disabled": "status",
            "inboundPolicy": "rules.inbound_policy",
            "outboundPolicy": "rules.outbound_policy",
            "inbounds": "rules.inbound",
            "outbounds": "rules.outbound",
            "fingerprint": "rules.fingerprint",
            "version": "rules.version",
            **{
                f"{rules}.{versions}": f"addresses.{versions[:-1]}"
                for rules in ("inbounds", "outbounds")
                for versions in ("ipv4s", "ipv6s")
            },
            "devices.entityId": "entity.id",
            "devices.label": "entity.label",
            "devices.type": "entity.type",
            "devices.url": "entity.url",
        },
        sets=frozenset({"tags"}),
        derived={
            "disabled": lambda document: document["status"] == "disabled",
            "linodes": _guarded("linode"),
            "nodebalancers": _guarded("nodebalancer"),
            "interfaces": lambda _: [],
        },
        unserved=frozenset({"linodes", "nodebalancers", "interfaces"}),
        checks={
            **dict.fromkeys(("inboundPolicy", "outboundPolicy", "inbounds.action", "outbounds.action"), _ACTIONS),
            **dict.fromkeys(("inbounds.protocol", "outbounds.protocol"), _PROTOCOLS),
        },
        to_body=_firewall_body,
    ),
    Resource(
        "linode:index/firewallDevice:FirewallDevice",
        "firewall_device",
        firewalls.DEVICE,
        "Linode Firewall Device",
        Seconds(create=1, update=1, delete=1),
        names={"entityId": "entity.id", "entityType": "entity.type"},
        replaces=frozenset({"firewallId", "entityId", "entityType"}),
        fills={"entityType": "linode"},
        above=("firewallId",),
    ),
    Resource(
        "linode:index/nodeBalancer:NodeBalancer",
        "node_balancer",
        node_balancers.NAME,
        "Linode NodeBalancer",
        Seconds(create=5, update=1, delete=2),
        names={
            "transfers": "transfer",
            "firewalls.inbounds": "rules.inbound",
            "firewalls.outbounds": "rules.outbound",
            "firewalls.inboundPolicy": "rules.inbound_policy",
            "firewalls.outboundPolicy": "rules.outbound_policy",
            **{
                f"firewalls.{rules}.{versions}": f"addresses.{versions[:-1]}"
                for rules in ("inbounds", "outbounds")
                for versions in ("ipv4s", "ipv6s")
            },
        },
        singles=frozenset({"transfers"}),
        sets=frozenset({"tags"}),
        replaces=frozenset({"region", "firewallId", "vpcs", "type", "ipv4", "backendConnectivity"}),
        fills={"region": "us-east"},  # the plugin's own default, which is why a program always says it
        derived={
            "backendConnectivity": lambda _: "legacy",
            "backendIpv6Prefix": lambda _: None,
            "lkeClusters": lambda _: [],
        },
        unserved=frozenset({"backendConnectivity", "firewallId", "ipv4", "type", "vpcs"}),
        checks={"clientConnThrottle": between(0, 20), "label": length(3, 32)},
    ),
    Resource(
        "linode:index/nodeBalancerConfig:NodeBalancerConfig",
        "node_balancer_config",
        node_balancers.CONFIG,
        "Linode NodeBalancer Config",
        Seconds(create=1, update=1, delete=1),
        names={"nodeStatuses": "nodes_status"},
        singles=frozenset({"nodeStatuses"}),
        replaces=frozenset({"nodebalancerId"}),
        checks={
            "port": between(1, 65_535),
            "protocol": one_of("http", "https", "tcp"),
            "algorithm": one_of("roundrobin", "leastconn", "source"),
            "check": one_of("none", "connection", "http", "http_body"),
            "checkTimeout": between(1, 30),
            "checkAttempts": between(1, 30),
            "stickiness": one_of("none", "table", "http_cookie"),
            "proxyProtocol": one_of("none", "v1", "v2"),
            "cipherSuite": one_of("recommended", "legacy"),
        },
        above=("nodebalancerId",),
    ),
    Resource(
        "linode:index/nodeBalancerNode:NodeBalancerNode",
        "node_balancer_node",
        node_balancers.NODE,
        "Linode NodeBalancer Node",
        Seconds(create=1, update=1, delete=1),
        replaces=frozenset({"nodebalancerId", "configId", "subnetId"}),
        unserved=frozenset({"subnetId"}),
        checks={
            "weight": between(1, 255),
            "mode": one_of("accept", "reject", "drain", "backup"),
            "label": length(3, 32),
        },
        above=("nodebalancerId", "configId"),
    ),
    Resource(
        "linode:index/databasePostgresqlV2:DatabasePostgresqlV2",
        "database_postgresql_v2",
        databases.NAME,
        "Linode PostgreSQL Database",
        Seconds(create=780, update=60, delete=20),
        names={
            "engineId": "engine",
            "allowLists": "allow_list",
            "hostPrimary": "hosts.primary",
            "hostStandby": "hosts.standby",
            "hostSecondary": "hosts.standby",
            "rootUsername": "credentials.username",
            "rootPassword": "credentials.password",
            "caCert": "ssl.ca_certificate",
            "pendingUpdates": "updates.pending",
            "forkSource": "fork.source",
            "forkRestoreTime": "fork.restore_time",
        },
        sets=frozenset({"allowLists"}),
        replaces=frozenset({"region", "forkSource", "forkRestoreTime"}),
        derived={
            "engine": lambda document: document["engine"],
            "engineId": lambda document: f"{document['engine']}/{document['version']}",
            "suspended": lambda document: document["status"] == "suspended",
        },
        only_written=frozenset({"forkRestoreTime"}),  # the API answers it in its own spelling
        unserved=frozenset({"privateNetwork", "suspended", "engineConfig*"}),
        normal={"allowLists": _with_masks},
        checks={"label": length(3, 32)},
    ),
    Resource(
        "linode:index/databaseAccessControls:DatabaseAccessControls",
        "database_access_controls",
        databases.NAME,
        "Linode Database Access Controls",
        Seconds(create=10, update=10, delete=10),
        names={"databaseId": "id", "databaseType": "type", "allowLists": "allow_list"},
        sets=frozenset({"allowLists"}),
        replaces=frozenset({"databaseId", "databaseType"}),
        normal={"allowLists": _with_masks},
        checks={"databaseType": one_of("mysql", "postgresql")},
        identify=lambda document: f"{document['id']}:{document['type']}",
        life=_AllowList(),
    ),
    Resource(
        "linode:index/objectStorageBucket:ObjectStorageBucket",
        "object_storage_bucket",
        object_storage.BUCKET,
        "Linode Object Storage Bucket",
        Seconds(create=3, update=1, delete=2),
        sets=frozenset({"lifecycleRules"}),
        replaces=frozenset({"label", "region", "endpointType", "s3Endpoint"}),
        fills={"acl": "private"},
        derived={"endpoint": lambda document: document["s3_endpoint"]},
        unserved=frozenset({"cert"}),
        secrets=frozenset({"cert"}),
        identify=lambda document: f"{document['region']}:{document['label']}",
    ),
    Resource(
        "linode:index/objectStorageKey:ObjectStorageKey",
        "object_storage_key",
        object_storage.KEY,
        "Linode Object Storage Key",
        Seconds(create=2, update=1, delete=1),
        names={"bucketAccesses": "bucket_access", "regionsDetails": "regions"},
        sets=frozenset({"regions", "bucketAccesses"}),
        replaces=frozenset({"bucketAccesses"}),
        derived={"regions": lambda document: [region["id"] for region in document["regions"]]},
        importable=False,  # its secret can't be read again
    ),
)
