"""What a stack costs follows from its configuration, to the cent."""

from decimal import Decimal

import pytest

from components import cost, settings
from tests.configuration import ROOT


def test_the_test_stack_costs_what_its_parts_cost() -> None:
    lines = {line.item: (line.count, line.each, line.total) for line in cost.monthly(settings.load(ROOT, "test"))}
    assert lines["internal: api servers, g6-nanode-1"] == (1, Decimal(5), Decimal(5))
    assert lines["internal: api servers' backups"] == (1, Decimal(2), Decimal(2))
    assert lines["internal: NodeBalancers"] == (4, Decimal(10), Decimal(40))
    assert lines["internal: PostgreSQL, 1 of g6-nanode-1"] == (1, Decimal(16), Decimal(16))
    assert not [item for item in lines if "ops" in item or "copies" in item]
    assert cost.total(settings.load(ROOT, "test")) == Decimal(4 * 7 + 40 + 16)


def test_a_production_stack_pays_for_backups_copies_and_the_ops_server() -> None:
    stack = settings.load(ROOT, "us-central")
    production = 6 * (24 + 5) + 4 * (12 + Decimal("2.50")) + 40 + 206
    bots = 4 * 7 + 40 + 32
    assert cost.total(stack) == production + bots + 7 + 5 == Decimal(590)
    assert cost.total(stack) == cost.total(settings.load(ROOT, "eu-frankfurt"))


@pytest.mark.parametrize(
    ("hours", "dollars"),
    [("0", "0"), ("0.1", "0.0075"), ("1", "0.0075"), ("7.5", "0.06"), ("700", "5"), ("730", "5"), ("732", "5.015")],
)
def test_what_is_there_for_a_while_costs_the_hours_that_were_begun_and_a_month_at_most(
    hours: str, dollars: str
) -> None:
    assert cost.over(Decimal(5), Decimal(hours)) == Decimal(dollars)
