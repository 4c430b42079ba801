"""Cloudflare's addresses that are no object's life: accounts, tokens, settings, what probes found, address ranges."""

from typing import Any

from sandbox import ids
from sandbox.api import listing
from sandbox.api.cloudflare.lives import ACCOUNT, PREFIX, ZONE
from sandbox.api.route import Call, Page, Route
from sandbox.cloudflare import accounts, ip_ranges, load_balancing, origin_pulls, zones
from sandbox.model import Body, Problem, Refused

_POOLS, _MONITORS = f"{ACCOUNT}/load_balancers/pools", f"{ACCOUNT}/load_balancers/monitors"
_PROBES = "Load Balancing: Monitors And Pools Read"
_SETTINGS, _PULLS = f"{ZONE}/settings", f"{ZONE}/origin_tls_client_auth/settings"
_accounts_page = listing.cloudflare((5, 50), 20)
_all_at_once = listing.cloudflare(None)


def _verify(call: Call) -> Body:
    return {"id": ids.hexadecimal("token", call.account, *sorted(call.scopes)), "status": "active"}


def _accounts(call: Call) -> Page:
    return _accounts_page(call, *listing.given([accounts.describe(call.account)]))


def _account(call: Call) -> Body:
    return accounts.describe(call.account)


def _health(call: Call) -> Body:
    found = call.model.read_whole(call.account, load_balancing.POOL, call.path["id"])
    return {"pool_id": found["id"], "pop_health": found["pop_health"]}


def _references(call: Call, kind: str) -> Page:
    found = call.model.read_whole(call.account, kind, call.path["id"])
    return _all_at_once(call, *listing.given(found["references"]))


def _shown(setting: Body) -> Body:
    return {name: setting[name] for name in ("id", "value", "editable", "modified_on")}


def _settings(call: Call) -> Any:
    call.model.read(call.account, zones.NAME, call.path["zone"])
    found, _ = call.model.page(call.account, zones.SETTING, f"{zones.NAME}/{call.path['zone']}", 0, -1)
    return [*map(_shown, found)]


def _setting(call: Call) -> Body:
    return _shown(call.model.read(call.account, zones.SETTING, "{zone}/{id}".format(**call.path)))


def _set(call: Call) -> Body:
    given = {"value": call.body.get("value")}
    return _shown(call.model.update(call.account, zones.SETTING, "{zone}/{id}".format(**call.path), given))


def _pulls(call: Call) -> Body:
    return {"enabled": call.model.read(call.account, origin_pulls.SETTINGS, call.path["zone"])["enabled"]}


def _set_pulls(call: Call) -> Body:
    given = {"enabled": call.body.get("enabled")}
    return {"enabled": call.model.update(call.account, origin_pulls.SETTINGS, call.path["zone"], given)["enabled"]}


def _ips(call: Call) -> Body:
    if call.query.get("networks"):
        raise Refused(400, Problem("the sandbox knows the address ranges of Cloudflare's own network only", "networks"))
    return dict(ip_ranges.ADDRESSES)


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PREFIX}/ips", "lists Cloudflare's address ranges", _ips),
    Route("GET", f"{PREFIX}/user/tokens/verify", "says whether a token is good", _verify),
    Route("GET", f"{PREFIX}/accounts", "lists the token's account", _accounts, "Account Settings Read"),
    Route("GET", ACCOUNT, "shows the account", _account, "Account Settings Read"),
    Route("GET", f"{_POOLS}/{{id}}/health", "shows what the probes of a pool find", _health, _PROBES),
    Route(
        "GET",
        f"{_POOLS}/{{id}}/references",
        "lists what uses a pool",
        lambda call: _references(call, load_balancing.POOL),
        _PROBES,
    ),
    Route(
        "GET",
        f"{_MONITORS}/{{id}}/references",
        "lists what uses a monitor",
        lambda call: _references(call, load_balancing.MONITOR),
        _PROBES,
    ),
    Route("GET", _SETTINGS, "lists a zone's settings", _settings, "Zone Settings Read"),
    Route("GET", f"{_SETTINGS}/{{id}}", "shows a zone's setting", _setting, "Zone Settings Read"),
    Route("PATCH", f"{_SETTINGS}/{{id}}", "changes a zone's setting", _set, "Zone Settings Write"),
    Route("GET", _PULLS, "says whether a zone pulls with its own certificate", _pulls, "SSL and Certificates Read"),
    Route("PUT", _PULLS, "switches a zone's own certificate on or off", _set_pulls, "SSL and Certificates Write"),
)
