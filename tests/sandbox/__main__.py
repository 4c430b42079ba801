"""A small program with every kind of resource that the sandbox serves; OVERRIDES changes their inputs."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pulumi
from pulumi import Output, ResourceOptions

from components.sdk import cloudflare, linode

config = pulumi.Config()
account, zone = config.require("account"), config.require("zone")
overrides = json.loads(Path(os.environ["OVERRIDES"]).read_text())
HOST = "chat-tonic-us.example"


def make(kind: Any, name: str, inputs: dict[str, Any], **options: Any) -> Any:
    """Declares a resource, unless it is left out."""
    changes = overrides.get(name, {})
    return None if changes is None else kind(name, **{**inputs, **changes}, opts=ResourceOptions(**options))


def number(resource: Any) -> Any:
    """A Linode id, which the SDK wants as a number."""
    return resource.id.apply(int)


copies = linode.Provider("copies", token=config.require("copiesToken"))

group = make(
    linode.PlacementGroup,
    "group",
    {"label": "api-a", "region": "us-central", "placement_group_type": "anti_affinity:local"},
)
server = make(
    linode.Instance,
    "server",
    {
        "label": "api-1",
        "region": "us-central",
        "type": "g6-standard-1",
        "image": "linode/debian12",
        "root_pass": Output.secret("correct horse battery"),
        "metadatas": [{"user_data": Output.secret(base64.b64encode(b"#cloud-config\n").decode())}],
        "private_ip": True,
        "backups_enabled": True,
        "interface_generation": "legacy_config",
        "tags": ["environment-test", "role-api"],
        "placement_group": {"id": number(group)},
    },
    delete_before_replace=True,
)
firewall = make(
    linode.Firewall,
    "firewall",
    {
        "label": "api-servers",
        "inbound_policy": "DROP",
        "outbound_policy": "ACCEPT",
        "inbounds": [
            {"label": "https", "action": "ACCEPT", "protocol": "TCP", "ports": "443", "ipv4s": ["192.168.255.0/24"]}
        ],
    },
)
make(
    linode.FirewallDevice,
    "device",
    {"firewall_id": number(firewall), "entity_id": number(server), "entity_type": "linode"},
    deleted_with=server,
)
balancer = make(linode.NodeBalancer, "balancer", {"label": "api", "region": "us-central"}, delete_before_replace=True)
listener = make(
    linode.NodeBalancerConfig,
    "listener",
    {
        "nodebalancer_id": number(balancer),
        "port": 443,
        "protocol": "tcp",
        "proxy_protocol": "v2",
        "check": "connection",
        "check_interval": 10,
        "check_timeout": 5,
    },
)
make(
    linode.NodeBalancerNode,
    "node",
    {
        "nodebalancer_id": number(balancer),
        "config_id": number(listener),
        "label": "api-1",
        "address": Output.concat(server.private_ip_address, ":443"),
        "weight": 100,
        "mode": "accept",
    },
    delete_before_replace=True,
)
database = make(
    linode.DatabasePostgresqlV2,
    "database",
    {
        "label": "main",
        "engine_id": "postgresql/16",
        "region": "us-central",
        "type": "g6-dedicated-2",
        "cluster_size": 2,
        "updates": {"day_of_week": 3, "duration": 4, "frequency": "weekly", "hour_of_day": 4},
    },
    delete_before_replace=True,
    ignore_changes=["allowLists"],
)
make(
    linode.DatabaseAccessControls,
    "access",
    {
        "database_id": number(database),
        "database_type": "postgresql",
        "allow_lists": [server.ip_address.apply(lambda address: f"{address}/32")],
    },
    delete_before_replace=True,
)
bucket = make(linode.ObjectStorageBucket, "bucket", {"label": "copies-us", "region": "us-ord"}, provider=copies)
make(
    linode.ObjectStorageKey,
    "writer",
    {
        "label": "copies-writer",
        "bucket_accesses": [{"bucket_name": bucket.label, "region": "us-ord", "permissions": "read_write"}],
    },
    provider=copies,
)
monitor = make(
    cloudflare.LoadBalancerMonitor,
    "monitor",
    {
        "account_id": account,
        "type": "https",
        "port": 443,
        "path": "/healthz",
        "expected_codes": "200",
        "header": {"Host": [f"api.{HOST}"]},
        "probe_zone": HOST,
        "consecutive_up": 2,
        "consecutive_down": 1,
    },
)
pool = make(
    cloudflare.LoadBalancerPool,
    "pool",
    {
        "account_id": account,
        "name": "us-api",
        "origins": [{"name": "api", "address": balancer.ipv4, "enabled": True}],
        "monitor": monitor.id,
        "check_regions": ["ENAM"],
    },
)
make(
    cloudflare.LoadBalancer,
    "load-balancer",
    {
        "zone_id": zone,
        "name": f"api.{HOST}",
        "default_pools": [pool.id],
        "fallback_pool": pool.id,
        "proxied": True,
        "steering_policy": "off",
    },
)
make(
    cloudflare.DnsRecord,
    "record",
    {"zone_id": zone, "name": f"bots.{HOST}", "type": "A", "content": balancer.ipv4, "ttl": 1, "proxied": True},
    delete_before_replace=True,
)
make(
    cloudflare.Healthcheck,
    "health",
    {
        "zone_id": zone,
        "name": "bots",
        "address": balancer.ipv4,
        "type": "TCP",
        "tcp_config": {"method": "connection_established", "port": 443},
    },
)
make(
    cloudflare.NotificationPolicy,
    "policy",
    {
        "account_id": account,
        "name": "pool health",
        "alert_type": "load_balancing_health_alert",
        "enabled": True,
        "mechanisms": {"emails": [{"id": f"board@{HOST}"}]},
        "filters": {"pool_ids": [pool.id]},
    },
)
make(cloudflare.ZoneSetting, "ssl", {"zone_id": zone, "setting_id": "ssl", "value": "strict"})
make(cloudflare.AuthenticatedOriginPullsSettings, "pulls", {"zone_id": zone, "enabled": True})
make(
    cloudflare.AuthenticatedOriginPullsCertificate,
    "pull-certificate",
    {
        "zone_id": zone,
        "certificate": config.require("certificate"),
        "private_key": Output.secret(config.require("key")),
    },
)
worker = make(
    cloudflare.WorkersScript,
    "worker",
    {
        "account_id": account,
        "script_name": "us-failover",
        "content": "export default { fetch: () => new Response('1') };\n",
        "main_module": "failover.mjs",
        "compatibility_date": "2026-01-01",
    },
)
make(
    cloudflare.WorkersRoute,
    "route",
    {"zone_id": zone, "pattern": f"failover.{HOST}/*", "script": worker.script_name},
    delete_before_replace=True,
)
pulumi.export("address", server.ip_address)
pulumi.export("password", database.root_password)
