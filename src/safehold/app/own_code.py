"""Running a script of one's own over a file of one's own: no keeper, no home, the same sandbox."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa

from safehold.access.code import CODE, Plan, name_code, read_plan
from safehold.app.grants import demand_pass
from safehold.app.requests import read_paper
from safehold.app.workshop import LEAST
from safehold.enclave.code.gate import CodeGate
from safehold.errors import DeniedError, InvalidError, SafeholdError
from safehold.keeper.client import KeeperClient, Progress
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher
from safehold.sandbox.parts import seal_memory
from safehold.sandbox.running import Running
from safehold.signing import SigningKey, VerifyKey

SHOWN: Final = 64 * 1024  # bytes of what a script prints, where they are asked for
BIGGEST: Final = 2 << 30  # bytes of an input file
MOST_FILES: Final = 200  # looked at for a key
KEY_SIZE: Final = 8 * 1024  # bytes
_MAGIC: Final = b"ARROW1"


def run_granted(
    client: KeeperClient,
    path: Path,
    source: bytes,
    *,
    grant: Path | None,
    holder: Path | None,
    seats: Path | None,
    purpose: str,
    progress: Progress,
) -> dict[str, Any]:
    """Run a script over a home's data, under the grant that names it.

    Args:
        client: The keeper.
        path: The home.
        source: The script.
        grant: The approved request.
        holder: The holder's key; else the one that lies beside the grant.
        seats: A folder of seat keys instead of a grant, for trying out.
        purpose: The purpose, with ``seats``.
        progress: Told how far it is.

    Raises:
        DeniedError: The grant names another script; or whatever the keeper says no to.
    """
    read_plan(source)
    asked = None if grant is None else read_paper(grant).grant
    if grant is not None and asked is not None:
        purpose = asked.purpose
        holder = holder or _key_beside(grant, asked.holder)
    permit = demand_pass(
        client, path, purpose=purpose, recipe=CODE, grant=grant, holder=holder, seats=seats,
        script=source,
    )  # fmt: skip
    try:
        return {"ok": True, **permit.run(client, purpose, source, progress)}
    except DeniedError as error:
        name = name_code(source)
        if asked is not None and name not in asked.recipes:
            raise DeniedError(
                f"the grant is for {', '.join(asked.recipes)}, and this script is {name}",
                rule="grant.code",
                fix="ask for this script: safehold request new --script SCRIPT.py",
                entry=error.entry,
            ) from error
        raise


def _key_beside(grant: Path, public: VerifyKey) -> Path | None:
    """Return the file beside a grant that holds its holder's key, or nothing."""
    for file in sorted(grant.resolve().parent.iterdir())[:MOST_FILES]:
        if not file.is_file() or file.stat().st_size > KEY_SIZE:
            continue
        try:
            if SigningKey.read(file).public == public:
                return file
        except (SafeholdError, OSError):
            continue
    return None


def run_own(
    source: bytes, file: Path | None, *, show: bool, launcher: Launcher | None = None
) -> dict[str, Any]:
    """Run a script over a file of the caller's own and return what passed the gate, and how it was confined.

    Args:
        source: The script.
        file: Arrow IPC, file or stream; None for no data at all.
        show: Return the beginning of what it prints as well; without it nothing of that is kept.
        launcher: What starts it; tests pass one of their own.

    Raises:
        InvalidError: The script or the file is none.
        UnavailableError: This machine confines too little.
    """
    plan = read_plan(source)
    inputs: list[int] = []
    rows = 0
    if file is not None:
        fd, rows = seal_own(file)
        inputs.append(fd)
    try:
        running = start_own(source, plan, inputs, show=show, launcher=launcher or Launcher())
    finally:
        for fd in inputs:
            os.close(fd)
    found, error = collect(running, plan)
    outcome = running.wait()
    refused = None if error is None or not _by_gate(error) else error.rule
    result: dict[str, Any] = {
        "ok": outcome.ok and error is None,
        "ended": outcome.reason if refused is None else refused,
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


def _by_gate(error: SafeholdError) -> bool:
    return (error.rule or "").startswith("egress.")


def seal_own(file: Path) -> tuple[int, int]:
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
