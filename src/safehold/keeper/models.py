"""What training made: sealed under a key of its own, with a signed statement of what it was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from safehold import canonical, ids
from safehold.canonical import b64, unb64
from safehold.catalog import tables
from safehold.errors import MissingError
from safehold.keeper.datasheet import complete, write_markdown
from safehold.keeper.desk import Desk
from safehold.keeper.ports import Made
from safehold.keeper.server import Report
from safehold.signing import SigningKey
from safehold.vault import Label, SealedArtifact

SEGMENT = "artifacts"


class Models:
    """Keeps, shows and checks artifacts; their weights never leave through here.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._engine = desk.engine
        self._notary = desk.notary
        self._key = SigningKey(desk.vault.derive("provenance"))

    def keep(
        self,
        model: bytes,
        *,
        purpose: str,
        metrics: Mapping[str, Any],
        datasets: Sequence[str],
        expires: int,
        intent: int,
        level: str,
        started_us: int,
        card: Mapping[str, Any] | None = None,
    ) -> str:
        """Seal a model, its provenance and its card, and return the artifact's id."""
        desk = self._desk
        name = ids.new_id("art")
        statement = self._notary.state(
            Made(
                name=name,
                body=model,
                purpose=purpose,
                materials={
                    "charter": desk.trust.digest().hex(),
                    **{
                        f"dataset/{one}": hashlib.sha256(one.encode()).hexdigest()
                        for one in datasets
                    },
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
        sealed = desk.vault.seal_artifact(
            name,
            model,
            label=Label(
                purposes=(purpose,),
                jurisdiction="any",
                expires=expires,
                charter=desk.trust.digest(),
            ),
            segment=SEGMENT,
        )
        record = {
            "sealed": _record(sealed),
            "intent": intent,
            "sha256": hashlib.sha256(model).hexdigest(),
            "metrics": orjson.dumps(metrics).decode(),
            "provenance": statement.decode(),
            "card": dict(card or {}),
        }
        with self._engine.begin() as connection:
            connection.execute(
                tables.artifact.insert().values(
                    id=name,
                    purpose=purpose,
                    record=self._desk.sealer.seal(canonical.encode(record), aad=_aad(name)),
                    created_us=desk.now_us(),
                )
            )
        return name

    def objects(self) -> set[str]:
        """Return the sealed objects that artifacts lie in."""
        with self._engine.begin() as connection:
            rows = connection.execute(sa.select(tables.artifact)).all()
        return {self._open(row)["sealed"]["object"] for row in rows}

    def made(self) -> list[tuple[str, str, int]]:
        """Return every artifact that was ever kept, oldest first: id, purpose, and the intent of its run.

        The intent is -1 of one that an older version kept.
        """
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(tables.artifact).order_by(tables.artifact.c.created_us)
            ).all()
        return [(row.id, row.purpose, int(self._open(row).get("intent", -1))) for row in rows]

    def lives(self, name: str) -> bool:
        """Return whether an artifact can still be opened: its key is there and its time is not over."""
        with self._engine.begin() as connection:
            row = connection.execute(
                sa.select(tables.artifact).where(tables.artifact.c.id == name)
            ).one_or_none()
        return row is not None and self._desk.vault.keeps(_sealed(self._open(row)["sealed"]))

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
                }
                for row in rows
                for record in [self._open(row)]
            ]
        }

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Show an artifact's figures and provenance, checked against the sealed file.

        Raises:
            TamperedError: The file is not what was signed.
            ShreddedError: Its time is over.
        """
        name = str(arguments["artifact"])
        with self._engine.begin() as connection:
            found = connection.execute(
                sa.select(tables.artifact).where(tables.artifact.c.id == name)
            ).one_or_none()
        if found is None:
            raise MissingError("no such artifact", rule="artifact.missing")
        record = self._open(found)
        body = self._desk.vault.read_artifact(_sealed(record["sealed"]))
        statement = self._notary.check(
            record["provenance"].encode(), body=body, key=self._key.public
        )
        shown = {
            "id": name,
            "verified": True,
            "sha256": record["sha256"],
            "metrics": orjson.loads(record["metrics"]),
            "provenance": statement,
        }
        if card := record.get("card"):
            shown["card"] = complete(card, artifact=name, sha256=record["sha256"])
            shown["card_markdown"] = write_markdown(shown["card"])
        return shown

    def _open(self, row: Any) -> dict[str, Any]:
        # sealed under its id: figures and provenance are those of this artifact and no other
        record: dict[str, Any] = canonical.decode(
            self._desk.sealer.open(row.record, aad=_aad(row.id))
        )
        return record


def _aad(name: str) -> bytes:
    return f"artifact/{name}".encode()


def _record(sealed: SealedArtifact) -> dict[str, Any]:
    return {
        "name": sealed.name,
        "segment": sealed.segment,
        "object": sealed.object,
        "size": sealed.size,
        "length": sealed.length,
        "sha256": b64(sealed.sha256),
        "label": sealed.label.to_record(),
    }


def _sealed(record: Mapping[str, Any]) -> SealedArtifact:
    return SealedArtifact(
        name=record["name"],
        segment=record["segment"],
        object=record["object"],
        size=record["size"],
        length=record["length"],
        sha256=unb64(record["sha256"]),
        label=Label.from_record(record["label"]),
    )
