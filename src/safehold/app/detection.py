"""What the command line does with text files: scan, measure, redact; and which rules there are.

A file is JSON lines, one document a line. It is read and written in batches of a few megabytes, so memory does
not grow with it. Nothing here opens a home, and no message, count or page holds a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from safehold.dlp.classes import CLASSES
from safehold.dlp.message import message_units
from safehold.dlp.misses import Misses
from safehold.dlp.overlap import replace_spans
from safehold.dlp.pattern import data_version, load_patterns
from safehold.dlp.score import Score, known_class
from safehold.dlp.settle import Finding
from safehold.dlp.tier import TIERS, Tier, find_settled, tier_of
from safehold.dlp.topic.judge import TOPICS
from safehold.errors import InvalidError

_BATCH_BYTES: Final = 4 << 20
_BATCH_ROWS: Final = 4096
_LONGEST: Final = 64 << 20  # bytes of one line
Tell = Callable[[dict[str, int]], None]


@dataclass(frozen=True, slots=True)
class Document:
    """One line: its number from 1, the whole object, and the text of the field."""

    number: int
    item: dict[str, Any]
    text: str

    @property
    def name(self) -> Any:
        """What the output calls it: its ``id``, or the number of the line."""
        return self.item.get("id", self.number)


def scan_file(
    source: Path,
    out: Path,
    *,
    field: str = "text",
    tier: str | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Write the spans of each line, in the order of the lines.

    Args:
        source: JSON lines.
        out: Gets one line per line: ``id`` and ``spans`` of start, end (code points), class, confidence and
            rule; no two overlap. It appears whole or not at all.
        field: Which field holds the text. null is no text; a field that is missing or of another type is refused.
        tier: Which tier; the best installed unless named.
        tell: Is told after each batch how much is done.

    Raises:
        InvalidError: A line is not an object of JSON, or its field holds no text.
    """
    chosen = tier_of(tier)
    classes: Counter[str] = Counter()
    total = {"documents": 0, "bytes": 0, "spans": 0}
    with _Whole(out) as stream:
        for batch, found in _found(source, field, chosen):
            for document, spans in zip(batch, found, strict=True):
                stream.write(orjson.dumps({"id": document.name, "spans": spans}) + b"\n")
                classes.update(span[2] for span in spans)
                total["spans"] += len(spans)
            _count(total, batch, tell)
    return total | {
        "classes": dict(sorted(classes.items())), "tier": chosen.name, "rules": data_version(), "out": str(out),
    }  # fmt: skip


