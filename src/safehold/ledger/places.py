"""Who holds a connection of a server, and whose is ended when all places are taken.

Nobody who waits can keep others out: a newcomer takes the place of the connection that has waited
longest, of those who hold the most. Only a request that is being answered is never ended for it.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Place:
    """One connection.

    Attributes:
        house: Whose it is: an IPv4 address, or an IPv6 network of one site (/64).
        leave: Ends it.
        answering: Whether a request of it is being answered.
        since: When it came, or had its last answer; monotonic seconds.
        bytes: Of the body of its request, as far as it is held.
    """

    house: str
    leave: Callable[[], object]
    answering: bool = False
    since: float = field(default_factory=time.monotonic)
    bytes: int = 0


class Places:
    """The places of one server; for one thread.

    Args:
        connections: All of them.
        each: Those that one house may hold.
    """

    def __init__(self, *, connections: int, each: int) -> None:
        self._most, self._each = connections, each
        self._taken: dict[Place, None] = {}  # in the order in which they came
        self._of: Counter[str] = Counter()

    def take(self, host: str, leave: Callable[[], object]) -> Place | None:
        """Return a place for a newcomer, or nothing if there is none for them.

        Args:
            host: Their address.
            leave: Ends their connection; called at most once, when the place goes to another.
        """
        place = Place(house_of(host), leave)
        if self._of.get(place.house, 0) >= self._each:
            return None
        if len(self._taken) >= self._most:
            waiting = [one for one in self._taken if not one.answering]
            if not waiting:
                return None
            loser = min(waiting, key=lambda one: (-self._of[one.house], one.since))
            self.free(loser)
            loser.leave()
        self._taken[place] = None
        self._of[place.house] += 1
        return place

    def free(self, place: Place) -> None:
        """Let go of a place; one that was given to another already changes nothing."""
        if place not in self._taken:
            return
        del self._taken[place]
        self._of[place.house] -= 1
        if not self._of[place.house]:
            del self._of[place.house]


def house_of(host: str) -> str:
    """Return what counts as one client: who has an IPv6 address usually has 2^64 of them."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
