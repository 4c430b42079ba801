"""Which sites serve a name, and how they share its traffic (F2, F5): made of settings only.

Pure. A stateful name has one site, the active one: its data is there. The pools of the others are disabled, so that a
site that failed does not come back by itself. Of a stateless name Cloudflare takes the first site that is well, or
shares the traffic between all that are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from components.topology import Stack


@dataclass(frozen=True)
class Served:
    """How the front serves a name.

    `addresses` are those of the other sites, by site; the front's own are its balancer's. `order` has the sites that
    traffic goes to, the first one first; `last` is the one that is asked where none seems to be well; `weights` are
    their shares where all serve.
    """

    addresses: Mapping[str, str]
    order: tuple[str, ...]
    last: str
    weights: Mapping[str, float] | None = None


def served(stack: Stack, name: str, environment: str, role: str) -> Served:
    """Return how the front of a stack, which is called `name`, serves a role of an environment."""
    sites, settings = stack.sites(name), stack.roles[role]
    addresses = {
        site: address
        for site, each in sites.items()
        if (address := each.addresses.get(environment, {}).get(role)) and site != name
    }
    if settings.state == "stateful":
        return Served(addresses, (stack.active(name),), stack.active(name))
    there = (name, *addresses)
    order = tuple(sorted(there, key=lambda site: site != stack.home(name)))  # stable: the primary, then as declared
    # The site that people had the stateful names moved to is there; the primary may be what was lost.
    last = stack.active(name) if stack.active(name) in there else order[0]
    shared = settings.sites == "active-active" and len(order) > 1
    return Served(addresses, order, last, {site: sites[site].weight / 100 for site in order} if shared else None)
