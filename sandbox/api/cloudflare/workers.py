"""The addresses of Workers that are no plain life: a script is uploaded as a form, and read in three places."""

from sandbox.api import reading
from sandbox.api.cloudflare.lives import ACCOUNT
from sandbox.api.route import Call, Raw, Route
from sandbox.cloudflare import workers
from sandbox.model import Body, Problem, Refused

_SCRIPT = f"{ACCOUNT}/workers/scripts/{{id}}"
_READS, _WRITES = "Workers Scripts Read", "Workers Scripts Write"
_SETTINGS = ("bindings", "compatibility_date", "compatibility_flags", "logpush", "placement", "tail_consumers")
_METADATA = ("main_module", "compatibility_date", "compatibility_flags", "logpush", "usage_model")
_BOUNDARY = "part-of-the-worker"


def _upload(call: Call) -> Body:
    try:
        metadata = reading.document(call.body.get("metadata") or "")
        content = call.body[metadata["main_module"]]
    except (ValueError, KeyError, TypeError):
        raise Refused(400, Problem("No such module: the main module is no part of the form.", code=10_021)) from None
    unknown = [name for name, value in metadata.items() if value and name not in _METADATA]
    if unknown:
        raise Refused(400, *(Problem("The sandbox does not serve this field", name) for name in unknown))
    named = {"account_id": call.path["account"], "script_name": call.path["id"], "content": content}
    found = workers.upload(call.model, call.account, {**metadata, **named})
    return {name: value for name, value in found.items() if name not in ("account_id", "content")}


def _script(call: Call) -> Body:
    try:
        return call.model.read(call.account, workers.SCRIPT, call.path["id"])
    except Refused:
        raise Refused(404, Problem("This Worker does not exist on your account.", code=10_007)) from None


def _content(call: Call) -> Raw:
    found = _script(call)
    name = found["main_module"]
    head = f'Content-Disposition: form-data; name="{name}"; filename="{name}"'
    lines = (f"--{_BOUNDARY}", head, "Content-Type: application/javascript+module", "", found["content"])
    return Raw("\r\n".join((*lines, f"--{_BOUNDARY}--", "")), f"multipart/form-data; boundary={_BOUNDARY}")


def _settings(call: Call) -> Body:
    found = _script(call)
    return {name: found[name] for name in _SETTINGS}


def _service(call: Call) -> Body:
    found = _script(call)
    script = {name: value for name, value in found.items() if name not in ("account_id", "content")}
    return {"id": found["id"], "default_environment": {"environment": "production", "script": script}}


ROUTES: tuple[Route, ...] = (
    Route("PUT", _SCRIPT, "makes or replaces a Worker", _upload, _WRITES),
    Route("GET", f"{_SCRIPT}/content/v2", "shows a Worker's modules", _content, _READS),
    Route("GET", f"{_SCRIPT}/settings", "shows a Worker's settings", _settings, _READS),
    Route("GET", f"{ACCOUNT}/workers/services/{{id}}", "shows what a Worker runs as", _service, _READS),
)
