"""A query recipe that was taken over in each person's process: it says what it finds there, and nothing else.

It runs inside a sandbox, where the tests' own modules are not.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Sequence
from typing import Any

import orjson

from safehold.enclave import sql


class Spied:
    """What is sent in place of a share."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.values = {name: Word(value) for name, value in found.items()}


class Word(list):
    """A word that looks like a list of numbers."""


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Any) -> None:
    """Run the recipe with another engine in each person's process."""
    fds, parent, places = tuple(inputs), os.getpid(), []
    slices = sql.slice_parts

    def remember(fd: int, *, inherit: bool = True) -> Any:
        for header, part in slices(fd, inherit=inherit):
            places.append(part.address)
            yield header, part

    sql.slice_parts = remember

    def spy(_task: Any, memory: int, _parts: Any) -> Any:
        try:
            return Spied(look(fds, parent, memory, places))
        except BaseException as error:
            return Spied({"fault": [repr(error)]})

    sql._Task.answer = spy
    sql.orjson = Plain()
    sql.main(spec, inputs, emit)


class Plain:
    """Writes what was found as it is."""

    @staticmethod
    def dumps(tree: dict[str, Any]) -> bytes:
        return orjson.dumps({name: value[0] for name, value in tree.items()})


def look(
    inputs: Sequence[int], parent: int, memory: int, places: Sequence[int]
) -> dict[str, list[Any]]:
    """Return what there is of others."""
    return {
        "input": [_input(inputs)],
        "memory": [_memory(memory, places)],
        "parent": [_parent(parent)],
        "descriptors": [len(_open())],
    }


def _open() -> list[int]:
    found = []
    for fd in range(256):
        try:
            os.fstat(fd)
        except OSError:
            continue
        found.append(fd)
    return found


def _input(inputs: Sequence[int]) -> str:
    for fd in inputs:
        try:
            if os.fstat(fd).st_size > 4096:
                return "there"
        except OSError:
            continue
    return "gone"


def _memory(own: int, places: Sequence[int]) -> str:
    """Look where the process above has everybody's rows; the system says whether there is memory at a place."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = [libc.write(own, ctypes.c_void_p(place), ctypes.c_size_t(1)) for place in places]
    if set(found) == {-1} and ctypes.get_errno() == errno.EFAULT and len(places) > 1:
        return "none but one's own"
    return f"{found} at {len(places)} places"


def _parent(parent: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, parent, 0, 0) == 0:  # PTRACE_ATTACH
        return "attached"
    try:
        with open(f"/proc/{parent}/mem", "rb") as file:
            file.read(1)
    except OSError:
        return "refused"
    return "read"
