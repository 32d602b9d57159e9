"""What people are owed, and what happens when it goes wrong."""

from __future__ import annotations

from typing import Final

from safehold.assurance.control.verdict import Verdict
from safehold.assurance.probe.facts import Facts
from safehold.assurance.probe.record import Leaf
from safehold.assurance.probe.say import NO_CHARTER, ONE, bad, good, show, unknown

HOUR_MS: Final = 3_600_000
HOUR_S: Final = 3600
GRAVE: Final = 2  # what is less grave was tried and refused: there is nothing to contain
CONTAIN_HOURS: Final = 24  # where the charter promises nothing about it
CONTAIN: Final = "incident.p100_hours_to_contain"
RIGHTS: Final = "right-of-access"
CAUSE: Final = "root-cause"


def choices(facts: Facts) -> Verdict:
    """Judge whether the register of people is what the record says they chose."""
    number = facts.record.counts["choice"]
    if facts.register is not None:
        return bad(f"The register of people is not what they chose: {facts.register}.")
    if not number:
        return unknown("Nobody has chosen anything yet.")
    last = facts.record.last["choice"]
    return good(
        f"{number} choices and enrolments are in the record, sealed and alike, and the register agrees.",
        figure=number * ONE,
        unit="choices",
        shown=(show(last),),
        tests=("tests/attack/test_choices.py", "tests/attack/test_choice_receipts.py"),
    )


def withdrawal(facts: Facts) -> Verdict:
    """Judge whether everybody's keys were destroyed within what the charter promises to those who leave."""
    if facts.board is None:
        return unknown(NO_CHARTER)
    within_s = facts.board.charter.participation.withdraw.effect.within_s
    micro, sentence = facts.leaving
    if micro is None:
        return unknown("Nobody has left yet.")
    ended = facts.record.of("erasure", state="done")
    say = good if micro <= within_s * ONE // HOUR_S else bad
    return say(
        f"{sentence[0].upper()}{sentence[1:]}; it must be {within_s // HOUR_S} hours at most.",
        figure=micro,
        unit="hours",
        shown=tuple(show(one, "state") for one in ended[-5:]),
        tests=("tests/attack/test_erasure.py",),
    )


def rights(facts: Facts) -> Verdict:
    """Judge whether no request of a person is late."""
    if not facts.record.counts["choice"]:
        return unknown("Nobody is enrolled who could ask for anything.")
    if facts.overdue:
        return bad(
            f"{facts.overdue} of {facts.waiting} requests that wait are late.",
            figure=facts.overdue * ONE,
            unit="requests",
        )
    return good(
        f"{facts.waiting} requests wait for an answer, and none is late.",
        figure=0,
        unit="requests",
        tests=("tests/attack/test_rights.py",),
    )


def copies(facts: Facts) -> Verdict:
    """Judge whether every copy that somebody asked for was given."""
    asked = [one for one in facts.record.intents.values() if one.facts.get("purpose") == RIGHTS]
    if not asked:
        return unknown("Nobody has asked for a copy of their data yet.")
    ended = {one.index: facts.record.answered.get(one.index) for one in asked}
    failed = [
        one
        for one in asked
        if (end := ended[one.index]) is not None and end.facts.get("outcome") != "ok"
    ]
    given: list[Leaf] = [
        end for end in ended.values() if end is not None and end.facts.get("outcome") == "ok"
    ]
    # whoever was refused or cut off once and got it later has it: what counts is how the newest ended
    if failed and (not given or failed[-1].index > given[-1].index):
        return bad(
            f"The newest of {len(asked)} copies that were asked for was not given.",
            figure=ONE,
            unit="copies",
            shown=(show(failed[-1], "purpose"),),
        )
    return good(
        f"{len(given)} copies were given to the people they are about.",
        figure=len(given) * ONE,
        unit="copies",
        shown=tuple(show(one, "outcome") for one in given[-3:]),
        tests=("tests/attack/test_export.py",),
    )


def clocks(facts: Facts) -> Verdict:
    """Judge whether no duty to tell somebody is past its time undecided."""
    if not facts.mishaps:
        return unknown("There was no incident.")
    late = [(one.index, name) for one in facts.mishaps for name in one.late]
    if late:
        return bad(
            f"{len(late)} clocks of incidents ran out undecided: {late[0][1]} of incident {late[0][0]}.",
            figure=len(late) * ONE,
            unit="clocks",
        )
    return good(
        f"No clock of {len(facts.mishaps)} incidents ran out undecided.",
        figure=0,
        unit="clocks",
        tests=("tests/attack/test_incidents.py",),
    )


def contained(facts: Facts) -> Verdict:
    """Judge whether every grave incident was contained in time: the charter's, or a day."""
    grave = [one for one in facts.mishaps if one.grave <= GRAVE]
    if not grave:
        return unknown(f"There was no incident of severity {GRAVE} or graver.")
    promised = facts.figures.get(CONTAIN)
    bound_ms = (
        promised.bound * HOUR_MS // ONE
        if promised is not None and promised.promised
        else CONTAIN_HOURS * HOUR_MS
    )
    longest = max(
        (one.contained_ms or one.closed_ms or facts.now_ms) - one.aware_ms for one in grave
    )
    say = good if longest <= bound_ms else bad
    return say(
        f"Of {len(grave)} grave incidents, the longest took {longest / HOUR_MS:.1f} hours until it was contained;"
        f" it must be {bound_ms // HOUR_MS} at most.",
        figure=longest * 1000 // 3600,
        unit="hours",
        tests=("tests/attack/test_containment.py",),
    )


def restarted(facts: Facts) -> Verdict:
    """Judge whether nothing resumed after a stop before its cause was published."""
    resumed = facts.record.of("resume")
    if not resumed:
        return unknown("Nothing ever resumed after a stop.")
    for one in resumed:
        causes = [
            leaf
            for leaf in facts.record.of("document", name=CAUSE)
            if one.ref < leaf.index < one.index
        ]
        if not causes:
            return bad(
                f"Everything resumed (entry {one.index}) without a published cause.",
                shown=(show(one, "state"),),
            )
    return good(
        f"Before each of {len(resumed)} restarts the cause was published.",
        figure=len(resumed) * ONE,
        unit="restarts",
        shown=(show(resumed[-1], "state"),),
        tests=("tests/unit/test_restart_gate.py",),
    )
