"""What tasks print for people."""

import pytest
from rich.table import Table

from operations import console


def test_no_name_is_cut_where_a_table_is_wider_than_there_is_room_for(capsys: pytest.CaptureFixture[str]) -> None:
    name = "us-bots-customer-service-g1-1"
    shown = Table("Server", "State")
    shown.add_row(name, " ".join(["word"] * console.WIDTH))
    shown.add_row("n" * 2 * console.WIDTH, "")
    console.show(shown)
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert printed.count("n") == 2 * console.WIDTH + name.count("n")
