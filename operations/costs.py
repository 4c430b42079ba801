"""What stacks cost a month: a table for people, data for programs. No cloud is asked."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.table import Table

from components import cost
from components.settings import Stack
from operations import stacks


def report(root: Path, wanted: str) -> dict[str, Any]:
    """Return, in dollars a month, the lines and the total of each wanted stack, and the total of all.

    Raises:
        Refused: an unknown stack, or wrong configuration.
    """
    return of(stacks.select(root, wanted))


def of(chosen: Mapping[str, Stack]) -> dict[str, Any]:
    """Return, in dollars a month, the lines and the total of each stack, and the total of all."""
    return {
        "currency": "USD",
        "per": "month",
        "stacks": {
            name: {
                "lines": [
                    {
                        "item": line.item,
                        "count": line.count,
                        "each": float(line.each),
                        "total": float(line.total),
                    }
                    for line in cost.monthly(stack)
                ],
                "total": float(cost.total(stack)),
            }
            for name, stack in chosen.items()
        },
        "total": float(sum((cost.total(stack) for stack in chosen.values()), Decimal(0))),
    }


def table(report: Mapping[str, Any]) -> Table:
    """Return a report as a table."""
    made = Table("Stack", "Item", title="Dollars a month, before tax and traffic")
    for heading in ("Count", "Each", "Total"):
        made.add_column(heading, justify="right")
    for name, stack in report["stacks"].items():
        for position, line in enumerate(stack["lines"]):
            shown = name if position == 0 else ""
            made.add_row(shown, line["item"], str(line["count"]), f"{line['each']:,.2f}", f"{line['total']:,.2f}")
        made.add_row("", "in all", "", "", f"{stack['total']:,.2f}", style="bold", end_section=True)
    if len(report["stacks"]) > 1:
        made.add_row("all stacks", "", "", "", f"{report['total']:,.2f}", style="bold")
    return made
