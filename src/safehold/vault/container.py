"""The sealed-block container: what the bytes of one object are.

::

    object   'SHB1' | object id (16)                                      the preamble, in the clear
             u32 length | sealed object header
             sealed block, sealed block, ...
             sealed index                                                 pads the object to its
             bucket u32 length of the sealed index | root (32) | 'SHB1'
    block    see ``block``

All integers are big-endian. Object header, block headers and index are sealed with AES-256-GCM
under a key for this object, derived from the segment's metadata key, with the place in the object
as nonce and the preamble as additional data. Lengths are checked against bounds before anything is
opened.

The root is a SHA-256 over the sealed object header, the digest of every block and the sealed index.
(The tags of AES-GCM would not do: who holds a key can find two blocks with the same tag.)
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from pyarrow import ipc

from safehold import canonical
from safehold.errors import InvalidError, TamperedError
from safehold.vault import header as headers
from safehold.vault import keys
from safehold.vault.block import digest_of, draft_block
from safehold.vault.label import PlainBlock, SealedBlock, SealedObject
from safehold.vault.objects import name_id
from safehold.vault.pad import bucket

MAGIC: Final = b"SHB1"
PREAMBLE_BYTES: Final = len(MAGIC) + 16
TAIL_BYTES: Final = 4 + 32 + len(MAGIC)
MOST_BLOCKS: Final = 1 << 16
LARGEST_OBJECT: Final = 1 << 31  # bytes
LARGEST_INDEX: Final = 1 << 28  # bytes
_HEADER_NONCE: Final = 0
_INDEX_NONCE: Final = 1  # those of the blocks' headers follow
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
        self.speller = headers.Speller(self.id.hex())
        key = keys.hkdf(metadata_key, salt=self.id, info=b"safehold/object/1")
        self._cipher = keys.cipher(key)

    def seal(self, number: int, data: bytes) -> bytes:
        """Seal what stands at a numbered place; each number is used once in an object."""
        return self._cipher.encrypt(number.to_bytes(12, "big"), data, self.preamble)

    def open(self, number: int, data: bytes | memoryview) -> bytes:
        """Open what stands at a numbered place.

        Raises:
            TamperedError: Changed, moved, or from another object or segment.
        """
        nonce = number.to_bytes(12, "big")
        return keys.decrypt(
            self._cipher,
            nonce,
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
    # block after block is packed and encrypted straight into its place, while its bytes are at hand
    out = bytearray(head)
    root, records, tags = _start_root(head), [], []
    for sequence, (block, window_key) in enumerate(zip(blocks, window_keys, strict=True)):
        draft = draft_block(
            seal,
            sequence,
            block,
            segment=place.segment,
            generation=place.generation,
            window_key=window_key,
        )
        at, length = len(out), draft.length
        if at + length > LARGEST_OBJECT - LARGEST_INDEX:
            raise InvalidError(
                "an object holds at most 2 GiB", rule="object.size", fix="seal fewer blocks"
            )
        out += bytes(length)
        with memoryview(out) as view:
            digest = draft.write(view[at:])
        tags.append(draft.tag)
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
                length=length,
                rows=draft.rows,
                sha256=digest,
                generation=place.generation,
                sequence=sequence,
            )
        )
    sealed_index = seal.seal(_INDEX_NONCE, _index(tags, records, len(out)))
    root.update(hashlib.sha256(sealed_index).digest())
    out += sealed_index + len(sealed_index).to_bytes(4, "big") + root.digest() + MAGIC
    sealed = SealedObject(name=place.name, root=root.digest(), size=len(out), blocks=tuple(records))
    return out, sealed


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
        running.update(digest_of(data[at : at + row["length"]]))
        at += row["length"]
    running.update(hashlib.sha256(sealed_index).digest())
    if at != last or not hmac.compare_digest(running.digest(), root):
        raise TamperedError("an object was changed", rule="object.root")
    seal.open(_HEADER_NONCE, data[PREAMBLE_BYTES + 4 : first])
    return int(index.num_rows)


def _start_root(head: bytes | bytearray | memoryview) -> hashlib._Hash:
    root = hashlib.sha256(b"safehold/shb-root/1")
    root.update(hashlib.sha256(head).digest())
    return root


def _index(tags: Sequence[bytes], records: Sequence[SealedBlock], before: int) -> bytes:
    table = pa.table(
        {
            "tag": pa.array(tags, pa.binary(16)),
            "block_id": pa.array([block.block_id for block in records], pa.binary(16)),
            "offset": pa.array([block.offset for block in records], pa.uint64()),
            "length": pa.array([block.length for block in records], pa.uint64()),
            "rows": pa.array([block.rows for block in records], pa.uint64()),
        },
        schema=_INDEX,
    )
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, _INDEX) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    data = len(body).to_bytes(8, "big") + body
    total = before + len(data) + keys.TAG_BYTES + TAIL_BYTES
    return data + bytes(bucket(total) - total)


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
