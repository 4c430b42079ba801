"""The web application: it finds the route, lets the token in, meets the faults, and puts answers into form."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Mapping

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Address
from starlette.types import Receive, Scope, Send

from sandbox.api import listing, reading
from sandbox.api.cloud import Access, Cloud
from sandbox.api.route import Call, Page, Raw, Route
from sandbox.faults import Fault, Faults, Moment
from sandbox.model import Model, Refused

logger = logging.getLogger("sandbox")


class _Anything(StringConvertor):
    """The rest of a path, whatever characters are in it."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _Anything())


class Closed(Exception):  # noqa: N818 (no error: the connection ends without an answer, as was asked)
    """The connection is closed without an answer."""


class Door:
    """One cloud's API over the model; `accounts` is what each token opens."""

    def __init__(self, cloud: Cloud, model: Model, accounts: Mapping[str, Access], faults: Faults) -> None:
        self._cloud = cloud
        self._model = model
        self._accounts = accounts
        self._faults = faults
        self._meter = _Meter(cloud)

    def addresses(self) -> Iterator[BaseRoute]:
        """The cloud's addresses, and whatever else is below its prefix."""
        known: dict[str, dict[str, Route]] = {}
        for route in self._cloud.routes:
            known.setdefault(route.path, {})[route.method] = route
        for path, routes in known.items():
            yield Address(path, _Endpoint(self, routes))
        yield Address(f"{self._cloud.prefix}/{{rest:anything}}", _Endpoint(self, {}))

    async def answer(self, request: Request, routes: Mapping[str, Route]) -> Response:
        """Answers a request to an address with these routes by method. Raises Closed where no answer is to be given."""
        faults = self._faults.meet(f"{request.method} {request.url.path}")
        await _meet(faults, "before")
        given = next((fault for fault in faults if fault.what == "error"), None)
        if given:
            refused = self._cloud.too_many if given.status == self._cloud.too_many.status else self._cloud.failed
            return JSONResponse(self._cloud.error(refused), given.status, {"Retry-After": str(given.retry_after)})
        response = await self._answer(request, routes)
        await _meet(faults, "after")
        return response

    async def _answer(self, request: Request, routes: Mapping[str, Route]) -> Response:
        headers: dict[str, str] = {}
        try:
            access = self._cloud.admit(request.headers.get("authorization", ""), self._accounts)
            headers |= {**self._cloud.scope_headers(access), **self._meter.count(request.headers["authorization"])}
            route = self._route(request, routes)
            call = await self._call(request, access)
            if route.scope and not self._cloud.allows(call, route.scope):
                raise self._cloud.forbidden
            found = await run_in_threadpool(route.handle, call)
            if isinstance(found, Raw):
                return Response(found.text, headers={**headers, "Content-Type": found.content_type})
            body = self._cloud.page(found) if isinstance(found, Page) else self._cloud.answer(found)
            return JSONResponse(body, headers=headers)
        except Refused as refused:
            return JSONResponse(self._cloud.error(refused), refused.status, headers)

    def _route(self, request: Request, routes: Mapping[str, Route]) -> Route:
        if request.method in routes:
            return routes[request.method]
        _say_unserved(request)
        raise self._cloud.wrong_method if routes else self._cloud.missing

    async def _call(self, request: Request, access: Access) -> Call:
        try:
            text, form = await reading.text(request), request.headers.get("content-type", "")
            is_form = form.startswith("multipart/form-data")
            body = reading.parts(form, text) if is_form else reading.document(text or "{}")
        except reading.TooLarge:
            raise self._cloud.too_large from None
        except ValueError:
            raise self._cloud.malformed from None
        if not isinstance(body, dict):
            raise self._cloud.malformed
        chosen = listing.x_filter(request.headers.get("x-filter")) if self._cloud.filtered else {}
        return Call(
            self._model, access.account, access.scopes, request.path_params, dict(request.query_params), chosen, body
        )


class _Endpoint:
    """An address as an application of its own, which takes every method: what is not served is said in form."""

    def __init__(self, door: Door, routes: Mapping[str, Route]) -> None:
        self._door = door
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._door.answer(Request(scope, receive), self._routes)
        except Closed:
            await _hang_up(receive)
        else:
            await response(scope, receive, send)


async def _hang_up(receive: Receive) -> None:
    """Closes the connection without an answer. ASGI has no way to say so: this is the server's own (uvicorn)."""
    receive.__self__.transport.abort()  # type: ignore[attr-defined]
    while (await receive())["type"] != "http.disconnect":
        pass


class _Meter:
    """How many requests a token has left in this window. It only tells: whoever is over it is not refused."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._guard = threading.Lock()
        self._began = 0.0
        self._spent: dict[str, int] = {}

    def count(self, token: str) -> Mapping[str, str]:
        """Counts one request; the headers that tell."""
        with self._guard:
            now = time.time()
            if now - self._began >= self._cloud.window:
                self._began, self._spent = now, {}
            self._spent[token] = spent = self._spent.get(token, 0) + 1
            reset = int(self._began + self._cloud.window)
        return self._cloud.rate_headers(self._cloud.rate, max(0, self._cloud.rate - spent), reset)


async def _meet(faults: list[Fault], moment: Moment) -> None:
    for fault in faults:
        await asyncio.sleep(fault.waits(moment))
        if fault.closes(moment):
            raise Closed


def application(doors: list[Door], *others: BaseRoute) -> Starlette:
    """All of the sandbox's addresses."""
    of_clouds = [address for door in doors for address in door.addresses()]
    served = Starlette(routes=[*others, *of_clouds, Address("/{rest:anything}", _Nowhere())])
    served.router.redirect_slashes = False
    return served


class _Nowhere:
    """Addresses that are of neither cloud, nor the sandbox's own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _say_unserved(Request(scope))
        answer = JSONResponse({"error": "the sandbox serves /v4 (Linode), /client/v4 (Cloudflare) and /sandbox"}, 404)
        await answer(scope, receive, send)


def _say_unserved(request: Request) -> None:
    # As it was sent: decoded, a path may hold line breaks.
    path = request.scope.get("raw_path", b"").decode("ascii", "replace")
    logger.warning("the sandbox does not serve %s %s", request.method, path)
