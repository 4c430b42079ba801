"""The name server tells what the records say."""

import struct
from typing import Any

import pytest

from sandbox.front import names
from tests.sandbox.front.conftest import question

A, CNAME, TXT, AAAA = 1, 5, 16, 28
RECORDS = names.records(
    {
        "balancers": [{"name": "api.x.example"}],
        "records": [{"name": "api.x.example"}, {"name": "failover.x.example"}],
        "zone": [
            {"name": "failover.x.example", "type": "TXT", "content": '"v=1 active=here ttl=60"', "ttl": 60},
            {"name": "sip.x.example", "type": "A", "content": "192.0.2.1", "ttl": 60},
            {"name": "sip.x.example", "type": "A", "content": "192.0.2.2", "ttl": 1},
            {"name": "www.x.example", "type": "CNAME", "content": "api.x.example", "ttl": 1},
            {"name": "x.example", "type": "MX", "content": "mail.example", "ttl": 1},
        ],
    },
    "127.1.2.3",
)


def ask(name: str, kind: int) -> tuple[int, list[tuple[int, int, bytes]]]:
    """The response code, and type, TTL and data of each answer."""
    asked = question(name, kind)
    said = names.answer(asked, RECORDS)
    number, flags, _, count, *_ = struct.unpack_from("!6H", said)
    assert (number, flags & 0x8500) == (77, 0x8500)
    at, found = len(asked), []
    for _ in range(count):
        _, answered, _, ttl, length = struct.unpack_from("!HHHIH", said, at)
        found.append((answered, ttl, said[at + 12 : at + 12 + length]))
        at += 12 + length
    assert at == len(said)
    return flags & 0xF, found


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("API.x.example", A, (0, [(A, 300, bytes([127, 1, 2, 3]))])),
        ("failover.x.example", TXT, (0, [(TXT, 60, b"\x16v=1 active=here ttl=60")])),
        ("failover.x.example", AAAA, (0, [])),
        ("sip.x.example", A, (0, [(A, 60, bytes([192, 0, 2, 1])), (A, 300, bytes([192, 0, 2, 2]))])),
        ("www.x.example", A, (0, [(CNAME, 300, b"\x03api\x01x\x07example\x00")])),
        ("nobody.x.example", A, (3, [])),
    ],
)
def test_a_question_is_answered_by_the_records(name: str, kind: int, said: Any) -> None:
    assert ask(name, kind) == said
