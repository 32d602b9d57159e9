"""A portal before a keeper that holds data of people with names nobody writes by chance, some of it used.

``emil`` and ``eva`` sign in at the provider and are linked to two of those people; what was done with whose data is
known here apart from the ledger.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.keeper_desk import PURPOSE, Bench, found_bench, script_training
from tests.portal_desk import Portal, post
from tests.served import copy_served

from safehold.clock import DAY_US, SystemClock

MINE, HERS = "nuthatch-7c1f", "wagtail-20be"
OTHERS = tuple(f"canary-{number:02}-9d4e" for number in range(51))
PEOPLE = (MINE, HERS, *OTHERS)


class ShiftedClock(SystemClock):
    """The wall clock, some days on."""

    def __init__(self) -> None:
        self.by_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.by_us


@dataclass
class Truth:
    """What was done, told by whoever did it.

    Args:
        used: By the entry of a use, who was in it.
        model: The model that was trained.
    """

    used: dict[int, frozenset[str]] = field(default_factory=dict)
    model: str = ""


def found_company(path: Path) -> tuple[Bench, Truth]:
    """Make a home whose people's data was taken in, built into features twice, and trained on once."""
    bench, truth = found_bench(path, people=PEOPLE).start(), Truth()
    bench.take(*PEOPLE)
    bench.take(MINE, days_ago=2, name="b", first=9)
    everybody = frozenset(PEOPLE)
    built = bench.call("feature", purpose=PURPOSE)["dataset"]
    truth.used[int(built.rpartition(":")[2])] = everybody
    bench.call("ledger.close-epoch")
    # an operator may pause somebody who is ill; from here on she is in nothing
    bench.call("people.choose", person=HERS, choice="pause")
    built = bench.call("feature", purpose=PURPOSE)["dataset"]
    truth.used[int(built.rpartition(":")[2])] = everybody - {HERS}
    script_training(bench)
    trained = bench.call("train", **bench.use(bench.pass_()))
    truth.used[int(trained["intent"])] = everybody - {HERS}
    truth.model = trained["artifact"]
    bench.stop()
    return bench, truth


class MyPortal(Portal):
    """A portal, its people linked to who they are."""

    truth: Truth
    clock: ShiftedClock

    def code(self, person: str) -> str:
        return str(self.bench.call("people.invite", person=person)["code"])

    def join(self, name: str, person: str) -> Any:
        """Return a client of somebody who linked their sign-in as people do: with a code, on the page."""
        client = self.client(name)
        answer = post(client, "/me/join", "/me/join", person=person, code=self.code(person))
        assert answer.status_code == 200, answer.text[-2000:]
        return client

    def wait(self, days: int) -> None:
        """Let days go by; whoever was signed in is not any more."""
        self.clock.by_us += days * DAY_US


@contextmanager
def my_portal_of(made: tuple[Bench, Truth], folder: Path) -> Iterator[MyPortal]:
    """Yield a portal over a copy of a company."""
    bench, truth = made
    portal = MyPortal(copy_served(bench, folder / "copy"))
    portal.truth, portal.clock = truth, ShiftedClock()
    portal.bench.clock = portal.clock  # type: ignore[assignment]
    portal.provider.now_s = lambda: portal.clock.now_us() // 1_000_000
    with portal.provider.running():
        portal.served.start()
        try:
            portal.enrol()
            portal.listen()
            yield portal
        finally:
            portal.close()
            portal.served.stop()


def entries_on(text: str) -> list[int]:
    """Return the entries that a page of the list links to, in order."""
    return [int(one) for one in re.findall(r'href="/me/uses/([0-9]+)"', text)]


def everything_listed(client: Any, **chosen: str) -> list[int]:
    """Return every entry that the list shows, page by page, as somebody who presses `Older` does."""
    found: list[int] = []
    address = "/me/uses?" + "&".join(f"{name}={value}" for name, value in chosen.items())
    while True:
        text = client.get(address).text
        found += entries_on(text.partition("<tbody>")[2].partition("</tbody>")[0])
        older = re.search(r'rel="next" href="([^"]+)"', text)
        if older is None:
            return found
        address = older[1].replace("&amp;", "&")


def settle(portal: MyPortal) -> None:
    """Wait until the newest entry is published."""
    for _ in range(100):
        portal.bench.call("ledger.publish")
        status = portal.bench.call("status")["ledger"]
        if status["cosigned"] >= status["size"]:
            return
        time.sleep(0.05)


__all__ = [
    "HERS", "MINE", "OTHERS", "MyPortal", "Truth", "entries_on", "everything_listed", "found_company",
    "my_portal_of", "settle",
]  # fmt: skip
