"""Good bodies of every kind, as the clouds' APIs take them: tests change what they are about."""

import base64
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sandbox import cloudflare, linode, process
from sandbox.cloudflare import origin_pulls, zones
from sandbox.model import Body, Model
from sandbox.store import Store

ZONE = "chat-tonic-us.example"
ZONE_ID = process.zone_id(ZONE)
ACCOUNT = process.CLOUDFLARE


def placement_group(**changes: Any) -> Body:
    return {
        "label": "api-a",
        "region": "us-central",
        "placement_group_type": "anti_affinity:local",
        "placement_group_policy": "strict",
    } | changes


def instance(**changes: Any) -> Body:
    return {
        "label": "api-1",
        "region": "us-central",
        "type": "g6-standard-1",
        "image": "linode/debian12",
        "root_pass": "correct horse battery",
        "private_ip": True,
        "backups_enabled": True,
        "tags": ["role-api", "environment-test"],
        "metadata": {"user_data": base64.b64encode(b"#cloud-config\n").decode()},
        "disk_encryption": "enabled",
        "interface_generation": "legacy_config",
    } | changes


def firewall_rule(**changes: Any) -> Body:
    return {
        "label": "https",
        "action": "ACCEPT",
        "protocol": "TCP",
        "ports": "443",
        "addresses": {"ipv4": ["192.0.2.0/24"], "ipv6": ["2001:db8::/32"]},
    } | changes


def firewall(*inbound: Body, **changes: Any) -> Body:
    rules = {"inbound_policy": "DROP", "outbound_policy": "ACCEPT", "inbound": [*inbound], "outbound": []}
    return {"label": "api-firewall", "rules": rules} | changes


def node_balancer(**changes: Any) -> Body:
    return {"label": "api-balancer", "region": "us-central", "client_conn_throttle": 0} | changes


def node_balancer_config(balancer: Body, **changes: Any) -> Body:
    return {
        "nodebalancer_id": balancer["id"],
        "port": 443,
        "protocol": "tcp",
        "proxy_protocol": "v2",
        "check": "connection",
        "check_interval": 10,
        "check_timeout": 5,
    } | changes


def node(config: Body, address: str, **changes: Any) -> Body:
    named = {"nodebalancer_id": config["nodebalancer_id"], "config_id": config["id"]}
    return {**named, "label": "api-1", "address": address, "weight": 100, "mode": "accept"} | changes


def database(**changes: Any) -> Body:
    return {
        "label": "main",
        "region": "us-central",
        "engine": "postgresql/16",
        "type": "g6-dedicated-2",
        "cluster_size": 2,
    } | changes


def bucket(**changes: Any) -> Body:
    return {"label": "copies-us", "region": "us-ord"} | changes


def bucket_key(**changes: Any) -> Body:
    access = {"region": "us-ord", "bucket_name": "copies-us", "permissions": "read_write"}
    return {"label": "copies-writer", "bucket_access": [access]} | changes


def monitor(**changes: Any) -> Body:
    return {"account_id": ACCOUNT, "type": "https", "interval": 60, "timeout": 5, "retries": 2, "port": 443} | changes


def pool(**changes: Any) -> Body:
    origins = [{"name": "api-balancer", "address": "198.18.0.1", "enabled": True}]
    return {"account_id": ACCOUNT, "name": "us-api", "origins": origins} | changes


def load_balancer(used: Body, **changes: Any) -> Body:
    return {
        "zone_id": ZONE_ID,
        "name": f"api.{ZONE}",
        "default_pools": [used["id"]],
        "fallback_pool": used["id"],
        "proxied": True,
    } | changes


def health_check(**changes: Any) -> Body:
    return {
        "zone_id": ZONE_ID,
        "name": "bots-api",
        "address": "198.18.0.1",
        "type": "TCP",
        "tcp_config": {"method": "connection_established", "port": 443},
    } | changes


def dns_record(**changes: Any) -> Body:
    return {
        "zone_id": ZONE_ID,
        "name": f"bots-api.{ZONE}",
        "type": "A",
        "content": "198.18.0.1",
        "ttl": 1,
        "proxied": True,
    } | changes


def worker(**changes: Any) -> Body:
    return {
        "account_id": ACCOUNT,
        "script_name": "us-failover",
        "content": "export default { fetch: () => new Response('é') };\n",
        "main_module": "failover.mjs",
        "compatibility_date": "2026-01-01",
    } | changes


def route(**changes: Any) -> Body:
    return {"zone_id": ZONE_ID, "pattern": f"failover.{ZONE}/*", "script": "us-failover"} | changes


def notification_policy(**changes: Any) -> Body:
    return {
        "account_id": ACCOUNT,
        "name": "pool health",
        "alert_type": "load_balancing_health_alert",
        "mechanisms": {"email": [{"id": f"board@{ZONE}"}]},
    } | changes


@cache
def certificate() -> tuple[str, str]:
    """A certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pull")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.now(UTC))
        .not_valid_after(datetime.now(UTC) + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return made.public_bytes(Encoding.PEM).decode(), pem


def origin_certificate(**changes: Any) -> Body:
    public, private = certificate()
    return {"zone_id": ZONE_ID, "certificate": public, "private_key": private} | changes


def new_model(file: Path) -> Model:
    """A model of both clouds on that file, with one zone."""
    made = Model(Store(file), (*linode.KINDS, *cloudflare.KINDS))
    zones.ensure(made, ACCOUNT, [ZONE], origin_pulls.settings_of)
    return made


class Cloud:
    """One account's view of the model: `cloud.make(...)` is a POST, `cloud.change(...)` a PUT, and so on."""

    def __init__(self, model: Model, account: str) -> None:
        self.model = model
        self.account = account

    def make(self, kind: str, body: Body) -> Body:
        return self.model.create(self.account, kind, body)

    def get(self, kind: str, identity: object) -> Body:
        return self.model.read(self.account, kind, identity)

    def change(self, kind: str, identity: object, **fields: Any) -> Body:
        return self.model.update(self.account, kind, identity, fields)

    def drop(self, kind: str, identity: object) -> None:
        self.model.delete(self.account, kind, identity)
