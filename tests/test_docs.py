"""The documentation says what the code does, and names only files that exist."""

import re
from pathlib import Path

import pytest

from components import reference, settings
from policies import reference as policies
from sandbox import reference as served
from tests.configuration import ROOT, STACKS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_configuration_reference_is_that_of_the_models() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    written = page[page.index("<!-- keys -->") + len("<!-- keys -->\n") : page.index("<!-- /keys -->")]
    assert written.strip() == reference.markdown().strip(), (
        "replace the table between the marks of docs/configuration.md by what "
        "`python -c 'from components import reference; print(reference.markdown())'` prints"
    )


def test_the_list_of_inputs_is_that_of_the_settings() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| (`.*?)\| (?:yes|no|the key) \|", page, re.MULTILINE)
    documented = {key for row in rows for key in re.findall(r"`([^`]+)`", row)}
    needed = {each.key for stack in STACKS for each in settings.required_inputs(settings.load(ROOT, stack))}
    environments = {name for stack in STACKS for name in settings.load(ROOT, stack).environments}
    assert documented == {
        "chat-tonic:hostKey-<environment>" if key.rpartition("hostKey-")[2] in environments else key for key in needed
    }


def test_the_table_of_policies_is_that_of_the_pack() -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    written = page[page.index("<!-- rules -->\n") : page.index("<!-- /rules -->")]
    assert written == f"<!-- rules -->\n{policies.markdown()}", (
        "replace the table between the marks of docs/policies.md by what `python -m policies.reference` prints"
    )


@pytest.mark.parametrize("name", served.TABLES)
def test_the_sandboxs_tables_are_what_it_serves(name: str) -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text()
    written = page[page.index(f"<!-- {name} -->\n") : page.index(f"<!-- /{name} -->")]
    assert written == f"<!-- {name} -->\n{served.TABLES[name]()}", (
        "replace the tables between the marks of docs/sandbox.md by what `python -m sandbox.reference` prints"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_links_only_to_what_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
