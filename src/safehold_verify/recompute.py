"""An auditor counts again: indexes of epochs from their entries, and from the leaves what the keeper says it counted.

What holds when ``recompute`` returns: the log is whole, and each draft names one thing that the keeper counted in
another way than the leaves tell, or an epoch whose index is not the one over its entries. Without drafts both agree on
every grant, every budget, every use of the epochs, and on how many people each use was about.

What it cannot show: blocks stand in sealed parts alone, so of those only that no run opened more than it had named;
uses whose sealed part has expired tell nothing more; and nothing shows a use that has no leaf.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from safehold_verify.epochs import Epochs
from safehold_verify.errors import VerificationError
from safehold_verify.index import IndexReport, Leaves, read_json, verify_index
from safehold_verify.log import verify_log
from safehold_verify.policy import Policy

COUNTERS: Final = "safehold.counters/1"
UNTOLD: Final = -1
GRANT: Final = ("uses", "first use", "last use", "rows", "epsilon", "revoked", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One difference, as a finding could say it.

    Args:
        control: What it is about.
        severity: How grave it is, as a proposal.
        leaf: The leaf it is about, -1 for none.
        sentence: What differs.
    """

    control: str
    severity: str
    leaf: int
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """What was computed again.

    Args:
        origin: Name of the log.
        size: Leaves of the head that was checked.
        root: Its root, hex.
        counters: SHA-256 of the keeper's counters, hex.
        counted: Leaves that there were when the keeper counted.
        epochs: Number, first leaf, leaf after the last, and root (hex) of each epoch in the scope.
        digest: Over those, hex: what an opinion names.
        grants: Grants that were compared.
        uses: Uses of the epochs that were compared.
        partial: Epochs of which not all can be checked any more, because somebody was erased since.
        drafts: What differs.
    """

    origin: str
    size: int
    root: str
    counters: str
    counted: int
    epochs: tuple[tuple[int, int, int, str], ...]
    digest: str
    grants: int
    uses: int
    partial: tuple[int, ...]
    drafts: tuple[Draft, ...]

    def payload(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(slots=True)
class _Told:
    """What the leaves tell, up to the leaf at which the keeper counted."""

    grants: dict[int, list[int]] = field(default_factory=dict)
    budgets: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    open: list[int] = field(default_factory=list)
    intents: list[int] = field(default_factory=list)
    epochs: Epochs = field(default_factory=Epochs)

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take the next leaf."""
        facts, ref = leaf.get("pub", {}), leaf.get("ref", -1)
        match leaf["k"]:
            case "access.intent":
                self._use(index, ref, facts)
            case "access.result" if ref in self.open:
                self.open.remove(ref)
            case "grant" if ref < 0:
                self.grants[index] = [0, -1, -1, 0, 0, 0, 0]
            case "grant" if "block" not in facts and ref in self.grants:
                self.grants[ref][5] = 1
            case "grant.closed" if ref in self.grants:
                self.grants[ref][6] = 1
            case _:
                pass

    def _use(self, index: int, ref: int, facts: Mapping[str, Any]) -> None:
        self.open.append(index)
        self.intents.append(index)
        if "epsilon_micro" in facts or "delta_e12" in facts:
            key = (str(facts.get("purpose")), str(facts.get("unit")))
            for name in ("epsilon_micro", "delta_e12"):
                self.budgets[*key, name] += int(facts.get(name, 0))
        held = self.grants.get(ref)
        if held is not None:
            held[0] += 1
            held[1] = index if held[1] < 0 else held[1]
            held[2] = index
            held[3] += int(facts.get("rows", 0))
            held[4] += int(facts.get("epsilon_micro", 0))


def recompute(
    directory: Path | str,
    policy: Policy | Path | str,
    *,
    bundles: Sequence[bytes],
    counters: bytes,
    scope: tuple[int, int],
    heads: Sequence[bytes] = (),
) -> Recount:
    """Compute the epochs of a scope again, and compare what the keeper counted with what the leaves tell.

    Args:
        directory: The exported log; it is checked first.
        policy: Whose word counts; from outside the directory.
        bundles: What the keeper wrote for the auditor about each epoch, opened.
        counters: What it counted, opened.
        scope: First and last epoch.
        heads: Heads of the log kept elsewhere.

    Raises:
        VerificationError: The log does not hold, or what the keeper handed out is malformed or about another log.
    """
    found = verify_log(directory, policy, heads=heads)
    said = _read_counters(counters)
    size = int(said["size"])
    if said["origin"] != found.origin or not 0 < size <= found.size:
        raise VerificationError("they are about another log", where="counters")
    told = _Told()
    later = Epochs()
    for index, raw in Leaves(Path(directory), found):
        leaf = json.loads(raw)
        if leaf["k"] == "index.epoch":
            later.note(index, leaf)
        if index < size:
            told.note(index, leaf)
    drafts: list[Draft] = []
    people: Counter[int] = Counter()
    reports = dict(_indexes(directory, policy, bundles, people, drafts))
    wanted = range(scope[0], scope[1] + 1)
    for epoch in wanted:
        if epoch not in later.closed:
            raise VerificationError(f"epoch {epoch} is not closed in this log", where="scope")
        if epoch not in reports:
            drafts.append(
                _draft("index", "critical", -1, f"nothing shows the index of epoch {epoch}")
            )
    drafts += _compare_grants(said["grants"], told.grants)
    drafts += _compare_budgets(said["budgets"], told.budgets)
    if said["open"] != told.open:
        drafts.append(_draft("results", "high", -1, "other uses wait for a result than it says"))
    spans = [later.closed[epoch] for epoch in wanted]
    within = [one for one in told.intents if spans[0][0] <= one < spans[-1][1]]
    closed = {epoch for epoch, one in reports.items() if one.closed or one.unaccounted}
    gone = [later.closed[epoch] for epoch in closed if epoch in later.closed]
    drafts += _compare_uses(said["uses"], within, people, gone, seen=set(reports) >= set(wanted))
    epochs = tuple(
        (epoch, first, stop, _hex(root))
        for epoch, (first, stop, root) in ((one, later.closed[one]) for one in wanted)
    )
    return Recount(
        origin=found.origin,
        size=found.size,
        root=found.root,
        counters=hashlib.sha256(counters).hexdigest(),
        counted=size,
        epochs=epochs,
        digest=digest_of([list(one) for one in epochs]),
        grants=len(told.grants),
        uses=len(within),
        partial=tuple(sorted(closed)),
        drafts=tuple(drafts),
    )


def _indexes(
    directory: Path | str,
    policy: Policy | Path | str,
    bundles: Sequence[bytes],
    people: Counter[int],
    drafts: list[Draft],
) -> Iterator[tuple[int, IndexReport]]:
    """Yield each epoch whose index holds; count of each entry how many people it is about."""
    for bundle in bundles:
        try:
            report = verify_index(directory, policy, bundle)
        except VerificationError as error:
            drafts.append(_draft("index", "critical", -1, f"an index does not hold: {error}"))
            continue
        for _, listed in read_json(bundle, "bundle")["people"]:
            people.update(listed)
        yield report.epoch, report


def _compare_grants(said: Sequence[Any], told: Mapping[int, list[int]]) -> Iterator[Draft]:
    given = {int(entry): list(rest) for entry, *rest in said}
    for entry in sorted(given.keys() | told.keys()):
        mine, theirs = told.get(entry), given.get(entry)
        if mine is None or theirs is None:
            who = "the keeper" if mine is None else "the log"
            yield _draft("grants", "critical", entry, f"only {who} knows of this grant")
            continue
        for name, one, other in zip(GRANT, mine, theirs, strict=True):
            if one != other:
                yield _draft(
                    "grants", "high", entry, f"{name}: the leaves say {one}, the keeper {other}"
                )


def _compare_budgets(
    said: Sequence[Any], told: Mapping[tuple[str, str, str], int]
) -> Iterator[Draft]:
    given = {}
    for purpose, unit, epsilon, delta in said:
        given[purpose, unit, "epsilon_micro"] = epsilon
        given[purpose, unit, "delta_e12"] = delta
    for key in sorted(given.keys() | told.keys()):
        one, other = told.get(key, 0), given.get(key, 0)
        if one != other:
            yield _draft(
                "budgets",
                "critical" if other < one else "medium",
                -1,
                f"{key[2]} of {key[0]}: the leaves say {one}, the keeper {other}",
            )


def _compare_uses(
    said: Sequence[Any],
    within: Sequence[int],
    people: Mapping[int, int],
    gone: Sequence[tuple[int, int, str]],
    *,
    seen: bool,
) -> Iterator[Draft]:
    if [one[0] for one in said] != list(within):
        yield _draft("uses", "critical", -1, "the keeper lists other uses than the leaves")
    for index, stated, meant, opened in said:
        erased = any(first <= index < stop for first, stop, _ in gone)
        count = people.get(index, 0)
        if seen and stated != UNTOLD and (count > stated or (count < stated and not erased)):
            yield _draft(
                "people",
                "critical",
                index,
                f"it is about {count} people by its items, the keeper says {stated}",
            )
        if meant != UNTOLD and opened > meant:
            yield _draft("blocks", "critical", index, f"{opened} blocks opened, {meant} named")


def _read_counters(data: bytes) -> dict[str, Any]:
    said = read_json(data, "counters")
    match said:
        case {"v": "safehold.counters/1", "origin": str(), "size": int(), "grants": list(grants),
              "budgets": list(budgets), "open": list(waiting), "uses": list(uses)} if len(said) == 7:  # fmt: skip
            pass
        case _:
            raise VerificationError("not what a keeper counted", where="counters")
    if not (
        all(_numbers(one, 8) for one in grants)
        and all(_numbers(one, 4) for one in uses)
        and _numbers(waiting, len(waiting))
        and all(
            isinstance(one, list)
            and len(one) == 4
            and all(isinstance(word, str) for word in one[:2])
            and _numbers(one[2:], 2)
            for one in budgets
        )
    ):
        raise VerificationError("malformed", where="counters")
    return said


def _numbers(given: Any, count: int) -> bool:
    return (
        isinstance(given, list)
        and len(given) == count
        and all(type(one) is int and one >= UNTOLD for one in given)
    )


def _draft(control: str, severity: str, leaf: int, sentence: str) -> Draft:
    return Draft(control=f"ledger.{control}", severity=severity, leaf=leaf, sentence=sentence)


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a value as canonical JSON, hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest()


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()
