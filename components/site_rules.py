"""Rules about sites (F2, F4, F5, F8): what serves names and phones, where it may be, and how soon its loss is found.

They are rules as those in `rules.py`, of which they are a part.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from components import catalog, detection
from components.topology import Site, Stack, host_label

Key = tuple[str, ...]
Found = Iterator[tuple[Key, str]]


def sites_stay_in_the_jurisdiction(stack: Stack) -> Found:
    """P7: a site elsewhere serves only what may leave."""
    for name, site in stack.other_sites().items():
        if not stack.is_inside(site) and not _serves_only_what_may_leave(stack, site):
            yield (
                ("failover", "sites", name, "region"),
                f"'{site.region}' is outside the jurisdiction '{stack.jurisdiction}', and only roles with 'residency: "
                "unrestricted' may be served there",
            )


def _serves_only_what_may_leave(stack: Stack, site: Site) -> bool:
    served = [stack.roles.get(role) for roles in site.addresses.values() for role in roles]
    return bool(served) and all(role is not None and role.residency == "unrestricted" for role in served)


def probes_come_from_the_jurisdiction(stack: Stack) -> Found:
    """P7: nothing is asked from outside."""
    inside = catalog.JURISDICTIONS[stack.jurisdiction].probed_from
    for region in stack.health.probe_regions or ():
        if region not in inside:
            yield (
                ("health", "probe_regions"),
                f"'{region}' is none of Cloudflare's regions in '{stack.jurisdiction}'; those are {', '.join(inside)}",
            )


def failures_are_detected_in_time(stack: Stack) -> Found:
    """F4: what the probes take together is no longer than the stack allows."""
    if stack.failover is None:
        return
    health, longest = stack.health, detection.times(stack.health).detect
    if longest > stack.failover.detect_within:
        yield (
            ("failover", "detect_within"),
            f"a failure may take {longest} s to be detected: {health.consecutive_down} probes, one every "
            f"{health.interval} s, the last of up to {health.timeout} s with {health.retries} retries; lower those of "
            "'health', or allow more",
        )


def sites_that_flap_stay_away(stack: Stack) -> Found:
    """F4: a site comes back more slowly than it goes; retries follow at once, so they don't smooth anything."""
    down, up = stack.health.consecutive_down, stack.health.consecutive_up
    if up <= down:
        what = f"{up} good probes bring a site back that {down} failed ones took away; write more, so that none flaps"
        yield ("health", "consecutive_up"), what


def roles_move_as_their_data_lets_them(stack: Stack) -> Found:
    """F5, P7: what has data moves after its data, and stays in its jurisdiction."""
    for name, role in stack.roles.items():
        if role.database and role.state == "stateless":
            what = "its servers reach the database, which has to be moved first; a role with 'database' is stateful"
            yield ("roles", name, "state"), what
        if role.state == "stateful" and role.sites == "active-active":
            yield ("roles", name, "sites"), "a stateful role is served by one site at a time; write active-passive"
        if role.residency == "unrestricted" and (role.database or role.state == "stateful"):
            what = "only a role that is stateless and without 'database' may leave the jurisdiction; remove this"
            yield ("roles", name, "residency"), what


def sites_have_addresses_of_names(stack: Stack) -> Found:
    """F2: a pool is made of an address for a name; what serves the stateful names has them all."""
    names = {(environment, role) for environment, role, _ in stack.names()}
    for site, settings in stack.other_sites().items():
        key: Key = ("failover", "sites", site, "addresses")
        has = {(environment, role) for environment, roles in settings.addresses.items() for role in roles}
        for environment, role in sorted(has - names):
            what = f"{role} of {environment} is not published as 'load-balancer' by this stack; remove it"
            yield (*key, environment, role), what
        if stack.failover and site == (stack.failover.active or stack.failover.home):
            for environment, role in sorted(names - has):
                if role in stack.roles and stack.roles[role].state == "stateful":
                    yield key, f"the site is active, and has no address for {role} of {environment}; set it"


def voice_is_beside_the_names(stack: Stack) -> Found:
    """F8: the names of phone trunks are names of the front, one level below the zone; no two have an edge in common."""
    if stack.voice is None:
        return
    if not stack.has_front:
        yield ("voice",), "only a stack with a 'zone' of its own has names for trunks; write it into that one's file"
    taken = {host_label(environment, role): f"{role} of {name}" for name, environment, role, _ in stack.groups()}
    taken |= {stack.failover.host: "the metadata ('failover.host')"} if stack.failover else {}
    seen: dict[str, str] = {}
    for site, settings in stack.voice.sites.items():
        key: Key = ("voice", "sites", site)
        host = f"{stack.voice.host}-{site}"
        if not re.fullmatch(r"[a-z0-9-]{1,63}", host):
            yield key, f"'{host}' is no host name's label; use a-z, 0-9 and hyphens, 63 at most"
        if host in taken:
            yield key, f"the host name '{host}' is already that of {taken[host]}; set another 'voice.host'"
        for edge, address in settings.edges.items():
            if address in seen:
                yield (*key, "edges", edge), f"'{address}' is also the address of {seen[address]}; an edge is a host"
            seen.setdefault(address, f"{edge} of {site}")


