"""The sealed-block container: what the bytes of one object are.

::

    object   'SHB1' | object id (16)                                      the preamble, in the clear
             u32 length | sealed object header
             sealed block, sealed block, ...
             sealed index                                                 pads the object to its
             bucket u32 length of the sealed index | root (32) | 'SHB1'
    block    block id (16) | commitment (32) | u32 length | sealed header | sealed payload

All integers are big-endian. Object header, block headers and index are sealed with AES-256-GCM
under a key for this object, derived from the segment's metadata key, with the place in the object
as nonce and the preamble as additional data. The payload's additional data is the header in the
clear, the block id and the sequence number. Lengths are checked against bounds before anything is
opened.

The root is a SHA-256 over the sealed object header, every whole sealed block and the sealed index.
(The tags of AES-GCM would not do: who holds a key can find two blocks with the same tag.)
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import pyarrow as pa
from pyarrow import ipc

from safehold import canonical, ids
from safehold.errors import InvalidError, TamperedError
from safehold.vault import header as headers
from safehold.vault import keys, payload
from safehold.vault.header import Header
from safehold.vault.label import PlainBlock, SealedBlock, SealedObject
from safehold.vault.objects import name_id

MAGIC: Final = b"SHB1"
PREAMBLE_BYTES: Final = len(MAGIC) + 16
TAIL_BYTES: Final = 4 + 32 + len(MAGIC)
BLOCK_HEAD_BYTES: Final = 16 + 32 + 4
MOST_BLOCKS: Final = 1 << 16
LARGEST_OBJECT: Final = 1 << 31  # bytes
LARGEST_INDEX: Final = 1 << 28  # bytes
_HEADER_NONCE: Final = 0
_INDEX_NONCE: Final = 1
_FIRST_BLOCK_NONCE: Final = 2
_INDEX: Final = pa.schema(
    [
        pa.field("tag", pa.binary(16), nullable=False),
        pa.field("block_id", pa.binary(16), nullable=False),
        pa.field("offset", pa.uint64(), nullable=False),
        pa.field("length", pa.uint64(), nullable=False),
        pa.field("rows", pa.uint64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an object stands.

    Args:
        name: Its opaque name.
        segment: Segment whose keys seal it.
        generation: Which rewriting of the data it is, from 1.
    """

    name: str
    segment: str
    generation: int


class ObjectSeal:
    """Seals and opens headers and index of one object.

    Args:
        metadata_key: The segment's metadata key.
        name: The object's name.
    """

    def __init__(self, metadata_key: bytes, name: str) -> None:
        self.id = name_id(name)
        self.preamble = MAGIC + self.id
        self._key = keys.hkdf(metadata_key, salt=self.id, info=b"safehold/object/1")

    def seal(self, number: int, data: bytes) -> bytes:
        """Seal what stands at a numbered place; each number is used once in an object."""
        return keys.encrypt(self._key, number.to_bytes(12, "big"), data, self.preamble)

    def open(self, number: int, data: bytes | memoryview) -> bytes:
        """Open what stands at a numbered place.

        Raises:
            TamperedError: Changed, moved, or from another object or segment.
        """
        return keys.decrypt(
            self._key,
            number.to_bytes(12, "big"),
            data,
            self.preamble,
            what="a header or an index",
            rule="object.header",
        )

    def __repr__(self) -> str:
        return "ObjectSeal(hidden)"


