"""The header of a block: canonical JSON, parsed strictly, sealed under the segment's metadata key.

The header in the clear is the additional data of the block's seal and an input of its keys, so
nothing in it can change. It is padded to a multiple of 128 bytes before it is sealed, so that its
length tells nothing of the names in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, TamperedError
from safehold.vault.label import Label, SealedBlock
from safehold.vault.payload import FLAT_CODECS, PAGED

CODECS_OF: Final = {False: FLAT_CODECS, True: (PAGED,)}  # by whether the block is of version 2
_VERSION_OF: Final = {**dict.fromkeys(FLAT_CODECS, "shb/1"), PAGED: "shb/2"}
LARGEST_HEADER: Final = 16 * 1024  # bytes, padded
PAD: Final = 128  # bytes
_FIELDS: Final = frozenset(
    {
        "charter",
        "codec",
        "expires",
        "generation",
        "jurisdiction",
        "object",
        "purposes",
        "rows",
        "segment",
        "sequence",
        "stream",
        "tag",
        "v",
        "window",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a block says of itself.

    Args:
        tag: 16 bytes that stand for the person to holders of the window key.
        stream: Name of the stream.
        segment: Segment.
        window: UTC day number.
        label: What the rows may be used for.
        object: Hex of the object's 16-byte name.
        generation: Which rewriting of the data this is.
        sequence: Place among the object's blocks.
        rows: Rows in the block.
        codec: How the payload is compressed.
    """

    tag: bytes
    stream: str
    segment: str
    window: int
    label: Label
    object: str
    generation: int
    sequence: int
    rows: int
    codec: str

    def encode(self) -> bytes:
        """Return the header as canonical bytes, without padding."""
        return _spell(
            self.label,
            codec=self.codec,
            generation=self.generation,
            object_id=self.object,
            rows=self.rows,
            segment=self.segment,
            sequence=self.sequence,
            stream=self.stream,
            tag=self.tag,
            window=self.window,
        )


class Speller:
    """Spells the headers that blocks of one object must have by their records.

    Neighbours mostly differ in four fields. The rest is spelled once, and taken again while label, stream, segment
    and generation stay the same. Thread-safe.

    Args:
        object_id: Hex of the object's 16-byte name.
    """

    __slots__ = ("_held", "_object_id")

    def __init__(self, object_id: str) -> None:
        self._object_id = object_id
        # looked at and put at once, so that its parts belong together
        self._held: tuple[Label | None, str, str, int, dict[str, str]] = None, "", "", 0, {}

    def spell(self, block: SealedBlock, *, tag: bytes, codec: str) -> bytes:
        """Return the canonical bytes of a header.

        Args:
            block: The record, from outside the object store.
            tag: What stands for the person.
            codec: How the payload is compressed, which no record holds.
        """
        label, stream, segment, generation, forms = self._held
        if (
            block.label is not label
            or block.stream != stream
            or block.segment != segment
            or block.generation != generation
        ):
            forms = {}
            self._held = block.label, block.stream, block.segment, block.generation, forms
        form = forms.get(codec)
        if form is None:
            form = forms[codec] = self._form(block, codec)
        return (form % (block.rows, block.sequence, b64(tag), block.window)).encode()

    def _form(self, block: SealedBlock, codec: str) -> str:
        whole = _spell(
            block.label,
            codec=codec,
            generation=block.generation,
            object_id=self._object_id,
            rows=0,
            segment=block.segment,
            sequence=0,
            stream=block.stream,
            tag=b"",
            window=0,
        ).decode()
        # a quotation mark inside a name is escaped, so these stand where the fields do and nowhere else
        form = whole.replace("%", "%%")
        for name, value, place in (
            ("rows", "0", "%d"),
            ("sequence", "0", "%d"),
            ("tag", '""', '"%s"'),
            ("window", "0", "%d"),
        ):
            head, tail = form.split(f',"{name}":{value}')
            form = f'{head},"{name}":{place}{tail}'
        return form


def _spell(
    label: Label,
    *,
    codec: str,
    generation: int,
    object_id: str,
    rows: int,
    segment: str,
    sequence: int,
    stream: str,
    tag: bytes,
    window: int,
) -> bytes:
    # the canonical form without a second look at types that the callers fix; the names are in order
    return orjson.dumps(
        {
            "charter": b64(label.charter),
            "codec": codec,
            "expires": label.expires,
            "generation": generation,
            "jurisdiction": label.jurisdiction,
            "object": object_id,
            "purposes": label.purposes,
            "rows": rows,
            "segment": segment,
            "sequence": sequence,
            "stream": stream,
            "tag": b64(tag),
            "v": _VERSION_OF[codec],
            "window": window,
        }
    )


def pad(data: bytes) -> bytes:
    """Return header bytes with spaces up to the next multiple of 128."""
    return data + b" " * (-len(data) % PAD)


def parse(data: bytes) -> Header:
    """Return the header that canonical bytes spell.

    Raises:
        TamperedError: Not canonical, a field too many or too few, a wrong type, or a value out
            of bounds.
    """
    try:
        header = _build(orjson.loads(data))
    except (orjson.JSONDecodeError, InvalidError, KeyError, TypeError) as error:
        raise TamperedError("a block's header is malformed", rule="header.parse") from error
    if header.encode() != data:
        raise TamperedError("a block's header is not canonical", rule="header.parse")
    return header


def _build(record: Any) -> Header:
    if not isinstance(record, dict) or record.keys() != _FIELDS:
        raise TamperedError("a block's header has unknown fields", rule="header.parse")
    numbers = [record[name] for name in ("expires", "generation", "rows", "sequence", "window")]
    words = [record[name] for name in ("codec", "jurisdiction", "object", "segment", "stream")]
    purposes = record["purposes"]
    if (
        any(type(number) is not int or number < 0 for number in numbers)
        or any(not isinstance(word, str) for word in words)
        or not isinstance(purposes, list)
        or any(not isinstance(purpose, str) for purpose in purposes)
        or record["v"] != _VERSION_OF.get(record["codec"])
    ):
        raise TamperedError("a block's header has a field of a wrong kind", rule="header.parse")
    tag = unb64(record["tag"])
    if len(tag) != 16:
        raise TamperedError("a block's header has a field of a wrong kind", rule="header.parse")
    return Header(
        tag=tag,
        stream=record["stream"],
        segment=record["segment"],
        window=record["window"],
        label=Label(
            purposes=tuple(purposes),
            jurisdiction=record["jurisdiction"],
            expires=record["expires"],
            charter=unb64(record["charter"]),
        ),
        object=record["object"],
        generation=record["generation"],
        sequence=record["sequence"],
        rows=record["rows"],
        codec=record["codec"],
    )
