"""The columns of a block, each under a seal of its own, in pages that a list of hashes proves one by one.

::

    u32 length | sealed directory           schema, and where and how each column rests
    SHA-256 of each page (32 each)
    body: sealed column, sealed column, ..., sealed zeros up to the bucket; read in pages of 8 KiB

The digest of a block covers its length and everything before the body, so it covers every byte, but
who wants one column hashes the pages that it lies on and no other. Columns do not begin at pages:
what is fetched tells where pages are, not where columns end.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from safehold.errors import InvalidError, TamperedError
from safehold.vault import zstd
from safehold.vault.keys import TAG_BYTES
from safehold.vault.pack import Packed, pack
from safehold.vault.pad import bucket
from safehold.vault.shape import PIECE, Shape, shape_of

PAGE: Final = 8192  # bytes
HASH_BYTES: Final = 32
PAD: Final = 1024  # bytes; almost every directory is as long as any other
LARGEST_DIRECTORY: Final = 1 << 24  # bytes
LARGEST_BODY: Final = 1 << 30  # bytes
_DOMAIN: Final = b"safehold/shb-block/2"
_PART: Final = b"safehold/shb-part/2"
VERSION: Final = 1
FRONT: Final = struct.Struct(">BxHIIQ")  # version, columns, bytes of schema, pieces, rows
COLUMN: Final = struct.Struct(">BBHIII")  # flags, planes, pieces, nulls, words, bytes
_LENGTH: Final = struct.Struct(">I")
_COUNTER: Final = 4  # last bytes of a nonce, where the number of the part goes

_local = threading.local()

Span = tuple[int, int]  # first byte and the one after the last


class PartSeal:
    """Seals and opens the parts of one block: 0 is the directory, then the columns, then the zeros.

    Args:
        key: The block's key, used for this block alone.
        nonce: The block's nonce; each part has its own, made with its number.
        context: What ties the parts to their block.
    """

    def __init__(self, key: bytes, nonce: bytes, context: bytes) -> None:
        self._cipher = AESGCM(key)
        self._fixed = nonce[:-_COUNTER]
        self._counter = int.from_bytes(nonce[-_COUNTER:], "big")
        self._context = _PART + context

    def seal_into(self, number: int, data: bytes | memoryview, into: memoryview) -> None:
        """Write ciphertext and tag of one part; each number is used once."""
        count = _LENGTH.pack(number)
        nonce = self._fixed + _LENGTH.pack(self._counter ^ number)
        self._cipher.encrypt_into(nonce, data, self._context + count, into)

    def open(self, number: int, data: memoryview) -> bytes:
        """Return one part.

        Raises:
            TamperedError: Changed, moved, or of another block.
        """
        count = _LENGTH.pack(number)
        try:
            nonce = self._fixed + _LENGTH.pack(self._counter ^ number)
            return self._cipher.decrypt(nonce, data, self._context + count)
        except InvalidTag:
            raise TamperedError("the seal of a block does not hold", rule="block.seal") from None

    def __repr__(self) -> str:
        return "PartSeal(hidden)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The columns of one table, packed and about to be sealed."""

    directory: bytes
    parts: list[bytes]
    head: int  # bytes before the body
    body: int  # bytes

    @property
    def length(self) -> int:
        """Bytes that it takes, sealed."""
        return self.head + self.body

    def write(self, into: memoryview, seal: PartSeal) -> None:
        """Seal everything into its place and hash its pages."""
        at = 4 + len(self.directory) + TAG_BYTES
        into[:4] = _LENGTH.pack(at - 4)
        seal.seal_into(0, self.directory, into[4:at])
        body = into[self.head :]
        begin = 0
        for number, part in enumerate(self.parts, 1):
            end = begin + len(part) + TAG_BYTES
            seal.seal_into(number, part, body[begin:end])
            begin = end
        zeros = bytes(self.body - begin - TAG_BYTES)
        seal.seal_into(len(self.parts) + 1, zeros, body[begin:])
        into[at : self.head] = b"".join(
            [
                hashlib.sha256(body[page : page + PAGE]).digest()
                for page in range(0, self.body, PAGE)
            ]
        )


class Form(NamedTuple):
    """What a schema says of every table of it.

    Args:
        schema: The schema.
        shapes: How each column is packed.
        coded: Which columns have a dictionary.
        width: Bytes that a row takes at least; asking a table for its bytes takes far longer.
        described: The schema as it rests.
    """

    schema: pa.Schema
    shapes: tuple[Shape, ...]
    coded: tuple[int, ...]
    width: int
    described: bytes


def form_of(schema: pa.Schema) -> Form:
    """Return what a schema says; block after block has the same one, and hashing it takes far longer."""
    held: Form | None = getattr(_local, "form", None)
    if held is None or not held.schema.equals(schema, check_metadata=True):
        held = _local.form = _form_of(schema)
    return held


