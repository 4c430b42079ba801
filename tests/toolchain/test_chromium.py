"""Chromium: the system's is taken; where there is none and Debian's can't be had, the error says what to install."""

from pathlib import Path

import pytest

from tests.toolchain.conftest import PutProgram
from toolchain import chromium, progress


def test_the_systems_own_is_taken(program: PutProgram, bin_folder: Path) -> None:
    program("google-chrome", "")
    assert chromium.ensure(print) == chromium.Chromium(bin_folder / "google-chrome", {})


@pytest.mark.usefixtures("bin_folder")
def test_where_none_can_be_had_the_error_says_what_to_install() -> None:
    with pytest.raises(progress.CommandError, match="install Chromium or Google Chrome: chromium, google-chrome"):
        chromium.ensure(lambda _: None)
