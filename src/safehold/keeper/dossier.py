"""The copy itself: an archive of plain files, for machines and for people.

::

    index.html              everything in plain words, with small pictures; no script, nothing from elsewhere
    manifest.json           what each file holds, with its SHA-256; what GDPR Article 15 and the CCPA ask to be told
    choices.json            what the person chose, and which keys and devices are theirs
    uses.json               every use of their data in the ledger
    made.json               what was made from it, and what would become of that if they were erased
    notice.md               the notice of the charter in force
    telemetry/STREAM.parquet and .jsonl
    features/SEGMENT.parquet and .jsonl
    set-aside/SEGMENT.parquet and .jsonl    messages of their devices that were malformed, as they came
    trail/package.json      proof that the list of uses is complete, for `safehold-verify package`
    trail/receipt.json
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from safehold.catalog.aside import ASIDE
from safehold.charter import Charter
from safehold.charter.legal.notice import privacy_notice
from safehold.ids import PersonId
from safehold.keeper.leaflet import Part, leaflet
from safehold.ledger.package import make_package, make_receipt
from safehold.ledger.subjects import epoch_key, label_of
from safehold.telemetry.stream import STREAM_TO_WHAT
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

VERSION: Final = "safehold.copy/1"
EPOCH: Final = date(1970, 1, 1)
RIGHTS: Final = (
    "to see what is held about you, and to have a copy (GDPR Articles 15 and 20; CCPA 1798.100 and 1798.110)",
    "to have what is wrong put right (GDPR Article 16; CCPA 1798.106)",
    "to be erased (GDPR Article 17; CCPA 1798.105)",
    "to have the use of your data restricted, and to object to it (GDPR Articles 18 and 21)",
    "to pause and to leave at any time; neither costs you anything (GDPR Article 7; CCPA 1798.125)",
    "to complain to a supervisory authority (GDPR Article 77)",
)
# Categories of the CCPA, 1798.140(v)(1), by stream
CCPA: Final = {
    "key": "internet or other electronic network activity (F)",
    "pointer": "internet or other electronic network activity (F)",
    "focus": "internet or other electronic network activity (F)",
    "chat": "contents of messages: sensitive personal information (L)",
    "ai": "internet or other electronic network activity (F)",
    "speech": "audio, electronic, visual or similar information (H)",
    "screen": "audio, electronic, visual or similar information (H)",
    "metric": "professional or employment-related information (I)",
    "feature": "inferences drawn from the above (K)",
    "embedding": "inferences drawn from the above (K)",
    ASIDE: "internet or other electronic network activity (F)",
}
_FOLDERS: Final = {"feature": "features", "embedding": "features", ASIDE: "set-aside"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """What is known of a person beside their rows.

    Args:
        person: The company's name for them.
        home: Id of the home.
        chosen: Their standing.
        devices: Their keys and devices.
        uses: Every use of their data, oldest first.
        made: What was made from it.
        charter: The charter in force.
        package: The proof of the uses.
        receipt: What commits the keeper to their keys.
        retention: For each stream, days that it is kept.
    """

    person: str
    home: str
    chosen: Mapping[str, Any]
    devices: Sequence[Mapping[str, Any]]
    uses: Sequence[Mapping[str, Any]]
    made: Sequence[Mapping[str, Any]]
    charter: Charter
    package: bytes
    receipt: bytes
    retention: Mapping[str, int]

    @classmethod
    def draw(
        cls,
        desk: Desk,
        person: PersonId,
        *,
        effects: Sequence[Mapping[str, Any]],
        told: Mapping[int, Sequence[str]],
    ) -> Portrait:
        """Return what is known of a person; the epoch of the ledger is closed and its head is published."""
        standing = desk.people.standing(person)
        (subject,) = desk.subjects([str(person)])
        charter = desk.trust.charter()
        return cls(
            person=standing.external,
            home=desk.home.id,
            chosen=standing.to_record(),
            devices=[
                one.to_record() | {"person": standing.external} for one in desk.devices.of(person)
            ],
            uses=list(_uses(desk, subject.key, told)),
            made=list(effects),
            charter=charter,
            package=make_package(desk.ledger, desk.index, subject.key, told),
            receipt=make_receipt(subject.key, origin=desk.ledger.origin, size=desk.ledger.size),
            retention={one.what: one.keep_days for one in charter.collect},
        )


def _uses(desk: Desk, key: bytes, decided: Mapping[int, Sequence[str]]) -> Iterator[dict[str, Any]]:
    for closed in desk.index.closed():
        own = epoch_key(key, closed.epoch)
        tree, rows = desk.index.tree(closed.epoch)
        if not tree.find(label_of(own))[1]:
            continue
        for index in rows[label_of(own)].places(own):
            ((_, leaf),) = desk.ledger.leaves(index, index + 1)
            told: dict[str, Any] = {
                "entry": index,
                "at": _moment(int(leaf["t"]) * 1000),
                "what": leaf["k"],
                "purpose": leaf.get("pub", {}).get("purpose", ""),
            }
            # the same as in the package: what the board withholds for a time is not told here either
            if leaf["k"] == "access.intent" and decided.get(index, ("obj",)):
                said = desk.ledger.detail(index)
                told |= {"recipe": said["object"], "asked_by": said["detail"].get("role", "")}
                if index in decided:
                    told |= {"who": said["actor"]}
            yield told


@dataclass(slots=True)
class _Open:
    """One part that is being filled."""

    tables: list[pa.Table] = field(default_factory=list)
    days: Counter[int] = field(default_factory=Counter)
    blocks: list[SealedBlock] = field(default_factory=list)


class Dossier:
    """Builds the archive, part by part; what was written is held in memory and nowhere else.

    Args:
        portrait: What is known beside the rows.
        now_us: When it is made.
    """

    def __init__(self, portrait: Portrait, *, now_us: int) -> None:
        self._portrait = portrait
        self._now_us = now_us
        self._out = io.BytesIO()
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._files: list[dict[str, Any]] = []
        self._parts: list[Part] = []
        self._open = _Open()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._out.tell()

    def take(self, block: SealedBlock, table: pa.Table) -> None:
        """Add the rows of one block to the present part."""
        self._open.tables.append(table)
        self._open.days[block.window] += table.num_rows
        self._open.blocks.append(block)

    def end_part(self, stream: str, segment: str) -> None:
        """Write the present part, for machines in both forms."""
        held, self._open = self._open, _Open()
        if not held.tables:
            return
        table = pa.concat_tables(held.tables, promote_options="default").unify_dictionaries()
        folder = _FOLDERS.get(stream, "telemetry")
        stem = f"{folder}/{segment}"
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        lines = io.BytesIO()
        for batch in table.to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                lines.write(orjson.dumps(row, default=_plain, option=orjson.OPT_APPEND_NEWLINE))
        blocks = held.blocks
        part = Part(
            stream=stream,
            what=STREAM_TO_WHAT.get(stream, stream),
            rows=table.num_rows,
            days=dict(held.days),
            ends=(min(b.label.expires for b in blocks), max(b.label.expires for b in blocks)),
            purposes=tuple(sorted({name for b in blocks for name in b.label.purposes})),
            place=blocks[0].label.jurisdiction,
            file=stem,
        )
        self._parts.append(part)
        about = {
            "stream": stream,
            "what": part.what,
            "rows": part.rows,
            "first_day": _day(min(part.days)),
            "last_day": _day(max(part.days)),
            "ends_from": _day(part.ends[0]),
            "ends_until": _day(part.ends[1]),
            "purposes": list(part.purposes),
            "jurisdiction": part.place,
            "ccpa_category": CCPA[stream],
            "columns": {one.name: str(one.type) for one in table.schema},
        }
        self._write(f"{stem}.parquet", buffer.getvalue(), **about)
        self._write(f"{stem}.jsonl", lines.getvalue(), **about)

    def close(self) -> bytes:
        """Return the whole archive."""
        portrait = self._portrait
        self._write("choices.json", _json({"chosen": portrait.chosen, "devices": portrait.devices}))
        self._write("uses.json", _json(portrait.uses))
        self._write("made.json", _json(portrait.made))
        self._write("notice.md", privacy_notice(portrait.charter).encode())
        self._write("trail/package.json", portrait.package)
        self._write("trail/receipt.json", portrait.receipt)
        page = leaflet(
            person=portrait.person,
            at=_moment(self._now_us),
            parts=self._parts,
            uses=portrait.uses,
            made=portrait.made,
            chosen=portrait.chosen,
            charter=portrait.charter,
            rights=RIGHTS,
        )
        self._write("index.html", page.encode())
        self._zip.writestr(_member("manifest.json"), _json(self._manifest()))
        self._zip.close()
        return self._out.getvalue()

    def _manifest(self) -> dict[str, Any]:
        portrait = self._portrait
        charter = portrait.charter
        return {
            "v": VERSION,
            "made_at": _moment(self._now_us),
            "person": portrait.person,
            "home": portrait.home,
            "charter": {
                "id": charter.id,
                "version": charter.version,
                "sha256": charter.digest().hex(),
            },
            "controller": {
                "name": charter.controller.name,
                "contact": charter.controller.contact,
                "dpo": charter.controller.dpo,
            },
            # GDPR Article 15(1)(a) to (h) and (2); CCPA 1798.110(a)(1) to (5)
            "purposes": {
                name: {"plain": one.plain, "stages": list(one.stages), "from": list(one.sources)}
                for name, one in charter.purposes.items()
            },
            "legal_basis": charter.participation.legal_basis,
            "categories": sorted({part.what for part in self._parts}),
            "ccpa_categories": sorted({CCPA[part.stream] for part in self._parts}),
            "recipients": _recipients(portrait.uses),
            "sold_or_shared": "no row leaves this system but in a copy like this one",
            "retention_days": dict(portrait.retention),
            "source": "recorders on devices that are enrolled for you, and files that were taken in",
            "rights": list(RIGHTS),
            "automated_decisions": "this system makes none; what nobody may do with the data is in notice.md",
            "transfers": "notice.md says what the charter allows; where the machines stand, ask the controller",
            "jurisdictions": list(charter.jurisdictions),
            "not_in_it": [
                "what your employer holds outside this system",
                "what was taken in and not finished yet; it is in the next copy",
                "what has ended by its retention: it opens for nobody",
            ],
            "files": self._files,
        }

    def _write(self, name: str, data: bytes, **about: Any) -> None:
        self._zip.writestr(_member(name), data)
        digest = hashlib.sha256(data).hexdigest()
        self._files.append({"file": name, "bytes": len(data), "sha256": digest, **about})


def _recipients(uses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return who had code run on the data, by role, purpose and recipe; nobody received rows."""
    found = Counter(
        (str(one.get("asked_by", "")), str(one["purpose"]), str(one.get("recipe", "")))
        for one in uses
        if one["what"] == "access.intent"
    )
    return [
        {"role": role, "purpose": purpose, "recipe": recipe, "times": times}
        for (role, purpose, recipe), times in sorted(found.items())
    ]


def _member(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.compress_type = zipfile.ZIP_DEFLATED
    made.external_attr = 0o100600 << 16
    return made


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(type(value).__name__)


def _moment(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _day(number: int) -> str:
    return str(EPOCH + timedelta(days=number))
