"""How long Cloudflare takes to notice (F4): computed from the settings of the probes.

Each data center that probes counts by itself: `consecutive_down` failed probes make an origin down there, and as many
as `consecutive_up` good ones make it healthy again. An origin is as the majority of a region's data centers finds it,
and of the regions their majority (cloudflare-docs, load-balancing, health details). So what holds for each data center
holds for their majority, whenever in its interval each of them probes.
"""

from dataclasses import dataclass

from components.topology import Health


@dataclass(frozen=True)
class Times:
    """The longest that it takes, in seconds, to find a failure, and to find that it is over."""

    detect: int
    recover: int

    def __str__(self) -> str:
        """Return them as a phrase."""
        return f"down is found within {self.detect} s, up again within {self.recover} s"


def times(health: Health) -> Times:
    """Return how long Cloudflare takes at most to find that a site is down, and that it is up again.

    A failure begins right after a good probe, and the last failing one hangs through all its retries. A site that is
    back begins to count with the next probe, of which the last one takes up to its timeout.
    """
    return Times(
        detect=health.interval * health.consecutive_down + health.timeout * (health.retries + 1),
        recover=health.interval * health.consecutive_up + health.timeout,
    )
