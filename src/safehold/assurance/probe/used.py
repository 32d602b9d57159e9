"""Who uses data, under what, for how much: grants, results, callers, budgets, models, vectors, who watches."""

from __future__ import annotations

from typing import Final

from safehold.assurance.control.verdict import Verdict
from safehold.assurance.probe.facts import Facts
from safehold.assurance.probe.record import Leaf
from safehold.assurance.probe.say import NO_CHARTER, ONE, bad, good, show, unknown
from safehold.errors import TamperedError
from safehold.privacy.budget import Allowed, fold_charges, remaining

DAY_MS: Final = 86_400_000
WATCH: Final = "watch"
GONE: Final = frozenset({"deleted"})
OUT: Final = frozenset({"kept", "released"})  # states in which a model may be pulled


def _uses(facts: Facts) -> list[Leaf]:
    return [one for one in facts.record.intents.values() if one.facts.get("action") != WATCH]


def results(facts: Facts) -> Verdict:
    """Judge whether every use has an intent before it and a result after it."""
    uses = _uses(facts)
    if facts.late:
        return bad(
            f"{facts.late} uses have no result, past their patience.",
            figure=facts.late * ONE,
            unit="uses",
        )
    if not uses:
        return unknown("Nothing was used yet.")
    return good(
        f"Each of {len(uses)} uses was in the record before it began, and none is without a result for long.",
        figure=len(uses) * ONE,
        unit="uses",
        shown=(show(uses[-1], "purpose"),),
        tests=("tests/attack/test_raw_client.py", "tests/attack/test_fail_closed.py"),
    )


def grants(facts: Facts) -> Verdict:
    """Judge whether the uses of every closed grant are those that its closing names, and none came after."""
    known = {one.index for one in facts.record.of("grant", state="approved")}
    under: dict[int, list[int]] = {}
    for one in facts.record.intents.values():
        if one.ref >= 0 and "rows" in one.facts:
            under.setdefault(one.ref, []).append(one.index)
    if not known:
        return unknown("No grant was ever given.")
    stray = sum(grant not in known for grant in under)
    if stray:
        return bad(
            f"{stray} uses name a grant that was never approved.", figure=stray * ONE, unit="uses"
        )
    closings = facts.record.of("grant.closed")
    for one in closings:
        uses = under.get(one.ref, [])
        if len(uses) != one.facts["uses"] or any(index > one.index for index in uses):
            return bad(
                f"The grant of entry {one.ref} was closed over other uses than it had (entry {one.index}).",
                shown=(show(one, "uses"),),
            )
    shown = tuple(show(one, "state", "uses") for one in closings[-3:])
    return good(
        f"{len(known)} grants were approved and {len(closings)} closed; each closing names all of its uses.",
        figure=len(known) * ONE,
        unit="grants",
        shown=shown,
        tests=("tests/attack/test_access_attempts.py",),
    )


def callers(facts: Facts) -> Verdict:
    """Judge whether nobody shares an account: each identity proves one principal, and who proves nothing is refused."""
    who = facts.callers
    newest = facts.record.newest("principal")
    shown = () if newest is None else (show(newest, "state", "version", "digest", newest=()),)
    if who.shared:
        return bad(
            f"{who.shared} identities prove more than one principal.",
            figure=who.shared * ONE,
            unit="shared",
            shown=shown,
        )
    if not who.identified:
        return bad(
            "A caller who proves nothing may operate this home, which is an account that people share:"
            " safehold principal identify.",
            figure=ONE,
            unit="shared",
            shown=shown,
        )
    number = sum(who.kinds.values())
    return good(
        f"{number} principals, none shared; whoever proves nothing is refused.",
        figure=0,
        unit="shared",
        shown=shown,
        tests=("tests/unit/test_keeper_principals.py",),
    )


