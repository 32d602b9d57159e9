"""Small blocks of one object that wait for each other after they were opened: many at once cost less to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from safehold.errors import SafeholdError
from safehold.vault.block import PAGED, HeaderSeal, flat_table, open_flat
from safehold.vault.gather import read_together
from safehold.vault.label import SealedBlock
from safehold.vault.payload import SMALL

MOST: Final = 256  # blocks that wait
MOST_BYTES: Final = 4 << 20  # of what they hold


class Together:
    """Opens small blocks, and returns their rows in the order in which they were taken.

    Every check of a block is made when it is taken. One that fails is an error, and the last, after
    the blocks before it were returned.

    Args:
        seal: Of the object.
        wanted: Names of columns; None means all.
    """

    __slots__ = ("_bytes", "_failure", "_seal", "_wanted", "full", "waiting")

    def __init__(self, seal: HeaderSeal, wanted: Sequence[str] | None) -> None:
        self._seal, self._wanted = seal, wanted
        self.waiting: list[tuple[SealedBlock, str, bytes | memoryview]] = []
        self._bytes = 0
        self._failure: SafeholdError | None = None
        self.full = False

    def take(self, data: memoryview, block: SealedBlock, window_key: bytes) -> bool:
        """Open a block and let it wait, if it is a small one; ask for what is ``done`` once that is ``full``."""
        if not 52 <= len(data) <= SMALL or data[48] & PAGED >> 24:
            return False
        try:
            codec, plain = open_flat(data, block, seal=self._seal, window_key=window_key)
        except SafeholdError as error:
            self._failure, self.full = error, True
            return True
        self.waiting.append((block, codec, plain))
        self._bytes += len(plain)
        self.full = len(self.waiting) >= MOST or self._bytes >= MOST_BYTES
        return True

    def done(self) -> Iterator[tuple[SealedBlock, pa.Table | pa.RecordBatch]]:
        """Yield what waits.

        Raises:
            TamperedError: Of a block that was taken anything differs from what was sealed or what its record says.
            InvalidError: A column does not exist.
        """
        waiting, failure = self.waiting, self._failure
        self.waiting, self._bytes, self._failure, self.full = [], 0, None, False
        yield from self._rows(waiting)
        if failure is not None:
            raise failure

    def _rows(
        self, waiting: Sequence[tuple[SealedBlock, str, bytes | memoryview]]
    ) -> Iterator[tuple[SealedBlock, pa.Table | pa.RecordBatch]]:
        streams = [plain for _, _, plain in waiting if isinstance(plain, bytes)]
        if len(streams) == len(waiting):
            blocks = [block for block, _, _ in waiting]
            batches = read_together(streams, [block.rows for block in blocks], self._wanted)
            if batches is not None:
                yield from zip(blocks, batches, strict=True)
                return
        for block, codec, plain in waiting:
            yield block, flat_table(codec, plain, block, self._wanted)

    def __repr__(self) -> str:
        return "Together(hidden)"
