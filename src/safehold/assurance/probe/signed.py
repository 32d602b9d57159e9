"""The charter, its board, its texts, and whether what runs is what was signed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from safehold.assurance.control.verdict import Shown, Verdict
from safehold.assurance.probe.facts import Facts
from safehold.assurance.probe.say import NO_CHARTER, ONE, bad, good, show, unknown

PROOF_TESTS: Final = (
    "tests/unit/test_charter_prove.py",
    "tests/property/test_charter_prove_differential.py",
)
DRIFT_TESTS: Final = ("tests/attack/test_drift.py", "tests/attack/test_drift_flags.py")
WORKER: Final = "employee_representative"


def _in_force(facts: Facts) -> tuple[Shown, ...]:
    newest = facts.record.newest("charter")
    if newest is None:
        return ()
    return (show(newest, "version", "direction", newest=()),)


def signed(facts: Facts) -> Verdict:
    """Judge whether a charter is in force that the board signed and the record names."""
    board = facts.board
    if board is None:
        return bad(NO_CHARTER)
    newest = facts.record.newest("charter")
    if newest is None or newest.charter != board.digest:
        return bad("The charter in force is not the newest one that the record names.")
    return good(
        f"Version {board.charter.version} is in force, signed by {len(board.seats)} seats.",
        figure=len(board.seats) * ONE,
        unit="seats",
        shown=_in_force(facts),
    )


def proved(facts: Facts) -> Verdict:
    """Judge whether every promise of the compiled charter is proved."""
    board = facts.board
    if board is None:
        return bad(NO_CHARTER)
    if board.proved is None:
        return bad(f"The charter in force is not proved: {board.unproved}.", tests=PROOF_TESTS)
    return good(
        f"All {len(board.proved)} promises of the compiled policy are proved.",
        figure=len(board.proved) * ONE,
        unit="promises",
        shown=_in_force(facts),
        tests=PROOF_TESTS,
    )


def red_line(what: str, *forms: str) -> Callable[[Facts], Verdict]:
    """Return the probe of a red line: the charter has one of these machine forms, and nothing crosses it.

    Args:
        what: What it forbids, in words.
        *forms: Forbidden terms, actions or silos; one line must have one of them.
    """

    def judge(facts: Facts) -> Verdict:
        board = facts.board
        if board is None:
            return bad(NO_CHARTER)
        wanted = set(forms)
        lines = [
            line.id
            for line in board.charter.red_lines
            if wanted & {*line.terms(), *line.forbid_actions, *line.forbid_beside}
        ]
        if not lines:
            return bad(f"The charter in force has no red line against {what}.")
        if board.proved is None:
            return bad(f"The red line against {what} is not proved: {board.unproved}.")
        open_ = [line for line in lines if f"red_line.{line}" not in board.proved]
        if open_:
            return bad(f"The red line {open_[0]} is not among what was proved.")
        return good(
            f"No request crosses the red line against {what}: {', '.join(lines)}.",
            figure=0,
            unit="requests",
            shown=_in_force(facts),
            tests=PROOF_TESTS,
        )

    return judge


def drift(facts: Facts) -> Verdict:
    """Judge whether what runs is what the board signed."""
    if facts.board is None:
        return unknown(NO_CHARTER)
    newest = facts.record.newest("drift")
    shown = () if newest is None else (show(newest, "state", newest=()),)
    if facts.drift:
        clause, sentence = next(iter(facts.drift.items()))
        return bad(
            f"{len(facts.drift)} clauses differ from what was signed: {sentence} ({clause}).",
            figure=len(facts.drift) * ONE,
            unit="clauses",
            shown=shown,
        )
    return good(
        "Every clause that was signed is carried out.",
        figure=0,
        unit="clauses",
        shown=shown,
        tests=DRIFT_TESTS,
    )


def default(facts: Facts) -> Verdict:
    """Judge whether nobody takes part by default, and the register agrees with everybody's own choices."""
    board = facts.board
    if board is None:
        return unknown(NO_CHARTER)
    if board.charter.participation.default != "not_participating":
        return bad("The charter lets people take part by default.")
    if facts.register is not None:
        return bad(f"The register of people is not what they chose: {facts.register}.")
    return good(
        "Not taking part is the default, and the register is what people chose.",
        shown=_in_force(facts),
        tests=("tests/attack/test_consent.py",),
    )


