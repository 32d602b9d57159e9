"""What a script imports as ``safehold_enclave``: its data, and the few ways to say something.

It is a convenience, never a guard: a script shares its process and could write to the pipe by itself. What counts is
the gate on the other side (``safehold.enclave.code.gate``).
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final

import pyarrow as pa

from safehold.sandbox.parts import read_parts

NAME: Final = "safehold_enclave"
INPUT: Final = (
    "SAFEHOLD_INPUT_FD"  # number of the descriptor of the caller's own file, an Arrow IPC stream
)


def read_stream(fd: int) -> pa.Table:
    """Return the rows of an Arrow IPC stream in sealed memory, without copying a column."""
    size = os.fstat(fd).st_size
    with pa.ipc.open_stream(pa.py_buffer(mmap.mmap(fd, size, prot=mmap.PROT_READ))) as stream:
        return stream.read_all()


def open_door(inputs: Sequence[int], emit: Callable[..., None], *, own: bool) -> dict[str, int]:
    """Make the module ``safehold_enclave`` and return the counters that it fills.

    Args:
        inputs: Sealed memory: parts, or with ``own`` one Arrow IPC stream.
        emit: Sends a message.
        own: The data is the caller's own file.
    """
    counters: dict[str, int] = {}

    def parts() -> Iterator[tuple[dict[str, Any], pa.Table]]:
        """Yield each part of the data: what it is of (person, stream, window) and its rows."""
        for fd in inputs:
            if own:
                yield {"stream": "input"}, read_stream(fd)
            else:
                yield from read_parts(fd)

    def table(stream: str | None = None) -> pa.Table:
        """Return all rows of a stream as one table; of the only one where none is named."""
        found = [rows for header, rows in parts() if stream in (None, header["stream"])]
        return pa.concat_tables(found, promote_options="default") if found else pa.table({})

    def people() -> dict[str, dict[str, pa.Table]]:
        """Return for each person, under a name of this run alone, the rows of each stream."""
        found: dict[str, dict[str, list[pa.Table]]] = {}
        for header, rows in parts():
            found.setdefault(header["person"], {}).setdefault(header["stream"], []).append(rows)
        return {
            person: {stream: pa.concat_tables(rows) for stream, rows in streams.items()}
            for person, streams in found.items()
        }

    def count(name: str, number: int = 1) -> None:
        """Add to a counter; its name is one of those that the script's block lists."""
        counters[name] = counters.get(name, 0) + int(number)

    def say(word: str) -> None:
        """Say a word out of the list in the script's block."""
        emit({"type": "word", "word": word})

    def figure(value: float) -> None:
        """Hand in the one number of this group of people."""
        emit({"type": "figure", "value": float(value)})

    module = ModuleType(NAME, __doc__)
    for one in (parts, table, people, count, say, figure):
        setattr(module, one.__name__, one)
    sys.modules[NAME] = module
    if own and inputs:
        os.environ[INPUT] = str(inputs[0])
    return counters
