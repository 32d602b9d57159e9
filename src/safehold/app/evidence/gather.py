"""Fetches what the probes judge, from a keeper that runs; nothing of it is personal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import orjson

from safehold.assurance.measure import names, take
from safehold.assurance.milestone import newest as newest_of
from safehold.assurance.probe.facts import (
    Board,
    Budget,
    Callers,
    Dataset,
    Document,
    Facts,
    Figure,
    Gate,
    Head,
    Keys,
    Mishap,
    Model,
)
from safehold.assurance.probe.promised import BOUNDS, FRESH_MS
from safehold.assurance.probe.record import Record, read
from safehold.canonical import b64
from safehold.charter.prove import prove
from safehold.clock import SECOND_US
from safehold.errors import SafeholdError, TamperedError
from safehold.incident.clocks import late
from safehold.keeper.card import Cards
from safehold.keeper.incidents import Incidents
from safehold.keeper.panel import unlike_pinned
from safehold.keeper.principals import ACTIVE
from safehold.keeper.verbs import Verbs
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.note import text_of

COMPLETE: Final = "trail.missing_entries"
PATIENCE_US: Final = 3600 * SECOND_US  # a use without a result after this lacks one
# taking these says something of the whole home; they are taken for promises alone, or when somebody asks
COSTLY: Final = frozenset({"replay.any_employee_records", "replay.max_segments_exposed"})


def gather(verbs: Verbs, *, anew: bool = False) -> Facts:
    """Return what the probes judge.

    Args:
        verbs: The keeper.
        anew: Take measures that no promise has, also those that cost seconds.

    Raises:
        UnavailableError: The ledger cannot be read.
    """
    desk = verbs.desk
    drift = _drift(verbs)  # may write a leaf, so it comes before the fold
    record = read(desk.ledger.leaves())
    rights = verbs.rights.clock()
    register = _register(verbs)
    datasets, broken = _datasets(verbs)
    figures = _figures(verbs, record, anew=anew)
    leaving = take("erasure.p100_hours", verbs)
    return Facts(
        now_ms=desk.now_us() // 1000,
        today=desk.today(),
        synthetic=desk.home.synthetic,
        record=record,
        head=_head(verbs),
        board=_board(verbs),
        missing=_missing(verbs, figures, anew=anew),
        leaving=(leaving.micro, leaving.sentence),
        drift=drift,
        documents=_documents(verbs),
        register=register,
        waiting=rights["open"],
        overdue=rights["overdue"],
        keys=_keys(verbs),
        datasets=datasets,
        broken=broken,
        sandbox=desk.workshop.level(),
        callers=_callers(verbs),
        late=_late(verbs, record),
        budgets=_budgets(verbs),
        models=_models(verbs, record),
        mishaps=_mishaps(verbs),
        figures=figures,
    )


def _drift(verbs: Verbs) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in verbs.drift.check():
        found.setdefault(one.clause, one.sentence)
    return found


def _register(verbs: Verbs) -> str | None:
    try:
        verbs.crowd.check()
    except TamperedError as error:
        return error.message
    except SafeholdError as error:
        return f"it cannot be compared ({error.rule or error.code})"
    return None


def _missing(verbs: Verbs, figures: Mapping[str, Figure], *, anew: bool) -> tuple[int | None, str]:
    """Return what the record leaves out; looking opens what every use says of itself, so a young look is taken."""
    known = figures.get(COMPLETE)
    young_ms = verbs.desk.now_us() // 1000 - FRESH_MS
    if not anew and known is not None and known.entry >= 0 and known.at_ms > young_ms:
        return known.micro, (
            f"entry {known.entry} measured uses without a result, people left out of an index,"
            " and what has no use behind it"
        )
    taken = take(COMPLETE, verbs)
    return taken.micro, taken.sentence


def _head(verbs: Verbs) -> Head:
    desk, failed, published = verbs.desk, None, -1
    try:
        desk.ledger.publish()
        desk.ledger.check_health()
    except SafeholdError as error:
        failed = error.message
    try:
        published = Checkpoint.parse(text_of(desk.ledger.head())).size
    except SafeholdError as error:
        failed = failed or error.message
    shortfall = None
    if desk.trust.digest():
        promised = desk.trust.charter().audit.witnesses
        shortfall = desk.panel.shortfall(least=promised.min, includes=promised.includes)
    return Head(
        published=published,
        cosigned=desk.ledger.cosigned,
        unreachable=tuple(sorted(desk.ledger.unreachable)),
        failed=failed,
        remote=len(desk.panel.remote),
        shortfall=shortfall,
        unlike=unlike_pinned(desk),
    )


def _board(verbs: Verbs) -> Board | None:
    desk = verbs.desk
    if not desk.trust.digest():
        return None
    signed, held, why = desk.trust.signed(), None, ""
    try:
        held = tuple(one.id for one in prove(desk.trust.policy()).held)
    except SafeholdError as error:
        why = error.message.rstrip(".")
    return Board(
        charter=signed.charter,
        digest=b64(desk.trust.digest()),
        seats=tuple(signed.seats),
        roster_expired=desk.now_us() >= desk.trust.roster.expires_s * SECOND_US,
        proved=held,
        unproved=why,
    )


def _documents(verbs: Verbs) -> dict[str, Document]:
    if not verbs.desk.trust.digest():
        return {}
    listed = verbs.documents.listing({}, (), _silent)["documents"]
    return {
        one["document"]: Document(
            state=one["state"],
            entry=-1 if one["entry"] is None else one["entry"],
            open=one["open"] or 0,
        )
        for one in listed
    }


def _keys(verbs: Verbs) -> Keys:
    desk = verbs.desk
    listed = verbs.lifecycle.listing({}, (), _silent)["levels"]
    levels: dict[str, Mapping[str, Any]] = {one["level"]: one for one in listed}
    enrolled = {str(one) for one in desk.people.everybody()}
    level = verbs.status.level.payload()
    numbers: Mapping[str, int] = levels["row"]["numbers"]
    return Keys(
        root=str(levels["root"]["kept"]),
        level=str(level["level"]),
        means=str(level["means"]),
        segments=len(levels["segment"]["epochs"]),
        rows=sum(numbers.values()),
        overdue=desk.vault.due(desk.today()),
        strangers=len({str(one) for one in desk.vault.owners()} - enrolled),
    )


def _datasets(verbs: Verbs) -> tuple[tuple[Dataset, ...], int]:
    nodes, broken = verbs.desk.lineage.look(whole=True)
    shown = verbs.graph.lineage({}, (), _silent)["lineage"]
    status = {one["id"]: one["status"] for one in shown}
    found = tuple(
        Dataset(
            kind=node.kind,
            expires=node.label.expires,
            parents=tuple(nodes[one].label.expires for one in node.parents if one in nodes),
            places=frozenset(node.label.jurisdictions),
            intent=int(node.facts.get("intent", -1)),
            released=node.release is not None,
            live=status.get(node.id) == "live",
        )
        for node in nodes.values()
    )
    return found, len(broken)


def _callers(verbs: Verbs) -> Callers:
    active = [one for one in verbs.principals.everybody() if one.state == ACTIVE]
    held = Counter(name for one in active for name in set(one.names))
    return Callers(
        kinds=Counter(one.kind for one in active),
        shared=sum(number > 1 for number in held.values()),
        identified=verbs.principals.identified,
    )


def _late(verbs: Verbs, record: Record) -> int:
    oldest_ms = (verbs.desk.now_us() - PATIENCE_US) // 1000
    running = set(verbs.desk.trust.unanswered())
    # the fold of the record and the keeper's own must both say that a use is answered
    open_ = running | (record.intents.keys() - record.answered.keys())
    return sum(
        (one := record.intents.get(index)) is None or one.at_ms < oldest_ms for index in open_
    )


def _budgets(verbs: Verbs) -> dict[str, Budget]:
    trust = verbs.desk.trust
    if not trust.digest():
        return {}
    found = {}
    for name, purpose in sorted(trust.charter().purposes.items()):
        if purpose.privacy is None:
            continue
        allowed, left = trust.allowed(name), trust.left(name)
        found[name] = Budget(
            epsilon_micro=allowed.epsilon_micro,
            delta_e12=allowed.delta_e12,
            left_micro=left.epsilon_micro,
            left_e12=left.delta_e12,
        )
    return found


def _models(verbs: Verbs, ledger: Record) -> tuple[Model, ...]:
    desk, models = verbs.desk, verbs.models
    gates = desk.trust.charter().gates if desk.trust.digest() else ()
    found = []
    for name, _purpose in models.names():
        if not models.lives(name):
            continue
        record = models.find(name)
        charge = ledger.intents.get(int(record.get("intent", -1)))
        metrics = orjson.loads(record["metrics"]) if record.get("metrics") else {}
        found.append(
            Model(
                id=name,
                state=models.shelf.standing(name).state or "unknown",
                pulls=len(models.shelf.pulls(name)),
                epsilon_micro=None if charge is None else charge.facts.get("epsilon_micro"),
                rdp_micro=_micro(metrics.get("epsilon_rdp")),
                pld_micro=_micro(metrics.get("epsilon_pld")),
                audit=str(metrics.get("audit", "")),
                gates=tuple(
                    Gate(id=one["gate"], state=one["state"], entry=int(one.get("entry", -1)))
                    for one in models.shelf.gates(name, gates)
                ),
                card=_card(verbs, name),
                outside="provenance" not in record,
            )
        )
    return tuple(found)


def _card(verbs: Verbs, name: str) -> bool:
    try:
        Cards(verbs.desk, verbs.models).write(name)
    except SafeholdError:
        return False
    return True


def _micro(value: Any) -> int | None:
    return round(value * 1e6) if isinstance(value, int | float) else None


def _mishaps(verbs: Verbs) -> tuple[Mishap, ...]:
    desk = verbs.desk
    if not desk.trust.digest():
        return ()
    charter, now = desk.trust.charter(), desk.now_us()
    return tuple(
        Mishap(
            index=one.index,
            grave=one.grave,
            aware_ms=one.aware_ms,
            contained_ms=one.contained_ms,
            closed_ms=one.closed_ms,
            late=tuple(late(one, charter, now_us=now)),
        )
        for one in Incidents().follow(desk.ledger).all()
    )


def _figures(verbs: Verbs, record: Record, *, anew: bool) -> dict[str, Figure]:
    """Return every measure: as its promise was measured last, or taken now where nothing is promised."""
    desk = verbs.desk
    if not desk.trust.digest():
        return {}
    found = {}
    newest = [one.to_json() for one in newest_of(verbs)]
    for shown, promise in zip(newest, desk.trust.charter().promises, strict=True):
        entry = -1 if shown["entry"] is None else int(shown["entry"])
        leaf = record.newest("milestone", promise=promise.id)
        at_ms = int(shown["at_ms"] or 0)
        found[promise.measure] = Figure(
            promised=True,
            op=promise.must_be.op,
            bound=promise.must_be.micro,
            micro=None if entry < 0 or leaf is None else leaf.facts.get("micro"),
            sentence=shown["how"] or ("never measured" if entry < 0 else "nothing to measure yet"),
            entry=entry,
            at_ms=at_ms or desk.now_us() // 1000,
        )
    for measure in names():
        if measure in found or measure not in BOUNDS or (measure in COSTLY and not anew):
            continue
        taken = take(measure, verbs)
        op, bound = BOUNDS[measure]
        found[measure] = Figure(
            promised=False,
            op=op,
            bound=bound,
            micro=taken.micro,
            sentence=taken.sentence,
            entry=-1,
            at_ms=desk.now_us() // 1000,
        )
    return found


def _silent(_progress: Mapping[str, object]) -> None:
    """Take no note of progress."""


__all__ = ["gather"]
