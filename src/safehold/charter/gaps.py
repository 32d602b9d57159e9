"""What a charter leaves to defaults, for the board to read before it signs; and what its red lines enforce.

A gap is never a permission: what is not stated is refused. It is listed because a reader may take silence for care.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from safehold.charter import terms
from safehold.charter.model import Charter
from safehold.charter.redline import forms
from safehold.charter.types import banned_terms
from safehold.charter.vocabulary import MEASURES
from safehold.telemetry.stream import WHAT_TO_STREAM

# the published vocabularies that have words of a kind
_PUBLISHED: Final = {"use": {"fides", "dpv"}, "category": {"fides", "pd"}}
ATTACKS = ("reidentify", "membership", "canary", "invert")


def machine_forms(charter: Charter) -> dict[str, dict[str, Any]]:
    """Return for each red line what of it a machine enforces."""
    found = {}
    for line in map(forms, charter.red_lines):
        parts: dict[str, Any] = {
            "uses": list(line.terms()),
            "actions": list(line.forbid_actions),
            "beside": list(line.forbid_beside),
            "min_people": line.min_people,
        }
        found[line.id] = {name: part for name, part in parts.items() if part}
    return found


def gaps(charter: Charter) -> list[str]:
    """Return in words what the charter does not state, and what follows from that."""
    found = []
    if "sh:reidentify" not in _forbidden(charter):
        found.append("no red line forbids finding out whose data something is (sh:reidentify)")
    found += _one_vocabulary(charter)
    tried = {gate.attack for gate in charter.gates}
    weights = [name for name, one in charter.purposes.items() if "model_weights_dp" in one.releases]
    if weights and (missing := [attack for attack in ATTACKS if attack not in tried]):
        found.append(
            f"a model of {', '.join(sorted(weights))} may leave without these attacks on it: "
            f"{', '.join(missing)} (gates)"
        )
    if not any("query" in one.stages for one in charter.purposes.values()):
        found.append("no purpose has the stage query: every query is refused")
    collected = {one.what for one in charter.collect}
    if left := [what for what in WHAT_TO_STREAM if what not in collected]:
        found.append(f"not collected, dropped where it arrives: {', '.join(left)}")
    if unknown := [one.id for one in charter.promises if one.measure not in MEASURES]:
        found.append(
            f"nothing can measure these promises yet, so none is kept: {', '.join(unknown)}"
        )
    needs = charter.oversight.restart_after_stop.needs
    if "incident_replay_green" in needs and not any(
        one.measure.startswith("replay.") for one in charter.promises
    ):
        found.append(
            "a restart needs a green replay and no promise is measured by one (replay.*): what is"
            " stopped stays stopped"
        )
    return found


def _forbidden(charter: Charter) -> frozenset[str]:
    """Return every use that a red line forbids."""
    return frozenset(term for line in charter.red_lines for term in banned_terms(forms(line)))


def _one_vocabulary(charter: Charter) -> Iterator[str]:
    """Yield for each list of terms which of them only one published vocabulary has a word for.

    Such a term bans nothing that is called otherwise. Our own ``sh:`` terms stand for what neither can say.
    """
    lists = [("never_collect", "category", charter.never_collect)]
    lists += [(f"red line {line.id}", "use", line.terms()) for line in charter.red_lines]
    for where, kind, words in lists:
        names = sorted({terms.find(word, kind=kind).name for word in words})
        homes = {name: set(map(terms.vocabulary_of, terms.counterparts(name))) for name in names}
        if alone := [
            name
            for name in names
            if terms.vocabulary_of(name) != "sh" and not _PUBLISHED[kind] <= homes[name]
        ]:
            yield (
                f"{where} names what no term of another vocabulary is known to mean, so a purpose or data that is"
                f" called otherwise is not caught: {', '.join(alone)}"
            )
