"""The page of where data lives says what the program declares, and the numbers by which it is kept."""

import re

from components import catalog, settings
from copies import pull
from operations.backups import status
from sandbox.linode import backups, databases
from tests.components.test_program import committed
from tests.configuration import ROOT, STACKS

PAGE = (ROOT / "docs" / "data.md").read_text()
TABLE, _, WITHOUT = PAGE.partition("## What holds none")
DAY = 86_400


def kept(what: str) -> str:
    (row,) = re.findall(rf"^\| {what} \|.*$", TABLE, re.MULTILINE)
    return str(row)


def test_every_kind_of_resource_is_said_to_hold_data_or_none() -> None:
    declared = {
        catalog.kind_of(each.type).partition(":")[2]
        for stack in STACKS
        for each in committed(stack)[0].resources
        if each.type.startswith(("linode:", "cloudflare:"))
    }
    holding = set(re.findall(r"\| `(\w+)` \|", TABLE))
    without = set(re.findall(r"`([A-Z]\w+)`", WITHOUT))
    assert not holding & without
    assert holding | without == declared


def test_what_is_kept_is_what_the_settings_and_the_programs_keep() -> None:
    loaded = [settings.load(ROOT, stack) for stack in STACKS]
    for days in {each.copies.kept for each in loaded if each.copies}:
        assert f"the {days} newest days" in kept("copies of the databases")
    for page in (kept("second copies of them"), (ROOT / "docs" / "backups.md").read_text()):
        assert f"{pull.DAYS.days} days" in page
        assert re.search(rf"\b{pull.WEEKS} later weeks", page)
    assert f"{int(backups.KEPT / DAY)} days at most" in kept("servers' disks")
    assert f"up to {databases.KEPT_DAYS} days" in kept("databases")


def test_environments_without_copies_are_named() -> None:
    without = {
        name
        for stack in STACKS
        for name, each in settings.load(ROOT, stack).environments.items()
        if not each.database.copies
    }
    assert set(re.findall(r"^`(\w[\w-]*)`, .* has no copies", PAGE, re.MULTILINE)) == without


def test_the_ages_that_are_allowed_are_those_that_are_judged() -> None:
    page = (ROOT / "docs" / "backups.md").read_text()
    assert page.count(f"{status.DAILY.total_seconds() / 3600:.0f} hours old") == 2
    assert f"{status.PROVED.days} days old; a warning from {status.PROVED_SOON.days}" in page
    assert f"{status.WEEKLY.days} days old" in page
