"""The columns that every stream of a person-day begins with, and how its tables are put together."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.clock import DAY_US, SECOND_US
from safehold.telemetry.schema import WIRE
from safehold.workforce.life import jurisdiction_on
from safehold.workforce.people import HOURS, person
from safehold.workforce.spec import Spec
from safehold.workforce.timing import Timed

_CONTEXTS: Final = 1_000_000  # context ids of one person-day

Ints = npt.NDArray[np.int64]


class Frame:
    """Make the envelope columns of a stream."""

    def __init__(self, spec: Spec, index: int, day: int, timed: Timed) -> None:
        who = person(spec, index)
        self.timed, self.plan = timed, timed.plan
        self.person, self.day = who.id, day
        self.device = f"dev-{who.id}"
        hour = HOURS[jurisdiction_on(spec, index, day)]
        self.origin = (spec.start_day + day) * DAY_US + hour * 3600 * SECOND_US
        self.origin += (index * 7919) % 1800 * SECOND_US
        # a type that is stated need not be inferred, which is slow
        names = list(dict.fromkeys(context.app for context in self.plan.contexts))
        self.apps = pa.array(names, pa.string())
        self.sessions = pa.array([f"ses-{who.id}-{day}-{number}" for number in (0, 1)], pa.string())
        self.app_of = np.array([names.index(each.app) for each in self.plan.contexts], np.int64)
        self.context = np.asarray(self.plan.contexts_of, np.int64)

    def envelope(self, at: Ints, context: Ints, session: Ints) -> dict[str, pa.Array]:
        """Return the envelope of events at these times, which are in order."""
        rows = len(at)
        later = int(np.searchsorted(session, 1))
        seq = np.concatenate([np.arange(1, later + 1), np.arange(1, rows - later + 1)])
        return {
            "person": same(self.person, rows),
            "device": same(self.device, rows),
            "session": choose(session, self.sessions),
            "seq": pa.array(seq, pa.uint32()),
            "t": pa.array(at + self.origin, pa.int64()).cast(pa.timestamp("us", "UTC")),
            "mono": pa.array(at - self.timed.session_start[session], pa.duration("us")),
            "app": choose(self.app_of[context], self.apps),
            "ctx": pa.array(context + 1 + self.day * _CONTEXTS, pa.uint32()),
        }

    def of_actions(self, actions: Ints, at: Ints) -> dict[str, pa.Array]:
        """Return the envelope of events that belong to these actions."""
        return self.envelope(at, self.context[actions], self.timed.session[actions])


def same(value: str, rows: int) -> pa.Array:
    """Return a column that says the same in every row."""
    return pa.repeat(pa.scalar(value, pa.string()), rows)


def choose(index: npt.NDArray[Any], names: pa.Array) -> pa.Array:
    """Return ``names[index]``; a negative index gives null."""
    if len(names) == 0:
        return pa.nulls(len(index), pa.string())
    places = pa.array(index, pa.int32(), mask=np.asarray(index) < 0)
    return pc.take(names, places)


def make_table(stream: str, columns: dict[str, pa.Array]) -> pa.Table:
    """Return the columns as a table of a stream in wire form."""
    schema = WIRE[stream]
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
