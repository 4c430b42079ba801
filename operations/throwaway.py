"""The inputs of a sandbox run: secrets that open nothing, made here and thrown away with the sandbox.

They are of the same kinds as real ones, so that what checks them (the servers' files, the clouds' rules) can.
"""

import secrets
from collections.abc import Collection, Mapping

from components.settings import PROJECT, Stack
from operations import credentials
from sandbox.process import Tokens

ZONE_ID = f"{PROJECT}:cloudflareZoneId"


def renew(
    stack: Stack, tokens: Tokens, keys: Collection[str], kept: Mapping[str, object], *, login: str
) -> dict[str, str]:
    """Return new values for the configuration keys that `kept` lacks, together with what has to fit them.

    `tokens` are those that the sandbox takes, `login` is the key that lets into the machines that play its servers.
    A stack that has moved to another zone gets all its values anew: its certificate is for the old one.
    """
    moved = kept.get(ZONE_ID) not in (None, tokens.zone_ids.get(stack.zone or ""))
    return {
        key: value
        for family in _families(stack, tokens, keys, login)
        if moved or not family.keys() <= kept.keys()
        for key, value in family.items()
    }


def _families(stack: Stack, tokens: Tokens, keys: Collection[str], login: str) -> list[dict[str, str]]:
    """Return values for the keys, grouped: what is in one family fits together."""
    families: list[Mapping[str, str]] = [
        {"linode:token": tokens.linode_platform},
        {f"{PROJECT}:copiesToken": tokens.linode_copies},
        {"cloudflare:apiToken": tokens.cloudflare},
        {f"{PROJECT}:cloudflareAccountId": tokens.cloudflare_account_id},
        {ZONE_ID: tokens.zone_ids.get(stack.zone or "", "")},
        {f"{PROJECT}:registryPassword": secrets.token_urlsafe(24)},
        {credentials.COPIES_KEY: credentials.copies_key()},
        {f"{PROJECT}:smtp": f"smtps://nobody:{secrets.token_hex(12)}@relay.invalid:465"},
        {f"{PROJECT}:authorizedKeys": login},
        credentials.origin(stack.zone or f"{stack.label}.internal"),
        credentials.pull(),
        *({key: credentials.host_key()} for key in keys if key.startswith(credentials.HOST_KEY)),
    ]
    return [{key: value for key, value in family.items() if key in keys} for family in families]
