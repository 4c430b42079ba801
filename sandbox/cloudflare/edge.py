"""What `sandbox.front` plays with real processes, at a glance: names that Cloudflare answers, and what it probes."""

from collections.abc import Iterator

from sandbox.cloudflare import dns, health_checks, load_balancing, workers
from sandbox.linode import instances, node_balancers
from sandbox.model import Body, conditions
from sandbox.store import Record, Transaction

_PORTS = {"https": 443, "http": 80}  # of monitors that name none
_PLACES = {instances.NAME: "instance", node_balancers.NAME: "balancer"}


def show(tx: Transaction) -> Body:
    """The proxied names with their pools, and the watches, each with what a process in its place has to know."""
    wrong = conditions(tx)
    routes = [each.body for each in tx.everyones(workers.ROUTE) if each.body["script"]]
    pools = tx.everyones(load_balancing.POOL)
    watches = (*_pools_watches(tx, pools), *_checks_watches(tx))
    return {
        "blind": wrong["blind"],
        "watches": [{**each, "unhealthy": bool({*each["names"]} & {*wrong["unhealthy"]})} for each in watches],
        "pools": {pool.id: _pool(tx, pool) for pool in pools},
        "balancers": [
            {"id": each.id, **each.body}
            for each in tx.everyones(load_balancing.LOAD_BALANCER)
            if each.body["enabled"] and each.body["proxied"]
        ],
        "records": [
            {"id": each.id, "name": each.body["name"], "place": _place(tx, each.body["content"])}
            for each in tx.everyones(dns.NAME)
            if each.body["proxied"]
        ],
        "zone": [
            {name: each.body[name] for name in ("name", "type", "content", "ttl")}
            for each in tx.everyones(dns.NAME)
            if not each.body["proxied"]
        ],
        "routes": [
            {"host": each["pattern"].rpartition("://")[2].partition("/")[0], "script": each["script"]}
            for each in routes
        ],
        "scripts": {
            each.body["script_name"]: each.body["content"]
            for each in tx.everyones(workers.SCRIPT)
            if each.body["script_name"] in {route["script"] for route in routes}
        },
    }


def _pool(tx: Transaction, pool: Record) -> Body:
    known = {name: pool.body[name] for name in ("name", "enabled", "minimum_origins", "monitor")}
    origins = [
        {**origin, "watch": load_balancing.watch(pool.id, origin), "place": _place(tx, origin["address"])}
        for origin in pool.body["origins"]
    ]
    return {**known, "origins": origins}


def _place(tx: Transaction, address: str) -> Body:
    """Whose address it is, and in which region that is."""
    for holder in tx.linked(instances.PUBLIC, address):
        return {"kind": _PLACES[holder.kind], "id": holder.id, "region": holder.body["region"], "address": address}
    return {"kind": "nobody", "id": address, "region": "", "address": address}


def _pools_watches(tx: Transaction, pools: list[Record]) -> Iterator[Body]:
    for pool in pools:
        monitor = tx.get(load_balancing.MONITOR, pool.body["monitor"]) if pool.body["monitor"] else None
        if not monitor or not pool.body["enabled"]:
            continue
        body = monitor.body
        for origin in load_balancing.checked(pool.body):
            yield {
                "id": load_balancing.watch(pool.id, origin),
                "names": [origin["address"], origin["name"]],
                "place": _place(tx, origin["address"]),
                "regions": load_balancing.regions(pool.body),
                "port": origin.get("port") or body["port"] or _PORTS.get(body["type"]),
                # That of an origin takes precedence (cloudflare-docs: load-balancing/monitors).
                "headers": {**(body["header"] or {}), **(origin.get("header") or {})},
                "consecutive": [body["consecutive_down"], body["consecutive_up"]],
                **{
                    name: body[name]
                    for name in (
                        "type",
                        "method",
                        "path",
                        "expected_codes",
                        "expected_body",
                        "interval",
                        "timeout",
                        "retries",
                    )
                },
            }


def _checks_watches(tx: Transaction) -> Iterator[Body]:
    for check in tx.everyones(health_checks.NAME):
        body = check.body
        if body["suspended"]:
            continue
        asked = body["tcp_config"] or body["http_config"]
        yield {
            "id": check.id,
            "names": [body["address"], body["name"]],
            "place": _place(tx, body["address"]),
            "regions": health_checks.regions(body),
            "port": asked["port"],
            "headers": asked.get("header") or {},
            "consecutive": [body["consecutive_fails"], body["consecutive_successes"]],
            "type": body["type"].lower(),
            "method": asked["method"],
            "path": asked.get("path", "/"),
            "expected_codes": ",".join(asked.get("expected_codes") or ()),
            "expected_body": asked.get("expected_body") or "",
            **{name: body[name] for name in ("interval", "timeout", "retries")},
        }
