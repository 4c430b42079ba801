"""The sandbox's own addresses, which no cloud has: its clock, its faults, its fleet, tokens with fewer scopes.

They take the sandbox's control token, which is in its folder's `sandbox.json`.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from sandbox import faults
from sandbox.api import reading
from sandbox.api.cloud import Access
from sandbox.cloudflare import edge, probes
from sandbox.faults import Faults
from sandbox.linode import fleet, holdings
from sandbox.model import Model

PREFIX = "/sandbox"


@dataclass(frozen=True)
class Held:
    """What is controlled; `tokens` is what each cloud's tokens open, and is added to."""

    model: Model
    faults: Faults
    tokens: dict[str, dict[str, Access]]


@dataclass(frozen=True)
class Address:
    """A method and a path below the prefix, what it does, and what does it with the document given (GET: None)."""

    method: str
    path: str
    does: str
    handle: Callable[[Held, Any], Any]


def _set_verdicts(held: Held, given: Any) -> Any:
    return held.model.ask(lambda tx: fleet.set_verdicts(tx, given))


def _set_found(held: Held, given: Any) -> Any:
    return held.model.ask(lambda tx: probes.set_found(tx, given))


def _move(held: Held, given: Any) -> Any:
    return {"now": held.model.move(float(given["by"])).isoformat()}


def _set_faults(held: Held, given: Any) -> Any:
    held.faults.set(faults.read(given))
    return held.faults.show()


def _add_token(held: Held, given: Any) -> Any:
    if not isinstance(given["scopes"], list):
        raise TypeError("scopes are a list of words")
    made = secrets.token_hex(32)
    held.tokens[given["cloud"]][made] = Access(str(given["account"]), frozenset(map(str, given["scopes"])))
    return {"token": made}


ADDRESSES = (
    Address(
        "GET", "/clock", "says what time it is in the clouds", lambda held, _: {"now": held.model.now().isoformat()}
    ),
    Address("POST", "/clock", "moves the clouds' time forward: `by` so many seconds", _move),
    Address("GET", "/faults", "lists the faults, and how often each has struck", lambda held, _: held.faults.show()),
    Address("PUT", "/faults", "puts a list of faults in the place of all others", _set_faults),
    Address("GET", "/conditions", "says what is wrong in the clouds", lambda held, _: held.model.conditions()),
    Address(
        "PUT", "/conditions", "sets what is wrong in the clouds", lambda held, given: held.model.set_conditions(given)
    ),
    Address(
        "GET",
        "/fleet",
        "lists what a process a server plays: instances, NodeBalancers and their nodes, of all accounts",
        lambda held, _: held.model.ask(fleet.show),
    ),
    Address(
        "GET", "/births", "lists the user data of instances by their id", lambda held, _: held.model.ask(fleet.births)
    ),
    Address(
        "GET",
        "/holdings",
        "lists what real processes play: databases, buckets and keys, of all accounts, with their secrets",
        lambda held, _: held.model.ask(holdings.show),
    ),
    Address("PUT", "/verdicts", "says which nodes really are `UP` and `DOWN`, for so many `seconds`", _set_verdicts),
    Address(
        "GET",
        "/edge",
        "lists what real processes play of Cloudflare: proxied names, their pools, and what is probed",
        lambda held, _: held.model.ask(edge.show),
    ),
    Address(
        "PUT", "/probes", "says what probes really `found`, by watch and region, for so many `seconds`", _set_found
    ),
    Address(
        "POST",
        "/tokens",
        "makes a token that opens an `account` of a `cloud` (`linode`, `cloudflare`) for `scopes` only",
        _add_token,
    ),
)


def mount(token: str, held: Held) -> Mount:
    """The part of the application below its prefix."""

    def guarded(handle: Callable[[Held, Any], Any]) -> Any:
        async def answer(request: Request) -> JSONResponse:
            shown = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not secrets.compare_digest(shown.encode(), token.encode()):
                return JSONResponse({"error": "this takes the control token of the sandbox's folder"}, 401)
            try:
                given = reading.document(await reading.text(request)) if request.method != "GET" else None
                return JSONResponse(handle(held, given))
            except reading.TooLarge:
                return JSONResponse({"error": "the body is too large"}, 413)
            except KeyError as missing:
                return JSONResponse({"error": f"{missing} is missing, or none that is known"}, 400)
            except (TypeError, ValueError) as error:
                return JSONResponse({"error": f"{error}"}, 400)

        return answer

    return Mount(PREFIX, routes=[Route(at.path, guarded(at.handle), methods=[at.method]) for at in ADDRESSES])
