"""Loads of people: choices, erasures, uses of their data, and a beat that shows when the keepers answer again."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Sequence

from tests.chaos.loads import Holding
from tests.chaos.record import Choice, Record
from tests.chaos.site import Site

from safehold.app.collection import KeeperLine
from safehold.errors import MissingError, SafeholdError, UnavailableError
from safehold.signing import SigningKey

PURPOSE = "train_ui_agent"


class Choosing(Holding):
    """People who pause and resume.

    Args:
        site: The site.
        record: Where everything is noted.
        people: Who; nobody else chooses for them.
        first: Which keeper is asked first.
    """

    expects: frozenset[str] = frozenset()

    def __init__(
        self, site: Site, record: Record, people: Sequence[str], *, first: str = ""
    ) -> None:
        self.name, self.pause_s = "choices", 0.7
        self._record, self._people, self._line = record, list(people), site.line(first)
        self._dice = random.Random("".join(people))
        self._paused: set[str] = set()

    def one(self) -> bool:
        person = self._dice.choice(self._people)
        choice = "resume" if person in self._paused else "pause"
        asked, told, entry = _now(), 0, -1
        try:
            answer = self._line.call("people.choose", person=person, choice=choice)
            told, entry = _now(), int(answer.get("entry", -1))
        finally:
            self._record.chose(Choice(person, choice, asked, told, entry))
        (self._paused.add if choice == "pause" else self._paused.discard)(person)
        return True


class Erasing(Holding):
    """People who are erased, one after the other, each asked for until it is through.

    Args:
        site: The site.
        record: Where everything is noted.
        people: Who.
        pause_s: Between two of them.
    """

    # one that was carried out although its answer was lost: nobody knows them any more
    expects = frozenset({"subjects.erased"})

    def __init__(
        self, site: Site, record: Record, people: Sequence[str], *, pause_s: float
    ) -> None:
        self.name, self.pause_s = "erasures", 1.0
        self._every, self._next = pause_s, 0.0
        self._record, self._left, self._line = record, deque(people), site.line()
        self._tried = False

    def one(self) -> bool:
        if not self._left or time.monotonic() < self._next:
            return False
        person, asked = self._left[0], _now()
        try:
            answer = self._line.call(
                "people.erase", person=person, evidence="a letter of the tests"
            )
        except MissingError:
            if not self._tried:
                raise
            self._record.chose(Choice(person, "erase", asked, _now(), -1))
        except SafeholdError:
            self._tried = True
            self._record.chose(Choice(person, "erase", asked, 0, -1))
            raise
        else:
            self._record.chose(Choice(person, "erase", asked, _now(), int(answer["result"])))
        self._left.popleft()
        self._tried, self._next = False, time.monotonic() + self._every
        return True


class Using(Holding):
    """Builds of features over everybody who may take part: each opens blocks, and seals what is derived.

    Args:
        site: The site.
        record: Where everything is noted.
        pause_s: Between two of them.
    """

    # somebody chose against it, or was erased, while it ran; nobody may take part just now
    expects = frozenset({"vault.key", "purpose.min_people", "subjects.erased", "run.choice", "sandbox.stopped", "sandbox.failed"})  # fmt: skip

    def __init__(self, site: Site, record: Record, *, pause_s: float = 4.0) -> None:
        self.name, self.pause_s = "uses", pause_s
        self._record, self._line = record, site.line()

    def one(self) -> bool:
        answer = self._line.call("feature", purpose=PURPOSE)
        self._record.used(int(answer["entry"]), int(answer["rows"]))
        return True


class Beating(Holding):
    """A device that asks for a lease and hands nothing in: a word of the ledger and one of the control database.

    Args:
        site: The site.
        person: Whose device it is.
    """

    expects = frozenset({"capability.nonce", "lease.device"})

    def __init__(self, site: Site, person: str) -> None:
        self.name, self.pause_s = "beat", 0.4
        self._person, self._key, self._line = person, SigningKey.generate(), site.line()
        self._lease = KeeperLine(self._line, person=person, device=self._key)

    def enrol(self) -> None:
        self._line.call(
            "source.add", person=self._person, device=self._key.public.text(), evidence="made up"
        )

    def one(self) -> bool:
        self._lease.obtain()
        return True


def _now() -> int:
    return time.time_ns() // 1000


__all__ = ["Beating", "Choosing", "Erasing", "UnavailableError", "Using"]