def budget(facts: Facts) -> Verdict:
    """Judge whether all charges of the record stay within the charter, and the keeper reckons the same."""
    if facts.board is None:
        return unknown(NO_CHARTER)
    if not facts.budgets:
        return unknown("No purpose of the charter in force may release anything.")
    charges = [one.facts for one in facts.record.intents.values()]
    try:
        spent = fold_charges(charges)
    except TamperedError:
        return bad("A leaf holds a charge that is none.")
    for purpose, one in facts.budgets.items():
        said = spent.get((purpose, "person"))
        used = 0 if said is None else said.epsilon_micro
        if used > one.epsilon_micro or (said is not None and said.delta_e12 > one.delta_e12):
            return bad(
                f"The charges for {purpose} exceed what the charter allows.",
                figure=used,
                unit="epsilon",
            )
        left = remaining(
            Allowed(purpose=purpose, epsilon_micro=one.epsilon_micro, delta_e12=one.delta_e12),
            charges,
        )
        if (left.epsilon_micro, left.delta_e12) != (one.left_micro, one.left_e12):
            return bad(
                f"The keeper reckons another rest for {purpose} than the record gives.",
                figure=left.epsilon_micro,
                unit="epsilon",
            )
    total = sum(one.epsilon_micro for one in spent.values())
    charged = [one for one in facts.record.intents.values() if "epsilon_micro" in one.facts]
    return good(
        f"{len(charged)} charges come to epsilon {total / 1e6:g}, within the charter, and the keeper reckons the same.",
        figure=total,
        unit="epsilon",
        shown=tuple(
            show(one, "purpose", "epsilon_micro", "delta_e12", "unit") for one in charged[-5:]
        ),
        tests=("tests/property/test_privacy_budget.py", "tests/attack/test_query_budget.py"),
    )


def charged(facts: Facts) -> Verdict:
    """Judge whether every model and every figure was charged in the record before it was made, a person at a time."""
    made = [one for one in facts.datasets if one.kind in ("model", "aggregate")]
    if not made:
        return unknown("No model and no figure was made yet.")
    leaves = []
    for one in made:
        leaf = facts.record.intents.get(one.intent)
        if leaf is None or leaf.facts.get("epsilon_micro", 0) <= 0:
            return bad(
                "A model or figure was made without a charge in the record.",
                figure=ONE,
                unit="models",
            )
        if leaf.facts.get("unit") != "person":
            return bad("A charge is not about whole persons.", shown=(show(leaf, "unit"),))
        leaves.append(leaf)
    return good(
        f"Each of {len(made)} models and figures was charged before it was made, about whole persons.",
        figure=len(made) * ONE,
        unit="models",
        shown=tuple(show(one, "purpose", "epsilon_micro", "unit") for one in leaves[-5:]),
        tests=("tests/unit/test_privacy_account.py",),
    )


def accountant(facts: Facts) -> Verdict:
    """Judge whether two accountants find no more than what was charged for each model."""
    models = [one for one in facts.models if not one.outside and one.state not in GONE]
    if not models:
        return unknown("No model was trained here.")
    counted = [
        (one, one.epsilon_micro, one.rdp_micro, one.pld_micro)
        for one in models
        if one.epsilon_micro is not None and one.rdp_micro is not None and one.pld_micro is not None
    ]
    if len(counted) < len(models):
        return unknown(
            f"{len(models) - len(counted)} of {len(models)} models do not say what both accountants count."
        )
    wrong = sum(min(rdp, pld) > charge or pld > rdp for _, charge, rdp, pld in counted)
    if wrong:
        return bad(
            f"The accountants disagree with the charge for {wrong} of {len(models)} models.",
            figure=wrong * ONE,
            unit="models",
        )
    return good(
        f"Of {len(models)} models, both accountants find no more than was charged.",
        figure=0,
        unit="models",
        tests=("tests/unit/test_privacy_account.py", "tests/unit/test_privacy_counting.py"),
    )


