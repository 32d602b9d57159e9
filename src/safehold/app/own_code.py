"""Running a script of one's own over a file of one's own: no keeper, no home, the same sandbox."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa

from safehold.access.code import CODE, LARGEST, Plan, read_plan
from safehold.app.workshop import LEAST
from safehold.enclave.code.gate import CodeGate
from safehold.errors import InvalidError, SafeholdError
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher
from safehold.sandbox.parts import seal_memory
from safehold.sandbox.running import Running

SHOWN: Final = 64 * 1024  # bytes of what a script prints, where they are asked for
BIGGEST: Final = 2 << 30  # bytes of an input file
_MAGIC: Final = b"ARROW1"


def read_script(path: Path) -> bytes:
    """Return the bytes of a script.

    Raises:
        InvalidError: It is larger than a script may be.
    """
    with path.open("rb") as file:
        script = file.read(LARGEST + 1)
    if len(script) > LARGEST:
        raise InvalidError(f"a script is at most {LARGEST} bytes", rule="code.size")
    return script


def run_own(script: Path, file: Path | None, *, show: bool, launcher: Launcher | None = None) -> dict[str, Any]:
    """Run a script over a file of the caller's own and return what passed the gate, and how it was confined.

    Args:
        script: The script.
        file: Arrow IPC, file or stream; None for no data at all.
        show: Return the beginning of what it prints as well; without it nothing of that is kept.
        launcher: What starts it; tests pass one of their own.

    Raises:
        InvalidError: The script or the file is none.
        UnavailableError: This machine confines too little.
    """
    source = read_script(script)
    plan = read_plan(source)
    inputs: list[int] = []
    rows = 0
    if file is not None:
        fd, rows = _seal(file)
        inputs.append(fd)
    try:
        running = start_own(source, plan, inputs, show=show, launcher=launcher or Launcher())
    finally:
        for fd in inputs:
            os.close(fd)
    found, error = collect(running, plan)
    outcome = running.wait()
    result: dict[str, Any] = {
        "ok": outcome.ok and error is None,
        "ended": outcome.reason if error is None else error.rule or "egress",
        "started": outcome.started,
        **found,
        "script": plan.recipe,
        "input_rows": rows,
        "level": outcome.level,
        "kernel": outcome.kernel,
        "mechanisms": list(outcome.mechanisms),
    }
    if show:
        result["printed"] = running.shown().decode("utf-8", "replace")
    return result


def start_own(
    source: bytes, plan: Plan, inputs: Sequence[int], *, show: bool, launcher: Launcher
) -> Running:
    """Start a script over sealed memory of the caller's own."""
    spec = {"script": source.decode("utf-8"), "own": True, "show": show}
    limits = replace(Limits.of(CODE), wall=float(plan.seconds), shown=SHOWN if show else 0)
    job = Job(
        recipe=CODE, spec=orjson.dumps(spec), inputs=tuple(inputs), limits=limits, least=LEAST
    )
    return launcher.start(job)


def collect(running: Running, plan: Plan) -> tuple[dict[str, Any], SafeholdError | None]:
    """Return what passed the gate, and what ended it early: the first message that may not leave ends a run."""
    gate = CodeGate(plan)
    found: dict[str, Any] = {"counts": {}, "words": [], "figure": None}
    with running:
        try:
            for frame in running.frames():
                message = gate.admit(frame.header, frame.body)
                found["counts"] |= message.get("counts", {})
                found["words"] += [message["word"]] if "word" in message else []
                found["figure"] = message.get("figure", found["figure"])
        except SafeholdError as error:
            return found, error
    return found, None


def _seal(file: Path) -> tuple[int, int]:
    """Return sealed memory that holds the rows of an Arrow file as one stream, and how many they are."""
    if file.stat().st_size > BIGGEST:
        raise InvalidError(f"an input is at most {BIGGEST} bytes", rule="code.input.size")
    try:
        with pa.memory_map(str(file)) as source:
            whole = source.read(len(_MAGIC)) == _MAGIC
            source.seek(0)
            reader = pa.ipc.open_file(source) if whole else pa.ipc.open_stream(source)
            table = reader.read_all()
            table.validate(full=True)

            def write(memory: Any) -> None:
                with pa.ipc.new_stream(pa.PythonFile(memory, mode="w"), table.schema) as stream:
                    stream.write_table(table)

            return seal_memory(write), table.num_rows
    except (pa.ArrowException, OSError):
        raise InvalidError(
            "the input is no Arrow file",
            rule="code.input",
            fix="pyarrow.feather.write_feather(table, 'file.arrow', compression='uncompressed')",
        ) from None