def seal_object(
    place: Place,
    blocks: Sequence[PlainBlock],
    *,
    metadata_key: bytes,
    window_keys: Sequence[bytes],
) -> tuple[bytearray, SealedObject]:
    """Return the bytes of a new object and the record of its blocks.

    Args:
        place: Name, segment and generation.
        blocks: What to seal, in order.
        metadata_key: The segment's metadata key.
        window_keys: The window key of each block.
    """
    if not 1 <= len(blocks) <= MOST_BLOCKS:
        raise InvalidError("an object has 1 to 65536 blocks", rule="object.blocks")
    seal = ObjectSeal(metadata_key, place.name)
    about = {"blocks": len(blocks), "generation": place.generation, "segment": place.segment}
    sealed_about = seal.seal(_HEADER_NONCE, headers.pad(canonical.encode(about)))
    head = seal.preamble + len(sealed_about).to_bytes(4, "big") + sealed_about
    drafts = [
        _draft(place, seal, sequence, block, window_key)
        for sequence, (block, window_key) in enumerate(zip(blocks, window_keys, strict=True))
    ]
    index = _index(drafts, len(head))
    end = len(head) + sum(draft.length for draft in drafts)
    size = end + len(index) + keys.TAG_BYTES + TAIL_BYTES
    if size > LARGEST_OBJECT:
        raise InvalidError(
            "an object holds at most 2 GiB", rule="object.size", fix="seal fewer blocks"
        )
    # every block is encrypted straight into its place: touching fresh memory is what costs
    out = bytearray(size)
    view = memoryview(out)
    view[: len(head)] = head
    root, at, records = _start_root(head), len(head), []
    for sequence, (block, draft) in enumerate(zip(blocks, drafts, strict=True)):
        whole = view[at : at + draft.length]
        draft.write(whole)
        digest = hashlib.sha256(whole).digest()
        root.update(digest)
        records.append(
            SealedBlock(
                block_id=draft.front[:16],
                person=block.person,
                stream=block.stream,
                segment=place.segment,
                window=block.window,
                label=block.label,
                object=place.name,
                offset=at,
                length=draft.length,
                rows=draft.rows,
                sha256=digest,
                generation=place.generation,
                sequence=sequence,
            )
        )
        at += draft.length
    sealed_index = seal.seal(_INDEX_NONCE, index)
    root.update(hashlib.sha256(sealed_index).digest())
    view[at:] = sealed_index + len(sealed_index).to_bytes(4, "big") + root.digest() + MAGIC
    return out, SealedObject(name=place.name, root=root.digest(), size=size, blocks=tuple(records))


def open_block(
    data: memoryview,
    block: SealedBlock,
    *,
    seal: ObjectSeal,
    window_key: bytes,
    columns: list[str] | None = None,
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
    if len(block.sha256) != 32:
        raise InvalidError(
            "a block is read only against its expected digest",
            rule="block.freshness",
            fix="take the record from the catalogue, never from the object store",
        )
    if not hmac.compare_digest(hashlib.sha256(data).digest(), block.sha256):
        raise TamperedError("a sealed block is not the expected one", rule="block.digest")
    length = int.from_bytes(data[48:52], "big")
    if not keys.TAG_BYTES < length <= headers.LARGEST_HEADER + keys.TAG_BYTES:
        raise TamperedError("a block's header is out of bounds", rule="header.length")
    end = BLOCK_HEAD_BYTES + length
    if end + keys.TAG_BYTES > len(data):
        raise TamperedError("a block's header is out of bounds", rule="header.length")
    clear = seal.open(_FIRST_BLOCK_NONCE + block.sequence, data[BLOCK_HEAD_BYTES:end])
    raw = clear.rstrip(b" ")
    if headers.pad(raw) != clear:
        raise TamperedError("a block's header is malformed", rule="header.parse")
    header = headers.parse(raw)
    _compare(header, block, seal, window_key)
    block_id = bytes(data[:16])
    one = keys.block_keys(window_key, block_id=block_id, header=raw)
    if block_id != block.block_id or not hmac.compare_digest(one.commitment, data[16:48]):
        raise TamperedError("a block is sealed under another key", rule="block.commitment")
    plain = keys.decrypt(
        one.key,
        one.nonce,
        data[end:],
        _additional(raw, block_id, block.sequence),
        what="a block",
        rule="block.seal",
    )
    table = payload.decode(header.codec, plain, columns=columns)
    if table.num_rows != block.rows:
        raise TamperedError("a block has another number of rows", rule="block.rows")
    return table


def check_object(data: memoryview, *, root: bytes, size: int, seal: ObjectSeal) -> int:
    """Check a whole object against the root held outside; no person's key is needed.

    Returns:
        The number of its blocks.

    Raises:
        TamperedError: Truncated, extended, changed, or another object or generation than expected.
    """
    if len(root) != 32:
        raise InvalidError("an object is checked against its root", rule="object.freshness")
    # the last bytes first: a cut shows there
    if (
        len(data) != size
        or size < PREAMBLE_BYTES + 4 + TAIL_BYTES
        or bytes(data[-4:]) != MAGIC
        or bytes(data[:PREAMBLE_BYTES]) != seal.preamble
    ):
        raise TamperedError("an object is cut short or is another one", rule="object.length")
    if not hmac.compare_digest(data[-36:-4], root):
        raise TamperedError("an object is not the expected one", rule="object.root")
    index_length = int.from_bytes(data[-TAIL_BYTES : -TAIL_BYTES + 4], "big")
    about_length = int.from_bytes(data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4], "big")
    first = PREAMBLE_BYTES + 4 + about_length
    last = size - TAIL_BYTES - index_length
    if index_length > LARGEST_INDEX or about_length > headers.LARGEST_HEADER or not first <= last:
        raise TamperedError("an object's lengths are out of bounds", rule="object.length")
    sealed_index = data[last : size - TAIL_BYTES]
    index = _read_index(seal.open(_INDEX_NONCE, sealed_index))
    running = _start_root(data[:first])
    at = first
    for row in index.select(["offset", "length"]).to_pylist():
        if row["offset"] != at or at + row["length"] > last:
            raise TamperedError("an object's index does not fit it", rule="object.index")
        running.update(hashlib.sha256(data[at : at + row["length"]]).digest())
        at += row["length"]
    running.update(hashlib.sha256(sealed_index).digest())
    if at != last or not hmac.compare_digest(running.digest(), root):
        raise TamperedError("an object was changed", rule="object.root")
    seal.open(_HEADER_NONCE, data[PREAMBLE_BYTES + 4 : first])
    return int(index.num_rows)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Draft:
    """A block packed and about to be sealed."""

    tag: bytes
    rows: int
    front: bytes  # all before the payload
    plain: memoryview
    one: keys.BlockKeys
    additional: bytes

    @property
    def length(self) -> int:
        return len(self.front) + len(self.plain) + keys.TAG_BYTES

    def write(self, into: memoryview) -> None:
        into[: len(self.front)] = self.front
        keys.encrypt_into(
            self.one.key, self.one.nonce, self.plain, self.additional, into[len(self.front) :]
        )


