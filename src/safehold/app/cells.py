"""A session of cells over a file of one's own: one sandbox that lives from the first cell to the last.

It is for finding out what a script should do. Over people's data there is no such session: each cell would be code
that no seat saw, and what it counts an answer about somebody. There a script is named by a grant
(docs/adr/0029-your-own-code.md).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from safehold.access.code import CODE, LARGEST, Plan
from safehold.app.own_code import seal_own
from safehold.app.workshop import LEAST
from safehold.enclave.code.gate import CodeGate
from safehold.errors import ConflictError, InvalidError, TamperedError
from safehold.sandbox.frame import Frame, write_frame
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher

MOST_CELLS: Final = 1_000
LONGEST_S: Final = 4 * 3600.0
PRINTED: Final = 10_000  # characters of a cell that are shown


class Cells:
    """A sandbox that runs cells; use it as a context manager.

    Args:
        file: Arrow file or stream of the caller's own; None for no data at all.
        show: Return what a cell prints, and why it failed.
        launcher: What starts it; tests pass one of their own.

    Raises:
        InvalidError: The file is no Arrow file.
        UnavailableError: This machine confines too little.
    """

    def __init__(
        self, file: Path | None, *, show: bool = True, launcher: Launcher | None = None
    ) -> None:
        self._show = show
        self._plan = Plan(recipe=CODE)
        self._done = 0
        self._lock = threading.Lock()
        inputs = [] if file is None else [seal_own(file)[0]]
        inside, self._out = os.pipe2(os.O_CLOEXEC)
        try:
            spec = {"script": "", "own": True, "show": False, "cells": inside}
            job = Job(
                recipe=CODE,
                spec=orjson.dumps(spec),
                inputs=tuple(inputs),
                limits=replace(Limits.of(CODE), wall=LONGEST_S),
                least=LEAST,
                cells=inside,
            )
            self._running = (launcher or Launcher()).start(job)
        except BaseException:
            os.close(self._out)
            raise
        finally:
            for fd in (*inputs, inside):
                os.close(fd)
        self._frames: Iterator[Frame] = self._running.frames()
        self._open = True

    @property
    def level(self) -> str:
        """Assurance level of the sandbox."""
        return str(self._running.confined.level)

    def run(self, code: str) -> dict[str, Any]:
        """Run a cell and return what passed the gate: ``ok``, ``counts``, ``words``, and what it printed if asked for.

        Raises:
            InvalidError: The cell is too long, or there were too many.
            TamperedError: The sandbox sent something else; the session is over.
            ConflictError: The session is over.
        """
        with self._lock:
            if not self._open:
                raise ConflictError("this session is over", rule="cells.over", fix="begin another")
            if len(code.encode()) > LARGEST // 8 or self._done >= MOST_CELLS:
                raise InvalidError("a cell too long, or too many of them", rule="cells.size")
            self._done += 1
            try:
                write_frame(self._out, {"type": "cell", "code": code})
                return self._answer()
            except OSError:  # it ended between two cells
                self._end()
                raise ConflictError(
                    "this session is over", rule="cells.over", fix="begin another"
                ) from None
            except BaseException:
                self._end()
                raise

    def _answer(self) -> dict[str, Any]:
        gate = CodeGate(self._plan)
        found: dict[str, Any] = {"ok": False, "counts": {}, "words": []}
        for frame in self._frames:
            if frame.header["type"] != "cell":
                message = gate.admit(frame.header, frame.body)
                found["counts"] |= message.get("counts", {})
                found["words"] += [message["word"]] if "word" in message else []
                continue
            match frame.header:
                case {"ok": bool(ok), "printed": str(printed)} if (
                    len(frame.header) == 3 and not frame.body
                ):
                    shown = {"printed": printed[:PRINTED]} if self._show else {}
                    return {**found, "ok": ok, **shown}
            raise TamperedError("a cell's end is none", rule="egress.header")
        raise TamperedError("the sandbox ended inside a cell", rule="egress.whole")

    def close(self) -> None:
        """End the sandbox."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._open:
            self._open = False
            os.close(self._out)
            self._running.kill()
            self._running.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
