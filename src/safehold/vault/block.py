"""One sealed block: its header, its keys, its digest, and the rows beneath.

::

    block    block id (16) | commitment (32) | u32 | sealed header | sealed payload

The u32 is the length of the sealed header. Its highest bit says of which version the block is. In
version 1 the payload is one seal, and the digest is SHA-256 of everything. In version 2 each column
has a seal of its own (``paged``), and the digest covers length and head, which covers the pages.
Nobody gains by turning the bit: the digest that is expected comes from outside, and there is no
second block with it in the other version.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa

from safehold import ids
from safehold.errors import InvalidError, TamperedError
from safehold.vault import header as headers
from safehold.vault import keys, paged, payload
from safehold.vault.header import Header
from safehold.vault.label import PlainBlock, SealedBlock
from safehold.vault.opened import Opened
from safehold.vault.paged import Layout, PartSeal

HEAD_BYTES: Final = 16 + 32 + 4
PAGED: Final = 1 << 31  # in the length of the header: version 2
FIRST_NONCE: Final = 2
_MOST_FRONT: Final = HEAD_BYTES + headers.LARGEST_HEADER + keys.TAG_BYTES + 4096  # with a directory


class HeaderSeal(Protocol):
    """What ``container.ObjectSeal`` does for headers."""

    id: bytes
    speller: headers.Speller

    def seal(self, number: int, data: bytes) -> bytes:
        """Seal what stands at a numbered place."""
        ...

    def open(self, number: int, data: bytes | memoryview) -> bytes:
        """Open what stands at a numbered place."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Draft:
    """A block packed and about to be sealed."""

    tag: bytes
    rows: int
    front: bytes  # all before the payload
    plain: memoryview | paged.Plan
    one: keys.BlockKeys
    additional: bytes

    @property
    def length(self) -> int:
        """Bytes of the sealed block."""
        if isinstance(self.plain, paged.Plan):
            return len(self.front) + self.plain.length
        return len(self.front) + len(self.plain) + keys.TAG_BYTES

    def write(self, into: memoryview) -> bytes:
        """Seal the block into its place, and return its digest."""
        start, plain, one = len(self.front), self.plain, self.one
        into[:start] = self.front
        if not isinstance(plain, paged.Plan):
            keys.encrypt_into(one.key, one.nonce, plain, self.additional, into[start:])
            return hashlib.sha256(into).digest()
        plain.write(into[start:], PartSeal(one.key, one.nonce, self.additional))
        return paged.digest_of(into[: start + plain.head], len(into))


def draft_block(
    seal: HeaderSeal,
    sequence: int,
    block: PlainBlock,
    *,
    segment: str,
    generation: int,
    window_key: bytes,
) -> Draft:
    """Pack one block and make its header and keys."""
    codec, plain = payload.encode(block.table)
    header = Header(
        tag=keys.person_tag(window_key, block.person),
        stream=block.stream,
        segment=segment,
        window=block.window,
        label=block.label,
        object=seal.id.hex(),
        generation=generation,
        sequence=sequence,
        rows=block.table.num_rows,
        codec=codec,
    )
    raw = header.encode()
    block_id = ids.random_bytes(16)
    one = keys.block_keys(window_key, block_id=block_id, header=raw)
    sealed_header = seal.seal(FIRST_NONCE + sequence, headers.pad(raw))
    length = len(sealed_header) | (PAGED if codec == payload.PAGED else 0)
    return Draft(
        tag=header.tag,
        rows=header.rows,
        front=block_id + one.commitment + length.to_bytes(4, "big") + sealed_header,
        plain=plain,
        one=one,
        additional=_additional(raw, block_id, sequence, codec),
    )