def minimising(facts: Facts) -> Verdict:
    """Judge whether minimisation runs as the charter's list of what is collected says."""
    if facts.board is None:
        return unknown(NO_CHARTER)
    found = [
        clause
        for clause in facts.drift
        if clause.split(".")[0] in ("collect", "never_collect", "charter", "signatures")
    ]
    kinds = len(facts.board.charter.collect)
    if found:
        return bad(
            f"Minimisation does not run as signed: {found[0]}.",
            figure=len(found) * ONE,
            unit="clauses",
        )
    return good(
        f"What is recorded of {kinds} kinds of data runs as signed, and nothing else is taken.",
        figure=0,
        unit="clauses",
        shown=_in_force(facts),
        tests=("tests/unit/test_dlp_recall.py", "tests/attack/test_source_streams.py"),
    )


def worker(facts: Facts) -> Verdict:
    """Judge whether the employees' representative can refuse any widening."""
    board = facts.board
    if board is None:
        return unknown(NO_CHARTER)
    if board.roster_expired:
        return bad("The roster of the board has expired.")
    if WORKER not in board.charter.oversight.widen.must_include:
        return bad("A widening does not need the employees' representative.")
    return good(
        f"A widening takes {board.charter.oversight.widen.approve} seats and"
        " the employees' representative among them.",
        figure=board.charter.oversight.widen.approve * ONE,
        unit="seats",
        shown=_in_force(facts),
        tests=("tests/attack/test_board_capture.py",),
    )


def stopping(facts: Facts) -> Verdict:
    """Judge whether one seat can stop everything."""
    board = facts.board
    if board is None:
        return unknown(NO_CHARTER)
    needed = board.charter.oversight.stop.approve
    if needed != 1:
        return bad(
            f"A stop takes {needed} seats; it must take one.", figure=needed * ONE, unit="seats"
        )
    return good(
        "Any one seat can stop everything.",
        figure=ONE,
        unit="seats",
        shown=_in_force(facts),
        tests=("tests/attack/test_stop_at_once.py",),
    )


def document(name: str) -> Callable[[Facts], Verdict]:
    """Return the probe of one text that the law asks for."""

    def judge(facts: Facts) -> Verdict:
        found = facts.documents.get(name)
        if found is None or found.state == "missing":
            return bad(f"The document {name} was never published: safehold charter publish {name}.")
        leaf = facts.record.newest("document", name=name)
        shown = () if leaf is None else (show(leaf, "name", "sha256", newest=("name",)),)
        if found.state != "current":
            return bad(f"The document {name} is {found.state}.", shown=shown)
        gaps = f"; {found.open} gaps are open for people" if found.open else ""
        return good(
            f"The document {name} is published under the charter in force{gaps}.",
            figure=found.open * ONE,
            unit="gaps",
            shown=shown,
        )

    return judge


def before_data(name: str) -> Callable[[Facts], Verdict]:
    """Return the probe that a text was published before the first telemetry came in."""

    def judge(facts: Facts) -> Verdict:
        taken = facts.record.first.get("ingest")
        found = facts.record.of("document", name=name)
        if taken is None:
            return unknown("Nothing was taken in yet, so no order can be shown.")
        came = show(taken, first=True)
        if not found:
            return bad(f"Telemetry was taken in, and no {name} was ever published.", shown=(came,))
        told = show(found[0], "name", first=True)
        if found[0].index > taken.index:
            return bad(
                f"The first {name} is entry {found[0].index}, after the first telemetry,"
                f" entry {taken.index}.",
                shown=(told, came),
            )
        return good(
            f"The first {name} is entry {found[0].index}, the first telemetry entry {taken.index}.",
            figure=(taken.index - found[0].index) * ONE,
            unit="entries",
            shown=(told, came),
            order=(found[0].index, taken.index),
        )

    return judge
