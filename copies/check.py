"""Whether the newest copy is too old, by the store's clock, or can't be found, of which everybody is told."""

import argparse
import datetime as dt
from typing import Any

from copies import alarm, listing, state
from copies.config import Config
from copies.copy import DRIFT
from copies.repository import Repository, RepositoryError, Say

OVERDUE = dt.timedelta(hours=26)


def run(config: Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Return the newest copy, and the reason where it is overdue.

    Raises:
        AlarmError: somebody could not be told.
    """
    repository = Repository(config, say)
    try:
        now = repository.reach() + DRIFT
        newest = next((each for each in listing.copies(repository.snapshots()) if each.taken <= now), None)
        late = newest is None or now - newest.taken > OVERDUE + DRIFT
        last = f"the newest one is of {newest.taken:%Y-%m-%d %H:%M} UTC" if newest else "there is none"
        reason = f"the copy of the database is overdue: {last}" if late else ""
    except RepositoryError as error:
        newest, reason = None, f"whether there are copies of the database can't be seen: {error}"
    with state.held(wanted.config.with_suffix(".state"), say) as known:
        if reason:
            say(f"copies: {reason}")
            alarm.tell(config, known, "overdue", reason)
        else:
            alarm.over(config, known, "overdue")
    return {"newest": newest and newest.json(), "reason": reason}
