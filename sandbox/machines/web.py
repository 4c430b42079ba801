"""HTTP/1.1 as a machine's programs speak it: just enough of it, and light, since every machine has them."""

import asyncio
import contextlib
import json
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

_LARGEST = 2**20
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # of the PROXY protocol, version 2
_PROXIED = 0x21  # version 2, a connection made for somebody else; 0x20 is the proxy's own (a check)


@dataclass(frozen=True)
class Request:
    """A request; the names of its headers are in small letters."""

    method: str
    path: str
    client: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """A status, and a document that is sent as JSON."""

    status: int
    document: Any = field(default_factory=dict)


Handle = Callable[[Request], Awaitable[Answer]]


class Server:
    """Listens on an address of its own; `proxied`: every connection begins with a PROXY header.

    Closing the door leaves what is established; `drain` ends that, too, when what is asked is answered.
    """

    def __init__(self, address: str, port: int, handle: Handle, *, proxied: bool = False) -> None:
        self._where = (address, port)
        self._handle = handle
        self._proxied = proxied
        self._listener: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    @property
    def is_open(self) -> bool:
        """Whether it takes new connections."""
        return self._listener is not None

    @property
    def peers(self) -> list[str]:
        """Where the established connections come from, those of checks left out."""
        return [each.client for each in self._connections.values() if each.client]

    async def open(self) -> None:
        """Takes connections from now on."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, *self._where, backlog=512, limit=_LARGEST)

    def close(self) -> None:
        """Takes no new connections; those that are established go on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def drain(self, grace: float) -> None:
        """Closes, and ends every connection: an idle one at once, others when they are answered, or after the grace."""
        self.close()
        for task, connection in [*self._connections.items()]:
            connection.last = True
            if not connection.busy:
                task.cancel()
        if self._connections:
            await asyncio.wait([*self._connections], timeout=grace)
        for task in [*self._connections]:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio started it  # noqa: S101
        connection = self._connections[task] = _Connection()
        try:
            with contextlib.suppress(OSError, EOFError, ValueError, asyncio.CancelledError):
                connection.client = await self._client(reader, writer)
                while not connection.last:
                    await self._exchange(connection, reader, writer)
        finally:
            del self._connections[task]
            writer.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        if not self._proxied:
            host, port = writer.get_extra_info("peername")[:2]
            return f"{host}:{port}"
        head = await reader.readexactly(16)
        if not head.startswith(_SIGNATURE):
            raise ValueError("no PROXY header: only balancers come here")
        addresses = await reader.readexactly(int.from_bytes(head[14:16]))
        if head[12] != _PROXIED:
            return ""
        source = ".".join(str(byte) for byte in addresses[:4])
        return f"{source}:{struct.unpack('!H', addresses[8:10])[0]}"

    async def _exchange(
        self, connection: "_Connection", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        connection.busy = True
        start, *lines = head.split("\r\n")
        method, path, _ = start.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(min(int(headers.get("content-length", 0)), _LARGEST))
        answer = await self._handle(Request(method, path, connection.client, headers, body))
        connection.last = connection.last or headers.get("connection", "").lower() == "close"
        said = json.dumps(answer.document).encode() + b"\n"
        closing = "Connection: close\r\n" if connection.last else ""
        writer.write(
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(said)}\r\n{closing}\r\n".encode()
            + (b"" if method == "HEAD" else said)
        )
        await writer.drain()
        connection.busy = False


@dataclass
class _Connection:
    client: str = ""
    busy: bool = False
    last: bool = False


async def fetch(address: str, port: int, request: Request, within: float) -> Answer | None:
    """What a server answers; None where it answers nothing within so many seconds."""
    try:
        async with asyncio.timeout(within):
            return await _fetch(address, port, request)
    except (OSError, EOFError, ValueError):
        return None


async def _fetch(address: str, port: int, request: Request) -> Answer:
    reader, writer = await asyncio.open_connection(address, port)
    given = {"host": "localhost", **request.headers, "connection": "close", "content-length": str(len(request.body))}
    headers = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    try:
        writer.write(f"{request.method} {request.path} HTTP/1.1\r\n{headers}\r\n".encode() + request.body)
        whole = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = whole.partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ", 2)[1]), json.loads(body) if body else {})
