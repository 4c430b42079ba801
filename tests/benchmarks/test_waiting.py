from benchmarks.waiting import longest_chain


def resource(name: str, kind: str, *dependencies: str, provider: str = "") -> dict[str, object]:
    return {"urn": name, "type": kind, "dependencies": [*dependencies], "provider": provider}


def test_the_longest_chain_is_the_slowest_way_through_what_waits_for_one_another() -> None:
    state = [
        resource("provider", "provider"),
        resource("database", "database", provider="provider::id"),
        resource("firewall", "quick"),
        resource("server", "server", "database", "firewall", provider="provider::id"),
        resource("other", "server", "firewall"),
        resource("node", "quick", "server", "firewall"),
    ]
    seconds = {"provider": 0.5, "database": 78.0, "server": 6.0, "quick": 0.25}
    assert longest_chain(state, seconds) == 0.5 + 78.0 + 6.0 + 0.25


def test_a_kind_without_a_time_takes_none() -> None:
    assert longest_chain([resource("component", "ours")], {"database": 78.0}) == 0.0
