"""What the tokens of the accounts are made with: the words of the clouds' own forms for tokens."""

from collections.abc import Mapping
from dataclasses import dataclass

PLATFORM, COPIES, EDGE = "Linode, platform", "Linode, copies", "Cloudflare"


@dataclass(frozen=True)
class Scope:
    """Something that a token must be allowed, and a path of the API that shows whether it may read there."""

    name: str
    path: str


ORIGIN = "Zone / SSL and Certificates: Edit"
"""What a token makes an origin certificate with, which is all that a standby's is for at Cloudflare."""

SCOPES: Mapping[str, tuple[Scope, ...]] = {
    PLATFORM: (
        Scope("account:read_only", "/account"),
        Scope("linodes:read_write", "/linode/instances"),
        Scope("firewall:read_write", "/networking/firewalls"),
        Scope("nodebalancers:read_write", "/nodebalancers"),
        Scope("databases:read_write", "/databases/postgresql/instances"),
        Scope("events:read_only", "/account/events"),
    ),
    COPIES: (
        Scope("account:read_only", "/account"),
        Scope("object_storage:read_write", "/object-storage/keys"),
    ),
    EDGE: (
        Scope("Zone / Zone: Read", "/zones/{zone}"),
        Scope("Zone / Zone Settings: Edit", "/zones/{zone}/settings/ssl"),
        Scope("Zone / DNS: Edit", "/zones/{zone}/dns_records"),
        Scope("Zone / Load Balancers: Edit", "/zones/{zone}/load_balancers"),
        Scope("Zone / Health Checks: Edit", "/zones/{zone}/healthchecks"),
        Scope(ORIGIN, "/zones/{zone}/origin_tls_client_auth"),
        Scope("Zone / Workers Routes: Edit", "/zones/{zone}/workers/routes"),
        Scope("Account / Load Balancing: Monitors and Pools: Edit", "/accounts/{account}/load_balancers/pools"),
        Scope("Account / Notifications: Edit", "/accounts/{account}/alerting/v3/policies"),
        Scope("Account / Workers Scripts: Edit", "/accounts/{account}/workers/scripts"),
    ),
}
"""By account, what its token is made with."""


KEYS: Mapping[str, str] = {
    PLATFORM: "linode:token",
    COPIES: "chat-tonic:copiesToken",
    EDGE: "cloudflare:apiToken",
}
"""By account, the input that holds its token."""


def wanted(account: str) -> str:
    """Return the scopes of an account's token for people."""
    return ", ".join(each.name for each in SCOPES[account])
