"""The sites, the metadata and the page as one server on the loopback, which tells hosts apart and writes down."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

METADATA = "failover.example"


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    host: str
    method: str
    path: str
    key: str | None
    conversation: str | None


@dataclass(frozen=True)
class Answer:
    """What a site says, in JSON unless `text` is other; status 0: nothing for so many seconds, and then it hangs up."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    text: str = ""


@dataclass
class World:
    """`answers` are a host's next ones; the last of them stays. `files` are pages, by path: type and text."""

    port: int
    metadata: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def at(self, host: str) -> list[Asked]:
        """Return what a host was asked, other than before a request by a browser."""
        return [each for each in self.asked if each.host == host and each.method != "OPTIONS"]

    def next(self, host: str) -> Answer:
        """Return what a host says now."""
        with self.guard:
            known = self.answers[host]
            return known.pop(0) if len(known) > 1 else known[0]


@contextmanager
def world() -> Iterator[World]:
    """A world that listens."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing: `asked` has it."""

        def do_GET(self) -> None:
            """The metadata, and pages."""
            host = self.note(None)
            if host == METADATA and self.path == "/failover.json":
                found = made.metadata
                self.say(200 if found else 503, json.dumps(found), made.headers)
            else:
                kind, text = made.files.get(self.path.partition("?")[0], ("text/plain", ""))
                self.say(200 if text else 404, text or "nothing here", {"Content-Type": kind})

        def do_OPTIONS(self) -> None:
            """What a browser asks before a page of another host may send a message."""
            self.note(None)
            allowed = {"Access-Control-Allow-Headers": "content-type, idempotency-key"}
            self.say(204, "", {**allowed, "Access-Control-Allow-Origin": "*"})

        def do_POST(self) -> None:
            """The message API of a site."""
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = made.next(self.note(given["conversation"]))
            if not answer.status:
                made.over.wait(answer.seconds)
                self.close_connection = True
                return
            said = answer.text or json.dumps({"delivered": given["text"]})
            self.say(answer.status, said, {"Access-Control-Allow-Origin": "*", **answer.headers})

        def note(self, conversation: str | None) -> str:
            host = self.headers["Host"].partition(":")[0]
            key = self.headers["Idempotency-Key"]
            made.asked.append(Asked(host, self.command, self.path, key, conversation))
            return host

        def say(self, status: int, text: str, headers: Mapping[str, str]) -> None:
            body = text.encode()
            self.send_response(status)
            for name, value in {"cache-control": "no-store", **headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = World(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made
        finally:
            made.over.set()
            server.shutdown()
            thread.join()
