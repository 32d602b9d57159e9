"""What an attempt is given and what it gives back, as bytes in pieces.

In: ``u32 length | header, JSON | the inputs, one after the other``. Back: pieces whose first byte says what they are:
``T`` what confined the sandbox, ``F`` frames as they left it, ``E`` how it ended.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Final, Self

import orjson

from safehold.cluster.seal import PIECE, cut
from safehold.errors import InvalidError, SafeholdError, TamperedError, revive
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.parts import SEALS

LARGEST_INPUT: Final = 4 << 30  # bytes of all inputs: they lie in the memory of one worker
LARGEST_HEADER: Final = 256 << 20
TOLD, FRAMES, ENDED = b"T", b"F", b"E"
_LENGTH: Final = struct.Struct(">I")


def pack_job(job: Job) -> Iterator[bytes]:
    """Yield a job in pieces, reading its inputs as it goes; they stay the caller's.

    Raises:
        InvalidError: The inputs are too large for the memory of a worker.
    """
    sizes = [os.fstat(one).st_size for one in job.inputs]
    if sum(sizes) > LARGEST_INPUT:
        raise InvalidError(
            f"what a worker is given has at most {LARGEST_INPUT >> 30} GiB",
            rule="cluster.input",
            fix="cut the source into several files, or take it in without --ray",
        )
    header = orjson.dumps(
        {
            "recipe": job.recipe,
            "limits": asdict(job.limits),
            "least": job.least,
            "talks": job.talks,
            "spec": len(job.spec),
            "inputs": sizes,
        }
    )

    def chunks() -> Iterator[bytes]:
        yield _LENGTH.pack(len(header)) + header
        yield job.spec
        for one, size in zip(job.inputs, sizes, strict=True):
            at = 0
            while at < size:
                data = os.pread(one, min(PIECE, size - at), at)
                if not data:
                    raise InvalidError("an input became shorter", rule="cluster.input")
                at += len(data)
                yield data

    return cut(chunks())


class Unpacker:
    """Make a job out of the pieces of ``pack_job``; inputs become sealed memory. Leaving it closes them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._held = bytearray()
        self._header: dict[str, Any] | None = None
        self._spec = b""
        self._sizes: list[int] = []
        self._files: list[int] = []
        self._filled = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            TamperedError: It is not what ``pack_job`` writes.
        """
        self._held += data
        if self._header is None and not self._begin():
            return
        self._fill()

    def job(self) -> Job:
        """Return the job, once every piece is there.

        Raises:
            TamperedError: A piece is missing, or there are too many.
        """
        header = self._header
        if header is None or self._held or len(self._files) != len(self._sizes):
            raise _broken()
        if self._files and self._filled != self._sizes[-1]:
            raise _broken()
        return Job(
            recipe=str(header["recipe"]),
            spec=self._spec,
            inputs=tuple(self._sealed(one) for one in self._files),
            limits=Limits(**header["limits"]),
            least=str(header["least"]),
            talks=header["talks"] is True,
        )

    def _begin(self) -> bool:
        if len(self._held) < _LENGTH.size:
            return False
        (length,) = _LENGTH.unpack_from(self._held)
        if length > LARGEST_HEADER:
            raise _broken()
        if len(self._held) < _LENGTH.size + length:
            return False
        try:
            header = orjson.loads(self._held[_LENGTH.size : _LENGTH.size + length])
            size, self._sizes = int(header["spec"]), [int(one) for one in header["inputs"]]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise _broken() from None
        if len(self._held) < _LENGTH.size + length + size:
            return False
        del self._held[: _LENGTH.size + length]
        self._spec = bytes(self._held[:size])
        del self._held[:size]
        self._header = header
        return True

    def _fill(self) -> None:
        view = memoryview(bytes(self._held))
        self._held.clear()
        while len(self._files) < len(self._sizes) or view:
            if not self._files or self._filled == self._sizes[len(self._files) - 1]:
                if len(self._files) == len(self._sizes):
                    raise _broken()
                made = os.memfd_create("input", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
                self._stack.callback(os.close, made)
                self._files.append(made)
                self._filled = 0
                continue
            left = self._sizes[len(self._files) - 1] - self._filled
            if not view:
                return
            written = os.write(self._files[-1], view[:left])
            self._filled += written
            view = view[written:]

    def _sealed(self, memory: int) -> int:
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, SEALS)
        sealed = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
        self._stack.callback(os.close, sealed)
        return sealed


def tell(told: Mapping[str, Any]) -> bytes:
    """Return the piece that says what confined a sandbox."""
    return TOLD + orjson.dumps(dict(told))


def end(error: SafeholdError | None) -> bytes:
    """Return the piece that says how a sandbox ended."""
    return ENDED + orjson.dumps(None if error is None else error.payload())


def read_told(piece: bytes) -> tuple[str, str, Sequence[str]]:
    """Return level, kernel and mechanisms out of a piece.

    Raises:
        TamperedError: It says something else.
    """
    try:
        told = orjson.loads(piece[1:])
        return (
            str(told["level"]),
            str(told["kernel"]),
            tuple(str(one) for one in told["mechanisms"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise _broken() from None


def read_end(piece: bytes) -> SafeholdError | None:
    """Return the error that a sandbox ended with, out of a piece; nothing if it came to its end.

    Raises:
        TamperedError: It says something else.
    """
    try:
        payload = orjson.loads(piece[1:])
        return None if payload is None else revive(payload)
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        raise _broken() from None


def _broken() -> TamperedError:
    return TamperedError("a parcel is not in its only form", rule="cluster.parcel")
