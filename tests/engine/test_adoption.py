"""A stack whose state is lost: what lives is found by what names it, and taken over, not made again."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import settings
from operations import recovery
from operations.errors import Failed, Refused
from operations.servers import applied
from operations.updates import Agreed
from sandbox import process
from tests.engine.checkout import KINDS, Checkout, make, make_small
from tests.engine.cutting import UP, Cut, held

BUCKET_KEY = "linode.bucket_key"
KEY = next(type_ for type_, kind in KINDS.items() if kind == BUCKET_KEY)
PROTECTED = {"linode.bucket", "linode.database"}


@pytest.fixture
def cut(tmp_path: Path, exhaustive: bool) -> Iterator[Cut]:
    folder = tmp_path / "checkout"
    checkout = make(folder, "us-central") if exhaustive else make_small(folder)
    made = checkout.up()
    assert made.code == 0, made.said
    yield Cut(checkout)
    process.stop(checkout.folder)


def lose_state(checkout: Checkout) -> None:
    state = checkout.project().state
    assert state is not None
    shutil.rmtree(state)


def made_after(checkout: Checkout, last: int) -> Counter[str]:
    return Counter(event.kind for event in checkout.events(after=last) if event.action == "create")


def test_what_lives_is_taken_over_after_its_state_is_lost_and_only_bucket_keys_are_made_again(
    cut: Cut, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = cut.checkout
    before, keys = checkout.objects(), sorted(id_ for kind, id_ in checkout.objects() if kind == BUCKET_KEY)
    lose_state(checkout)

    with pytest.raises(Refused, match=r"DatabasePostgresqlV2 us-bots-db \(\d+\).* belongs to no stack; .*--adopt"):
        cut.go_on()
    assert checkout.resources() == []
    assert checkout.objects() == before

    cut.control("PUT", "faults", [{"what": "error", "status": 500, "where": "Read linode:index/nodeBalancer*"}])
    with pytest.raises(Failed):
        cut.go_on(Agreed(adopt=True))
    cut.control("PUT", "faults", [])
    last = checkout.events()[-1].seq
    cut.go_on(Agreed(adopt=True))
    known = {(KINDS[each["type"]], each["id"]) for each in checkout.resources()}
    assert before - known == {(BUCKET_KEY, each) for each in keys}
    assert made_after(checkout, last) == {}
    # Nobody can read the secret of a key, and what has it is at work: it stays, and another is made.
    assert cut.kill_during(UP, [held("Create", KEY, "hold_after")])
    cut.go_on()
    project = checkout.project()
    assert sorted(each.id for each in recovery.superseded(project)) == keys
    said = capsys.readouterr().err
    assert all(f"({each}) is from before the state was lost" in said for each in keys)

    again = checkout.up()
    assert again.code == 0, again.said
    assert before <= checkout.objects()
    assert Counter(kind for kind, _ in checkout.objects() - before) == {BUCKET_KEY: len(keys)}
    assert {KINDS[each["type"]] for each in checkout.resources() if each.get("protect")} == PROTECTED
    assert checkout.preview().code == 0
    applied.tell(project, print)
    told = capsys.readouterr().out
    assert "servers hold what was configured before: " in told
    environments = settings.load(checkout.root, checkout.stack).environments
    assert [
        f"{role} of {name}"
        for name, each in environments.items()
        for role in each.groups
        if f"{role} of {name}" not in told
    ] == []
