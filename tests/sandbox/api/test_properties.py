"""Whatever is sent to any route of either cloud is answered in its form; where it is refused, all is as before."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import cloudflare as cloudflare_kinds
from sandbox import linode as linode_kinds
from sandbox import process
from sandbox.api import cloudflare, linode
from sandbox.api.cloud import Access, Cloud
from sandbox.api.door import Door, application
from sandbox.api.route import Route
from sandbox.cloudflare import alerting, dns, health_checks, load_balancing, origin_pulls, zones
from sandbox.faults import Faults
from sandbox.linode import databases, firewalls, instances, node_balancers, object_storage, placement_groups
from sandbox.model import Model
from sandbox.store import Store
from tests.sandbox import bodies
from tests.sandbox.bodies import ACCOUNT, ZONE_ID

_KINDS = (*linode_kinds.KINDS, *cloudflare_kinds.KINDS)
_ROUTES = [(cloud, route) for cloud in (linode.CLOUD, cloudflare.CLOUD) for route in cloud.routes]
_LISTS = [(cloud, route) for cloud, route in _ROUTES if route.method == "GET" and "{" not in route.path]
_TOKENS = {"linode": Access(process.PLATFORM, frozenset({"*"})), "cloudflare": Access(ACCOUNT, frozenset({"*"}))}

_few = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
_many = settings(_few, max_examples=120)


class World:
    """Both clouds in this process, with an object of every kind; `reset` makes it as it was at first."""

    def __init__(self, folder: Path) -> None:
        self._file, self._first = folder / "sandbox.sqlite", folder / "first.sqlite"
        self.store = Store(self._file)
        self.model = Model(self.store, _KINDS)
        self.known = _fill(self.model)
        with sqlite3.connect(self._first) as first:
            self.store._sql.backup(first)
        doors = [
            Door(cloud, self.model, {"token": _TOKENS[cloud.name]}, Faults())
            for cloud in (linode.CLOUD, cloudflare.CLOUD)
        ]
        self._runner = asyncio.Runner()
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(application(doors)),
            base_url="http://sandbox",
            headers={"Authorization": "Bearer token"},
        )

    def reset(self) -> None:
        first = sqlite3.connect(self._first)
        first.backup(self.store._sql)
        first.close()

    def held(self) -> list[Any]:
        """All that the file holds, but for the log."""
        tables = ("object", "link", "birth", "tally", "notice", "setting")
        return [self.store._sql.execute(f"SELECT * FROM {table}").fetchall() for table in tables]  # noqa: S608

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._http.request(method, path, **options))

    def judge(self, cloud: Cloud, method: str, path: str, **options: Any) -> httpx.Response:
        """Asks, and judges the answer: its form, and what it left behind."""
        self.reset()
        before = self.held()
        answer = self.ask(method, path, **options)
        assert answer.status_code < 500
        said = answer.json()
        if answer.status_code >= 400:
            assert self.held() == before
            assert said.keys() == (
                {"errors"} if cloud.name == "linode" else {"success", "errors", "messages", "result"}
            )
            assert said["errors"]
        elif cloud.name == "cloudflare":
            assert said["success"] is True
        if method == "GET":
            assert self.held() == before
        return answer

    def close(self) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()
        self.store.close()


def _fill(model: Model) -> dict[str, list[str]]:
    """Makes an object of every kind; the ids that may stand after a part of a path."""
    zones.ensure(model, ACCOUNT, [bodies.ZONE], origin_pulls.settings_of)
    home, edge = bodies.Cloud(model, process.PLATFORM), bodies.Cloud(model, ACCOUNT)
    group = home.make(placement_groups.NAME, bodies.placement_group())
    server = home.make(instances.NAME, bodies.instance())
    firewall = home.make(firewalls.NAME, bodies.firewall())
    balancer = home.make(node_balancers.NAME, bodies.node_balancer())
    config = home.make(node_balancers.CONFIG, bodies.node_balancer_config(balancer))
    node = home.make(node_balancers.NODE, bodies.node(config, f"{server['ipv4'][1]}:443"))
    database = home.make(databases.NAME, bodies.database())
    home.make(object_storage.BUCKET, bodies.bucket())
    key = home.make(object_storage.KEY, bodies.bucket_key())
    monitor = edge.make(load_balancing.MONITOR, bodies.monitor())
    pool = edge.make(load_balancing.POOL, bodies.pool(monitor=monitor["id"]))
    steering = edge.make(load_balancing.LOAD_BALANCER, bodies.load_balancer(pool))
    check = edge.make(health_checks.NAME, bodies.health_check())
    record = edge.make(dns.NAME, bodies.dns_record())
    policy = edge.make(alerting.NAME, bodies.notification_policy())
    certificate = edge.make(origin_pulls.CERTIFICATE, bodies.origin_certificate())
    made = {
        "groups": [group],
        "instances": [server, database],
        "firewalls": [firewall],
        "nodebalancers": [balancer],
        "configs": [config],
        "nodes": [node],
        "keys": [key],
        "monitors": [monitor],
        "pools": [pool],
        "load_balancers": [steering],
        "healthchecks": [check],
        "dns_records": [record],
        "policies": [policy],
        "origin_tls_client_auth": [certificate],
    }
    return {
        **{part: [str(each["id"]) for each in objects] for part, objects in made.items()},
        "zones": [ZONE_ID],
        "accounts": [ACCOUNT],
        "settings": ["ssl", "security_header"],
        "buckets": ["us-ord", "us-ord-1"],
        "{region}": ["copies-us"],
        "regions": ["us-central"],
        "types": ["g6-standard-1"],
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


# What may be sent.

_GOOD: dict[str, list[Any]] = {
    "instances": [bodies.instance(label="other"), bodies.database(label="other")],
    "groups": [bodies.placement_group(label="other")],
    "firewalls": [bodies.firewall(bodies.firewall_rule(), label="other")],
    "rules": [bodies.firewall(bodies.firewall_rule())["rules"]],
    "nodebalancers": [bodies.node_balancer(label="other")],
    "configs": [{"port": 80, "protocol": "tcp", "check": "connection"}],
    "nodes": [{"label": "other", "address": "192.168.130.3:80", "weight": 1, "mode": "accept"}],
    "buckets": [bodies.bucket(label="other")],
    "keys": [bodies.bucket_key(label="other")],
    "monitors": [bodies.monitor()],
    "pools": [bodies.pool(name="other")],
    "load_balancers": [bodies.load_balancer({"id": "0" * 32}, region_pools={"WEU": ["0" * 32]}, rules=[{"name": "x"}])],
    "healthchecks": [bodies.health_check(name="other")],
    "dns_records": [bodies.dns_record(name=f"other.{bodies.ZONE}")],
    "policies": [bodies.notification_policy(filters={"pool_id": ["x"]})],
    "origin_tls_client_auth": [bodies.origin_certificate()],
    "settings": [{"value": "strict"}, {"enabled": True}],
}
_NAMES = sorted({name for kind in _KINDS for name in kind.fields} | {"id", "type", "linode_id", "backup_id", "linodes"})
_words = st.sampled_from(["", "0", "x", "us-central", "198.18.0.1", "2001:db8::/32", "\0", "🙂", "a" * 300, ZONE_ID])
_numbers = st.one_of(st.integers(-3, 70_000), st.sampled_from([10**12, -(10**30), 2**63, 0.5, -1e300, 1e15]))
_junk = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, _words, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(_NAMES), _words), inner, max_size=4)
    ),
    max_leaves=6,
)


@st.composite
def _spoiled(draw: st.DrawFn, good: Any) -> Any:
    """A good body with something else at one place in it."""
    if isinstance(good, dict) and good and draw(st.integers(0, 4)):
        name = draw(st.sampled_from([*good, *_NAMES[:: len(_NAMES) // 4]]))
        return {**good, name: draw(_spoiled(good.get(name)))}
    if isinstance(good, list) and good and draw(st.booleans()):
        return [draw(_spoiled(good[0])), *good[1:]]
    return draw(_junk)


def _bodies(route: Route) -> st.SearchStrategy[Any]:
    parts = [part for part in route.path.split("/") if not part.startswith("{")]
    good = [body for part in parts[-2:] for body in _GOOD.get(part, [])]
    spoiled = [st.just(body) | _spoiled(body) for body in good]
    return st.one_of(*spoiled, st.dictionaries(st.sampled_from(_NAMES), _junk, max_size=6), _junk)


@st.composite
def _addresses(draw: st.DrawFn, route: Route, known: dict[str, list[str]]) -> str:
    """The route's path with ids in it: mostly of what is there."""
    parts = route.path.split("/")
    for place, part in enumerate(parts):
        if part.startswith("{"):
            there = known.get(route.path.split("/")[place - 1], ["1"])
            strange = st.one_of(_words, st.text(min_size=1, max_size=6), st.integers().map(str))
            parts[place] = quote(draw(st.sampled_from(there * 4) if draw(st.integers(0, 5)) else strange), safe="")
    return "/".join(parts)