def _draft(
    place: Place, seal: ObjectSeal, sequence: int, block: PlainBlock, window_key: bytes
) -> _Draft:
    codec, plain = payload.encode(block.table)
    header = Header(
        tag=keys.person_tag(window_key, block.person),
        stream=block.stream,
        segment=place.segment,
        window=block.window,
        label=block.label,
        object=seal.id.hex(),
        generation=place.generation,
        sequence=sequence,
        rows=block.table.num_rows,
        codec=codec,
    )
    raw = header.encode()
    block_id = ids.random_bytes(16)
    one = keys.block_keys(window_key, block_id=block_id, header=raw)
    sealed_header = seal.seal(_FIRST_BLOCK_NONCE + sequence, headers.pad(raw))
    return _Draft(
        tag=header.tag,
        rows=header.rows,
        front=block_id + one.commitment + len(sealed_header).to_bytes(4, "big") + sealed_header,
        plain=plain,
        one=one,
        additional=_additional(raw, block_id, sequence),
    )


def _additional(header: bytes, block_id: bytes, sequence: int) -> bytes:
    return header + block_id + sequence.to_bytes(4, "big")


def _compare(header: Header, block: SealedBlock, seal: ObjectSeal, window_key: bytes) -> None:
    if not hmac.compare_digest(header.tag, keys.person_tag(window_key, block.person)):
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


def _start_root(head: bytes | bytearray | memoryview) -> hashlib._Hash:
    root = hashlib.sha256(b"safehold/shb-root/1")
    root.update(hashlib.sha256(head).digest())
    return root


def _index(drafts: Sequence[_Draft], first: int) -> bytes:
    lengths = [draft.length for draft in drafts]
    offsets = list(accumulate(lengths, initial=first))
    before = offsets.pop()
    table = pa.table(
        {
            "tag": pa.array([draft.tag for draft in drafts], pa.binary(16)),
            "block_id": pa.array([draft.front[:16] for draft in drafts], pa.binary(16)),
            "offset": pa.array(offsets, pa.uint64()),
            "length": pa.array(lengths, pa.uint64()),
            "rows": pa.array([draft.rows for draft in drafts], pa.uint64()),
        },
        schema=_INDEX,
    )
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, _INDEX) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    data = len(body).to_bytes(8, "big") + body
    total = before + len(data) + keys.TAG_BYTES + TAIL_BYTES
    return data + bytes(payload.bucket(total) - total)


def _read_index(data: bytes) -> pa.Table:
    length = int.from_bytes(data[:8], "big")
    if not 0 < length <= len(data) - 8:
        raise TamperedError("an object's index is malformed", rule="object.index")
    try:
        table = ipc.open_stream(pa.py_buffer(data[8 : 8 + length])).read_all()
    except pa.ArrowException as error:
        raise TamperedError("an object's index is malformed", rule="object.index") from error
    if table.schema != _INDEX:
        raise TamperedError("an object's index is malformed", rule="object.index")
    return table
