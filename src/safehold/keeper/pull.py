"""The verb that hands an artifact out: a decision, an intent, the bytes, a result.

Rules, in this order; the first that fails ends it, and nothing was opened:
1. nothing is stopped; the ledger takes entries;
2. whoever asks is a person, and the capability holds for this purpose and for pulling, at this moment;
3. the artifact is there, is of this purpose, and neither lies in quarantine nor is contained;
4. policy allows it in every segment that it was made from, with every gate of the charter passed;
5. the caps of the grant cover one more pull and so many bytes;
6. the file is what was kept, and the statement about it holds; else it lies in quarantine from now on;
7. the intent, with the hash of the release record, is durable in the ledger; in strict mode it is cosigned.

What the intent says in public (action, artifact, size class) and what a refused attempt says (action) is what whoever
watches the ledger counts: how many, how large, when, under which grant.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from safehold import canonical
from safehold.access import AccessRequest, authorise
from safehold.canonical import b64
from safehold.catalog import DatasetLabel
from safehold.charter.types import dataset_gates
from safehold.clock import DAY_US
from safehold.errors import DeniedError, InvalidError, UnavailableError
from safehold.keeper.admission import note_attempt
from safehold.keeper.answers import Answers
from safehold.keeper.ask import Asker
from safehold.keeper.card import Cards
from safehold.keeper.contained import things
from safehold.keeper.datasheet import complete, write_markdown
from safehold.keeper.gates import Gates
from safehold.keeper.grants import Grants, Use
from safehold.keeper.models import MODEL_FILE, Models, size_class
from safehold.keeper.recipes import FEATURE, PULL_VERB
from safehold.keeper.server import Report
from safehold.keeper.terms import silos_of
from safehold.keeper.touched import by_asker
from safehold.ledger import Entry, Receipt
from safehold.telemetry.stream import segment_name

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

RECIPE: Final = "pull"
ACTION: Final = "pull_artifact"
STAGE: Final = "training"
RECORD_FILE: Final = "release.json"
STATEMENTS_FILE: Final = "provenance.intoto.jsonl"

_TRIED: Final = ("gate", "attack", "must_be", "state")  # of an attack, as a model card tells it


class Pull:
    """The verb.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        answers: Writes results.
        models: The artifacts.
        gates: What the ledger says of gates on datasets.
    """

    def __init__(
        self, desk: Desk, grants: Grants, answers: Answers, models: Models, gates: Gates
    ) -> None:
        self._desk = desk
        self._grants = grants
        self._answers = answers
        self._models = models
        self._gates = gates
        self._cards = Cards(desk, models)

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the release record of an artifact, checked against the sealed file and its signed statement."""
        name = _name(arguments)
        card = self._cards.write(name)  # reads the file, and checks it and its statement
        record = self._models.find(name)
        shown: dict[str, Any] = {
            "id": name,
            "verified": "provenance" in record,
            "sha256": record["sha256"],
            "record": card,
        }
        if "provenance" in record:
            shown["metrics"] = orjson.loads(record["metrics"])
            shown["provenance"] = self._models.check(name, self._models.read(name))
        if record.get("card"):
            tried = [
                {key: one[key] for key in _TRIED if key in one}
                for one in card["gates"]
                if one.get("state") in ("passed", "failed")
            ]
            shown["card"] = complete(
                record["card"], artifact=name, sha256=record["sha256"], attacks=tried
            )
            shown["card_markdown"] = write_markdown(shown["card"])
        return shown

    def pull(
        self, arguments: dict[str, Any], descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Write an artifact to the one descriptor, and return what belongs beside it.

        Raises:
            DeniedError: A rule said no; the refusal is in the ledger.
            TamperedError: The file, or the statement about it, does not hold.
        """
        desk, name = self._desk, _name(arguments)
        # under the lock nobody may keep it waiting
        if len(descriptors) != 1 or not stat.S_ISREG(os.fstat(descriptors[0]).st_mode):
            raise InvalidError("one file to write to", rule="artifact.file")
        desk.trust.require_running()
        desk.ledger.check_health()
        desk.check_time()
        purpose = str(arguments.get("purpose", ""))[:128]
        admitted = self._grants.admit(
            arguments,
            Use(verb=PULL_VERB, purpose=purpose, stage=STAGE, recipe=RECIPE, stream=FEATURE),
        )
        asker = replace(admitted.asker(), action=ACTION)
        try:
            return self._pull(name, purpose, asker, descriptors[0])
        except DeniedError as error:
            if error.entry is None:
                error.entry = note_attempt(
                    desk,
                    admitted.entry,
                    thing=RECIPE,
                    actor=asker.principal.id,
                    error=error,
                    purpose=purpose,
                    action=ACTION,
                )
            raise
        finally:
            self._grants.end(admitted.entry)

    def _pull(self, name: str, purpose: str, asker: Asker, out: int) -> dict[str, Any]:
        desk, models = self._desk, self._models
        record = models.find(name)
        touched = by_asker(desk, asker, purpose) | things(artifacts=[name])
        desk.trust.contained.require_free(touched)
        if record["purpose"] != purpose:
            raise DeniedError(
                "this artifact is of another purpose than the grant",
                rule="artifact.purpose",
                fix="ask for a grant for its purpose",
            )
        models.shelf.require_free(name)
        if (
            "provenance" not in record
        ):  # of what was brought from outside nobody can say that a gate is about it
            raise DeniedError(
                "nobody here can say what this artifact was made from", rule="artifact.provenance"
            )
        self._authorise(name, record, purpose, asker)
        card = self._cards.write(name)  # reads the file, and checks it and its statement
        body = models.read(name)
        written = canonical.encode(card)
        attested = desk.notary.attest(name, card, models.key)
        statements = f"{record['provenance']}\n{attested.decode()}\n"
        with desk.lock:
            self._answers.settle()
            desk.trust.contained.require_free(touched)
            self._require_still(name, card)
            intent = self._intend(name, purpose, asker, written, size=len(body))
            self._answers.begin(intent.index)
        who = asker.principal.id
        with self._answers.expected(intent.index, actor=who, thing=RECIPE, opened={}):
            desk.confirm(intent)
            if asker.caps is not None:
                desk.trust.send(intent.index, len(body) + len(written), asker.caps)
            desk.trust.require_running()
            proof = self._prove(intent)
            with (
                desk.lock
            ):  # the witnesses may have taken their time; no byte follows what stands against it
                desk.trust.contained.require_free(touched | things(runs=[intent.index]))
                self._require_still(name, card)
                _write(out, body)
            self._answers.write(
                intent.index,
                actor=who,
                thing=RECIPE,
                outcome="ok",
                detail={"artifact": name, "bytes": len(body)},
            )
        return {
            "artifact": name,
            "sha256": record["sha256"],
            "record": written.decode(),
            "statements": statements,
            "signature": b64(self._signature(name, record, written, statements)),
            "leaf": b64(desk.ledger.leaf(intent.index)),
            "proof": proof,
            "entry": intent.index,
        }

    def _require_still(self, name: str, card: Mapping[str, Any]) -> None:
        """Pass if what was decided about an artifact is still so."""
        self._models.shelf.require_free(name)
        if card["charter_in_force"] != self._desk.trust.digest().hex():
            raise DeniedError(
                "the charter changed while the artifact was handed out",
                rule="charter.changed",
                fix="ask again: it is judged by the one in force",
            )

    def _authorise(self, name: str, record: Mapping[str, Any], purpose: str, asker: Asker) -> None:
        desk = self._desk
        label = desk.lineage.label(name)
        charter = desk.trust.charter()
        for place in sorted(label.jurisdictions):
            authorise(
                desk.trust.policy(),
                AccessRequest(
                    principal=asker.principal,
                    action=ACTION,
                    purpose=purpose,
                    stage=STAGE,
                    now_us=desk.now_us(),
                    segment=segment_name(place, FEATURE),
                    streams=(FEATURE,),
                    purposes=tuple(sorted(label.purposes)),
                    jurisdictions=tuple(sorted(label.jurisdictions)),
                    expires_us=label.expires * DAY_US,
                    people=label.people,
                    silos=tuple(sorted(silos_of(charter, label.streams))),
                    # a release under differential privacy: what it tells of whoever left since is bounded
                    consent=True,
                    synthetic=desk.home.synthetic,
                    assurance=str(record["level"]),
                    claims=asker.claims,
                    holder="" if asker.claims is None else asker.claims.holder.text(),
                    gates=self._passed(name, record, label),
                ),
            )

    def _passed(self, name: str, record: Mapping[str, Any], label: DatasetLabel) -> tuple[str, ...]:
        """Return the gates that a model has passed: its own, and those of the datasets it was trained on.

        Training is refused before the gates of its datasets have passed. So under the charter that it was trained
        under they have; under another one they are asked again.
        """
        desk = self._desk
        charter = desk.trust.charter()
        if label.expires <= desk.today():
            return ()
        early = {gate.id for gate in dataset_gates(charter)}
        own = self._models.shelf.passed(
            name, [gate for gate in charter.gates if gate.id not in early]
        )
        for _, leaf in desk.ledger.leaves(int(record["intent"]), int(record["intent"]) + 1):
            if leaf["chr"] == b64(desk.trust.digest()):
                return (*own, *sorted(early))
        return (*own, *self._gates.passed(record["datasets"]))

    def _intend(
        self, name: str, purpose: str, asker: Asker, written: bytes, *, size: int
    ) -> Receipt:
        desk = self._desk
        return desk.trust.log_charged(
            Entry(
                kind="access.intent",
                actor=asker.principal.id,
                object=RECIPE,
                detail={
                    "grant": "" if asker.claims is None else asker.claims.grant,
                    "purpose": purpose,
                    "role": asker.principal.role,
                    "artifact": name,
                    "tokens": [] if asker.claims is None else list(asker.claims.revocation_ids),
                },
                charter=desk.trust.digest(),
                public={
                    "purpose": purpose,
                    "action": ACTION,
                    "artifact": name,
                    "record": hashlib.sha256(written).hexdigest(),
                    "size": size_class(size),
                },
                ref=asker.grant,
            ),
            None,
            caps=asker.caps,
        )

    def _prove(self, intent: Receipt) -> str | None:
        """Return the proof that the intent is in the ledger; None while no head covers it."""
        try:
            self._desk.ledger.publish()
            return self._desk.ledger.prove(intent.index)
        except (
            UnavailableError
        ):  # the witnesses do not answer; `safehold ledger prove` gives it later
            return None

    def _signature(
        self, name: str, record: Mapping[str, Any], written: bytes, statements: str
    ) -> bytes:
        files = {
            MODEL_FILE: bytes.fromhex(str(record["sha256"])),
            RECORD_FILE: hashlib.sha256(written).digest(),
            STATEMENTS_FILE: hashlib.sha256(statements.encode()).digest(),
        }
        return self._desk.notary.sign_files(name, files, self._models.point)


def _name(arguments: Mapping[str, Any]) -> str:
    name = arguments.get("artifact")
    if not isinstance(name, str) or not 0 < len(name) <= 128:
        raise InvalidError("not an artifact", field="artifact", rule="artifact.id")
    return name


def _write(out: int, body: bytes) -> None:
    view = memoryview(body)
    while view:
        view = view[os.write(out, view) :]
    os.fsync(out)
