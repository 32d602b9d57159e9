"""The verb by which a person sees what is held about them: which streams, how much, from which days, until when.

It counts rows of the catalogue and entries of the ledger; nothing is opened for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold.ids import PersonId
from safehold.keeper.mine import DAY_MS, USE
from safehold.keeper.own import Own
from safehold.keeper.server import Report
from safehold.keeper.terms import recorded_streams, silent_because
from safehold.keeper.voice import require_person
from safehold.telemetry.stream import STREAM_TO_WHAT

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

DAYS: Final = 35  # days of which it is told how much came, and when it was used
HOUR_MS: Final = 3_600_000


class Held:
    """The verb.

    Args:
        desk: What the keeper works with.
        own: Finds the entries of a person.
    """

    def __init__(self, desk: Desk, own: Own) -> None:
        self._desk = desk
        self._own = own

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what is held about a person, and what the charter in force says of each stream."""
        desk = self._desk
        person = require_person(desk, arguments, "people.held", keyless=False)
        today = desk.today()
        rows, ends = self._rows(person, today)
        uses = self._own.of(person)
        uses = uses.where(uses.kind == self._own.number(USE))
        recent = uses.where(uses.at_ms >= (today - DAYS + 1) * DAY_MS)
        hours = Counter((recent.at_ms // HOUR_MS).tolist())
        return {
            **self._now(person),
            "today": today,
            "days": DAYS,
            "held": [
                {
                    "stream": stream,
                    "rows": sum(days.values()),
                    "days": len(days),
                    "first_day": min(days),
                    "last_day": max(days),
                    "ends_first": min(ends[stream]),
                    "ends_last": max(ends[stream]),
                }
                for stream, days in sorted(rows.items())
            ],
            "by_day": [
                [stream, day, count]
                for stream, days in sorted(rows.items())
                for day, count in sorted(days.items())
                if day > today - DAYS
            ],
            "used": len(uses),
            "last_use_ms": int(uses.at_ms[-1]) if len(uses) else None,
            "by_hour": [[hour // 24, hour % 24, count] for hour, count in sorted(hours.items())],
        }

    def _rows(
        self, person: PersonId, today: int
    ) -> tuple[dict[str, Counter[int]], dict[str, set[int]]]:
        """Return for each stream how many rows of each day still open, and when they end."""
        rows: dict[str, Counter[int]] = defaultdict(Counter)
        ends: dict[str, set[int]] = defaultdict(set)
        for block in self._desk.catalog.blocks_of(person, live=True):
            if block.label.expires > today and block.stream in STREAM_TO_WHAT:
                rows[block.stream][block.window] += block.rows
                ends[block.stream].add(block.label.expires)
        return rows, ends

    def _now(self, person: PersonId) -> dict[str, Any]:
        """Return whether a person is recorded at this moment, and what the charter says of the streams they chose."""
        desk = self._desk
        standing, now = desk.people.standing(person), desk.now_us()
        charter = desk.trust.charter() if desk.trust.digest() else None
        why = silent_because(charter, standing, at_us=now)
        if charter is None:
            return {"recorded": [], "silent": why, "stopped": False, "charter": None, "streams": []}
        streams = sorted(recorded_streams(charter, standing)) if why is None else []
        return {
            "recorded": [] if desk.trust.stopped else streams,
            "silent": why,
            "stopped": desk.trust.stopped,
            "charter": {
                "id": charter.id,
                "version": charter.version,
                "digest": desk.trust.digest().hex(),
                "title": charter.title,
                "never": list(charter.never_collect),
            },
            "streams": [
                {
                    "stream": rules.stream,
                    "keep_days": item.keep_days,
                    "purposes": {
                        name: charter.purpose(name).plain for name in sorted(rules.purposes)
                    },
                }
                for item in charter.collect
                for rules in [charter.rules(item.what)]
            ],
        }
