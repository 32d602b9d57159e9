"""The desk where access is asked for, given, refused and renewed; each step is an event."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.access_port.company import Actor, stream_of
from tests.access_port.log import DAY, MINUTE, SECOND, Event

Emit = Callable[..., Event]
SENSITIVE = frozenset(("performance", "people", "calls"))


@dataclass(slots=True)
class Grant:
    """What one holder may use, for one purpose in one segment."""

    ident: str
    since: int
    until: int
    used: int
    before: str | None = None  # the one it renews


class Desk:
    """Keeps the grants.  A principal's key is name, segment and purpose."""

    def __init__(self, rng: random.Random, people: list[Actor], emit: Emit) -> None:
        self.rng = rng
        self.emit = emit
        self.people = people
        self.held: dict[tuple[str, str, str], Grant] = {}
        self._holder: dict[str, Actor] = {}
        self._count = 2 * rng.randint(1_000, 30_000)

    def number(self) -> str:
        """The next grant's id."""
        self._count += self.rng.choice((2, 2, 4))
        return f"gr-{self._count}"

    def use(self, actor: Actor, segment: str, purpose: str, at: int, *, old: bool) -> str | None:
        """The grant that covers this use, or None.  Old work was granted before the log begins."""
        key = (actor.name, segment, purpose)
        held = self.held.get(key)
        if held is None:
            if not old:
                return None
            held = self.held[key] = Grant(
                self.number(), 0, at + int(self.rng.uniform(0.5, 16) * DAY), at
            )
            self._holder[actor.name] = actor
        held.used = at
        if at > held.until:
            return None
        return held.ident if at >= held.since else held.before

    def ask(
        self,
        actor: Actor,
        segment: str,
        purpose: str,
        at: int,
        *,
        renewal: bool = False,
        asker: Actor | None = None,
    ) -> int:
        """Ask for a grant, or its renewal; returns when it may be used."""
        rng = self.rng
        asker = asker or actor.owner or actor
        ident = self.number()
        named = (f"holder:{actor.name}",)
        self.emit(
            at,
            asker,
            "grant.renew" if renewal else "grant.request",
            named,
            segment,
            purpose,
            grant=ident,
        )
        if not renewal and rng.random() < 0.08:  # the reason was too thin; asked again, better
            at += int(rng.uniform(4, 40) * MINUTE)
            self.emit(
                at,
                self.approver(asker, "lead", at),
                "grant.refuse",
                named,
                segment,
                purpose,
                grant=ident,
            )
            at += int(rng.uniform(3, 30) * MINUTE)
            ident = self.number()
            self.emit(at, asker, "grant.request", named, segment, purpose, grant=ident)
        roles = ["lead"]
        if stream_of(segment) in SENSITIVE and not renewal:
            roles.append("privacy_officer")
        for role in roles:
            at += int(rng.uniform(1, 25) * MINUTE)
            self.emit(
                at,
                self.approver(asker, role, at),
                "grant.approve",
                named,
                segment,
                purpose,
                grant=ident,
            )
        key = (actor.name, segment, purpose)
        last = self.held.get(key)
        life = rng.choice((7, 10, 14, 14, 21)) * DAY
        self.held[key] = Grant(ident, at, at + life, at, last.ident if last else None)
        self._holder[actor.name] = actor
        return at + int(rng.uniform(5, 240) * SECOND)

    def approver(self, asker: Actor, role: str, at: int) -> Actor:
        """Who decides: the team's lead if there is one, else another on the same continent; never the asker."""
        day = at // DAY
        able = [p for p in self.people if p.role == role and p is not asker and p.here(day)]
        near = [p for p in able if p.place.continent == asker.place.continent]
        own = [p for p in near if p.team == asker.team]
        some = own or near or able or [p for p in self.people if p.role == role and p is not asker]
        return some[0] if own else self.rng.choice(some)

    def renewals(self, day: int, weekday: int, clock: Callable[[Actor, int, float], int]) -> None:
        """Renew what is about to end and still in use; a few are forgotten."""
        if weekday > 4:
            return
        ahead = (day + (4 if weekday == 4 else 2)) * DAY
        for key, held in list(self.held.items()):
            if held.until > ahead or held.until < (day - 8) * DAY:
                continue
            if held.used < day * DAY - 9 * DAY:
                continue
            actor = self._holder[key[0]]
            asker = actor.owner or actor
            if actor.owner is not None and not asker.here(day):
                asker = self.cover(asker, day)
            if not asker.here(day) or not actor.here(day) or self.rng.random() < 0.1:
                continue
            at = clock(asker, day, asker.start + self.rng.uniform(0.1, 0.9) * asker.length)
            self.ask(actor, key[1], key[2], at, renewal=True, asker=asker)

    def cover(self, owner: Actor, day: int) -> Actor:
        """Who looks after an absent owner's jobs and agents: a colleague, the same one all day."""
        able = [
            p for p in self.people if p.team == owner.team and p.role == owner.role and p.here(day)
        ]
        return able[0] if able else owner

    def drop(self, name: str) -> None:
        """Somebody left."""
        for key in [k for k in self.held if k[0] == name]:
            del self.held[key]
