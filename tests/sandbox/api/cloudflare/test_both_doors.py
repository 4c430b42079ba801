"""Both doors see one world: what the engine makes the client finds, what the client changes the engine reads."""

import cloudflare
import pytest
from cloudflare import Cloudflare

from sandbox.engine.values import decode
from tests.sandbox.api.box import CLOUDFLARE, Box
from tests.sandbox.bodies import ACCOUNT, ZONE, ZONE_ID
from tests.sandbox.door import Door

_RECORD = "cloudflare:index/dnsRecord:DnsRecord"
_POOL = "cloudflare:index/loadBalancerPool:LoadBalancerPool"


def test_what_the_engine_makes_the_client_finds_and_changes(box: Box, client: Cloudflare) -> None:
    inputs = {"zoneId": ZONE_ID, "name": f"a.{ZONE}", "type": "A", "content": "198.18.0.1", "ttl": 1}
    with Door(box.folder, CLOUDFLARE) as door:
        made = door.create(_RECORD, inputs)
        (found,) = client.dns.records.list(zone_id=ZONE_ID)
        assert found.id == made.id
        client.dns.records.edit(found.id, zone_id=ZONE_ID, name=f"a.{ZONE}", type="A", ttl=300)
        state = decode(made.properties)
        read = door.read(_RECORD, made.id, inputs, state)
        assert decode(read.properties)["ttl"] == 300
        client.dns.records.delete(found.id, zone_id=ZONE_ID)
        assert door.read(_RECORD, made.id, inputs, state).id == ""


def test_what_the_client_makes_the_engine_imports_and_deletes(box: Box, client: Cloudflare) -> None:
    made = client.load_balancers.pools.create(
        account_id=ACCOUNT, name="us-api", origins=[{"name": "api", "address": "198.18.0.1"}]
    )
    with Door(box.folder, CLOUDFLARE) as door:
        read = door.read(_POOL, f"{ACCOUNT}/{made.id}")
        assert decode(read.inputs)["name"] == "us-api"
        door.delete(_POOL, read.id)
    with pytest.raises(cloudflare.NotFoundError):
        client.load_balancers.pools.get(made.id or "", account_id=ACCOUNT)
