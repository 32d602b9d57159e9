"""The judge of a soak: in a good record it finds nothing; each wrong that is put in is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.chaos.growth import grown, growth_of
from tests.chaos.judge import judge, tell
from tests.chaos.look import INTENT, JOIN, RESULT, Held, Leaf, Released
from tests.chaos.plan import Plan
from tests.chaos.record import ACKED, DOUBT, REFUSED, Choice, Event, Record, Sample, Struck
from tests.chaos.table import figures, markdown, never_back, recoveries

ANN, BOB, EVE, PAT = "ann", "bob", "eve", "pat"
KEPT = [Event(ANN, "chat", number) for number in range(3)]
UNSURE, GONE = Event(BOB, "pointer", 0), Event(BOB, "pointer", 1)


def good() -> tuple[Record, Held]:
    """Two runs; one event in doubt that came; one refused; somebody paused and resumed; somebody was erased."""
    record = Record()
    record.sent(ACKED, KEPT, ["mivora", "lotake", "bedoru"])
    record.sent(DOUBT, [UNSURE])
    record.sent(REFUSED, [GONE])
    record.sent(ACKED, [Event(EVE, "chat", 0)], ["zefuni"])
    record.chose(Choice(PAT, "pause", 3_000_000, 3_100_000, 5))
    record.chose(Choice(PAT, "resume", 4_000_000, 4_100_000, 6))
    record.chose(Choice(EVE, "erase", 5_000_000, 5_100_000, 8))
    record.used(2, 10)
    record.used(10, 10)
    leaves = [
        Leaf(0, "charter", 900, -1, ""),
        Leaf(1, INTENT, 1_000, -1, ""),
        Leaf(2, RESULT, 1_500, 1, "ok"),
        Leaf(3, INTENT, 2_000, -1, ""),
        Leaf(4, RESULT, 2_500, 3, "lost"),
        Leaf(5, "choice", 3_000, -1, ""),
        Leaf(6, "choice", 4_000, -1, ""),
        Leaf(7, "erasure", 5_000, -1, ""),
        Leaf(8, "erasure", 5_050, 7, ""),
        Leaf(9, INTENT, 6_000, -1, ""),
        Leaf(10, RESULT, 6_500, 9, "ok"),
        Leaf(11, JOIN, 7_000, -1, "", "begun"),
        Leaf(12, JOIN, 7_400, 11, "", "made"),
        Leaf(13, JOIN, 7_500, 11, "", "done"),
    ]
    inner = {ANN: "i-ann", BOB: "i-bob", PAT: "i-pat"}
    held = Held(
        events=Counter([*KEPT, UNSURE]),
        origins={(ANN, "chat"): {(b"d", b"s")}, (BOB, "pointer"): {(b"d", b"s")}},
        texts=dict(zip(KEPT, ["mivora x", "lotake x", "bedoru x"], strict=True)),
        leaves=leaves,
        about={1: {"i-ann", "i-pat"}, 3: {"i-ann"}, 9: {"i-ann", "i-pat"}},
        inner=inner,
        releases=[
            Released(1_200_000, "i-ann", "chat", 2),
            Released(1_200_000, "i-pat", "chat", 1),
            Released(1_300_000, "i-eve", "chat", 1),
            Released(6_100_000, "i-ann", "chat", 2),
            Released(7_450_000, "i-bob", "pointer", 2),
        ],
    )
    return record, held


def test_in_a_good_record_there_is_nothing() -> None:
    assert judge(*good()) == []


def lose(_record: Record, held: Held) -> None:
    del held.events[KEPT[1]]


def double(_record: Record, held: Held) -> None:
    held.events[KEPT[1]] += 1


def double_doubtful(_record: Record, held: Held) -> None:
    held.events[UNSURE] += 1


def keep_refused(_record: Record, held: Held) -> None:
    held.events[GONE] += 1


def keep_unknown(_record: Record, held: Held) -> None:
    held.events[Event(BOB, "pointer", 77)] += 1


def two_devices(_record: Record, held: Held) -> None:
    held.origins[ANN, "chat"].add((b"e", b"s"))


def change(_record: Record, held: Held) -> None:
    held.texts[KEPT[2]] = "something else"


def acknowledge_twice(record: Record, _held: Held) -> None:
    record.sent(ACKED, [KEPT[0]])


def release_before_any_entry(_record: Record, held: Held) -> None:
    held.releases.append(Released(990_000, "i-ann", "chat", 1))


def release_after_the_run(_record: Record, held: Held) -> None:
    held.releases.append(Released(1_700_000, "i-ann", "chat", 1))


def release_of_somebody_else(_record: Record, held: Held) -> None:
    held.releases.append(Released(1_200_000, "i-bob", "chat", 1))


def release_after_the_join(_record: Record, held: Held) -> None:
    held.releases.append(Released(7_600_000, "i-bob", "pointer", 1))


def release_of_the_erased_without_a_run(_record: Record, held: Held) -> None:
    held.releases.append(Released(1_700_000, "i-eve", "chat", 1))


def release_of_the_erased_afterwards(_record: Record, held: Held) -> None:
    held.releases.append(Released(6_100_000, "i-eve", "chat", 1))


def no_result(_record: Record, held: Held) -> None:
    held.leaves[4] = replace(held.leaves[4], kind="other")


def two_results(_record: Record, held: Held) -> None:
    held.leaves.append(Leaf(11, RESULT, 7_000, 3, "ok"))


def acknowledged_run_gone(_record: Record, held: Held) -> None:
    held.leaves[10] = replace(held.leaves[10], outcome="lost")


def choice_gone(_record: Record, held: Held) -> None:
    held.leaves[5] = replace(held.leaves[5], kind="ingest")


def choice_undone(_record: Record, held: Held) -> None:
    held.paused.add(PAT)


def used_while_paused(_record: Record, held: Held) -> None:
    held.leaves[5], held.leaves[3] = (
        replace(held.leaves[3], index=5),
        replace(held.leaves[5], index=3),
    )
    held.about[5] = {"i-pat"}
    _record.choices[0] = replace(_record.choices[0], entry=3)


def erasure_gone(_record: Record, held: Held) -> None:
    held.leaves[8] = replace(held.leaves[8], kind="ingest")


def erased_known(_record: Record, held: Held) -> None:
    held.inner[EVE] = "i-eve"


def erased_held(_record: Record, held: Held) -> None:
    held.events[Event(EVE, "chat", 0)] += 1
    held.origins[EVE, "chat"] = {(b"d", b"s")}


def hung(record: Record, _held: Held) -> None:
    record.broke("uses: a call never came back")


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (lose, "lost"),
        (double, "duplicated"),
        (double_doubtful, "duplicated"),
        (acknowledge_twice, "duplicated"),
        (keep_refused, "invented"),
        (keep_unknown, "invented"),
        (two_devices, "invented"),
        (change, "changed"),
        (release_before_any_entry, "release"),
        (release_after_the_run, "release"),
        (release_of_somebody_else, "release"),
        (release_after_the_join, "release"),
        (release_of_the_erased_without_a_run, "release"),
        (release_of_the_erased_afterwards, "erased"),
        (no_result, "run"),
        (two_results, "run"),
        (acknowledged_run_gone, "run"),
        (choice_gone, "undone"),
        (choice_undone, "undone"),
        (used_while_paused, "undone"),
        (erasure_gone, "undone"),
        (erased_known, "erased"),
        (erased_held, "erased"),
        (hung, "broken"),
    ],
)
def test_each_wrong_is_found(wrong: Callable[[Record, Held], None], kind: str) -> None:
    record, held = good()
    wrong(record, held)
    found = judge(record, held)
    assert kind in {one.kind for one in found}, found
    assert tell(found).startswith(tuple("abcdefghijklmnopqrstuvwxyz"))


def test_an_event_in_doubt_may_be_there_or_not() -> None:
    record, held = good()
    del held.events[UNSURE]
    assert judge(record, held) == []


def test_a_resume_whose_answer_was_lost_may_have_counted() -> None:
    record, held = good()
    record.choices[1] = replace(record.choices[1], told_us=0, entry=-1)
    held.paused.add(PAT)
    assert judge(record, held) == []


# -- growth


def life(
    part: str, pid: int, *, minutes: float, leak: float = 0.0, files: float = 0.0
) -> list[Sample]:
    """Return samples of a process that warms up for a minute, with some noise, and may leak a minute."""
    found = []
    for at in range(0, int(minutes * 60), 2):
        warm = 100e6 * min(at / 50, 1) + (2e6 if at % 14 == 0 else 0)
        held = int(warm + leak * at / 60)
        found.append(Sample(float(at), part, pid, held, int(30 + files * at / 60 + at % 3), 9))
    return found


def test_a_process_that_warms_up_and_is_noisy_does_not_grow() -> None:
    found = growth_of([*life("keeper-a", 1, minutes=6), *life("keeper-a", 2, minutes=4)])
    assert grown(found) == []
    assert [(one.lives, one.part) for one in found] == [(2, "keeper-a")]


@pytest.mark.parametrize(
    ("more", "what"), [({"leak": 3e6}, "memory"), ({"files": 1.0}, "descriptors")]
)
def test_a_leak_is_found(more: dict[str, float], what: str) -> None:
    found = growth_of([*life("keeper-a", 1, minutes=6, **more), *life("portal", 9, minutes=6)])
    (wrong,) = grown(found)
    assert wrong.startswith(f"keeper-a: {what}")


def test_a_keeper_that_takes_over_does_not_grow_and_one_that_leaks_in_its_term_does() -> None:
    before = [replace(one, memory=one.memory // 4) for one in life("keeper-b", 1, minutes=4)]
    term = [replace(one, at=one.at + 240, leads=True) for one in life("keeper-b", 1, minutes=5)]
    assert grown(growth_of([*before, *term])) == []
    leaks = [replace(one, memory=int(one.memory + one.at * 1e5)) for one in term]
    assert grown(growth_of([*before, *leaks])) != []


def test_lives_that_are_too_short_tell_nothing() -> None:
    found = growth_of(life("keeper-a", 1, minutes=2, leak=50e6))
    assert [(one.lives, one.memory) for one in found] == [(0, 0.0)]


# -- recovery


def test_recovery_is_from_the_fault_to_the_first_success_that_began_after_it() -> None:
    record = Record()
    record.strike(Struck("database kill", "database", 100.0, 102.0))
    record.succeeded("beat", 99.0)  # ended now, far later, but was asked before
    record.done[0] = replace(record.done[0], ended=101.0)
    record.succeeded("beat", 101.0)
    record.done[1] = replace(record.done[1], ended=104.5)
    (again,) = recoveries(record)["database kill"]
    assert (again.first_s, again.down_s, again.alone) == (4.5, 2.0, True)
    assert never_back(record) == []
    record.strike(Struck("portal kill", "portal", 103.0, 104.0))
    assert not recoveries(record)["database kill"][0].alone
    assert [one.kind for one in never_back(record)] == ["broken"]


def test_what_is_told_are_counts_times_and_slopes() -> None:
    record, held = good()
    record.strike(Struck("database kill", "database", 100.0, 102.0))
    record.succeeded("beat", 101.0)
    told = figures(Plan(seed=1, seconds=60, faults=()), record, held, growth_of(life("portal", 1, minutes=6)), [])  # fmt: skip
    text = markdown(told)
    assert "| events acknowledged | 4 |" in text
    assert "| database kill | 1 | 1 |" in text
    assert "| portal | 1 | 5.0 |" in text
