"""The zones' name server: a process that tells over DNS (RFC 1035, UDP) what the model's records say.

A proxied name leads to the edge, as all of Cloudflare's do.
"""

import asyncio
import ipaddress
import json
import shlex
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from sandbox.addresses import port_for

PORT = port_for(53)
RECORDS = "records.json"
_PROXIED_TTL, _AUTOMATIC = 300, 1  # seconds that a TTL of 1 means (cloudflare-docs: dns, ttl)
_ANSWERS, _NO_SUCH_NAME = 0x8400, 0x8403  # it is a response, and authoritative
_AGAIN = 0x0100  # asked for by the client, and given back
_QUESTION = b"\xc0\x0c"  # the name that was asked about, which is at byte 12


def records(shown: Mapping[str, Any], edge: str) -> list[dict[str, Any]]:
    """The records of the zones that the model shows, with the address of the `edge`."""
    hosts = {each["name"]: None for each in (*shown["balancers"], *shown["records"])}
    proxied = [{"name": host, "type": "A", "content": edge, "ttl": _PROXIED_TTL} for host in hosts]
    return [*(each for each in shown["zone"] if each["type"] in _KINDS), *proxied]


def answer(question: bytes, known: Sequence[Mapping[str, Any]]) -> bytes:
    """What is answered to a question. Raises ValueError, IndexError and struct.error where it is none."""
    number, flags = struct.unpack_from("!HH", question)
    name, end = _name(question, 12)
    asked = struct.unpack_from("!HH", question, end)
    own = [each for each in known if each["name"] == name]
    found = [each for each in own if _KINDS[each["type"]][0] == asked[0] or each["type"] == "CNAME"]
    said = _ANSWERS if own else _NO_SUCH_NAME
    head = struct.pack("!6H", number, said | flags & _AGAIN, 1, len(found), 0, 0)
    return head + question[12 : end + 4] + b"".join(map(_record, found))


def run(folder: Path, address: str) -> None:
    """Answers questions by the records in a folder, until this process is ended."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: _Server(folder / RECORDS), (address, PORT))
        await asyncio.Event().wait()

    asyncio.run(serve())


class _Server(asyncio.DatagramProtocol):
    def __init__(self, file: Path) -> None:
        self._file = file

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # which asyncio's own is not one of

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            said = answer(data, json.loads(self._file.read_text()))
        except (ValueError, IndexError, struct.error):
            return
        self._transport.sendto(said, addr)


def _name(message: bytes, at: int) -> tuple[str, int]:
    labels = []
    while message[at]:
        length = message[at]
        labels.append(message[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def _labels(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"


def _text(content: str) -> bytes:
    strings = [each.encode() for each in (shlex.split(content) if content.startswith('"') else [content])]
    parts = [each[at : at + 255] for each in strings for at in range(0, max(1, len(each)), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts)


_KINDS: Mapping[str, tuple[int, Callable[[str], bytes]]] = {
    "A": (1, lambda content: ipaddress.IPv4Address(content).packed),
    "CNAME": (5, _labels),
    "TXT": (16, _text),
    "AAAA": (28, lambda content: ipaddress.IPv6Address(content).packed),
}
"""The types that are told: their number, and how their content is written."""


def _record(record: Mapping[str, Any]) -> bytes:
    number, write = _KINDS[record["type"]]
    ttl = _PROXIED_TTL if record["ttl"] == _AUTOMATIC else int(record["ttl"])
    data = write(record["content"])
    return _QUESTION + struct.pack("!HHIH", number, 1, ttl, len(data)) + data