_pages = st.one_of(st.integers(-1, 600).map(str), st.text(max_size=5), st.sampled_from(["1e3", "٣", "9" * 30, "0x1"]))
_asked = st.dictionaries(
    st.sampled_from(["page", "page_size", "per_page", "order", "direction", "match", "name", "name.contains", "x.y"]),
    _pages,
    max_size=4,
)
_signs = st.sampled_from(
    ["+gt", "+gte", "+lt", "+lte", "+neq", "+contains", "+and", "+or", "+order_by", "+order", "+x"]
)
_fields = st.sampled_from(["label", "id", "tags", "region", "created", "specs.disk", "status", "x"])
_filters = st.recursive(
    st.one_of(st.dictionaries(_fields, _junk, max_size=2), st.dictionaries(_signs, _junk, max_size=2), _junk),
    lambda inner: st.one_of(
        st.dictionaries(st.one_of(_signs, _fields), st.one_of(inner, st.lists(inner, max_size=3)), max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(("cloud", "route"), _ROUTES, ids=lambda each: getattr(each, "name", None) or each.does)
def test_any_request_to_a_route_is_answered_in_form(world: World, cloud: Cloud, route: Route) -> None:
    @_few
    @given(st.data())
    def judged(data: st.DataObject) -> None:
        path = data.draw(_addresses(route, world.known))
        query = urlencode(data.draw(_asked)) if data.draw(st.integers(0, 3)) == 0 else ""
        body = None if route.method in ("GET", "DELETE") else json.dumps(data.draw(_bodies(route)))
        world.judge(cloud, route.method, f"{path}?{query}", content=body)

    judged()


@_many
@given(data=st.data())
def test_any_page_and_any_filter_is_answered_in_form(world: World, data: st.DataObject) -> None:
    cloud, route = data.draw(st.sampled_from(_LISTS))
    wanted = data.draw(st.one_of(_filters.map(json.dumps), st.text(st.characters(max_codepoint=255), max_size=9)))
    headers = {"X-Filter": wanted.encode("latin-1")}
    query = urlencode(data.draw(_asked))
    world.judge(cloud, "GET", f"{route.path}?{query}", headers=headers)


@_many
@given(data=st.data())
def test_any_path_is_answered_in_form(world: World, data: st.DataObject) -> None:
    cloud = data.draw(st.sampled_from([linode.CLOUD, cloudflare.CLOUD]))
    method = data.draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
    parts = st.one_of(st.text(max_size=8), st.sampled_from([*world.known, ZONE_ID, "//", "linode", "\n"]))
    path = "/".join(quote(part, safe="") for part in data.draw(st.lists(parts, max_size=5)))
    world.judge(cloud, method, f"{cloud.prefix}/{path}")


def test_no_route_takes_what_is_no_object(world: World) -> None:
    for cloud, route in _ROUTES:
        path = "/".join("1" if part.startswith("{") else part for part in route.path.split("/"))
        for content in (b"\xff", b'{"label": "\\ud800"}', b"[1]", b"{", b'"x"'):
            assert world.judge(cloud, route.method, path, content=content).status_code == 400
