"""What reads the ledger's events one after the other: the detector that learns, and the limits that do not.

Pure: events in, alerts out. The same events give the same alerts, however they come in batches and however often it
is stopped and goes on from a snapshot; the only time it knows is that of the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

import orjson

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError
from safehold.sentinel.alert import Alert
from safehold.sentinel.detector import Sentinel
from safehold.sentinel.event import KINDS, OUTCOMES, Event
from safehold.sentinel.limits import Limits

FORMAT: Final = "safehold.reading/1"
_FIELDS: Final = frozenset(Event.__dataclass_fields__)


class Detector(Protocol):
    """What learns."""

    def observe(self, event: Event) -> list[Alert]:
        """Judge an event, then learn from it."""

    def snapshot(self) -> bytes:
        """Return all that it knows."""


class Reading:
    """The detector and the limits.

    Args:
        detector: What learns.
        limits: What does not.
    """

    def __init__(self, detector: Detector | None = None, limits: Limits | None = None) -> None:
        self._detector = detector or Sentinel()
        self._limits = limits or Limits()

    def observe(self, event: Event) -> list[Alert]:
        """Return what an event raises: limits first, then what the detector says."""
        return [*self._limits.observe(event), *self._detector.observe(event)]

    def snapshot(self) -> bytes:
        """Return all that it knows, as JSON."""
        return orjson.dumps(
            {
                "format": FORMAT,
                "limits": self._limits.to_json(),
                "detector": b64(self._detector.snapshot()),
            }
        )

    @classmethod
    def restore(cls, data: bytes) -> Reading:
        """Return what goes on where a snapshot was taken.

        Raises:
            InvalidError: It is no snapshot, or one of another version: read from the first event again.
        """
        wrong = InvalidError(
            "not a snapshot of a reading",
            rule="sentinel.snapshot",
            fix="read the events again from the first",
        )
        try:
            tree = orjson.loads(data)
            detector = Sentinel.restore(unb64(tree["detector"]))
            limits = Limits.from_json(tree["limits"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise wrong from error
        if tree.get("format") != FORMAT:
            raise wrong
        return cls(detector, limits)


def read_lines(lines: Iterable[bytes], file: str) -> Iterator[Event]:
    """Yield the events that ``safehold alert events`` wrote, with the numbers of their entries.

    Args:
        lines: The lines.
        file: What the file is called in errors.

    Raises:
        InvalidError: A line is no such event.
    """
    for number, line in enumerate(lines, 1):
        try:
            tree = orjson.loads(line)
            event = read_event({name: tree[name] for name in tree if name != "t"})
        except (orjson.JSONDecodeError, TypeError, InvalidError) as error:
            raise InvalidError(
                "not a line of safehold alert events", file=file, row=number, rule="sentinel.line"
            ) from error
        yield event


def read_event(tree: Mapping[str, Any]) -> Event:
    """Return an event that the keeper, or a line of a file, tells.

    Raises:
        InvalidError: It is none.
    """
    try:
        event = Event(**{**tree, "objects": tuple(tree["objects"])})
    except (KeyError, TypeError) as error:
        raise InvalidError("not an event", rule="sentinel.event") from error
    if tree.keys() != _FIELDS or event.kind not in KINDS or event.outcome not in OUTCOMES:
        raise InvalidError("not an event", rule="sentinel.event")
    return event
