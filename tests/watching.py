"""A sentinel at a keeper of tests: what it may ask, and a reader that asks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agency import with_agents
from tests.keeper_desk import CROWD, PURPOSE, Bench, found_bench

from safehold.access import Human
from safehold.app.sentinel import Reader
from safehold.keeper.caller import SENTINEL
from safehold.ledger import Entry
from safehold.sentinel.answers import Answers

READER = "ab" * 16


class Post:
    """The line of a sentinel that this keeper has admitted.

    Args:
        bench: The keeper.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.word = bench.verbs.door.admit_sentinel()

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return self.bench.call(verb, **arguments, caller={SENTINEL: self.word})

    def events(self, since: int = 0, limit: int = 10_000, reader: str = READER) -> dict[str, Any]:
        return self.call("sentinel.events", reader=reader, since=since, limit=limit)

    def reader(self, **more: Any) -> Reader:
        return Reader(self, keep_s=0.0, **{"answers": Answers, **more})  # type: ignore[arg-type]

    def read(self, **more: Any) -> Reader:
        """Read all that there is, as a sentinel that was just started."""
        reader = self.reader(**more)
        while reader.turn():
            pass
        return reader

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts, oldest first."""
        return sorted(self.bench.call("alert.list")["alerts"], key=lambda one: one["alert"])


def used(path: Path, *, knocks: int) -> Bench:
    """Return a home, not running, whose data was used once and asked for in vain some times."""
    bench = found_bench(path, people=CROWD, charter=with_agents())
    bench.start()
    bench.take(*CROWD)
    bench.call("feature", purpose=PURPOSE)
    knock(bench, knocks)
    bench.stop()
    return bench


def knock(bench: Bench, times: int, verb: str = "train") -> None:
    """Try a door without any right to it, again and again."""
    for _ in range(times):
        try:
            bench.call(verb, token="none", proof="", nonce="", purpose="train_ui_agent")
        except Exception as error:
            assert getattr(error, "entry", None) is not None, error


def reserved(name: str) -> Human:
    """Return somebody who asks under a name that nobody has."""
    return Human(id=name, role="data_scientist")


def flood(bench: Bench, count: int) -> None:
    """Append ordinary uses and their results, of fifty people and machines, as fast as the ledger takes them."""
    ledger = bench.desk.ledger
    for start in range(0, count, 1_000):
        uses = [
            Entry(
                kind="access.intent",
                actor=f"worker-{number % 50}",
                object="train",
                detail={
                    "grant": "",
                    "role": "data_scientist",
                    "segments": ["us-ca.feature"],
                    "label": {"of": number},
                },
                public={"purpose": "train_ui_agent", "rows": 50 + number % 7},
            )
            for number in range(start, min(start + 1_000, count), 2)
        ]
        taken = ledger.append(uses)
        ledger.append(
            [
                Entry(
                    kind="access.result",
                    actor=one.actor,
                    object="train",
                    detail={"blocks": 1},
                    public={"outcome": "ok", "bytes": 900},
                    ref=receipt.index,
                )
                for one, receipt in zip(uses, taken, strict=True)
            ]
        )
