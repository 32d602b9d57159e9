"""The probes: each judges facts that were fetched before, and says what shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from safehold.assurance.control.verdict import Verdict
from safehold.assurance.drill.scenario import BY_ID
from safehold.assurance.measure import names
from safehold.assurance.probe import kept, people, promised, signed, used
from safehold.assurance.probe.facts import Facts
from safehold.charter.legal import DOCUMENTS

Probe = Callable[[Facts], Verdict]

PROBES: Final[Mapping[str, Probe]] = {
    "record.head": kept.head,
    "record.witnesses": kept.witnesses,
    "record.complete": kept.complete,
    "record.age": kept.age,
    "charter.signed": signed.signed,
    "charter.proved": signed.proved,
    "charter.drift": signed.drift,
    "charter.default": signed.default,
    "redline.employment": signed.red_line("judging anybody's work or job", "employment"),
    "redline.emotion": signed.red_line("inferring what anybody feels", "sh:infer_emotion"),
    "redline.raw": signed.red_line("giving rows or vectors to people", "read_raw", "read_rows"),
    "redline.join": signed.red_line("joining with other silos", "join_external", "hr"),
    "redline.transfer": signed.red_line("passing data on", "third_party_sharing"),
    "minimise.running": signed.minimising,
    "board.worker": signed.worker,
    "board.stop": signed.stopping,
    **{f"document.{name}": signed.document(name) for name in DOCUMENTS},
    "notice.first": signed.before_data("notice"),
    "risk.first": signed.before_data("risk"),
    "people.choices": people.choices,
    "people.withdrawal": people.withdrawal,
    "people.rights": people.rights,
    "people.export": people.copies,
    "retention.keys": kept.past_keys,
    "retention.derived": kept.outliving,
    "lineage.labels": kept.labels,
    "lineage.places": kept.places,
    "keys.inventory": kept.inventory,
    "keeper.level": kept.keeper,
    "sandbox.level": kept.sandbox,
    "access.results": used.results,
    "access.grants": used.grants,
    "access.principals": used.callers,
    "privacy.budget": used.budget,
    "privacy.charge": used.charged,
    "privacy.accountant": used.accountant,
    "privacy.audit": used.audited,
    "model.gates": used.gates,
    "model.cards": used.cards,
    "egress.vectors": used.vectors,
    "sentinel.reads": used.watching,
    "incident.clocks": people.clocks,
    "incident.contained": people.contained,
    "incident.restart": people.restarted,
    "promises.kept": promised.kept,
    "promises.series": promised.series,
    **{f"promise.{name}": promised.promise(name) for name in names()},
    **{f"drill.{name}": promised.drill(name) for name in BY_ID},
}


def judge(facts: Facts) -> dict[str, Verdict]:
    """Return what every probe says of some facts."""
    return {name: probe(facts) for name, probe in PROBES.items()}


__all__ = ["PROBES", "Facts", "Probe", "judge"]
