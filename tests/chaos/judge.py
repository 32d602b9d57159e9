"""The judge: compares what was acknowledged with what is there, and what was released with what the ledger says.

It is pure, and knows nothing of how the record was made; so it is tested with records in which something is wrong.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass

from tests.chaos.look import INTENT, JOIN, RESULT, Held
from tests.chaos.record import ACKED, DOUBT, Choice, Record

SHOWN = 5  # of each kind that are told one by one


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be.

    Args:
        kind: ``lost``, ``duplicated``, ``invented``, ``changed``, ``release``, ``run``, ``undone``, ``erased``,
            ``broken``.
        text: What, in counts and made-up names.
    """

    kind: str
    text: str


def judge(record: Record, held: Held) -> list[Finding]:
    """Return everything that is wrong with a run."""
    return [
        *judge_events(record, held),
        *judge_releases(record, held),
        *judge_runs(record, held),
        *judge_choices(record, held),
        *(Finding("broken", one) for one in dict.fromkeys(record.broken)),
    ]


def judge_events(record: Record, held: Held) -> list[Finding]:
    """Return events that are lost, held twice, held although refused, or changed."""
    gone = erased(record)
    found = []
    for event, states in record.events.items():
        count = held.events.get(event, 0)
        if event.person in gone:
            continue  # judged as somebody who was erased
        if states.count(ACKED) > 1:
            found.append(Finding("duplicated", f"{event} was acknowledged {states.count(ACKED)} times"))  # fmt: skip
        if ACKED in states and count == 0:
            found.append(Finding("lost", f"{event} was acknowledged and is not there"))
        if ACKED not in states and DOUBT not in states and count:
            found.append(Finding("invented", f"{event} was refused and is there"))
        word = record.texts.get(event)
        if word is not None and event in held.texts and word not in held.texts[event]:
            found.append(Finding("changed", f"{event} does not say what was acknowledged"))
    for event, count in held.events.items():
        if count > 1:
            found.append(Finding("duplicated", f"{event} is there {count} times"))
        if event not in record.events:
            found.append(Finding("invented", f"{event} is there and nobody sent it"))
    for place, origins in held.origins.items():
        if len(origins) != 1:
            found.append(Finding("invented", f"{place} has {len(origins)} devices and sessions"))
    return found


def judge_releases(record: Record, held: Held) -> list[Finding]:
    """Return releases of keys that no entry covers: none that was there before, went on, and is about that person.

    Of somebody who was erased nobody can say any more which entries were about them: there must be one that was there
    and went on, and none may be later than their erasure. A join of small blocks is said of a segment, and covers whoever
    has blocks in it.
    """
    joins = {one.index for one in held.leaves if one.kind == JOIN and one.state == "begun"}
    ends = {
        one.ref: one.at_ms
        for one in held.leaves
        if one.kind == RESULT or (one.kind == JOIN and one.state in ("done", "dropped"))
    }
    runs = sorted(
        (one.at_ms, one.index) for one in held.leaves if one.kind == INTENT or one.index in joins
    )
    begins = [at for at, _ in runs]
    known = set(held.inner.values())
    found = []
    for one in held.releases:
        at_ms = one.at_us // 1000
        going = [
            index
            for _, index in runs[: bisect_right(begins, at_ms)]
            if ends.get(index, at_ms) >= at_ms
        ]
        if one.person in known:
            going = [
                index
                for index in going
                if index in joins or one.person in held.about.get(index, set())
            ]
        if not going:
            found.append(Finding("release", f"keys of {one.stream} of somebody, without an entry that covers it"))  # fmt: skip
    return [*found, *_judge_late(record, held)]


def _judge_late(record: Record, held: Held) -> list[Finding]:
    """Return releases after an erasure, as far as can be told: the inner names of who was erased are known to nobody.

    After each erasure one fewer of them may be released.
    """
    known = set(held.inner.values())
    told = sorted(one.told_us for one in record.choices if one.choice == "erase" and one.told_us)
    last: dict[str, int] = defaultdict(int)
    for one in held.releases:
        if one.person not in known:
            last[one.person] = max(last[one.person], one.at_us)
    everybody = len(erased(record))
    return [
        Finding("erased", "keys of somebody who was erased were looked up afterwards")
        for number, at_us in enumerate(told, 1)
        if sum(at > at_us for at in last.values()) > everybody - number
    ]


