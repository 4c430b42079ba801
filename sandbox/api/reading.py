"""What a request brings: its body, bounded in size, in time and in depth."""

import asyncio
import json
from collections.abc import Iterable
from email.message import Message
from email.parser import BytesParser
from typing import Any

from starlette.requests import ClientDisconnect, Request

LARGEST = 4 * 2**20  # bytes
SLOWEST = 30.0  # seconds for a body to arrive
DEEPEST = 64  # lists and objects in each other


class TooLarge(Exception):  # noqa: N818 (it is a reason to refuse, not a fault of the sandbox)
    """The body is larger than is taken."""


async def text(request: Request) -> bytes:
    """A request's body. Raises TooLarge, and ValueError where it does not come whole, or not in time."""
    pieces, size = [], 0
    try:
        async with asyncio.timeout(SLOWEST):
            async for piece in request.stream():
                size += len(piece)
                if size > LARGEST:
                    raise TooLarge
                pieces.append(piece)
    except (TimeoutError, ClientDisconnect):
        raise ValueError("the body did not come whole") from None
    return b"".join(pieces)


def document(given: bytes | str) -> Any:
    """What a text of JSON says. Raises ValueError for all else, and for what could be neither kept nor answered.

    That is halves of characters, numbers that are none, and what is nested too deeply.
    """
    try:
        found = json.loads(given)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [found]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError("nested too deeply")
    return found


def parts(content_type: str, given: bytes) -> dict[str, str]:
    """The parts of a form, as multipart/form-data, by their file names, else names. Raises ValueError for all else."""
    form = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + given)
    found = {_named(part): part.get_payload(decode=True) for part in form.walk() if not part.is_multipart()}
    if not form.is_multipart() or not all(isinstance(each, bytes) for each in found.values()):
        raise ValueError("not multipart/form-data")
    return {name: each.decode() for name, each in found.items() if isinstance(each, bytes)}


def _named(part: Message) -> str:
    return part.get_filename() or str(part.get_param("name", header="content-disposition"))


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
