"""When servers reboot by themselves: a weekly window a server, and never one for two servers of a role (P2).

A server's window comes from its generation and number alone, so that it stays its own while servers and generations
come and go beside it: servers learn of a change only when somebody applies it.
"""

from typing import get_args

from components.topology import Day, Reboots

_WEEK = get_args(Day)
_LANES = 2  # generations that run side by side: an old one and its successor


def lane(generation: int) -> int:
    """Return which half of the windows a generation has."""
    return generation % _LANES


def most(reboots: Reboots) -> int:
    """Return the most servers of a generation that have windows of their own."""
    return _each_day(reboots) * len(reboots.days) // _LANES


def window(reboots: Reboots, generation: int, number: int) -> str:
    """Return the beginning of a server's window, as systemd.time(7) has it; neighbours reboot on different days."""
    position = number - 1 + lane(generation) * most(reboots)
    day = reboots.days[position % len(reboots.days)]
    minutes = reboots.hour * 60 + position // len(reboots.days) * reboots.every
    later, minute = divmod(minutes, 24 * 60)
    weekday = _WEEK[(_WEEK.index(day) + later) % len(_WEEK)]
    return f"{weekday[:3].capitalize()} *-*-* {minute // 60:02}:{minute % 60:02}:00 UTC"


def _each_day(reboots: Reboots) -> int:
    return reboots.hours * 60 // reboots.every
