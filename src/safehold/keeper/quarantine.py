"""Quarantine: what lies in it, what comes into it from outside, and how the board decides about it.

Holds: what was brought from outside lies in quarantine from the leaf on that says it is here; it is read in a sandbox
and nowhere else. Nothing leaves quarantine but by an order that named seats signed about this very file: to release
takes what widening takes, to delete takes one seat. A gate of the charter that an artifact failed is not lifted by any
order: the charter promises it.

An order counts once, for one home, for a few days after it was drawn up.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from safehold import canonical, ids
from safehold.charter import Signature
from safehold.charter.board import check_quorum
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.keeper.caller import caller
from safehold.keeper.contained import things
from safehold.keeper.models import Models, facts_of
from safehold.keeper.ports import Passed
from safehold.keeper.server import Report
from safehold.keeper.shelf import DELETED, QUARANTINED, RELEASED
from safehold.keeper.terms import derived_expiry, least_level, sources_of
from safehold.ledger import Entry
from safehold.privacy.attack import FAILED

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

ORDER: Final = "safehold.artifact-order/1"
LIFE_US: Final = 3 * DAY_US  # how long an order counts
DIRECTIONS: Final = {"release": "widen", "delete": "narrow"}
LONGEST_REASON: Final = 1_000  # characters
LARGEST: Final = 64 << 20  # bytes of a file that is brought in
RECIPE: Final = "inspect"
FORMATS: Final = ("safetensors", "tokenizer")


def write_order(
    what: str, *, home: str, artifact: str, sha256: str, reason: str, at_us: int
) -> bytes:
    """Return an order as it is signed: to ``release`` or ``delete`` an artifact of this hash, and why."""
    order = {
        "v": ORDER,
        "what": what,
        "home": home,
        "artifact": artifact,
        "sha256": sha256,
        "reason": reason,
        "at_us": at_us,
    }
    return canonical.encode(order)


def domain_of(what: str) -> str:
    """Return what a seat signs an order about an artifact under.

    Args:
        what: ``release`` or ``delete``.
    """
    return f"safehold.artifact.{what}.v1"


class Quarantine:
    """The verbs.

    Args:
        desk: What the keeper works with.
        models: The artifacts.
    """

    def __init__(self, desk: Desk, models: Models) -> None:
        self._desk = desk
        self._models = models

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what lies in quarantine: why, since when, and what may be done about it."""
        shelf = self._models.shelf
        charter = self._desk.trust.charter()
        found = []
        for name, purpose in self._models.names():
            now = shelf.standing(name)
            if now.state == QUARANTINED:
                gates = shelf.gates(name, charter.gates)
                found.append(
                    {
                        "artifact": name,
                        "purpose": purpose,
                        "reason": now.reason,
                        "entry": now.entry,
                        "sha256": shelf.facts(name).get("sha256", ""),
                        "gates": gates,
                        "release_takes": self._takes("release"),
                        "delete_takes": self._takes("delete"),
                    }
                )
        return {"quarantine": found}

    def decide(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Carry out an order of the board about an artifact: release it from quarantine, or delete it.

        Raises:
            QuorumError: Too few seats signed it.
            DeniedError: It does not lie in quarantine, failed a gate, or the order is of another time.
        """
        desk, shelf = self._desk, self._models.shelf
        text = str(arguments["order"]).encode()
        order = _read(text, home=desk.home.id)
        what, name = order["what"], order["artifact"]
        key = f"order/{canonical.digest(order).hex()}"
        if not desk.now_us() - LIFE_US <= order["at_us"] <= desk.now_us() + SECOND_US or (
            desk.ledger.find(key)
        ):
            raise DeniedError(
                "an order of another time", rule="artifact.order", fix="draw it up anew"
            )
        signatures = [Signature.from_json(one) for one in arguments["signatures"]]
        seats, bad = desk.trust.roster.count(domain_of(what), text, signatures)
        needed = desk.trust.roster.needed(DIRECTIONS[what], desk.trust.charter())
        check_quorum(
            seats,
            bad,
            needed,
            rule=f"artifact.{what}",
            fix=f"sign with the keys that the roster names: safehold artifact {what}",
        )
        if what == "release":
            desk.trust.board.require_current()
            desk.trust.require_running()
        with desk.lock:
            self._models.find(name)
            now = shelf.standing(name)
            if shelf.facts(name).get("sha256") != order["sha256"]:
                raise DeniedError("the order is about another file", rule="artifact.order")
            if now.state == DELETED:
                raise DeniedError("this artifact was deleted", rule="artifact.deleted")
            if what == "release":
                self._require_releasable(name, now.state)
            state = RELEASED if what == "release" else DELETED
            (receipt,) = desk.log(
                Entry(
                    kind="artifact",
                    actor="board",
                    object=name,
                    detail={
                        "reason": order["reason"],
                        "seats": sorted(seat.name for seat in seats),
                    },
                    charter=desk.trust.digest(),
                    public={"artifact": name, "state": state, "reason": "board"},
                    key=key,
                    ref=now.entry if now.entry >= 0 else None,
                )
            )
            if what == "delete":
                self._shred(name)
        return {"artifact": name, "state": state, "entry": receipt.index}

    def bring(
        self, arguments: dict[str, Any], descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take a file in that was made elsewhere; it lies in quarantine, whatever is found in it.

        Raises:
            DeniedError: It is a pickle, or of a format that is not taken in.
            InvalidError: It is damaged, empty or too large.
        """
        desk = self._desk
        if len(descriptors) != 1:
            raise InvalidError("one file to read", rule="artifact.file")
        desk.trust.require_running()
        desk.ledger.check_health()
        purpose = str(arguments.get("purpose", ""))[:128]
        charter = desk.trust.charter()
        charter.purpose(purpose)
        desk.trust.contained.require_free(things(purpose=purpose))
        canaries = [str(one) for one in arguments.get("canaries", ())]
        body = _read_file(descriptors[0])
        found, level = self._inspect(body, canaries, purpose)
        form, notes = str(found["kind"]), list(found["notes"])
        if form not in FORMATS:
            raise DeniedError(
                "only weights as safetensors, and tokenizers, are taken in",
                rule="artifact.format",
                fix="convert it where it was made",
            )
        reason = "imported"
        if notes:
            reason = str(notes[0])
        if found["findings"]:
            reason = "scan"
        name = ids.new_id("art")
        with desk.lock:
            # the leaf first: whatever a crash leaves has one, and it says quarantine
            receipt = self._models.shelf.put(
                name,
                QUARANTINED,
                reason,
                facts=facts_of(body, form),
                detail={
                    "findings": found["findings"],
                    "classes": dict(found["classes"]),
                    "notes": notes,
                    "level": level,
                },
                actor=caller().id,
            )
            self._models.seal(
                name,
                body,
                purpose=purpose,
                expires=derived_expiry(
                    charter, purpose, today=desk.today(), sources_end=desk.today() + 1
                ),
                record={"format": form, "classes": dict(found["classes"]), "level": level},
            )
        return {
            "artifact": name,
            "state": QUARANTINED,
            "reason": reason,
            "format": form,
            "sha256": hashlib.sha256(body).hexdigest(),
            "findings": found["findings"],
            "classes": dict(found["classes"]),
            "notes": notes,
            "level": level,
            "entry": receipt.index,
        }

    def recover(self) -> None:
        """Destroy the keys of what was deleted, where a crash came between."""
        for name, _ in self._models.names():
            if self._models.shelf.standing(name).state == DELETED and self._models.lives(name):
                self._shred(name)

    def _shred(self, name: str) -> None:
        """Destroy the key; the object goes with the next sweep, and opens nowhere until then."""
        self._desk.vault.shred(artifact=name)

    def _require_releasable(self, name: str, state: str) -> None:
        shelf, charter = self._models.shelf, self._desk.trust.charter()
        if state != QUARANTINED:
            raise DeniedError("this artifact does not lie in quarantine", rule="artifact.state")
        failed = [one["gate"] for one in shelf.gates(name, charter.gates) if one["state"] == FAILED]
        if failed:
            raise DeniedError(
                f"it failed a gate that the charter promises: {', '.join(failed)}",
                rule="artifact.gate-failed",
                fix="delete it, and train another",
            )

    def _takes(self, what: str) -> dict[str, Any]:
        needed = self._desk.trust.roster.needed(DIRECTIONS[what], self._desk.trust.charter())
        return {"approve": needed.approve, "must_include": list(needed.must_include)}

    def _inspect(
        self, body: bytes, canaries: Sequence[str], purpose: str
    ) -> tuple[Mapping[str, Any], str]:
        """Look into a file in a sandbox: whoever made it may have made it for its reader."""
        desk = self._desk
        charter = desk.trust.charter()
        least = least_level(charter, sources_of(charter, purpose), synthetic=desk.home.synthetic)
        gate = desk.gatekeeper.open(RECIPE, {}, frozenset())
        table = pa.table({"body": pa.array([body], pa.large_binary())})
        memory = desk.workshop.pack([({"file": True}, table)])
        try:
            with (
                desk.workshop.start(
                    RECIPE, {"canaries": list(canaries)}, [memory], least=least
                ) as job,
                desk.watching(job),
            ):
                passed: list[Passed] = [gate.admit(frame) for frame in job.frames()]
                gate.close()
                if len(passed) != 1 or passed[0].kind != "inspection":
                    raise TamperedError(
                        "a look into a file sent something else", rule="release.frames"
                    )
                return passed[0].values, job.level
        finally:
            os.close(memory)


def _read(text: bytes, *, home: str) -> dict[str, Any]:
    match tree := canonical.decode(text):
        case {
            "v": "safehold.artifact-order/1",
            "what": "release" | "delete",
            "home": str(place),
            "artifact": str(),
            "sha256": str(),
            "reason": str(reason),
            "at_us": int(),
        } if len(tree) == 7 and len(reason) <= LONGEST_REASON:
            pass
        case _:
            raise InvalidError("not an order about an artifact", rule="artifact.order")
    if place != home:
        raise DeniedError("an order for another home", rule="artifact.order")
    found: dict[str, Any] = tree
    return found


def _read_file(descriptor: int) -> bytes:
    pieces, size = [], 0
    while piece := os.pread(descriptor, 1 << 20, size):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise InvalidError(
                f"a file that is brought in has at most {LARGEST >> 20} MiB", rule="artifact.size"
            )
    if not size:
        raise InvalidError("the file is empty", rule="artifact.size")
    return b"".join(pieces)
