"""The record itself, keys and what exists: heads, completeness, retention, labels, levels."""

from __future__ import annotations

from typing import Final

from safehold.assurance.control.verdict import Verdict
from safehold.assurance.probe.facts import Facts
from safehold.assurance.probe.say import NO_CHARTER, ONE, bad, good, show, unknown

DAY_MS: Final = 86_400_000
HALF_YEAR_DAYS: Final = 183  # AI Act Articles 19 and 26(6): at least six months
LEDGER_TESTS: Final = (
    "tests/attack/test_ledger_rollback.py",
    "tests/attack/test_ledger_mutation.py",
    "tests/attack/test_ledger_fork.py",
)


def head(facts: Facts) -> Verdict:
    """Judge whether the record takes entries and its newest head is cosigned by the quorum."""
    one = facts.head
    if one.failed is not None:
        return bad(f"The record takes nothing: {one.failed}.")
    if one.published < 0 or one.cosigned < one.published:
        behind = ", ".join(one.unreachable) or "a witness"
        return bad(
            f"The quorum of witnesses has not cosigned the newest head; not reached: {behind}.",
            figure=max(one.cosigned, 0) * ONE,
            unit="entries",
        )
    if one.unreachable:
        return bad(f"A witness cannot be reached: {', '.join(one.unreachable)}.")
    return good(
        f"The newest published head covers {one.published} entries and is cosigned by the quorum.",
        figure=one.published * ONE,
        unit="entries",
        tests=LEDGER_TESTS,
    )


def witnesses(facts: Facts) -> Verdict:
    """Judge whether the witnesses are those that the board named, and as many as the charter asks for."""
    one = facts.head
    if facts.board is None:
        return unknown(NO_CHARTER)
    for wrong in (one.unlike, one.shortfall):
        if wrong:
            return bad(f"{wrong[0].upper()}{wrong[1:]}.")
    if not one.remote:
        return unknown(
            "The only witness lies on this machine, as the charter allows: it detects, and proves to nobody outside."
        )
    return good(
        f"{one.remote} witnesses outside keep the head of the record, as the board named them.",
        figure=one.remote * ONE,
        unit="witnesses",
        tests=("tests/unit/test_ledger_witness.py",),
    )


def complete(facts: Facts) -> Verdict:
    """Judge whether no use and nobody is missing in the record."""
    micro, sentence = facts.missing
    if micro is None:
        return unknown(f"{sentence[0].upper()}{sentence[1:]}.")
    closed = facts.record.newest("index.epoch", state="root")
    shown = () if closed is None else (show(closed, "state", "epoch", "root"),)
    say = good if micro == 0 else bad
    return say(
        f"{sentence[0].upper()}{sentence[1:]}.",
        figure=micro,
        unit="missing",
        shown=shown,
        tests=("tests/attack/test_index_audit.py",),
    )


def age(facts: Facts) -> Verdict:
    """Judge whether the record goes back six months; it is never cut, so a younger one says nothing yet."""
    first = facts.record.first.get("home")
    if first is None or first.index != 0:
        return bad("The record does not begin with its first entry: something was cut off.")
    days = (facts.now_ms - first.at_ms) // DAY_MS
    shown = (show(first, first=True),)
    if days < HALF_YEAR_DAYS:
        return unknown(
            f"The record is whole from its first entry, {days} days ago; six months have not passed yet.",
            figure=days * ONE,
            unit="days",
            shown=shown,
        )
    year = "twelve" if days >= 365 else "six"
    return good(
        f"The record is whole from its first entry, {days} days ago: more than {year} months.",
        figure=days * ONE,
        unit="days",
        shown=shown,
    )


def past_keys(facts: Facts) -> Verdict:
    """Judge whether every key that is past its day was destroyed."""
    swept = facts.record.newest("retention")
    shown = () if swept is None else (show(swept, "day", newest=()),)
    if facts.keys.overdue:
        return bad(
            f"{facts.keys.overdue} keys are past their day and not destroyed.",
            figure=facts.keys.overdue * ONE,
            unit="keys",
            shown=shown,
        )
    if not facts.keys.rows:
        return unknown("There is no key of data yet.")
    return good(
        f"None of {facts.keys.rows} keys of data is past its day.",
        figure=0,
        unit="keys",
        shown=shown,
        tests=("tests/attack/test_retention.py",),
    )


