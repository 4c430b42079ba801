"""Why Cloudflare does not move a stateless name to a site that could serve it: the front's file lacks its address.

Only a move writes the addresses of a site's balancers there by itself.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from components import settings
from operations.errors import Failed
from operations.failover.sites import Name, Site, Sites

Addresses = Mapping[str, Mapping[str, str]]
"""Of balancers, by environment and role."""


@dataclass(frozen=True)
class Gap:
    """What keeps a name from a site, and what to do about it."""

    says: str
    do: str


def gaps(sites: Sites) -> dict[Name, Gap]:
    """Return the gap of each name that has one. What a site's state does not say is one as well."""
    found: dict[Name, Gap] = {}
    for site in sites.members.values():
        if names := [each for each in sites.names() if _could_serve(sites, site, each)]:
            found = {**dict(_of_site(sites, site, names)), **found}
    return found


def _could_serve(sites: Sites, site: Site, name: Name) -> bool:
    """Whether it is a stateless name, and another site than the front's has its role by now."""
    environment = site.stack.environments.get(name.environment)
    is_other = not name.stateful and site.name != sites.front.name
    return is_other and environment is not None and name.role in environment.groups


def _of_site(sites: Sites, site: Site, names: list[Name]) -> Iterator[tuple[Name, Gap]]:
    could, front = f"{site.name} could serve it", sites.front
    try:
        known: Addresses = sites.addresses(site)
    except Failed as error:
        silent = Gap(
            f"{could}, and its state does not say at which address: {error.message}", "mend that, and repeat it"
        )
        yield from ((name, silent) for name in names)
        return
    written: Addresses = sites.failover.sites[site.name].addresses
    write = f"write `failover.sites.{site.name}.addresses: {json.dumps(_with(written, known, names))}`"
    do = f"{write} into {settings.stack_file(front.name)}, and `{front.project.task('up')}`"
    for name in names:
        there, has = (each.get(name.environment, {}).get(name.role) for each in (known, written))
        which = f"{'another' if has else 'no'} address of its balancer"
        if there is None:
            yield name, Gap(f"{could}, and has no balancer for it yet", f"`{site.project.task('up')}`")
        elif there != has:
            said = f"{could}, and {front.name}'s file has {which}: Cloudflare does not move it there"
            yield name, Gap(said, do)


def _with(written: Addresses, known: Addresses, names: list[Name]) -> dict[str, dict[str, str]]:
    """Return what is written, with the addresses of names as they are known."""
    found = {environment: dict(roles) for environment, roles in written.items()}
    for name in names:
        if address := known.get(name.environment, {}).get(name.role):
            found.setdefault(name.environment, {})[name.role] = address
    return found
