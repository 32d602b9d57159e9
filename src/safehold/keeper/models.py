"""What training made, and what was brought from outside: sealed under a key of its own.

Holds: nothing is registered that was not looked into first; what is found puts it in quarantine, in the ledger, before
anybody can ask for it. What training made carries a signed statement of what it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from safehold import canonical, ids
from safehold.catalog import tables
from safehold.dlp.artifact import inspect
from safehold.errors import DeniedError, MissingError, TamperedError
from safehold.keeper.ports import Made
from safehold.keeper.server import Report
from safehold.keeper.shelf import KEPT, QUARANTINED, Shelf
from safehold.signing import PointKey, SigningKey
from safehold.vault import Label, SealedArtifact

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

SEGMENT = "artifacts"
SAFETENSORS = "safetensors"
MODEL_FILE = "model.safetensors"


class Models:
    """Keeps, shows and checks artifacts; their weights never leave through here.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._engine = desk.engine
        self._notary = desk.notary
        self.key = self._key = SigningKey(desk.vault.derive("provenance"))
        self.point = PointKey(desk.vault.derive("model-signing"))
        self.shelf = Shelf(desk)

    def keep(
        self,
        model: bytes,
        *,
        recipe: str,
        purpose: str,
        metrics: Mapping[str, Any],
        datasets: Sequence[str],
        expires: int,
        intent: int,
        level: str,
        started_us: int,
        materials: Mapping[str, str] | None = None,
        trial: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> str:
        """Look into a model, seal it and its provenance, and return the artifact's id.

        Args:
            model: The file, as it passed the egress gate.
            recipe: What made it.
            purpose: The one purpose.
            metrics: Figures of the run.
            datasets: What it was trained on.
            expires: UTC day of its end.
            intent: The ledger entry that came before the use.
            level: Assurance level of the sandbox.
            started_us: When the run began.
            materials: Digests of what it was made from beside the charter, hex.
            trial: What attacks on it need to know again; sealed with it.
            card: Its model card; sealed with it.
        """
        desk = self._desk
        name = ids.new_id("art")
        statement = self._notary.state(
            Made(
                name=name,
                body=model,
                recipe=recipe,
                purpose=purpose,
                materials={
                    "charter": desk.trust.digest().hex(),
                    **(materials or {}),
                },
                run=ids.new_id("run"),
                intent=intent,
                level=level,
                parameters={
                    "purpose": purpose,
                    **{
                        key: value
                        for key, value in metrics.items()
                        if isinstance(value, int | str) and key != "type"
                    },
                },
                started_us=started_us,
                finished_us=desk.now_us(),
            ),
            self._key,
        )
        found = inspect(model)
        self.seal(
            name,
            model,
            purpose=purpose,
            expires=expires,
            record={
                "intent": intent,
                "metrics": orjson.dumps(metrics).decode(),
                "provenance": statement.decode(),
                "level": level,
                "datasets": list(datasets),
                "trial": dict(trial or {}),
                "card": dict(card or {}),
            },
        )
        self.shelf.put(
            name,
            QUARANTINED if found.findings or found.notes else KEPT,
            "scan" if found.findings or found.notes else "trained",
            facts=facts_of(model, SAFETENSORS),
            detail={
                "findings": len(found.findings) + found.more,
                "passages": found.passages,
                "notes": list(found.notes),
            },
            ref=intent,
        )
        return name

    def seal(
        self, name: str, body: bytes, *, purpose: str, expires: int, record: Mapping[str, Any]
    ) -> None:
        """Seal a file under a key of its own and register it; that it may be handed out is another question.

        Args:
            name: Its new id.
            body: The file.
            purpose: The one purpose.
            expires: UTC day of its end.
            record: What is kept with it.
        """
        desk = self._desk
        sealed = desk.vault.artifacts.seal(
            name,
            body,
            label=Label(
                purposes=(purpose,),
                jurisdiction="any",
                expires=expires,
                charter=desk.trust.digest(),
            ),
            segment=SEGMENT,
        )
        whole = {
            **record,
            "sealed": sealed.to_record(),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        with self._engine.begin() as connection:
            connection.execute(
                tables.artifact.insert().values(
                    id=name,
                    purpose=purpose,
                    record=desk.sealer.seal(canonical.encode(whole), aad=_aad(name)),
                    created_us=desk.now_us(),
                )
            )

    def find(self, name: str) -> dict[str, Any]:
        """Return what was kept with an artifact, with its purpose; sealed under its id, so it is of no other.

        Raises:
            MissingError: There is none of that id.
        """
        with self._engine.begin() as connection:
            row = connection.execute(
                sa.select(tables.artifact).where(tables.artifact.c.id == name)
            ).one_or_none()
        if row is None:
            raise MissingError("no such artifact", rule="artifact.missing")
        return {**self._open(row), "purpose": row.purpose, "created_us": row.created_us}

    def read(self, name: str) -> bytes:
        """Return the file of an artifact, checked against its record.

        Raises:
            TamperedError: It is not what was kept.
            ShreddedError: Its time is over, or it was deleted.
        """
        record = self.find(name)
        body = bytes(self._desk.vault.artifacts.read(SealedArtifact.from_record(record["sealed"])))
        if hashlib.sha256(body).hexdigest() != record["sha256"]:
            raise TamperedError("the artifact is not what was kept", rule="artifact.digest")
        return body

    def check(self, name: str, body: bytes) -> dict[str, Any]:
        """Return the signed statement of what an artifact was made from; none that holds puts it in quarantine.

        Raises:
            DeniedError: It was brought from outside, and nobody here can say what it was made from.
            TamperedError: The statement does not hold.
        """
        record = self.find(name)
        if "provenance" not in record:
            raise DeniedError(
                "nobody here can say what this artifact was made from", rule="artifact.provenance"
            )
        try:
            return self._notary.check(
                record["provenance"].encode(), body=body, key=self._key.public
            )
        except TamperedError:
            if self.shelf.standing(name).state != QUARANTINED:
                self.shelf.put(name, QUARANTINED, "provenance")
            raise

    def objects(self) -> set[str]:
        """Return the sealed objects that artifacts lie in."""
        with self._engine.begin() as connection:
            rows = connection.execute(sa.select(tables.artifact)).all()
        return {self._open(row)["sealed"]["object"] for row in rows}

    def made(self) -> list[tuple[str, str, int]]:
        """Return every artifact that was ever made here, oldest first: id, purpose, and the intent of its run.

        The intent is -1 of one that an older version kept. What was brought from outside was not made of anybody here.
        """
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(tables.artifact).order_by(tables.artifact.c.created_us)
            ).all()
        kept = [(row, self._open(row)) for row in rows]
        return [
            (row.id, row.purpose, int(record.get("intent", -1)))
            for row, record in kept
            if "provenance" in record
        ]

    def names(self) -> list[tuple[str, str]]:
        """Return every artifact there is, also from outside, oldest first: id and purpose."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(tables.artifact.c.id, tables.artifact.c.purpose).order_by(
                    tables.artifact.c.created_us
                )
            ).all()
        return [(row.id, row.purpose) for row in rows]

    def lives(self, name: str) -> bool:
        """Return whether an artifact can still be opened: its key is there and its time is not over."""
        with self._engine.begin() as connection:
            row = connection.execute(
                sa.select(tables.artifact).where(tables.artifact.c.id == name)
            ).one_or_none()
        return row is not None and self._desk.vault.artifacts.keeps(
            SealedArtifact.from_record(self._open(row)["sealed"])
        )

    def knows(self, name: str) -> bool:
        """Return whether an artifact was kept, however long ago."""
        with self._engine.begin() as connection:
            return (
                connection.execute(
                    sa.select(tables.artifact.c.id).where(tables.artifact.c.id == name)
                ).first()
                is not None
            )

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the artifacts."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(tables.artifact).order_by(tables.artifact.c.created_us)
            ).all()
        return {
            "artifacts": [
                {
                    "id": row.id,
                    "purpose": row.purpose,
                    "size": record["sealed"]["length"],
                    "expires": record["sealed"]["label"]["expires"],
                    "sha256": record["sha256"],
                    "state": now.state or "unknown",
                    "reason": now.reason,
                }
                for row in rows
                for record, now in [(self._open(row), self.shelf.standing(row.id))]
            ]
        }

    def _open(self, row: Any) -> dict[str, Any]:
        # sealed under its id: figures and provenance are those of this artifact and no other
        record: dict[str, Any] = canonical.decode(
            self._desk.sealer.open(row.record, aad=_aad(row.id))
        )
        return record


def facts_of(body: bytes, form: str) -> dict[str, int | str]:
    """Return what the first leaf of an artifact says of its file: format, size class, SHA-256."""
    return {
        "format": form,
        "size": size_class(len(body)),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def size_class(size: int) -> int:
    """Return a size rounded up to a power of two: what a leaf tells of it."""
    return 1 << max(0, size - 1).bit_length()


def _aad(name: str) -> bytes:
    return f"artifact/{name}".encode()
