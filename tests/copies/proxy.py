"""A way to an S3 server that can be slow, cut connections, answer itself, and say another time."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

CUT = b""
"""The answer of a connection that is cut in the middle of a request."""

FULL = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
DENIED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\nDate: %s\r\n\r\n"

Answer = Callable[[str, str], bytes | None]
"""From a request's method and path to what it is answered here; None where it goes on to the server."""


def denied(_method: str, _path: str) -> bytes:
    """Answer all requests as a server that has revoked the key."""
    return DENIED % format_datetime(datetime.now(UTC), usegmt=True).encode()


@dataclass
class Proxy:
    """The way. `url` is where it begins. A request waits for `delay` seconds, and then `answer` is asked about it."""

    upstream: str
    url: str = ""
    delay: float = 0.0
    clock: timedelta = timedelta()
    answer: Answer = lambda _method, _path: None
    requests: list[tuple[str, str]] = field(default_factory=list)

    def well(self) -> None:
        """Let everything through again."""
        self.delay, self.clock, self.answer = 0.0, timedelta(), lambda _method, _path: None
        self.requests.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.upstream.removeprefix("http://").partition(":")
        answers, server = await asyncio.open_connection(host, int(port))
        back = asyncio.create_task(self._back(answers, writer))
        try:
            while await self._pass_on(reader, writer, server):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            back.cancel()
            for each in (server, writer):
                each.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path = head.decode("latin-1").split(" ", 2)[:2]
        self.requests.append((method, path))
        length = int((re.findall(rb"(?i)\r\ncontent-length: (\d+)", head) or [0])[0])
        await asyncio.sleep(self.delay)
        answer = await asyncio.to_thread(self.answer, method, path)
        if answer == CUT:
            server.write(head + await reader.readexactly(length // 2))
            return False
        body = await reader.readexactly(length)
        if answer is not None:
            writer.write(answer)
            await writer.drain()
            return False
        server.write(head + body)
        await server.drain()
        return True

    async def _back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await answers.read(65536):
                writer.write(re.sub(rb"(?<=\r\nDate: )[^\r]+", self._moved, data) if self.clock else data)
                await writer.drain()
        writer.close()

    def _moved(self, date: "re.Match[bytes]") -> bytes:
        return format_datetime(parsedate_to_datetime(date[0].decode()) + self.clock, usegmt=True).encode()


@contextmanager
def before(upstream: str) -> Iterator[Proxy]:
    """Run a proxy before the server of a URL."""
    proxy = Proxy(upstream)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(proxy._serve, "127.0.0.1", 0))
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
