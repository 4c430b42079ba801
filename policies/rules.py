"""All rules of the pack."""

from policies import data, doors, places, references, spending, tags

RESOURCE_RULES = (*places.RULES, *data.RULES, *doors.RULES, *tags.RULES, *spending.RULES)
STACK_RULES = (*doors.STACK_RULES, *references.RULES, *spending.STACK_RULES)
