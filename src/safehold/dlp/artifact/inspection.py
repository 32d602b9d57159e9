"""Look into an artifact and say what must not be in it; decide whether it may be stored or leave."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import PurePath
from typing import Any, Final

import pyarrow as pa

from safehold.dlp.artifact.columns import is_table, read_table
from safehold.dlp.artifact.content import IMAGE, OPTIMIZER, SPREAD, VECTORS, Content
from safehold.dlp.artifact.passage import Passage, read_json, unwrap, walk
from safehold.dlp.artifact.pickled import is_pickle
from safehold.dlp.artifact.prose import (
    is_notebook,
    read_lines,
    read_log,
    read_notebook,
    read_text,
)
from safehold.dlp.artifact.weights import (
    is_arrays,
    is_safetensors,
    read_array,
    read_arrays,
    read_gguf,
    read_safetensors,
)
from safehold.dlp.artifact.words import (
    is_list_of_tokens,
    is_ranks,
    is_tokenizer,
    pieces_of,
    read_list,
    read_pieces,
    read_ranks,
    read_tokenizer,
)
from safehold.dlp.canary import Canaries
from safehold.dlp.classes import NAMES
from safehold.dlp.pattern import load_patterns
from safehold.dlp.scan import ALL, find_spans
from safehold.errors import DeniedError, InvalidError

_BATCH: Final = 1 << 20  # characters scanned at a time
LARGEST_TEXT: Final = 256 << 20  # bytes of a text or JSON file
_MOST: Final = 10_000  # findings that are listed
_SHOWN: Final = 5  # places that an error names
_PACKED: Final = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"7z\xbc\xaf",
)
_FOREIGN: Final = (b"\x89HDF", b"SQLite format 3\0", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
CANARY: Final = "CANARY"
# what a message can be about; a token is a word, and a word by itself is about nobody
_TOPICS: Final = frozenset({"PRIVATE", "UNION", "PERFORMANCE", "LEGAL", "FINANCE", "HEALTH"})


class Use(StrEnum):
    """What is to happen with an artifact."""

    STORE = "store"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One place that holds something sensitive; never the thing itself.

    Args:
        place: Where.
        kind: Class of the table of classes, or ``CANARY``.
        rule: Rule that found it.
        count: How often.
    """

    place: str
    kind: str
    rule: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found in an artifact.

    Args:
        kind: Its format.
        sha256: Of the file, hex.
        size: Bytes.
        passages: Pieces of text that were read.
        findings: In the order of their places; at most 10,000.
        more: Findings that are not listed.
        notes: What it is besides: ``image``, ``optimizer_state``, ``embedding``, ``text_in_weights``.
    """

    kind: str
    sha256: str
    size: int
    passages: int
    findings: tuple[Finding, ...]
    more: int
    notes: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "kind": self.kind,
            "sha256": self.sha256,
            "size": self.size,
            "passages": self.passages,
            "findings": [
                {"place": f.place, "class": f.kind, "rule": f.rule, "count": f.count}
                for f in self.findings
            ],
            "more": self.more,
            "notes": list(self.notes),
        }


def open_artifact(body: bytes | memoryview, *, name: str = "") -> Content:
    """Return what a file holds, known by its content and not by its name.

    Args:
        body: The file.
        name: Its name; only tells text of one kind from text of another.

    Raises:
        DeniedError: It is a pickle, or holds one.
        InvalidError: The format is not known or the file is damaged.
    """
    view = memoryview(body)
    if is_pickle(view):
        raise DeniedError(
            "the file is a pickle, which runs code when it is loaded",
            rule="artifact.pickle",
            fix="save weights as safetensors",
        )
    head = bytes(view[: 1 << 12])
    if is_safetensors(view):
        return read_safetensors(view)
    for magic, reader in (
        (b"GGUF", read_gguf),
        (b"\x93NUMPY", read_array),
    ):
        if head.startswith(magic):
            return reader(view)
    if is_table(head):
        return read_table(view)
    if head.startswith(_PACKED):
        if head.startswith(b"PK\x03\x04") and is_arrays(view):
            return read_arrays(view)
        raise InvalidError(
            "the file is packed", rule="artifact.archive", fix="hand in the files one by one"
        )
    if head.startswith(_FOREIGN):
        raise InvalidError(
            "the format is one whose content is not read here",
            rule="artifact.format",
            fix="hand in safetensors, GGUF, NumPy arrays, tokenizers, notebooks, JSON, tables or text",
        )
    return _open_text(view, name)


def _open_text(view: memoryview, name: str) -> Content:
    if len(view) > LARGEST_TEXT:
        raise InvalidError(
            "the text is too large to be read at once",
            rule="artifact.size",
            fix=f"split it into parts of at most {LARGEST_TEXT >> 20} MiB",
        )
    body = bytes(view)
    if body[:1] == b"\n" and (pieces := pieces_of(body)) is not None:
        return read_pieces(body, pieces)
    text = read_text(body)
    if is_ranks(body):
        return read_ranks(text)
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _open_json(read_json(text.encode(), what="file"))
        except InvalidError as error:
            if error.rule != "artifact.json":
                raise
            return read_lines(text)
    listed = PurePath(name).name in ("vocab.txt", "merges.txt") or is_list_of_tokens(text)
    return read_list(text) if listed else read_log(text)


def _open_json(document: Any) -> Content:
    if is_notebook(document):
        return read_notebook(document)
    if is_tokenizer(document):
        return read_tokenizer(document)
    content = Content("json", walk(document))
    if isinstance(document, dict) and {"optimizer", "optimizer_state"} & set(document):
        content.notes.add(OPTIMIZER)
    return content


def inspect(
    body: bytes | memoryview,
    *,
    name: str = "",
    groups: frozenset[str] = ALL,
    canaries: Canaries | None = None,
) -> Inspection:
    """Return what must not be in an artifact, with its places.

    Args:
        body: The file.
        name: Its name; scanned as well.
        groups: Groups of classes that are looked for.
        canaries: Planted words that are looked for too.

    Raises:
        DeniedError: It is a pickle.
        InvalidError: It cannot be read, so nobody could say what it holds.
    """
    content = open_artifact(body, name=name)
    counts: Counter[tuple[str, str, str]] = Counter()
    passages = 0
    named = [Passage("file name", name), Passage("file name", name.replace("_", " "))]
    for batch in _batches(unwrap(chain(named, content))):
        passages += len(batch)
        for item, count in _scan(
            batch, groups, canaries, words=content.kind == "tokenizer"
        ).items():
            counts[item] += count
    listed = sorted(
        Finding(place, kind, rule, count) for (place, kind, rule), count in counts.items()
    )
    return Inspection(
        kind=content.kind,
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        passages=passages,
        findings=tuple(listed[:_MOST]),
        more=max(0, len(listed) - _MOST),
        notes=tuple(sorted(content.notes)),
    )


def _batches(passages: Iterable[Passage]) -> Iterator[list[Passage]]:
    batch: list[Passage] = []
    held = 0
    for passage in passages:
        batch.append(passage)
        held += len(passage.text) + 16
        if held > _BATCH:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _scan(
    batch: list[Passage], groups: frozenset[str], canaries: Canaries | None, *, words: bool
) -> Counter[tuple[str, str, str]]:
    texts = pa.array(
        [p.text.replace("\0", "\ufffd").encode("utf-8", "replace").decode() for p in batch],
        pa.large_string(),
    )
    spans = find_spans(texts, groups=groups)
    rules = load_patterns()
    passed = _TOPICS if words else frozenset()
    found = Counter(
        (batch[row].place, NAMES[kind], rules[rule].id)
        for row, kind, rule in zip(
            spans.row.tolist(), spans.kind.tolist(), spans.rule.tolist(), strict=True
        )
        if NAMES[kind] not in passed
    )
    if canaries is not None:
        for row in canaries.find(texts):
            found[batch[row].place, CANARY, "canary.planted"] += 1
    return found


def admit(inspection: Inspection, use: Use) -> Inspection:
    """Return an inspection that finds nothing against a use.

    Args:
        inspection: What ``inspect`` found.
        use: What is to happen with the artifact.

    Raises:
        DeniedError: It holds something sensitive, or is of a kind that never leaves.
    """
    if inspection.findings:
        shown = ", ".join(
            f"{finding.kind} at {finding.place}" for finding in inspection.findings[:_SHOWN]
        )
        count = len(inspection.findings) + inspection.more
        raise DeniedError(
            f"the artifact holds sensitive text in {count} places: {shown}",
            rule="artifact.finding",
            fix="take it out, or build the artifact again from minimised data",
        )
    if use is Use.RELEASE:
        for note, (message, fix) in _KEPT_IN.items():
            if note in inspection.notes:
                raise DeniedError(message, rule=f"artifact.{note}", fix=fix)
    return inspection


_KEPT_IN: Final = {
    OPTIMIZER: (
        "the state of an optimizer never leaves: it follows single people's gradients",
        "release the weights without it",
    ),
    SPREAD: (
        "there is text in the low bits of the weights, which no training puts there",
        "train it again with a reviewed recipe",
    ),
    VECTORS: (
        "vectors never leave: they are personal data of what they were made from",
        "use them inside an enclave",
    ),
    IMAGE: (
        "the artifact holds pictures, whose content cannot be read here",
        "clear the outputs of the notebook",
    ),
}