def open_block(
    data: memoryview,
    block: SealedBlock,
    *,
    seal: HeaderSeal,
    window_key: bytes,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the rows of a sealed block after every check.

    Args:
        data: The sealed block.
        block: What it must be, from outside the object store.
        seal: The object's seal.
        window_key: Key of the person, stream, window and label in ``block``.
        columns: Columns wanted; None means all.

    Raises:
        TamperedError: Anything differs from what was sealed or from what the caller expects.
    """
    layout = lay_out(data, len(data))
    if layout is None:
        codec, plain = open_flat(data, block, seal=seal, window_key=window_key)
        return flat_table(codec, plain, block, columns)
    if len(data) != block.length:
        raise TamperedError("a sealed block is not the expected one", rule="block.digest")
    opened = open_paged(data, layout, block, seal=seal, window_key=window_key, columns=columns)
    body = data[layout.body :]
    return opened.table([body[begin:end] for begin, end in opened.spans])


def open_flat(
    data: memoryview, block: SealedBlock, *, seal: HeaderSeal, window_key: bytes
) -> tuple[str, bytes | memoryview]:
    """Return the codec of a block of version 1 and the stream of its rows, after every check before it.

    Args:
        data: The sealed block.
        block: What it must be, from outside the object store.
        seal: The object's seal.
        window_key: Key of the person, stream, window and label in ``block``.

    Raises:
        TamperedError: Anything differs from what was sealed or from what the caller expects.
    """
    _check_digest(hashlib.sha256(data).digest(), block)
    end = HEAD_BYTES + _header_length(data)
    raw, codec, one = _check_front(data, end, block, seal, window_key)
    additional = _additional(raw, block.block_id, block.sequence, codec)
    plain = keys.decrypt(
        one.key, one.nonce, data[end:], additional, what="a block", rule="block.seal"
    )
    return codec, payload.unwrap(codec, plain)


def flat_table(
    codec: str, plain: bytes | memoryview, block: SealedBlock, columns: Sequence[str] | None
) -> pa.Table:
    """Return the rows of what ``open_flat`` opened.

    Raises:
        TamperedError: They are not what the record says.
        InvalidError: A column does not exist.
    """
    table = payload.read(codec, plain, columns)
    if table.num_rows != block.rows:
        raise TamperedError("a block has another number of rows", rule="block.rows")
    return table


def open_paged(
    data: memoryview,
    layout: Layout,
    block: SealedBlock,
    *,
    seal: HeaderSeal,
    window_key: bytes,
    columns: Sequence[str] | None,
) -> Opened:
    """Return a block of version 2 as far as its head tells, after every check of the head.

    Args:
        data: The block, or its beginning up to the body.
        layout: What ``lay_out`` told of it.
        block: What it must be, from outside the object store.
        seal: The object's seal.
        window_key: Key of the person, stream, window and label in ``block``.
        columns: Columns wanted; None means all.

    Raises:
        TamperedError: Anything differs from what was sealed or from what the caller expects.
        InvalidError: A column does not exist.
    """
    head = data[: layout.body]
    _check_digest(paged.digest_of(head, layout.end), block)
    start = HEAD_BYTES + _header_length(head)
    raw, codec, one = _check_front(head, start, block, seal, window_key)
    opened = Opened(
        head,
        layout,
        start=start,
        seal=PartSeal(one.key, one.nonce, _additional(raw, block.block_id, block.sequence, codec)),
        wanted=columns,
    )
    if opened.rows != block.rows:
        raise TamperedError("a block has another number of rows", rule="block.rows")
    return opened


def lay_out(data: memoryview, length: int) -> Layout | None:
    """Return where the parts of a block of version 2 lie, or None for one of version 1.

    Args:
        data: The block, or its beginning, of ``likely_head`` bytes or more.
        length: Bytes of the whole block.

    Raises:
        TamperedError: Its lengths are out of bounds.
    """
    if len(data) < HEAD_BYTES:
        raise _out_of_bounds()
    if not int.from_bytes(data[48:52], "big") & PAGED:
        return None
    return paged.lay_out(data, HEAD_BYTES + _header_length(data), length)


def likely_head(length: int) -> int:
    """Return how much of a block's beginning holds its head, unless its schema is unusually large.

    What ``lay_out`` looks at is in it always.
    """
    pages = -(-length // paged.PAGE)
    return min(length, _MOST_FRONT + pages * paged.HASH_BYTES)


def digest_of(data: memoryview) -> bytes:
    """Return the digest of a whole sealed block, for which no key is needed.

    Raises:
        TamperedError: A page is not what the head of the block says.
    """
    layout = lay_out(data, len(data))
    if layout is None:
        return hashlib.sha256(data).digest()
    head = data[: layout.body]
    paged.check_pages(head, layout, data[layout.body :])
    return paged.digest_of(head, len(data))


def _header_length(data: memoryview) -> int:
    length = int.from_bytes(data[48:52], "big") & ~PAGED
    if not keys.TAG_BYTES < length <= headers.LARGEST_HEADER + keys.TAG_BYTES:
        raise _out_of_bounds()
    return length


def _check_digest(found: bytes, block: SealedBlock) -> None:
    if len(block.sha256) != 32:
        raise InvalidError(
            "a block is read only against its expected digest",
            rule="block.freshness",
            fix="take the record from the catalogue, never from the object store",
        )
    if not hmac.compare_digest(found, block.sha256):
        raise TamperedError("a sealed block is not the expected one", rule="block.digest")


def _check_front(
    data: memoryview, end: int, block: SealedBlock, seal: HeaderSeal, window_key: bytes
) -> tuple[bytes, str, keys.BlockKeys]:
    """Return the header in the clear, which goes to ``end``, its codec and the block's keys, after every check."""
    if end + keys.TAG_BYTES > len(data):
        raise _out_of_bounds()
    clear = seal.open(FIRST_NONCE + block.sequence, data[HEAD_BYTES:end])
    raw, codec = _compare(clear, block, seal, window_key, is_paged=data[48] >= 0x80)
    one = keys.block_keys(window_key, block_id=block.block_id, header=raw)
    if data[:16] != block.block_id or not hmac.compare_digest(one.commitment, data[16:48]):
        raise TamperedError("a block is sealed under another key", rule="block.commitment")
    return raw, codec, one


def _compare(
    clear: bytes, block: SealedBlock, seal: HeaderSeal, window_key: bytes, *, is_paged: bool
) -> tuple[bytes, str]:
    """Return a header that says what the record says, without its padding, and its codec."""
    tag = keys.person_tag(window_key, block.person)
    # what the record makes of a header is compared as bytes: that is every check at once
    for codec in headers.CODECS_OF[is_paged]:
        raw = seal.speller.spell(block, tag=tag, codec=codec)
        if headers.pad(raw) == clear:
            return raw, codec
    raw = clear.rstrip(b" ")
    if headers.pad(raw) != clear:
        raise TamperedError("a block's header is malformed", rule="header.parse")
    header = headers.parse(raw)
    if not hmac.compare_digest(header.tag, tag):
        raise TamperedError("a block belongs to another person or label", rule="header.tag")
    for name, said, expected in (
        ("stream", header.stream, block.stream),
        ("segment", header.segment, block.segment),
        ("window", header.window, block.window),
        ("label", header.label, block.label),
        ("object", header.object, seal.id.hex()),
        ("generation", header.generation, block.generation),
        ("sequence", header.sequence, block.sequence),
        ("rows", header.rows, block.rows),
    ):
        if said != expected:
            raise TamperedError(f"a block has another {name}", rule=f"header.{name}")
    raise TamperedError("a block is of another version than it says", rule="header.codec")


def _additional(header: bytes, block_id: bytes, sequence: int, codec: str) -> bytes:
    """Return what ties a payload to its block; of version 2 the header is in the key alone."""
    place = block_id + sequence.to_bytes(4, "big")
    return place if codec == payload.PAGED else header + place


def _out_of_bounds() -> TamperedError:
    return TamperedError("a block's header is out of bounds", rule="header.length")