def redact_file(
    source: Path,
    out: Path,
    *,
    field: str = "text",
    tier: str | None = None,
    everything: bool = False,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Write the same lines with each span of the field replaced by its class.

    Other fields are written as they are, except ``spans``, which would no longer fit.

    Args:
        source: JSON lines.
        out: Gets the lines; it appears whole or not at all.
        field: Which field holds the text.
        tier: Which tier; the best installed unless named.
        everything: Also what is only reported when data comes in, such as ordinary dates.
        tell: Is told after each batch how much is done.

    Raises:
        InvalidError: A line is not an object of JSON, or its field holds no text.
    """
    chosen = tier_of(tier)
    rules = {rule.id: rule.masked for rule in load_patterns()}
    total = {"documents": 0, "bytes": 0, "masked": 0}
    with _Whole(out) as stream:
        for batch, found in _found(source, field, chosen):
            for document, spans in zip(batch, found, strict=True):
                kept = [
                    span
                    for span in spans
                    if everything or rules.get(span[4], CLASSES[span[2]].masked)
                ]
                item = {name: value for name, value in document.item.items() if name != "spans"}
                if item[field] is not None:
                    item[field] = _masked(document.text, kept)
                stream.write(orjson.dumps(item) + b"\n")
                total["masked"] += len(kept)
            _count(total, batch, tell)
    return total | {"tier": chosen.name, "rules": data_version(), "out": str(out)}


def eval_file(
    source: Path,
    *,
    field: str = "text",
    tier: str | None = None,
    misses: Path | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Measure a tier on gold spans: ``spans`` of start, end (code points) and label.

    Args:
        source: JSON lines.
        field: Which field holds the text.
        tier: Which tier; the best installed unless named.
        misses: Gets a page of what was missed, by shape and never by value.
        tell: Is told after each batch how much is done.

    Raises:
        InvalidError: A line is not an object of JSON, its field holds no text, or a span does not fit.
    """
    chosen = tier_of(tier)
    score, missed = Score(), Misses()
    total = {"documents": 0, "bytes": 0}
    for batch, found in _found(source, field, chosen):
        for document, spans in zip(batch, found, strict=True):
            gold = _gold(document)
            score.add(document.text, gold, [(start, end, name) for start, end, name, *_ in spans])
            if misses is not None:
                missed.add(document.text, gold, spans)
        _count(total, batch, tell)
    report = score.report() | {"tier": chosen.name, "rules": data_version()}
    if misses is not None:
        with _Whole(misses) as stream:
            stream.write(missed.page(report).encode())
        report["misses"] = str(misses)
    return report


def topics_file(
    source: Path,
    *,
    field: str = "text",
    out: Path | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Say which documents are on a sensitive topic, as they would be taken whole when data comes in.

    Args:
        source: JSON lines; a document whose gold ``spans`` name a topic counts as being on it.
        field: Which field holds the text.
        out: Gets one line per line: ``id`` and ``units`` of start, end (code points), class and confidence.
        tell: Is told after each batch how much is done.

    Returns:
        For each topic how many documents were taken, how many per megabyte; where there is gold also how many
        are on it and how many of those were taken.

    Raises:
        InvalidError: A line is not an object of JSON, its field holds no text, or a span does not fit.
    """
    total = {"documents": 0, "bytes": 0}
    taken, gold, found = Counter[str](), Counter[str](), Counter[str]()
    with nullcontext() if out is None else _Whole(out) as stream:
        for batch in _batches(source, field):
            units = message_units([document.text for document in batch])
            for document, here in zip(batch, units, strict=True):
                on = {name for _, _, name, _ in here}
                labels = {known_class(label) for *_, label in _gold(document)}
                said = {topic for topic in TOPICS if topic in labels}
                taken.update(on)
                gold.update(said)
                found.update(said & on)
                if stream is not None:
                    stream.write(orjson.dumps({"id": document.name, "units": here}) + b"\n")
            _count(total, batch, tell)
    megabytes = total["bytes"] / 1e6 or 1.0
    return total | {
        "topics": {
            name: {"taken": taken[name], "per_megabyte": round(taken[name] / megabytes, 2)}
            | ({"gold": gold[name], "found": found[name]} if gold[name] else {})
            for name in TOPICS
        },
        "rules": data_version(),
    }


def list_rules() -> dict[str, Any]:
    """Return the rules, the tiers and the version of the data they come from."""
    return {
        "version": data_version(),
        "tiers": [
            {"name": tier.name, "about": tier.about, "installed": tier.installed}
            for tier in TIERS.values()
        ],
        "rules": [
            {
                "id": rule.id,
                "class": list(CLASSES)[rule.kind],
                "masked": rule.masked,
                "keyed": bool(rule.needs),
            }
            for rule in load_patterns()
        ],
    }


class _Whole:
    """A file that appears under its name only when all of it is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")

    def __enter__(self) -> Any:
        try:
            self._stream = self._part.open("wb")
        except OSError as error:
            raise InvalidError(
                f"cannot write {self._path.name}",
                rule="dlp.out",
                fix="name a directory you may write to",
            ) from error
        return self._stream

    def __exit__(self, kind: object, _error: object, _trace: object) -> None:
        self._stream.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)


def _found(
    source: Path, field: str, tier: Tier
) -> Iterator[tuple[list[Document], list[list[Finding]]]]:
    for batch in _batches(source, field):
        yield batch, find_settled([document.text for document in batch], tier)


def _batches(source: Path, field: str) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    with source.open("rb") as stream:
        number = 0
        while line := stream.readline(_LONGEST + 1):
            number += 1
            if len(line) > _LONGEST:
                raise InvalidError(
                    f"line {number} is longer than {_LONGEST >> 20} MiB", rule="dlp.line",
                    fix="split the text over several lines",
                )  # fmt: skip
            if not line.strip() and not stream.peek(1):
                break  # a last line without anything
            batch.append(_document(number, line, field))
            size += len(line)
            if size >= _BATCH_BYTES or len(batch) >= _BATCH_ROWS:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _document(number: int, line: bytes, field: str) -> Document:
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError:
        item = None
    if not isinstance(item, dict):
        raise InvalidError(
            f"line {number} is not one JSON object",
            rule="dlp.line",
            fix="write one object a line, in UTF-8",
        )
    if field not in item or not (item[field] is None or isinstance(item[field], str)):
        raise InvalidError(
            f"line {number} has no text in the field {field}",
            rule="dlp.field",
            fix="name it with --field",
        )
    return Document(number, item, item[field] or "")


def _gold(document: Document) -> list[tuple[int, int, str]]:
    spans = document.item.get("spans")
    try:
        gold = [(int(start), int(end), str(label)) for start, end, label, *_ in spans or ()]
    except (TypeError, ValueError) as error:
        raise InvalidError(
            f"line {document.number} has spans of another form",
            rule="dlp.gold",
            fix="[[start, end, label], ...]",
        ) from error
    if not all(0 <= start < end <= len(document.text) for start, end, _ in gold):
        raise InvalidError(
            f"line {document.number} has a span outside of its text",
            rule="dlp.gold",
            fix="count code points",
        )
    return gold


def _masked(text: str, spans: list[Finding]) -> str:
    found = ((start, end, name) for start, end, name, *_ in spans)
    return replace_spans(text, found, lambda _, name: CLASSES[name].token)


def _count(total: dict[str, int], batch: list[Document], tell: Tell | None) -> None:
    total["documents"] += len(batch)
    total["bytes"] += sum(len(document.text.encode()) for document in batch)
    if tell is not None:
        tell(total)
