"""Values of files that people write are changed, and all else in them stays as it is written."""

from typing import Any

import pytest
import yaml

from operations import edits

FLOW = """\
config:  # of a stack
  stack:
    environments:
      production: {}  # the one that counts
      test: {label: x, database: {nodes: 1}}
    # at the end

  after: "# no comment"
"""
BLOCK = """\
config:
  stack:
    environments:
      production:
        # of the database
        database:
          nodes: 3  # three

        label: prod
      test:
        database:
          generations:  # of the test
          - 1
          forks:
            2: {of: 3}
      other: null
"""
PLACE = ("config", "stack", "environments")


def merged(below: Any, above: Any) -> Any:
    if isinstance(above, dict):
        below = below if isinstance(below, dict) else {}
        kept = {key: value for key, value in below.items() if key not in above}
        return kept | {key: merged(below.get(key), value) for key, value in above.items() if value is not None}
    return above


@pytest.mark.parametrize("text", [FLOW, BLOCK, BLOCK.replace("\n\n", "\n").rstrip()], ids=["flow", "block", "short"])
@pytest.mark.parametrize("environment", ["production", "test", "other"])
def test_values_are_written_and_taken_away_and_comments_stay(text: str, environment: str) -> None:
    place = (*PLACE, environment, "database")
    steps: list[dict[str, Any]] = [
        {"generations": [1, 2], "serving": 1, "forks": {2: {"of": 1, "at": "2026-11-22t18.00.00z"}}},
        {"serving": 2},
        {"generations": [2], "forks": None, "never": None},
        {"nodes": None, "serving": None, "generations": None},
    ]
    said = yaml.safe_load(text)
    for step in steps:
        text = edits.with_values(text, place, step)
        said = merged(said, {"config": {"stack": {"environments": {environment: {"database": step}}}}})
        assert yaml.safe_load(text) == said
    assert "# of a stack" in text or "# of the database" in text


def test_only_the_lines_of_what_changes_are_touched() -> None:
    made = edits.with_values(FLOW, (*PLACE, "production", "database"), {"generations": [1, 2], "serving": 1})
    assert made == FLOW.replace("production: {}", "production: {database: {generations: [1, 2], serving: 1}}")
    made = edits.with_values(BLOCK, (*PLACE, "production", "database"), {"generations": [1, 2]})
    assert made == BLOCK.replace("# three\n", "# three\n          generations: [1, 2]\n")
    assert edits.with_values(made, (*PLACE, "production", "database"), {"generations": None}) == BLOCK