@lru_cache(maxsize=256)  # schemas are few and say nothing of anybody
def _form_of(schema: pa.Schema) -> Form:
    kinds = schema.types
    shapes = tuple(map(shape_of, kinds))
    return Form(
        schema,
        shapes,
        tuple(place for place, kind in enumerate(kinds) if pa.types.is_dictionary(kind)),
        sum(shape.width for shape in shapes),
        zstd.compressed(memoryview(schema.serialize()).cast("B")),
    )


def plan(form: Form, rows: int, columns: Sequence[pa.Array]) -> Plan:
    """Pack columns of one schema without metadata, whose dictionaries hold used values only.

    Raises:
        InvalidError: It is too large for one block.
    """
    packed = [pack(column, shape) for column, shape in zip(columns, form.shapes, strict=True)]
    directory = _write_directory(form.described, rows, packed)
    body = bucket(sum(len(one.data) + TAG_BYTES for one in packed) + TAG_BYTES)
    if body > LARGEST_BODY or len(directory) > LARGEST_DIRECTORY:
        raise InvalidError("a block holds at most 1 GiB", rule="block.size", fix="split the table")
    head = 4 + len(directory) + TAG_BYTES + HASH_BYTES * _pages(body)
    return Plan(directory=directory, parts=[one.data for one in packed], head=head, body=body)


def _write_directory(described: bytes, rows: int, packed: list[Packed]) -> bytes:
    pieces = b"".join([one.pieces for one in packed])
    front = FRONT.pack(VERSION, len(packed), len(described), len(pieces) // PIECE.size, rows)
    table = [
        COLUMN.pack(
            one.flags,
            one.planes,
            len(one.pieces) // PIECE.size,
            one.nulls,
            one.words,
            len(one.data),
        )
        for one in packed
    ]
    out = b"".join((front, described, *table, pieces))
    return out + bytes(-(len(out) + TAG_BYTES) % PAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the parts of a sealed payload begin, read from its lengths alone.

    Args:
        directory: Bytes of the sealed directory.
        hashes: Where the hashes of the pages begin.
        body: Where the body begins.
        end: Where the payload ends.
    """

    directory: int
    hashes: int
    body: int
    end: int


def lay_out(data: memoryview, start: int, length: int) -> Layout:
    """Return the layout of the payload that begins at ``start`` of a block.

    Args:
        data: The block, or its beginning.
        start: Where the payload begins.
        length: Bytes of the whole block.

    Raises:
        TamperedError: The lengths are out of bounds.
    """
    if len(data) < start + 4:
        raise _out_of_bounds()
    directory = _LENGTH.unpack_from(data, start)[0]
    rest = length - start - 4 - directory
    pages = -(-rest // (PAGE + HASH_BYTES))
    body = rest - pages * HASH_BYTES
    if (
        not TAG_BYTES < directory <= LARGEST_DIRECTORY
        or not 0 < body <= LARGEST_BODY
        or _pages(body) != pages
    ):
        raise _out_of_bounds()
    hashes = start + 4 + directory
    return Layout(directory=directory, hashes=hashes, body=hashes + pages * HASH_BYTES, end=length)


def digest_of(head: memoryview, length: int) -> bytes:
    """Return the digest of a block, from everything before its body and its length."""
    found = hashlib.sha256(_DOMAIN + length.to_bytes(8, "big"))
    found.update(head)
    return found.digest()


def check_pages(head: memoryview, layout: Layout, body: memoryview) -> None:
    """Pass if every page of a whole body is the one its hash says.

    Raises:
        TamperedError: One is not.
    """
    check_spans(head, layout, [(0, layout.end - layout.body)], [body])


def check_spans(
    head: memoryview, layout: Layout, spans: Sequence[Span], parts: Sequence[memoryview]
) -> None:
    """Pass if what lies at some spans of a body, each of whole pages, is what the hashes say.

    Raises:
        TamperedError: A page is not, or a part is too short.
    """
    found, expected = [], []
    for (begin, end), part in zip(spans, parts, strict=True):
        if len(part) != end - begin:
            raise TamperedError("a sealed object is cut short", rule="object.length")
        found += [hashlib.sha256(part[at : at + PAGE]).digest() for at in range(0, len(part), PAGE)]
        first = layout.hashes + begin // PAGE * HASH_BYTES
        expected.append(head[first : first + -(-len(part) // PAGE) * HASH_BYTES])
    if not hmac.compare_digest(b"".join(found), b"".join(expected)):
        raise TamperedError("a sealed block is not the expected one", rule="block.page")


def _pages(size: int) -> int:
    return -(-size // PAGE)


def _out_of_bounds() -> TamperedError:
    return TamperedError("a block's lengths are out of bounds", rule="block.length")
