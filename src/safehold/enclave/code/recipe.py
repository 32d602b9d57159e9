"""The recipe that runs a script: in this process, which is confined for good before a line of it is read.

Nothing that a script raises, prints or returns is told; whatever kind of end it has is "failed" or "finished".
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import resource_tracker
from types import ModuleType
from typing import Any, Final

from safehold.enclave.code.door import open_door
from safehold.sandbox.boot import Emit
from safehold.sandbox.frame import read_frames

CELLS_BYTES: Final = 64 << 20  # of all cells of a session
PRINTED: Final = 10_000  # characters of what a cell prints, and of why it failed


def main(spec: Mapping[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run a script.

    Args:
        spec: ``script``: its text; ``own``: the input is the caller's own file; ``show``: what goes wrong may be
            printed, for all data is the caller's.
        inputs: Sealed memory.
        emit: Sends a message.

    Raises:
        SystemExit: The script failed; the boot says that and nothing else.
    """
    process = os.getpid()
    _allow_processes()
    counters = open_door(inputs, emit, own=spec["own"])
    module = ModuleType("__main__")
    module.__dict__["__file__"] = "script.py"
    sys.modules["__main__"] = module
    sys.argv = ["script.py"]
    if "cells" in spec:
        _run_cells(spec["cells"], module.__dict__, counters, emit)
        return
    try:
        exec(compile(spec["script"], "script.py", "exec"), module.__dict__)  # noqa: S102 - what all this is for
    except SystemExit as error:
        if error.code not in (None, 0):
            raise
    except BaseException:
        if spec["show"]:
            sys.excepthook(*sys.exc_info())
        raise
    finally:
        with contextlib.suppress(Exception):  # a script may have put anything there
            sys.stdout.flush()
            sys.stderr.flush()
        if os.getpid() != process:  # a child that the script forgot to end: only its parent speaks
            os._exit(0)
    if counters:
        emit({"type": "counts", "values": counters})


def _run_cells(cells: int, names: dict[str, Any], counters: dict[str, int], emit: Emit) -> None:
    """Run one cell after the other in one set of names, until the pipe they come through ends."""
    process = os.getpid()
    for frame in read_frames(cells, budget=CELLS_BYTES):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            ok = _run_cell(frame.header["code"], names)
        if os.getpid() != process:
            os._exit(0)
        if counters:
            emit({"type": "counts", "values": dict(counters)})
            counters.clear()
        # the gate lets this text pass only where all data is the caller's own
        emit({"type": "cell", "ok": ok, "printed": said.getvalue()[:PRINTED]})


def _run_cell(code: str, names: dict[str, Any]) -> bool:
    try:
        exec(compile(code, "cell", "exec"), names)  # noqa: S102 - what all this is for
    except BaseException:  # noqa: BLE001 - whatever a cell raises ends that cell
        traceback.print_exc()
        return False
    return True


def _allow_processes() -> None:
    """Let a script use several processes: by fork alone, for no program may be started in here."""
    multiprocessing.set_start_method("fork", force=True)
    # it would start a program to clear up after us; here the file system itself goes away
    for name in ("register", "unregister", "ensure_running"):
        setattr(resource_tracker, name, lambda *_: None)
