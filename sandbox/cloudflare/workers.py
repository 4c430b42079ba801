"""Workers: scripts that answer at the edge, and the routes that lead to them. Nothing runs them here."""

from collections.abc import Iterator

from sandbox import ids
from sandbox.cloudflare import rules
from sandbox.model import Body, Change, Field, Kind, Model, Problem

SCRIPT = "cloudflare.workers_script"
ROUTE = "cloudflare.workers_route"


def upload(model: Model, account: str, body: Body) -> Body:
    """Makes a script, or takes the place of the one of that name: an upload asks for nothing."""
    if not model.find(account, SCRIPT, body["script_name"]):
        return model.create(account, SCRIPT, body)
    emptied = {name: None for name, field in _SCRIPT.fields.items() if not field.required}
    return model.update(account, SCRIPT, body["script_name"], {**emptied, **body})


def _complete(change: Change) -> None:
    body = change.body
    body |= {
        "id": body["script_name"],
        "etag": ids.digest(body["content"]).hex(),
        "handlers": ["fetch"],
        "has_assets": False,
        "has_modules": True,
        "last_deployed_from": "api",
        "named_handlers": [],
        "placement": {},
        "tail_consumers": [],
        "bindings": [],
        "startup_time_ms": 1,
    }


def _pattern(change: Change) -> Iterator[Problem]:
    zone = change.other(rules.ZONE, change.body["zone_id"])
    host = str(change.body["pattern"]).rpartition("://")[2].partition("/")[0]
    if zone and not (host == zone.body["name"] or host.endswith(f".{zone.body['name']}")):
        yield Problem(f"Route pattern must include zone name {zone.body['name']}", code=10_022)


def _script(change: Change) -> Iterator[Problem]:
    name = change.body["script"]
    if name and not change.other(SCRIPT, name):
        said = "Cannot configure a route for a Worker which does not exist."
        yield Problem(f"{said} Please ensure this Worker exists and try again.", code=10_019)


_SCRIPT = Kind(
    SCRIPT,
    fields={
        "account_id": Field(required=True, fixed=True),
        "script_name": Field(
            required=True,
            fixed=True,
            pattern=r"[a-z0-9_][a-z0-9_-]{0,62}",
            says="Worker names are of lower-case letters, digits, dashes and underscores, 63 at most",
        ),
        "content": Field(required=True),
        "main_module": Field(required=True),
        "compatibility_date": Field(pattern=r"\d{4}-\d\d-\d\d", says="Invalid compatibility date"),
        "compatibility_flags": Field(list[str], default=()),
        "logpush": Field(bool, default=False),
        "usage_model": Field(choices=("standard", "bundled", "unbound"), default="standard"),
    },
    key=lambda body: str(body["script_name"]),
    taken=Problem("A Worker with that name exists already", code=10_040),
    rules=(rules.own_account,),
    complete=_complete,
    limit=500,
    over_limit=Problem("You have exceeded the limit of 500 Workers on your account", code=10_037),
    **{**rules.STYLE, "make_id": None},
)

KINDS = (
    _SCRIPT,
    Kind(
        ROUTE,
        fields={
            "zone_id": Field(required=True, fixed=True),
            "pattern": Field(required=True),
            "script": Field(),
        },
        key=lambda body: f"{body['zone_id']}/{body['pattern']}",
        taken=Problem("A route with the same pattern already exists.", code=10_020),
        rules=(_pattern, _script),
        parent=rules.in_zone,
        limit=1_000,
        over_limit=Problem("You have exceeded the limit of 1000 routes of a zone", code=10_036),
        **rules.STYLE,
    ),
)
