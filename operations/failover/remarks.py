"""What a preview says of a stack's part in failover, from its settings."""

from collections.abc import Iterator

from components import detection, standby
from components.settings import Stack


def remarks(stack: Stack) -> Iterator[str]:
    """Yield, in a line each, how soon a failure of its names is found, and how much of a standby is there."""
    if any(stack.names()):
        allowed = f" ({stack.failover.detect_within} s are allowed)" if stack.failover else ""
        times = detection.times(stack.health)
        yield f"a site that is down is found within {times.detect} s{allowed}, and up again within {times.recover} s"
    if stack.standby:
        yield f"standby of {stack.standby.of}: {standby.describe(stack)}"