STACK_RULES: tuple[Callable[[Stack], Found], ...] = (
    sites_stay_in_the_jurisdiction,
    probes_come_from_the_jurisdiction,
    failures_are_detected_in_time,
    sites_that_flap_stay_away,
    roles_move_as_their_data_lets_them,
    sites_have_addresses_of_names,
    voice_is_beside_the_names,
)


def sites_fit_together(name: str, stack: Stack, others: Mapping[str, Stack]) -> Found:
    """Rules over all stack files: a standby fits its primary, and sites are stacks."""
    yield from _standby_fits(name, stack, others)
    yield from _sites_fit(name, stack, others)
    yield from _voice_fits(name, stack)


def are_a_pair(name: str, stack: Stack, other_name: str, other: Stack) -> bool:
    """Whether one is the other's standby."""
    return (stack.standby is not None and stack.standby.of == other_name) or (
        other.standby is not None and other.standby.of == name
    )


def _standby_fits(name: str, stack: Stack, others: Mapping[str, Stack]) -> Found:
    """F2: a standby serves its primary's names, elsewhere in the same jurisdiction."""
    if stack.standby is None:
        return
    of, key = stack.standby.of, ("standby", "of")
    primary = others.get(of)
    if primary is None or primary.standby is not None or of == name:
        fronts = ", ".join(each for each, other in others.items() if other.has_front) or "none"
        yield key, f"'{of}' is no other stack with names of its own; those are {fronts}"
        return
    if primary.jurisdiction != stack.jurisdiction:
        yield key, f"'{of}' is in the jurisdiction '{primary.jurisdiction}'; a standby never leaves its own"
    if primary.zone != stack.zone:
        yield ("zone",), f"a standby serves its primary's names, and '{of}' has the zone '{primary.zone}'; write that"
    if primary.region == stack.region:
        yield ("region",), f"'{stack.region}' is also that of '{of}', and would be lost with it; choose another"
    hosts = {(environment, role): host for environment, role, host in primary.names()}
    for environment, _, role, _ in stack.groups():
        host, wanted = stack.host(environment, role), hosts.get((environment, role))
        if primary.zone == stack.zone and wanted and host != wanted:
            what = (
                f"its servers would answer to {host or 'no name'}, and '{of}' sends {wanted} there; let both be alike"
            )
            yield ("environments", environment, "groups", role, "host"), what


def _sites_fit(name: str, stack: Stack, others: Mapping[str, Stack]) -> Found:
    """F2: a site is a stack, where that is; and what is said of sites is said of known ones."""
    if stack.failover is None:
        return
    known = stack.sites(name)
    for site, settings in stack.failover.sites.items():
        key: Key = ("failover", "sites", site)
        other = others.get(site)
        if other is None:
            yield key, f"a site is another stack, and there is none '{site}'; known are {', '.join(others)}"
        elif other.region != settings.region:
            yield (*key, "region"), f"the stack '{site}' is in '{other.region}'; write that"
        elif other.jurisdiction == stack.jurisdiction and (other.standby is None or other.standby.of != name):
            yield key, f"the stack '{site}' is no standby of this one; write 'standby' with 'of: {name}' into its file"
        elif other.jurisdiction != stack.jurisdiction:
            for environment, role in _unserved(stack, settings, other):
                what = (
                    f"servers of '{site}' don't answer to {stack.host(environment, role)}; publish the role there, "
                    "with that name in the group's 'serves' (docs/sites.md says what else they need)"
                )
                yield (*key, "addresses", environment, role), what
    moving = stack.failover.moving
    said: dict[Key, str | None] = {
        ("failover", "home"): stack.failover.home,
        ("failover", "active"): stack.failover.active,
        ("failover", "moving", "source"): moving.source if moving else None,
        ("failover", "moving", "to"): moving.to if moving else None,
        **{("failover", "identifiers", site): site for site in stack.failover.identifiers},
    }
    for key, site_name in said.items():
        if site_name and site_name not in known:
            yield key, f"there is no site '{site_name}'; known are {', '.join(known)}"


def _unserved(stack: Stack, site: Site, other: Stack) -> Iterator[tuple[str, str]]:
    """Yield environment and role of the names of a stack that another one, which is a site of it, does not serve."""
    hosts = {(environment, role): host for environment, role, host in stack.names()}
    groups = {(environment, role): group for environment, _, role, group in other.groups()}
    for environment, roles in site.addresses.items():
        for place in ((environment, role) for role in roles):
            served = groups[place].serves if place in groups and other.host(*place) else ()
            if place in hosts and hosts[place] not in served:
                yield place


def _voice_fits(name: str, stack: Stack) -> Found:
    """F8, P7: calls arrive at sites of the front, inside the jurisdiction."""
    known = stack.sites(name)
    for site in stack.voice.sites if stack.voice else ():
        key: Key = ("voice", "sites", site)
        if site not in known:
            yield key, f"there is no site '{site}'; known are {', '.join(known)}"
        elif (found := catalog.REGIONS[known[site].region].jurisdiction) != stack.jurisdiction:
            yield key, f"the site is in the jurisdiction '{found}', and calls stay in '{stack.jurisdiction}'; remove it"
