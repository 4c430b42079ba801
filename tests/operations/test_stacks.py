from pathlib import Path

import pytest

from operations import stacks
from operations.errors import Refused
from tests.configuration import change_platform, change_stack, copy_of_the_committed_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_of_the_committed_files(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("test", ["test"]),
        ("us-central,test", ["us-central", "test"]),
        ("us-central, test, us-central", ["us-central", "test"]),
        ("all", ["eu-frankfurt", "eu-standby", "test", "us-central", "us-standby"]),
    ],
)
def test_stacks_come_in_the_order_given_and_each_once(root: Path, wanted: str, names: list[str]) -> None:
    assert list(stacks.select(root, wanted)) == names


def test_a_selected_stack_brings_its_own_settings(root: Path) -> None:
    chosen = stacks.select(root, "all")
    assert [stack.region for stack in chosen.values()] == [
        "eu-central",
        "de-fra-2",
        "us-central",
        "us-central",
        "us-ord",
    ]


@pytest.mark.parametrize("wanted", ["tset", "tset,us-central", "", "all,test", "../test"])
def test_an_unknown_stack_is_refused_by_its_name(root: Path, wanted: str) -> None:
    with pytest.raises(Refused) as refused:
        stacks.select(root, wanted)
    unknown = wanted.partition(",")[0]
    assert refused.value.code == 2
    assert f"there is no stack '{unknown}'" in str(refused.value)


def test_the_nearest_known_stack_is_named(root: Path) -> None:
    with pytest.raises(Refused) as refused:
        stacks.select(root, "eu-frankfrut")
    assert "'eu-frankfurt'" in str(refused.value)


def test_all_problems_of_all_wanted_stacks_are_told_at_once_and_shared_ones_once(root: Path) -> None:
    change_platform(root, {"health.timeout": 0})
    change_stack(root, "us-central", {"region": "us-nowhere"})
    change_stack(root, "eu-frankfurt", {"admin_sources": []})
    with pytest.raises(Refused) as refused:
        stacks.select(root, "eu-frankfurt,us-central,tset")
    lines = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in lines].count("platform.yaml") == 1
    assert {line.partition(":")[0] for line in lines} == {
        "platform.yaml",
        "Pulumi.us-central.yaml",
        "Pulumi.eu-frankfurt.yaml",
        "Pulumi.tset.yaml",
    }


def test_a_folder_without_stack_files_has_no_stacks_to_select(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no stack file is here; write Pulumi\.<stack>\.yaml"):
        stacks.select(tmp_path, "all")
