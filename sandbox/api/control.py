"""The sandbox's own addresses, which no cloud has: its clock, its faults, tokens with fewer scopes.

They take the sandbox's control token, which is in its folder's `sandbox.json`.
"""

import secrets
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from sandbox import faults
from sandbox.api import reading
from sandbox.api.cloud import Access
from sandbox.faults import Faults
from sandbox.model import Model

PREFIX = "/sandbox"


def mount(token: str, model: Model, known: Faults, tokens: dict[str, dict[str, Access]]) -> Mount:
    """The part of the application below its prefix; `tokens` is what each cloud's tokens open, and is added to."""

    def guarded(handle: Callable[[Any], Any]) -> Any:
        async def answer(request: Request) -> JSONResponse:
            shown = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not secrets.compare_digest(shown.encode(), token.encode()):
                return JSONResponse({"error": "this takes the control token of the sandbox's folder"}, 401)
            try:
                given = reading.document(await reading.text(request)) if request.method != "GET" else None
                return JSONResponse(handle(given))
            except reading.TooLarge:
                return JSONResponse({"error": "the body is too large"}, 413)
            except KeyError as missing:
                return JSONResponse({"error": f"{missing} is missing, or none that is known"}, 400)
            except (TypeError, ValueError) as error:
                return JSONResponse({"error": f"{error}"}, 400)

        return answer

    def move(given: Any) -> Any:
        return {"now": model.move(float(given["by"])).isoformat()}

    def set_faults(given: Any) -> Any:
        known.set(faults.read(given))
        return known.show()

    def add_token(given: Any) -> Any:
        made = secrets.token_hex(32)
        tokens[given["cloud"]][made] = Access(str(given["account"]), frozenset(map(str, given["scopes"])))
        return {"token": made}

    return Mount(
        PREFIX,
        routes=[
            Route("/clock", guarded(lambda _: {"now": model.now().isoformat()}), methods=["GET"]),
            Route("/clock", guarded(move), methods=["POST"]),
            Route("/faults", guarded(lambda _: known.show()), methods=["GET"]),
            Route("/faults", guarded(set_faults), methods=["PUT"]),
            Route("/conditions", guarded(lambda _: model.conditions()), methods=["GET"]),
            Route("/conditions", guarded(model.set_conditions), methods=["PUT"]),
            Route("/tokens", guarded(add_token), methods=["POST"]),
        ],
    )
