"""A ledger of very many uses, made at once: the keeper and its grants are real, its runs are entries alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.keeper_desk import PURPOSE, Bench, found_bench

from safehold.ledger import Entry, Subject

SEGMENTS = ("us-ca.feature", "us-ca.pointer", "us-ca.key")


@dataclass
class History:
    """What was made up, kept apart from the ledger.

    Args:
        bench: The keeper.
        people: Ids in the register.
        grants: Ids of grants, by the index of their leaf.
        people_of: Whose data was opened under each grant, by its id.
        first_of: The oldest run that opened data of each person.
    """

    bench: Bench
    people: list[str]
    grants: dict[int, str]
    people_of: dict[str, set[str]] = field(default_factory=dict)
    runs_of: dict[str, int] = field(default_factory=dict)
    entries_of: dict[str, int] = field(default_factory=dict)


def make_history(
    path: Path,
    *,
    entries: int,
    people: int,
    grants: int,
    crowd: int = 5,
    seed: int = 7,
    at_once: int = 512,
) -> History:
    """Make a home, and append so many entries to its ledger: intents with their results.

    Args:
        path: Where.
        entries: How many.
        people: How many take part.
        grants: How many grants the uses are spread over.
        crowd: People of one use; of every thousandth use it is everybody.
        seed: Of the choice.
        at_once: Entries of one append.
    """
    chance = random.Random(seed)
    bench = found_bench(
        path, people=[f"m{at:05}" for at in range(people)], streams=("pointer",)
    ).start()
    names = [str(one) for one in bench.desk.people.everybody()]
    bench.take(*(bench.desk.people.standing(one).external for one in names))
    for _ in range(grants):
        bench.pass_()
    known = {one["entry"]: one["id"] for one in bench.call("grant.list")["grants"]}
    history = History(bench, names, known)
    keys = dict(zip(names, bench.desk.vault.subjects.keys(names), strict=True))
    for batch in _batches(history, chance, keys, entries=entries, crowd=crowd, at_once=at_once):
        bench.desk.ledger.append(batch)
    return history


def _batches(
    history: History,
    chance: random.Random,
    keys: dict[str, bytes],
    *,
    entries: int,
    crowd: int,
    at_once: int,
) -> Iterator[list[Entry]]:
    ledger, leaves = history.bench.desk.ledger, sorted(history.grants)
    number = 0
    while ledger.size < entries:
        batch: list[Entry] = []
        start = ledger.size
        for at in range(min(at_once, max(entries - start, 2)) // 2):
            grant = chance.choice(leaves)
            number += 1
            who = history.people if number % 1000 == 0 else chance.sample(history.people, crowd)
            name = history.grants[grant]
            history.people_of.setdefault(name, set()).update(who)
            history.runs_of[name] = history.runs_of.get(name, 0) + 1
            for one in who:
                history.entries_of[one] = history.entries_of.get(one, 0) + 1
            day = history.bench.today - 1
            batch.append(
                Entry(
                    kind="access.intent",
                    actor=f"user-{grant % 97}",
                    object="train",
                    detail={
                        "grant": name,
                        "purpose": PURPOSE,
                        "segments": ["us-ca.pointer"],
                        "days": [day, day],
                        "label": {"streams": ["pointer"], "categories": ["user.behavior"]},
                        "tokens": [f"token-{grant}-{number % 5}"],
                        "people": len(who),
                    },
                    subjects=[Subject(key=keys[one]) for one in who],
                    public={"purpose": PURPOSE, "rows": 2 * len(who)},
                    ref=grant,
                )
            )
            batch.append(
                Entry(
                    kind="access.result",
                    actor=f"user-{grant % 97}",
                    object="train",
                    detail={"blocks": len(who)},
                    public={"outcome": "ok", "bytes": 0},
                    ref=start + 2 * at,
                )
            )
        yield batch
