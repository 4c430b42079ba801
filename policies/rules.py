"""All rules of the pack, and the table of them that people read."""

from policies import data, places
from policies.rule import StackRule

RESOURCE_RULES = (*places.RULES, *data.RULES)
STACK_RULES: tuple[StackRule, ...] = ()