def audited(facts: Facts) -> Verdict:
    """Judge whether the trainer passed its audit at the training of every model."""
    models = [one for one in facts.models if not one.outside and one.state not in GONE]
    if not models:
        return unknown("No model was trained here.")
    failed = sum(one.audit == "failed" for one in models)
    if failed:
        return bad(
            f"The trainer of {failed} models failed its audit.", figure=failed * ONE, unit="models"
        )
    silent = sum(one.audit != "passed" for one in models)
    if silent:
        return unknown(
            f"Of {silent} of {len(models)} models nobody says how the trainer's audit ended."
        )
    return good(
        f"The trainer passed its audit at the training of all {len(models)} models.",
        figure=0,
        unit="models",
        tests=("tests/unit/test_privacy_audit.py",),
    )


def gates(facts: Facts) -> Verdict:
    """Judge whether no model may leave, or has left, that did not pass every gate of the charter."""
    if facts.board is None:
        return unknown(NO_CHARTER)
    models = [one for one in facts.models if one.state not in GONE]
    if not models:
        return unknown("There is no model.")
    if not facts.board.charter.gates:
        return unknown("The charter in force sets no gate before a model leaves.")
    shown = tuple(
        show(leaf, "artifact", "gate", "state", newest=("artifact", "gate"))
        for leaf in facts.record.of("attack")
        if leaf.index in {gate.entry for one in models if one.state in OUT for gate in one.gates}
    )
    failed = sum(gate.state == "failed" for one in models if one.state in OUT for gate in one.gates)
    if failed:
        return bad(
            f"{failed} gates of models that may be pulled have failed.",
            figure=failed * ONE,
            unit="gates",
            shown=shown,
        )
    open_ = sum(
        any(gate.state not in ("passed", "inapplicable") for gate in one.gates)
        for one in models
        if one.state in OUT
    )
    if open_:
        return unknown(
            f"{open_} of {len(models)} models have not been attacked under the charter in force."
        )
    return good(
        f"All {len(models)} models passed every gate of the charter, or lie in quarantine.",
        figure=0,
        unit="gates",
        shown=shown,
        tests=("tests/unit/test_model_gates.py", "tests/attack/test_model_release.py"),
    )


def cards(facts: Facts) -> Verdict:
    """Judge whether every model has a card, and what it was made from is signed and holds."""
    models = [one for one in facts.models if one.state not in GONE]
    if not models:
        return unknown("There is no model.")
    without = sum(not one.card for one in models)
    if without:
        return bad(
            f"{without} of {len(models)} models have no card that holds.",
            figure=without * ONE,
            unit="models",
        )
    return good(
        f"All {len(models)} models have a card, and what each was made from is signed.",
        figure=0,
        unit="models",
        tests=("tests/unit/test_keeper_datasheet.py",),
    )


def vectors(facts: Facts) -> Verdict:
    """Judge whether no attempt to take vectors out has succeeded."""
    tried = facts.record.of("embed.export")
    out = [one for one in tried if one.facts.get("state") not in ("denied", "refused")]
    shown = tuple(show(one, "state") for one in (out or tried)[-3:])
    if out:
        return bad(
            f"{len(out)} of {len(tried)} attempts to take vectors out were not refused.",
            figure=len(out) * ONE,
            unit="attempts",
            shown=shown,
        )
    return good(
        f"{len(tried)} attempts to take vectors out are in the record, all of them refused.",
        figure=0,
        unit="attempts",
        shown=shown,
        tests=("tests/attack/test_embedding_gates.py",),
    )


def watching(facts: Facts) -> Verdict:
    """Judge whether somebody watches who asks for data: the ledger was read within a day."""
    found = [one for one in facts.record.intents.values() if one.facts.get("action") == WATCH]
    if not found:
        return unknown("The sentinel has never read this ledger: it runs beside safehold serve.")
    newest = found[-1]
    shown = (show(newest, "action"),)
    if facts.now_ms - newest.at_ms > DAY_MS:
        return bad("The sentinel has not read the ledger for more than a day.", shown=shown)
    return good(
        "The sentinel has read the ledger within a day.",
        figure=len(found) * ONE,
        unit="readings",
        shown=shown,
        tests=("tests/attack/test_watching.py",),
    )
