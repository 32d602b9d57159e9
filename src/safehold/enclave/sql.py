"""The query recipe: one process for each person, and in it the rows of that person alone.

1. A query is rebuilt from a closed language, and tried on empty tables. What is wrong with it is said then, before a
   row was seen, in words out of a closed list.
2. For each person a process is forked. The memory with everybody's rows is not inherited (MADV_DONTFORK); a pipe out
   and a memory file with this person's tables are all that it keeps open. Whatever a query does there, joins, windows,
   state of the engine, even a fault in the engine, it finds nobody else, and its answer is the answer for this person.
3. What the query returns is cut to the template in that process, and again by the gate, which believes none of it.
4. A query that fails for one person, runs too long or needs too much gives nothing for this person. The run goes on:
   whether it failed for somebody is no answer either. Time and bytes are shared out among the people beforehand, so
   that nobody's query can use up what is there for all.

The spec has ``sql``, ``template``, and ``tables``: the columns of each stream that the grant has.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import pyarrow as pa

from safehold.enclave.database import REASONS, Database
from safehold.errors import InvalidError, UnavailableError
from safehold.privacy.bound import Share, bound_share
from safehold.privacy.template import VALUED, Template
from safehold.sandbox.parts import slice_parts
from safehold.telemetry.schema import REST

Emit = Callable[..., None]

SEEN: Final = 100_000  # rows of one person's answer that are looked at
PERSON_S: Final = 10.0  # longest that one person's query may take
RUN_S: Final = 12_000.0  # and all of them, shared out among the people before it begins
LARGEST: Final = 1 << 20  # bytes that one person's process may send
RUN_BYTES: Final = 64 << 20  # and all of them, shared out likewise
# processes side by side at most, on however many processors: each may hold what the engine may, and as much again in
# its answer, and together they stay below the memory of the sandbox, so that no person's query can end the run
MOST_BESIDE: Final = 4
_QUERY: Final = "SELECT {k} AS k, {v} AS v FROM ({sql}) AS q"


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.
    """
    template = Template.from_json(spec["template"])
    empty = empty_tables(spec["tables"])
    try:
        database = Database()
        query = prepare(database, spec["sql"], template, empty)
    except (InvalidError, UnavailableError) as error:
        emit({"type": "refused", "rule": error.rule if error.rule in REASONS else "sql.bind"})
        return
    held: dict[str, list[tuple[str, pa.Buffer]]] = {}
    for fd in inputs:
        for header, part in slice_parts(fd, inherit=False):
            held.setdefault(header["person"], []).append((header["stream"], part))
        os.close(fd)
    people = max(len(held), 1)
    crew = _Crew(
        _Task(database, query, template, empty),
        each=min(PERSON_S, RUN_S / people),
        largest=min(LARGEST, RUN_BYTES // people),
        emit=emit,
    )
    for person in sorted(held):
        crew.start(person, held.pop(person))
    crew.finish()


def empty_tables(columns: Mapping[str, Sequence[str]]) -> dict[str, pa.Table]:
    """Return a table without rows for each stream, of the columns that are named."""
    return {
        stream: REST[stream].empty_table().select(list(names)) for stream, names in columns.items()
    }


def prepare(database: Database, sql: str, template: Template, empty: Mapping[str, pa.Table]) -> str:
    """Return what is run for each person; it is tried on empty tables.

    Raises:
        InvalidError: The query is not of the language, names what is not there, or lacks a column.
    """
    text = database.rebuild(sql, empty)
    database.give(empty)
    try:
        columns = database.columns(text)
        wanted = {"k"} if template.grouped else set()
        wanted |= {"v"} if template.release in VALUED | {"histogram"} else set()
        if not wanted <= set(columns) or len(set(columns)) != len(columns):
            raise InvalidError(
                f"the query must return {' and '.join(sorted(wanted)) or 'columns of different names'}",
                rule="sql.columns",
                fix="name them: SELECT app AS k, x AS v FROM pointer",
            )
        query = _QUERY.format(
            sql=text,
            k="CAST(k AS VARCHAR)" if template.grouped else "''",
            v="TRY_CAST(v AS DOUBLE)" if "v" in wanted else "0",
        )
        try:
            database.rows(query, most=1)
        except InvalidError:
            raise InvalidError(
                "the query fails even on empty tables", rule="sql.bind", fix="check its constants"
            ) from None
    finally:
        database.take(empty)
    return query


@dataclass(frozen=True, slots=True)
class _Task:
    """What is done for each person."""

    database: Database
    query: str
    template: Template
    empty: Mapping[str, pa.Table]

    def answer(self, memory: int, parts: Sequence[tuple[str, int]]) -> Share:
        """Return one person's share; everything of theirs is in one memory file."""
        tables: dict[str, list[pa.Table]] = {}
        with open(memory, "rb", buffering=0) as file:
            for stream, size in parts:
                body = pa.py_buffer(file.read(size))
                tables.setdefault(stream, []).append(pa.ipc.open_stream(body).read_all())
        full = {name: pa.concat_tables(found) for name, found in tables.items()}
        self.database.give({**self.empty, **full})
        rows = self.database.rows(self.query, most=SEEN)
        return bound_share(self.template, [row[0] for row in rows], [row[1] for row in rows])


@dataclass(slots=True)
class _Child:
    """One person's process."""

    person: str
    process: int
    pipe: int
    ends: float
    said: bytearray = field(default_factory=bytearray)


class _Crew:
    """Processes that run side by side, one a processor and few in all."""

    def __init__(self, task: _Task, *, each: float, largest: int, emit: Emit) -> None:
        self._task, self._each, self._largest, self._emit = task, each, largest, emit
        self._most = min(MOST_BESIDE, max(1, len(os.sched_getaffinity(0))))
        self._running: dict[int, _Child] = {}

    def start(self, person: str, parts: Sequence[tuple[str, pa.Buffer]]) -> None:
        """Begin with one person, once there is room."""
        while len(self._running) >= self._most:
            self._wait()
        memory = os.memfd_create("person", os.MFD_CLOEXEC)
        sizes = [(stream, part.size) for stream, part in parts]
        for _, part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(memory, view) :]
        os.lseek(memory, 0, os.SEEK_SET)
        pipe, inner = os.pipe2(os.O_CLOEXEC)
        process = os.fork()
        if process == 0:
            _be_person(self._task, memory, sizes, out=inner, seconds=self._each)
        os.close(inner)
        os.close(memory)
        self._running[pipe] = _Child(person, process, pipe, time.monotonic() + self._each)

    def finish(self) -> None:
        """Wait for everybody."""
        while self._running:
            self._wait()

    def _wait(self) -> None:
        now = time.monotonic()
        ends = min(child.ends for child in self._running.values())
        ready, _, _ = select.select(list(self._running), [], [], max(0.0, ends - now))
        for pipe in ready:
            child = self._running[pipe]
            more = os.read(pipe, 1 << 16)
            child.said += more
            if not more:
                self._end(child, bytes(child.said))
            elif len(child.said) > self._largest:
                self._end(child, b"")
        now = time.monotonic()
        for child in [one for one in self._running.values() if one.ends <= now]:
            self._end(child, b"")

    def _end(self, child: _Child, said: bytes) -> None:
        """Let a process go and hand on what it said; one frame for each person, whatever happened."""
        del self._running[child.pipe]
        os.close(child.pipe)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.process, signal.SIGKILL)
        os.waitpid(child.process, 0)
        self._emit({"type": "contribution", "person": child.person}, said)


def _be_person(
    task: _Task, memory: int, parts: Sequence[tuple[str, int]], *, out: int, seconds: float
) -> None:
    """Answer for one person and end; never returns."""
    try:
        first = 0
        for fd in sorted((memory, out)):
            os.closerange(first, fd)
            first = fd + 1
        os.closerange(first, 1 << 16)
        whole = max(1, round(seconds))
        resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
        share = task.answer(memory, parts)
        data = memoryview(orjson.dumps({key: list(found) for key, found in share.values.items()}))
        while data:
            data = data[os.write(out, data) :]
    finally:
        os._exit(0)
