"""What `sandbox.machines` plays with real processes: the instances and NodeBalancers of all accounts, at a glance.

What it finds out about nodes comes back as verdicts. They hold for some seconds, and are given again and again: when
nobody is left to find out, the model says again what is usual.
"""

import time
from collections.abc import Mapping
from typing import Any

from sandbox.linode import backups, instances, node_balancers
from sandbox.model import Body, arrives, conditions, measure
from sandbox.store import Record, Transaction


def show(tx: Transaction) -> Body:
    """The instances and NodeBalancers, each with what a process in its place has to know; no secrets."""
    wrong = conditions(tx)
    return {
        "instances": [_instance(tx, found, wrong) for found in tx.everyones(instances.NAME)],
        "balancers": [_balancer(tx, found, wrong) for found in tx.everyones(node_balancers.NAME)],
    }


def births(tx: Transaction) -> Body:
    """The user data of each instance, by its id: base64, None where it has none."""
    return {found.id: (found.private["metadata"] or {}).get("user_data") for found in tx.everyones(instances.NAME)}


def set_verdicts(tx: Transaction, given: Any) -> Body:
    """Takes what is so of nodes, by their id, for some seconds. Raises KeyError and TypeError for another form."""
    nodes = {str(node): str(verdict) for node, verdict in given["nodes"].items()}
    tx.set(node_balancers.VERDICTS, {"until": time.time() + float(given["seconds"]), "nodes": nodes})
    return {"nodes": nodes}


def _instance(tx: Transaction, record: Record, wrong: Mapping[str, list[str]]) -> Body:
    disks = record.private.get("disks", ())
    return {
        "id": record.id,
        "label": record.body["label"],
        "region": record.body["region"],
        "ipv4": record.body["ipv4"],
        "status": instances.status(tx, record),
        # Another one: what was on the instance is gone.
        "disk": disks[0]["id"] if disks else None,
        # Whose backup that disk is of, if it is one's.
        "restored": record.private.get(backups.RESTORED),
        "backups": backups.known(tx, record),
        # Another one: it has been off in between.
        "booted": arrives(record.private),
        "boots": record.body["label"] not in wrong["unbootable"],
        # What ails its application.
        "ails": {name: measure(wrong[name], record.body["label"]) for name in ("failing", "slow")},
    }


def _balancer(tx: Transaction, record: Record, wrong: Mapping[str, list[str]]) -> Body:
    is_on = record.body["region"] not in wrong["regions_down"]
    own = [child for child in tx.children(node_balancers.NAME, record.id) if child.kind == node_balancers.CONFIG]
    return {
        "id": record.id,
        "label": record.body["label"],
        "ipv4": record.body["ipv4"],
        "configs": [_config(tx, record, config) for config in own if is_on],
    }


def _config(tx: Transaction, balancer: Record, record: Record) -> Body:
    names = ("port", "algorithm", "proxy_protocol", "check", "check_interval", "check_timeout", "check_attempts")
    nodes = [_node(tx, balancer, node) for node in tx.children(node_balancers.CONFIG, record.id)]
    return {"id": record.id, **{name: record.body[name] for name in names}, "nodes": nodes}


def _node(tx: Transaction, balancer: Record, record: Record) -> Body:
    address, _, port = record.body["address"].rpartition(":")
    backend = node_balancers.holder(tx, record.account, balancer.body["region"], address)
    return {
        "id": record.id,
        "instance": backend.id if backend else None,
        "port": int(port),
        "mode": record.body["mode"],
        "weight": record.body["weight"],
    }
