"""Charters that differ from another in one field, or in a few at random; found by reflection over the model."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_args, get_origin

from tests import boardroom

from safehold.charter import record
from safehold.charter.model import Category, Charter, Privacy, Purpose, RedLine, Role, SetAside
from safehold.charter.oversight import BreakGlass, Gate, Promise
from safehold.charter.participation import OPT_IN_BY
from safehold.charter.review import review
from safehold.charter.value import Effect, Threshold
from safehold.charter.vocabulary import (
    ACTIONS,
    ASSURANCE,
    DLP_GROUPS,
    INTERNAL,
    RELEASES,
    SEATS,
    SILOS,
    STAGES,
)
from safehold.telemetry.stream import WHAT_TO_STREAM

# words that a field can hold beside those it holds; a list takes any of them, a single word one
POOLS: dict[str, tuple[Any, ...]] = {
    "regimes": ("eu-gdpr", "ccpa", "eu-aiact", "uk-gdpr"),
    "data_subjects.include": ("employee", "consultant", "trainee", "visitor"),
    "data_subjects.exclude": ("job_applicant", "next_of_kin", "customer"),
    "participation.legal_basis": ("eu-gdpr:A6-1-f", "eu-gdpr:A6-1-a"),
    "participation.opt_in": ("dpv:ExplicitlyExpressedConsent", "dpv:InformedConsent"),
    "participation.opt_in_by": OPT_IN_BY,
    "participation.applies_equally_to": ("executives", "managers", "charter_authors"),
    "jurisdictions.collect_in": ("US-CA", "US-WA", "DE", "FR"),
    "collect[].minimise.level": ("L1", "L2", "L3", "L4"),
    "collect[].minimise.drop": ("clipboard", "password_fields", "screen"),
    "collect[].minimise.apps": ("editor", "spreadsheet", "mail", "crm"),
    "collect[].minimise.titles": ("dropped", "class_only"),
    "collect[].minimise.channels": ("public", "private", "direct"),
    "collect[].minimise.dlp": DLP_GROUPS,
    "collect[].minimise.silo": SILOS,
    "never_collect": (
        "user.authorization.credentials",
        "user.authorization",
        "user.health_and_medical",
        "user.financial",
        "user.biometric",
        "user.demographic",
    ),
    "purposes.<name>.from": (*WHAT_TO_STREAM, *INTERNAL),
    "purposes.<name>.stages": STAGES[:-1],
    "purposes.<name>.releases": RELEASES,
    "purposes.<name>.uses.fides": (
        "train_ai_system",
        "functional.service",
        "functional.service.improve",
    ),
    "purposes.<name>.uses.dpv": ("dpv:ResearchAndDevelopment", "dpv:ScientificResearch"),
    "red_lines[].forbid_terms": ("employment", "sales", "sh:infer_emotion", "dpv:DirectMarketing"),
    "red_lines[].forbid_actions": (
        "read_raw",
        "bulk_export",
        "join_external",
        "query",
        "pull_artifact",
    ),
    "red_lines[].forbid_beside": SILOS,
    "who_may.<name>.do": ACTIONS,
    "who_may.<name>.stages": STAGES,
    "who_may.<name>.grant.reason": ("ticket", "words"),
    "oversight.widen.must_include": SEATS,
    "oversight.narrow.must_include": SEATS,
    "oversight.restart_after_stop.needs": ("root_cause_published", "incident_replay_green"),
    "oversight.break_glass.seats": SEATS,
    "audit.witnesses.includes": SEATS,
    "gates[].attack": ("reidentify", "membership", "canary", "invert"),
    "gates[].level": ("L1", "L2", "L3", "L4"),
    **{f"assurance.sensitivity_{n}": ASSURANCE[1:] for n in range(1, 5)},
}
PRIVACY = Privacy(unit="person", epsilon_micro=1_000_000, delta_pico=1_000_000, min_people=50)


@dataclass(frozen=True)
class Leaf:
    """One field of one charter, and how to make the charter with another value there."""

    pattern: str
    clause: str
    value: Any
    kind: Any  # the declared type
    put: Callable[[Any], Charter]


def leaves(charter: Charter) -> Iterator[Leaf]:
    """Yield every field that stands in a charter, but for those that name their entry."""
    yield from _fields(Charter, charter, "", "", lambda made: made)


def _fields(
    kind: Any, item: Any, pattern: str, clause: str, put: Callable[[Any], Charter]
) -> Iterator[Leaf]:
    for each in fields(kind):
        declared = record.hints(kind)[each.name]
        value = getattr(item, each.name)
        dot = "." if pattern else ""
        names = (f"{pattern}{dot}{record.key_of(each)}", f"{clause}{dot}{record.key_of(each)}")
        yield from _leaf(
            declared,
            value,
            *names,
            lambda new, name=each.name: put(replace(item, **{name: new})),
            each,
        )


def _leaf(
    declared: Any, value: Any, pattern: str, clause: str, put: Callable[[Any], Charter], each: Any
) -> Iterator[Leaf]:
    kind = record.optional(declared)
    inner = get_args(kind)
    if get_origin(kind) is Mapping:
        for name, entry in value.items():
            yield from _fields(
                inner[1],
                entry,
                f"{pattern}.<name>",
                f"{clause}.{name}",
                lambda new, name=name: put({**value, name: new}),
            )
    elif get_origin(kind) is tuple and is_dataclass(inner[0]):
        for n, entry in enumerate(value):
            key = entry.what if pattern == "collect" else entry.id
            yield from _fields(
                inner[0],
                entry,
                f"{pattern}[]",
                f"{clause}.{key}",
                lambda new, n=n: put((*value[:n], new, *value[n + 1 :])),
            )
    elif is_dataclass(kind) and each.metadata.get("read") is None:
        if kind is not declared:
            yield Leaf(pattern, clause, value, declared, put)
        if value is not None:
            yield from _fields(kind, value, pattern, clause, put)
    else:
        yield Leaf(pattern, clause, value, declared, put)


def full() -> Charter:
    """Return a valid charter in which no optional field is missing."""
    base = boardroom.charter("example")
    return replace(
        base,
        collect=tuple(
            replace(
                item,
                category=replace(item.category, sh=item.category.sh or "sh:pointer"),
                minimise=replace(
                    item.minimise,
                    drop=item.minimise.drop or ("clipboard",),
                    apps=item.minimise.apps or ("editor", "crm"),
                    channels=item.minimise.channels or ("public", "private"),
                    dlp=item.minimise.dlp or DLP_GROUPS[:2],
                    silo=item.minimise.silo or ("badge" if item.what == "screen" else None),
                ),
            )
            for item in base.collect
        ),
        purposes={
            name: replace(purpose, privacy=purpose.privacy or PRIVACY, derived_keep_days=30)
            for name, purpose in base.purposes.items()
        }
        | {"repair": REPAIR},
        red_lines=(*base.red_lines, PROSE),
        who_may={name: replace(role, may_delegate=False) for name, role in base.who_may.items()},
        oversight=replace(base.oversight, break_glass=GLASS),
        set_aside=ASIDE,
    )


ASIDE = SetAside(purpose="repair", keep_days=3, a_day=2)
REPAIR = Purpose(
    plain="Take in again what arrived broken.",
    uses=Category(fides="essential.service.operations", dpv="dpv:EnforceSecurity", sh=None),
    sources=("keys",),
    stages=("ingest",),
    privacy=PRIVACY,
    releases=(),
)
GLASS = BreakGlass(approvers=1, seats=("security", "privacy", "legal"), max_s=600, reviews=3)


PROSE = RedLine(
    id="every-form",
    plain="All forms of a line at once.",
    rule="the same in the words of a rule",
    forbid=("sales",),
    dpv=("dpv:DirectMarketing",),
    forbid_terms=("sh:infer_emotion",),
    forbid_actions=("read_raw",),
    forbid_beside=("badge",),
    min_people=20,
    law="eu-gdpr:A6-1-f",
)


def others(leaf: Leaf) -> list[Any]:
    """Return other values that a field can take."""
    value, kind = leaf.value, record.optional(leaf.kind)
    pool = POOLS.get(leaf.pattern, ())
    found: list[Any] = []
    if value is not None and kind is not leaf.kind:
        found.append(None)
    if kind is bool:
        found += [one for one in (True, False) if one is not value]
    elif kind is int:
        found += [(value or 0) + 1, *([value - 1] if value else [])]
    elif kind is str:
        found += [one for one in pool if one != value] or [f"{value or 'word'}x"]
    elif get_origin(kind) is tuple:
        held = value or ()
        found += [(*held, one) for one in pool if one not in held][:3] or [(*held, "another")]
        found += [held[:n] + held[n + 1 :] for n in range(len(held))][:3]
        found += [held[::-1]] if len(held) > 1 else []
    elif kind is Effect:
        found += [
            replace(value, within_s=value.within_s + 1),
            replace(value, name=value.name + "x"),
        ]
        found += [replace(value, within_s=value.within_s - 1)] if value.within_s else []
    elif kind is Threshold:
        found += [
            replace(value, micro=value.micro + 1),
            replace(value, op="<"),
            replace(value, op=">="),
        ]
    elif kind is Privacy:
        found += [PRIVACY] if value is None else []
    elif is_dataclass(kind) and value is None:
        found += [sample(kind)]
    return [one for one in found if one != value or type(one) is not type(value)]


def sample(kind: Any) -> Any:
    """Return a record for an optional field that is missing, taken from another place of the full charter."""
    return next(
        leaf.value
        for leaf in leaves(full())
        if record.optional(leaf.kind) is kind and leaf.value is not None
    )


ADDED_PURPOSE = Purpose(
    plain="Another thing to learn.",
    uses=Category(fides="train_ai_system", dpv="dpv:ResearchAndDevelopment"),
    sources=("pointer", "keys"),
    stages=("feature", "training", "query"),
    privacy=PRIVACY,
    releases=("model_weights_dp",),
)


def entries(charter: Charter) -> dict[str, Callable[[], Charter]]:
    """Return amendments that add or take away an entry of a list, by name."""
    found: dict[str, Callable[[], Charter]] = {}
    for name in ("collect", "red_lines", "promises", "gates"):
        held = getattr(charter, name)
        for n in range(len(held)):
            found[f"{name} - {n}"] = lambda name=name, held=held, n=n: replace(
                charter, **{name: held[:n] + held[n + 1 :]}
            )
    for name in ("purposes", "who_may"):
        held = getattr(charter, name)
        for key in held:
            found[f"{name} - {key}"] = lambda name=name, held=held, key=key: replace(
                charter, **{name: {k: v for k, v in held.items() if k != key}}
            )
    full_ = full()
    extra = {
        "collect": [
            item for item in full_.collect if item.what not in {one.what for one in charter.collect}
        ],
        "red_lines": [
            line for line in full_.red_lines if line.id not in {one.id for one in charter.red_lines}
        ],
        "promises": [
            Promise(
                id="more",
                says="More is measured",
                measure="more",
                must_be=Threshold(op="<=", micro=1),
            )
        ],
        "gates": [
            Gate(
                id="more",
                attack="canary",
                measure="canary.more",
                must_be=Threshold(op="==", micro=0),
            )
        ],
    }
    for name, made in extra.items():
        known = {getattr(one, "id", None) for one in getattr(charter, name)}
        for one in made:
            if getattr(one, "id", "") not in known:
                found[f"{name} + {getattr(one, 'id', '') or one.what}"] = (
                    lambda name=name, one=one: replace(
                        charter, **{name: (*getattr(charter, name), one)}
                    )
                )
    found["purposes + learn"] = lambda: replace(
        charter, purposes={**charter.purposes, "learn": ADDED_PURPOSE}
    )
    for key, role in {
        **full_.who_may,
        "analyst": Role(do=("operate",), stages=("feature",)),
    }.items():
        if key not in charter.who_may:
            found[f"who_may + {key}"] = lambda key=key, role=role: replace(
                charter, who_may={**charter.who_may, key: role}
            )
    return found


def amend(rng: random.Random, charter: Charter, steps: int) -> Charter:
    """Return a valid charter that is some random amendments away."""
    made = charter
    for _ in range(steps):
        for _ in range(20):
            if rng.random() < 0.2:
                changed = rng.choice(list(entries(made).values()))()
            else:
                leaf = rng.choice([one for one in leaves(made) if one.pattern != "version"])
                choices = others(leaf)
                if not choices:
                    continue
                changed = leaf.put(rng.choice(choices))
            if not list(review(changed)) and changed.jurisdictions:
                made = changed
                break
    return made
