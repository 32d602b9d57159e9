"""Who takes part: an event of anybody else never gets past this point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from safehold.errors import InvalidError
from safehold.ingest.convert import Events
from safehold.ingest.session import Key

Pauses = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """People who take part by a prefix of their external id (a public data set, a made-up company).

    Args:
        prefix: The prefix.
        streams: Streams they agreed to.
    """

    prefix: str
    streams: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """Everybody who takes part in this run.

    Args:
        people: External id to the streams that person agreed to.
        pauses: External id to the intervals (from, to), microseconds, in which nothing is
            recorded.
        quiet: By external id and stream, likewise; other streams of the person are recorded meanwhile.
        cohorts: People by prefix.
    """

    people: Mapping[str, frozenset[str]]
    pauses: Mapping[str, Pauses]
    cohorts: Sequence[Cohort]
    quiet: Mapping[tuple[str, str], Pauses] = field(default_factory=dict)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Roll:
        """Read the roll from a job.

        Raises:
            InvalidError: It is missing, or an entry does not fit.
        """
        try:
            people = {
                str(person): frozenset(entry["streams"])
                for person, entry in spec.get("people", {}).items()
            }
            pauses = {
                str(person): tuple((int(a), int(b)) for a, b in entry["pauses"])
                for person, entry in spec.get("people", {}).items()
                if entry.get("pauses")
            }
            quiet = {
                (str(person), str(stream)): tuple((int(a), int(b)) for a, b in times)
                for person, entry in spec.get("people", {}).items()
                for stream, times in entry.get("quiet", {}).items()
            }
            cohorts = tuple(
                Cohort(prefix=str(item["prefix"]), streams=frozenset(item["streams"]))
                for item in spec.get("cohorts", ())
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidError(
                "the roll of people does not fit", field="people", rule="ingest.spec"
            ) from error
        if any(not cohort.prefix for cohort in cohorts):
            raise InvalidError(
                "a cohort has a prefix; everybody is not a cohort",
                field="cohorts",
                rule="ingest.spec",
            )
        return cls(people=people, pauses=pauses, cohorts=cohorts, quiet=quiet)

    def silent(self, person: str, stream: str) -> Pauses:
        """Return the times of which nothing of a person is recorded in a stream."""
        return (*self.pauses.get(person, ()), *self.quiet.get((person, stream), ()))

    def agreed(self, person: str, stream: str) -> str | None:
        """Return the person's id if they agreed to a stream, ``None`` otherwise."""
        own = self.people.get(person)
        if own is not None:
            return person if stream in own else None
        for cohort in self.cohorts:
            if person.startswith(cohort.prefix) and stream in cohort.streams:
                return person
        return None

    def admit(
        self, stream: str, events: Events, keys: Sequence[Key], dropped: Counter[str]
    ) -> Events:
        """Return the events of people who agreed, outside their pauses; count the others."""
        takes_part = np.array([self.agreed(key[0], stream) is not None for key in keys], dtype=bool)
        keep = takes_part[events.group]
        if count := int((~keep).sum()):
            dropped["not_participating"] += count
        paused = self._paused(stream, events, keys) & keep
        if count := int(paused.sum()):
            dropped["paused"] += count
            keep &= ~paused
        if keep.all():
            return events
        return Events(events.table.filter(pa.array(keep)), events.rows[keep], events.group[keep])

    def _paused(self, stream: str, events: Events, keys: Sequence[Key]) -> np.ndarray:
        result = np.zeros(len(events.table), dtype=bool)
        times = {number: self.silent(key[0], stream) for number, key in enumerate(keys)}
        touched = [number for number, found in times.items() if found]
        if not touched:
            return result
        t = events.table.column("t").cast(pa.int64()).to_numpy()
        for number in touched:
            mine = events.group == number
            for start, stop in times[number]:
                result |= mine & (t >= start) & (t < stop)
        return result

    def consented(self, stream: str, tables: Sequence[Any]) -> frozenset[str]:
        """Return everybody who agreed to a stream, as far as they may be met in these columns."""
        named = {person for person, streams in self.people.items() if stream in streams}
        if self.cohorts:
            for column in tables:
                for person in column.unique().to_pylist():
                    if person is not None and self.agreed(person, stream) is not None:
                        named.add(person)
        return frozenset(named)