def outliving(facts: Facts) -> Verdict:
    """Judge whether nothing that was derived outlives what it was made from."""
    derived = [one for one in facts.datasets if one.parents and not one.released]
    if not derived:
        return unknown("Nothing was derived yet, except by declared releases.")
    late = sum(one.expires > min(one.parents) for one in derived)
    if late:
        return bad(
            f"{late} of {len(derived)} derived datasets outlive their sources.",
            figure=late * ONE,
            unit="datasets",
        )
    return good(
        f"None of {len(derived)} derived datasets outlives its sources.",
        figure=0,
        unit="datasets",
        tests=("tests/property/test_label_algebra.py", "tests/attack/test_lineage.py"),
    )


def labels(facts: Facts) -> Verdict:
    """Judge whether every dataset has a label that holds."""
    if facts.broken:
        return bad(
            f"{facts.broken} datasets have a label that was changed.",
            figure=facts.broken * ONE,
            unit="datasets",
        )
    if not facts.datasets:
        return unknown("There is no dataset yet.")
    return good(
        f"All {len(facts.datasets)} datasets have a label that holds.",
        figure=len(facts.datasets) * ONE,
        unit="datasets",
        tests=("tests/attack/test_lineage.py",),
    )


def places(facts: Facts) -> Verdict:
    """Judge whether nothing that can be used is of people outside the charter's jurisdictions."""
    if facts.board is None:
        return unknown(NO_CHARTER)
    allowed = set(facts.board.charter.jurisdictions)
    live = [one for one in facts.datasets if one.live]
    if not live:
        return unknown("There is no dataset that could be used.")
    outside = sum(not one.places <= allowed for one in live)
    if outside:
        return bad(
            f"{outside} of {len(live)} datasets are of people outside the charter's jurisdictions.",
            figure=outside * ONE,
            unit="datasets",
        )
    return good(
        f"All {len(live)} datasets are of people within the charter's jurisdictions.",
        figure=0,
        unit="datasets",
        tests=("tests/unit/test_access_policy.py",),
    )


def inventory(facts: Facts) -> Verdict:
    """Judge whether every key of data belongs to somebody who is enrolled."""
    keys = facts.keys
    if keys.strangers:
        return bad(
            f"Keys of {keys.strangers} people exist who are not enrolled.",
            figure=keys.strangers * ONE,
            unit="people",
        )
    if not keys.rows:
        return unknown("There is no key of data yet.")
    return good(
        f"{keys.rows} keys in {keys.segments} segments, under a root kept as {keys.root};"
        " each belongs to somebody who is enrolled, or to a model.",
        figure=keys.rows * ONE,
        unit="keys",
        tests=("tests/attack/test_vault_erase.py",),
    )


def keeper(facts: Facts) -> Verdict:
    """Judge whether the keeper of real people's data has a user id of its own, at least."""
    level, means = facts.keys.level, facts.keys.means
    figure = int(level[1:]) * ONE
    if level != "K1":
        return good(f"The keeper is at {level}: {means}.", figure=figure, unit="level")
    if facts.synthetic:
        return unknown(
            "This keeper is at K1, as every command starts one for a home of made-up people;"
            " that says nothing of a served one.",
            figure=figure,
            unit="level",
        )
    return bad(f"The keeper is at K1: {means}.", figure=figure, unit="level")


def sandbox(facts: Facts) -> Verdict:
    """Judge whether the sandbox reaches the least level that the charter sets for what it collects."""
    if facts.board is None:
        return unknown(NO_CHARTER)
    charter = facts.board.charter
    least = max((charter.assurance.least(one.sensitivity) for one in charter.collect), default=0)
    reached = int(facts.sandbox[1:])
    say = good if reached >= least else bad
    return say(
        f"The sandbox of this machine reaches E{reached}; the charter asks for E{least}.",
        figure=reached * ONE,
        unit="level",
        tests=("tests/attack/test_sandbox_matrix.py",),
    )
