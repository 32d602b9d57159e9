"""Where what came back from an attempt waits until all of it is there: ciphertext in a file without a name."""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from collections.abc import Iterator
from typing import Final

from safehold.cluster.parcel import FRAMES
from safehold.cluster.seal import BACK, Keys
from safehold.errors import TamperedError
from safehold.sandbox.frame import Frame, read_frames

_HEAD: Final = struct.Struct(">I?")


class Spool:
    """Sealed pieces in their order; its disk space is given back when it is closed.

    Args:
        keys: Of the attempt that sends them.
        keep: Whether they wait; of a job that talks each is handed on as it comes.
    """

    def __init__(self, keys: Keys, *, keep: bool = True) -> None:
        self._keys, self._keep = keys, keep
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``close``
        self._count = 0

    def add(self, sealed: bytes, *, last: bool) -> bytes:
        """Keep the next piece, and return what is in it.

        Raises:
            TamperedError: It is not the piece that is due.
        """
        piece = self._keys.open(BACK, self._count, sealed, last=last)
        if not piece:
            raise TamperedError("a piece of a parcel is empty", rule="cluster.parcel")
        if self._keep:
            self._file.write(_HEAD.pack(len(sealed), last) + sealed)
        self._count += 1
        return piece

    def frames(self, *, budget: int, largest: int) -> Iterator[Frame]:
        """Yield the frames in it, each opened when it is asked for.

        Args:
            budget: Bytes that all of them may have.
            largest: Bytes that one may have.

        Raises:
            TamperedError: They are no sequence of whole frames.
        """
        source, sink = os.pipe2(os.O_CLOEXEC)
        pump = threading.Thread(target=self._pump, args=(sink,), daemon=True)
        pump.start()
        try:
            yield from read_frames(source, budget=budget, largest=largest)
        finally:
            os.close(source)  # whoever still writes ends with it
            pump.join()

    def close(self) -> None:
        """Give it back."""
        self._file.close()

    def _pump(self, sink: int) -> None:
        self._file.seek(0)
        try:
            with os.fdopen(sink, "wb") as pipe:
                for number in range(self._count):
                    size, last = _HEAD.unpack(self._file.read(_HEAD.size))
                    piece = self._keys.open(BACK, number, self._file.read(size), last=last)
                    if piece[:1] == FRAMES:
                        pipe.write(memoryview(piece)[1:])
        except BrokenPipeError:
            return  # nobody wants the rest
