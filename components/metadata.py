"""Failover metadata: what clients are told of the sites, at an address that no site serves.

It is made of settings only, so that the update that moves traffic publishes it too, whatever is down.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components import catalog, labels
from components.dns import record
from components.sdk import cloudflare
from components.topology import Failover, Stack

PATH = "/failover.json"
_MODULE = "failover.mjs"
_ABOUT = "failover metadata"
_CODE = (Path(__file__).parent / "metadata.mjs").read_text(encoding="utf-8")


def document(stack: Stack, name: str) -> dict[str, Any]:
    """Return what the metadata says: `stack` is the front's, and called `name`.

    A site has the host names that it can serve: its own stack's all, the others' those of which it has an address.
    """
    failover = _failover(stack)
    return {
        "version": failover.version,
        "ttl": failover.ttl,
        "active": stack.active(name),
        "sites": {
            site: {
                "hosts": _hosts(stack, None if site == name else settings.addresses),
                "identifiers": failover.identifiers.get(site, {}),
            }
            for site, settings in stack.sites(name).items()
        },
    }


def short(stack: Stack, name: str) -> str:
    """Return what the TXT record says, for those that have DNS and nothing else."""
    failover = _failover(stack)
    return f"v={failover.version} active={stack.active(name)} ttl={failover.ttl}"


def host(stack: Stack) -> str:
    """Return the host name at which the metadata is published."""
    return f"{_failover(stack).host}.{stack.zone}"


def worker(stack: Stack, name: str) -> str:
    """Return the code that answers with the metadata."""
    return f"const DOCUMENT = {json.dumps(document(stack, name), indent=2)};\n\n{_CODE}"


def _failover(stack: Stack) -> Failover:
    if stack.failover is None:
        raise ValueError("the stack has no section 'failover', so it publishes no metadata")
    return stack.failover


def _hosts(stack: Stack, addresses: Mapping[str, Mapping[str, str]] | None) -> dict[str, dict[str, str]]:
    hosts: dict[str, dict[str, str]] = {}
    for environment, role, name in stack.names():
        if addresses is None or role in addresses.get(environment, {}):
            hosts.setdefault(environment, {})[role] = name
    return hosts


@dataclass(frozen=True)
class MetadataArgs:
    """The front's stack and its name, and where the front is."""

    stack_name: str
    stack: Stack
    zone_id: str
    account_id: str


class Metadata(pulumi.ComponentResource):
    """The metadata as JSON, answered by a Worker (docs/adr/0013), and as a TXT record.

    Resources: WorkersScript, DnsRecord (of the Worker's host), WorkersRoute, DnsRecord (TXT).
    """

    def __init__(self, name: str, args: MetadataArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:metadata:Metadata", name, None, opts)
        failover, at = _failover(args.stack), host(args.stack)
        child = pulumi.ResourceOptions(parent=self)
        script = cloudflare.WorkersScript(
            f"{name}-worker",
            account_id=args.account_id,
            script_name=labels.label("worker", args.stack.label, "failover"),
            main_module=_MODULE,
            content=worker(args.stack, args.stack_name),
            compatibility_date="2026-01-01",
            opts=child,
        )
        here = {"zone_id": args.zone_id, "name": at}
        address = record(
            f"{name}-host", self, _ABOUT, type="AAAA", content=catalog.NOWHERE, proxied=True, ttl=1, **here
        )
        cloudflare.WorkersRoute(
            f"{name}-route",
            zone_id=args.zone_id,
            pattern=f"{at}/*",
            script=script.script_name,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[address], delete_before_replace=True),
        )
        # The API wants it in quotes, and gives it back as it came.
        text = f'"{short(args.stack, args.stack_name)}"'
        record(f"{name}-text", self, _ABOUT, type="TXT", content=text, ttl=failover.ttl, **here)
        self.register_outputs({"address": f"https://{at}{PATH}"})
