"""The table of rules that people read: docs/policies.md holds what `markdown` returns."""

from policies.rules import RESOURCE_RULES, STACK_RULES


def markdown() -> str:
    """Return the rules as a Markdown table."""
    lines = ["| rule | of | what holds |", "| --- | --- | --- |"]
    lines += [f"| `{rule.name}` | each resource | {rule.promise} |" for rule in RESOURCE_RULES]
    lines += [f"| `{rule.name}` | the stack | {rule.promise} |" for rule in STACK_RULES]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
