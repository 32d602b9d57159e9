"""The gates that are about a dataset: what the ledger says of the attacks on it, and whether that still counts.

Holds: a gate of a dataset is passed only by leaves of one measurement of that very dataset, whole, the newest there
is, under the charter in force, while the dataset holds the same blocks. Whatever else there is, it is not passed.

1. The figure that a sandbox counted is judged here, on its upper bound and with enough people.
2. A gate covers each stream that the dataset holds at the gate's level; every one of them must pass.
3. Too few people, nothing at that level, a stream left out, or no measurement: ``unmeasured``, which is not passed.
4. What failed once stays failed for the same sources under the same charter: attackers and names are drawn anew each
   time, and whoever might try until a draw is lucky would spoil the confidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.charter.oversight import Gate
from safehold.charter.types import dataset_gates
from safehold.charter.value import MICRO
from safehold.errors import DeniedError, InvalidError
from safehold.keeper.recipes import EMBEDDING, FEATURE
from safehold.ledger import Entry
from safehold.privacy.recognition import (
    CONFIDENCE,
    FAILED,
    PASSED,
    TOO_FEW,
    fewest_people,
    judge,
    upper_bound,
)
from safehold.telemetry.stream import Level
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

NEEDED: Final = ("canary", "invert")  # without a gate on each, no vectors are used at all
UNMEASURED, STALE = "unmeasured", "stale"
OPERATORS: Final = {"<=": "le", "<": "lt", "==": "eq"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """How many people the worst attacker recognised in one stream at one level.

    Args:
        stream: ``key`` or ``pointer``.
        level: The level that its rows are at.
        people: People who were to be recognised.
        hits: How many were; None where there were too few people to say anything about them.
        kinds: Kinds of attacker that tried.
        worst: Name of the one that recognised most; empty where nothing is said.
        probe: Events of a probe, about.
        enrolled: Events that were known of a person, about.
    """

    stream: str
    level: Level
    people: int
    hits: int | None
    kinds: tuple[str, ...]
    worst: str = ""
    probe: int = 0
    enrolled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """A dataset as it was when an attack on it was decided.

    Args:
        dataset: Its id.
        held: Digest of the blocks that it held, hex.
        behind: Digest of the sources it was made from, hex.
        streams: Streams that it was made from, of those that are attacked: about each something has to be said.
        charter: Digest of the charter in force.
    """

    dataset: str
    held: str
    behind: str
    streams: frozenset[str]
    charter: bytes


def feature_blocks(desk: Desk, *datasets: str) -> Sequence[SealedBlock]:
    """Return the derived blocks that the home holds today; of some datasets, or of all."""
    return desk.catalog.blocks(
        kind="derived",
        streams=(FEATURE, EMBEDDING),
        after_day=desk.today(),
        sources=datasets or None,
    )


def is_embedding(dataset: str) -> bool:
    """Return whether a dataset holds vectors."""
    return dataset.rpartition(":")[0].endswith(f"/{EMBEDDING}")


class Gates:
    """What the ledger says of gates.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._read = desk.trust.read  # leaves of the ledger that were looked at
        self._newest: dict[tuple[str, str], list[tuple[int, dict[str, Any]]]] = {}
        self._attacked: dict[str, set[int]] = {}  # intents of the attacks on each dataset
        self._failed: set[tuple[str, str, str]] = set()  # gate, charter, and digest of sources
        # from when the ledger was checked, and not from a file that somebody edited since
        for index, leaf in desk.trust.attacks:
            self._note(index, leaf)

    def held(self, dataset: str) -> str:
        """Return the digest of a dataset: of its name and of every block that it holds now, hex."""
        blocks = feature_blocks(self._desk, dataset)
        names = sorted(block.block_id.hex() for block in blocks)
        return canonical.digest({"dataset": dataset, "blocks": names}).hex()

    def passed(self, datasets: Sequence[str]) -> tuple[str, ...]:
        """Return the gates that every one of some datasets has passed; none for no dataset."""
        if not datasets:
            return ()
        held = {dataset: self.held(dataset) for dataset in datasets}
        return tuple(
            gate.id
            for gate in self._desk.trust.charter().gates
            if all(self.state(gate, one, held=held[one]) == PASSED for one in datasets)
        )

    def require_registered(self, datasets: Sequence[str]) -> None:
        """Pass if vectors may be used: each of their sets has passed every gate of the charter in force.

        Raises:
            DeniedError: One has not; or the charter has no gate on canaries, or none on inversion.
        """
        gates = self._desk.trust.charter().gates
        if lacking := [one for one in NEEDED if one not in {gate.attack for gate in gates}]:
            raise DeniedError(
                f"the charter has no gate against {' and '.join(lacking)}",
                rule="embedding.ungated",
                fix="have the board add one: without it no vectors are used",
            )
        states = {
            self.state(gate, dataset, held=self.held(dataset))
            for dataset in datasets
            for gate in gates
        }
        if states != {PASSED}:
            words = ", ".join(sorted(states - {PASSED})) or "not made"
            raise DeniedError(
                f"these vectors are in quarantine: {words}",
                rule="embedding.quarantine",
                fix="safehold attack gates says why; stale vectors are made again: safehold enclave embed",
            )

    def told(self, dataset: str) -> dict[str, Any]:
        """Return what the newest measurement of a dataset says beside its figures; nothing without one."""
        for gate in self._desk.trust.charter().gates:
            for index, _ in self._leaves(gate.id, dataset):
                detail: dict[str, Any] = self._desk.ledger.detail(index)["detail"]
                return detail
        return {}

    def failed(self, gate: str, charter: bytes, behind: str) -> bool:
        """Return whether a gate failed before, for the same sources and settings under the same charter."""
        with self._desk.lock:
            self._fold()
            return (gate, b64(charter), behind) in self._failed

    def put(self, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        """Put the results of gates in the ledger, and return them as somebody reads them."""
        with self._desk.lock:
            receipts = self._desk.log(*entries) if entries else ()
            self._fold()  # at once: what is written is not read from a file that somebody edits later
        return [
            {**_shown(one.public), "entry": receipt.index}
            for one, receipt in zip(entries, receipts, strict=True)
        ]

    def state(self, gate: Gate, dataset: str, *, held: str) -> str:
        """Return how a dataset stands before a gate: ``passed``, ``failed``, ``unmeasured`` or ``stale``.

        Args:
            gate: A gate of the charter in force.
            dataset: Its id.
            held: The digest of what it holds now.
        """
        leaves = [leaf for _, leaf in self._leaves(gate.id, dataset)]
        if not leaves or len(leaves) != leaves[0]["pub"]["of"]:
            return UNMEASURED
        if any(unb64(leaf["chr"]) != self._desk.trust.digest() for leaf in leaves):
            return STALE
        if any(leaf["pub"]["held"] != held for leaf in leaves):
            return STALE
        states = {leaf["pub"]["state"] for leaf in leaves}
        if FAILED in states:
            return FAILED
        return PASSED if states == {PASSED} else UNMEASURED

    def fewest(self) -> int:
        """Return how many people it takes before every gate that can be passed may be; none without a gate."""
        bounds = [gate.must_be.micro for gate in self._gates()]
        return max((fewest_people(bound) for bound in bounds if bound > 0), default=0)

    def record(
        self, attacked: Attacked, risks: Sequence[Risk], *, intent: int, actor: str
    ) -> list[dict[str, Any]]:
        """Judge what was counted by every gate, put the results in the ledger, and return them.

        Args:
            attacked: What was attacked, as it was when that was decided.
            risks: What was counted; one for each stream and level that it holds.
            intent: Index of the intent under which it was opened.
            actor: Who attacked.
        """
        entries, shown = [], []
        whole = attacked.streams <= {one.stream for one in risks}
        self._fold()
        for gate in self._gates():
            covered: list[Risk | None] = [
                one for one in risks if gate.level in (None, one.level.name)
            ]
            if not covered or not whole:
                covered.append(None)
            known = (gate.id, b64(attacked.charter), attacked.behind)
            for risk in covered:
                public = {
                    **_facts(gate, risk),
                    "dataset": attacked.dataset,
                    "held": attacked.held,
                    "behind": attacked.behind,
                    "of": len(covered),
                }
                if public["state"] == PASSED and known in self._failed:
                    public["state"] = FAILED
                entries.append(
                    Entry(
                        kind="gate",
                        actor=actor,
                        object=gate.id,
                        detail={} if risk is None else _detail(risk),
                        charter=attacked.charter,
                        public=public,
                        ref=intent,
                    )
                )
                shown.append(_shown(public))
        with self._desk.lock:
            receipts = self._desk.log(*entries) if entries else ()
            self._fold()  # at once: what is written is not read from a file that somebody edits later
        return [
            {**one, "entry": receipt.index} for one, receipt in zip(shown, receipts, strict=True)
        ]

    def listing(self) -> list[dict[str, Any]]:
        """Return how every dataset of the home stands before every gate, with the newest figures."""
        desk = self._desk
        found = []
        for dataset in desk.catalog.sources_of([one.block_id for one in feature_blocks(desk)]):
            held = self.held(dataset)
            for gate in self._about(dataset):
                leaves = self._leaves(gate.id, dataset)
                found.append(
                    {
                        "dataset": dataset,
                        "gate": gate.id,
                        "attack": gate.attack,
                        "must_be": f"{gate.must_be.op}{gate.must_be.micro / MICRO:g}",
                        "state": self.state(gate, dataset, held=held),
                        "measured": [
                            {**_shown(leaf["pub"]), "entry": index} for index, leaf in leaves
                        ],
                    }
                )
        return found

    def attacked(self) -> dict[str, set[int]]:
        """Return the datasets about which figures were published, with the intents of the runs that counted them."""
        with self._desk.lock:
            self._fold()
            return {dataset: set(intents) for dataset, intents in self._attacked.items()}

    def _gates(self) -> Iterable[Gate]:
        return dataset_gates(self._desk.trust.charter())

    def _about(self, dataset: str) -> Iterable[Gate]:
        """Return the gates that a dataset stands before: of vectors, all of them."""
        return self._desk.trust.charter().gates if is_embedding(dataset) else self._gates()

    def _leaves(self, gate: str, dataset: str) -> list[tuple[int, dict[str, Any]]]:
        """Return the leaves of the newest measurement of a dataset for a gate."""
        with self._desk.lock:
            self._fold()
            return list(self._newest.get((gate, dataset), ()))

    def _fold(self) -> None:
        ledger = self._desk.ledger
        with self._desk.lock:
            size = ledger.size
            for index, leaf in ledger.leaves(self._read, size):
                if leaf["k"] == "gate":
                    self._note(index, leaf)
            self._read = size

    def _note(self, index: int, leaf: dict[str, Any]) -> None:
        said = leaf["pub"]
        self._attacked.setdefault(said["dataset"], set()).add(leaf["ref"])
        known = self._newest.setdefault((said["gate"], said["dataset"]), [])
        if known and known[0][1]["ref"] != leaf["ref"]:
            known.clear()
        known.append((index, leaf))
        if said["state"] == FAILED:
            self._failed.add((said["gate"], leaf["chr"], said["behind"]))


def _facts(gate: Gate, risk: Risk | None) -> dict[str, int | str]:
    must_be = gate.must_be
    facts: dict[str, int | str] = {
        "gate": gate.id,
        "op": OPERATORS.get(must_be.op, "none"),
        "bound": must_be.micro,
        "fewest": 0,
        "state": UNMEASURED,
    }
    if risk is None:
        return {**facts, "stream": "none", "level": gate.level or "any", "people": 0}
    facts |= {
        "stream": risk.stream,
        "level": risk.level.name,
        "people": risk.people,
        "attackers": "+".join(risk.kinds),
    }
    try:
        facts["fewest"] = fewest_people(must_be.micro)
        state = judge(must_be, measure=gate.measure, hits=risk.hits or 0, people=risk.people)
    except InvalidError:  # a gate that no figure of this attack can decide
        return facts
    if risk.hits is None:
        return facts
    return facts | {
        "state": UNMEASURED if state == TOO_FEW else state,
        "micro": risk.hits * MICRO // max(risk.people, 1),
        "upper": min(MICRO, round(upper_bound(risk.hits, risk.people) * MICRO) + 1),
        "confidence": round(CONFIDENCE * MICRO),
    }


def _detail(risk: Risk) -> dict[str, Any]:
    return {"worst": risk.worst, "probe": risk.probe, "enrolled": risk.enrolled}


def _shown(public: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as somebody reads it, shares and not millionths."""
    shares = {"micro": "top1", "upper": "upper", "bound": "must_be"}
    return {
        shares.get(name, name): value / MICRO if name in shares else value
        for name, value in sorted(public.items())
        if name not in {"held", "behind", "of", "op", "confidence"}
    }