def judge_runs(record: Record, held: Held) -> list[Finding]:
    """Return runs without one result, and runs that were acknowledged and are not there."""
    results: dict[int, list[str]] = defaultdict(list)
    for one in held.leaves:
        if one.kind == RESULT:
            results[one.ref].append(one.outcome)
    intents = {one.index for one in held.leaves if one.kind == INTENT}
    found = [
        Finding("run", f"entry {index} has {len(results[index])} results")
        for index in sorted(intents)
        if len(results[index]) != 1
    ]
    good = {one.index for one in held.leaves if one.kind == RESULT and one.outcome == "ok"}
    for entry, _rows in record.uses:
        if entry not in good:
            found.append(Finding("run", f"entry {entry} was acknowledged and does not say so"))
    return found


def judge_choices(record: Record, held: Held) -> list[Finding]:
    """Return choices that were acknowledged and do not hold, and people who were erased and are still there."""
    kinds = {one.index: one.kind for one in held.leaves}
    mine: dict[str, list[Choice]] = defaultdict(list)
    for one in record.choices:
        mine[one.person].append(one)
    found = []
    for person, made in mine.items():
        if any(one.choice == "erase" for one in made):
            found += _judge_erased(person, made, held)
            continue
        for one in made:
            if one.entry >= 0 and kinds.get(one.entry) != "choice":
                found.append(Finding("undone", f"the entry of a choice of {person} is not there"))
        if made[-1].told_us and (made[-1].choice == "pause") != (person in held.paused):
            found.append(Finding("undone", f"the last choice of {person} does not hold"))
        found += _judge_pauses(person, made, held)
    return found


def _judge_pauses(person: str, made: list[Choice], held: Held) -> list[Finding]:
    """Return intents about somebody that lie between a pause and the resume after it, in the order of the ledger."""
    inner = held.inner.get(person)
    intents = [one.index for one in held.leaves if one.kind == INTENT]
    about = [index for index in intents if inner in held.about.get(index, set())]
    found = []
    for at, one in enumerate(made):
        if one.choice != "pause" or one.entry < 0:
            continue
        # a resume whose answer was lost may have counted from any moment on
        later = made[at + 1].entry if at + 1 < len(made) else 1 << 62
        if at + 1 < len(made) and made[at + 1].entry < 0:
            continue
        found += [
            Finding("undone", f"{person} paused, and entry {index} uses their data")
            for index in about
            if one.entry < index < later
        ]
    return found


def _judge_erased(person: str, made: list[Choice], held: Held) -> list[Finding]:
    told = [one.told_us for one in made if one.choice == "erase" and one.told_us]
    if not told:
        return []  # asked for, and never acknowledged
    found = []
    if person in held.inner:
        found.append(Finding("erased", f"{person} was erased and is still known"))
    if any(event.person == person for event in held.events):
        found.append(Finding("erased", f"{person} was erased and events of theirs open"))
    kinds = {one.index: one.kind for one in held.leaves}
    entries = [one.entry for one in made if one.entry >= 0]
    if any(kinds.get(entry) != "erasure" for entry in entries):
        found.append(Finding("undone", f"the entry of the erasure of {person} is not there"))
    return found


def erased(record: Record) -> set[str]:
    """Return whose erasure was asked for."""
    return {one.person for one in record.choices if one.choice == "erase"}


def tell(findings: list[Finding]) -> str:
    """Return findings as lines, a few of each kind."""
    by: dict[str, list[str]] = defaultdict(list)
    for one in findings:
        by[one.kind].append(one.text)
    lines = []
    for kind, texts in sorted(by.items()):
        lines += [f"{kind}: {len(texts)}", *(f"  {text}" for text in texts[:SHOWN])]
    return "\n".join(lines)
