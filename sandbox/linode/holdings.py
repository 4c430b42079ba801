"""What `sandbox.data` plays with real processes: the databases, buckets and keys of all accounts, at a glance."""

import ipaddress
from collections.abc import Iterator

from sandbox.linode import databases, instances, object_storage
from sandbox.model import Body, conditions
from sandbox.store import Record, Transaction


def show(tx: Transaction) -> Body:
    """The databases and the S3 hosts, each with what a process in its place has to know; with their secrets."""
    wrong = conditions(tx)
    down = wrong["regions_down"]
    buckets = tx.everyones(object_storage.BUCKET)
    keys = tx.everyones(object_storage.KEY)
    return {
        "databases": [_database(tx, found, wrong) for found in tx.everyones(databases.NAME)],
        "hosts": {
            host: _host([each for each in buckets if each.body["s3_endpoint"] == host], keys, down)
            for host in sorted({each.body["s3_endpoint"] for each in buckets})
        },
    }


def _database(tx: Transaction, record: Record, wrong: dict[str, list[str]]) -> Body:
    fork, body = record.body["fork"], record.body
    is_well = body["region"] not in wrong["regions_down"] and body["label"] not in wrong["unhealthy"]
    return {
        "id": record.id,
        "label": body["label"],
        "region": body["region"],
        "on": is_well and databases.status(tx, record) != databases.PROVISIONING,
        "version": int(body["version"]),
        "hosts": [host for host in body["hosts"].values() if host],
        "port": body["port"],
        "credentials": record.private["credentials"],
        "name": databases.DATABASE,
        "authority": databases.authority(record),
        # The servers that its allow list names.
        "admits": [each.id for each in tx.everyones(instances.NAME) if _is_admitted(each, body["allow_list"])],
        "source": str(fork["source"]) if fork else None,
        # By this machine's clock, in seconds since 1970.
        "restored_to": record.private.get("restored_to", 0.0),
    }


def _is_admitted(instance: Record, allowed: list[str]) -> bool:
    networks = [ipaddress.ip_network(each) for each in allowed]
    return any(ipaddress.ip_address(each) in network for each in instance.body["ipv4"] for network in networks)


def _host(buckets: list[Record], keys: list[Record], down: list[str]) -> Body:
    """An S3 host of one region: its buckets, each with the keys that open it and what they may, and those keys."""
    opened = {each.body["label"]: dict(_openers(each, keys)) for each in buckets}
    known = {access for openers in opened.values() for access in openers}
    secrets = {each.body["access_key"]: each.private["secret"] for each in keys}
    region = buckets[0].body["region"]
    return {
        "region": region,
        "on": region not in down,
        "buckets": opened,
        "keys": {access: secret for access, secret in secrets.items() if access in known},
    }


def _openers(bucket: Record, keys: list[Record]) -> Iterator[tuple[str, str]]:
    region, label = bucket.body["region"], bucket.body["label"]
    for key in keys:
        if key.account != bucket.account:
            continue
        regions = {each["id"] for each in key.body["regions"]}
        limits = key.body["bucket_access"]
        if limits is None and (not regions or region in regions):
            yield key.body["access_key"], "everything"
        for entry in limits or ():
            if (entry["region"], entry["bucket_name"]) == (region, label):
                yield key.body["access_key"], entry["permissions"]
