"""Watches who reads: events of the ledger go in, alerts come out; it never sees what was typed.

How it is used::

    sentinel = Sentinel(Settings(learn_days=14, budget=2.0))     # Settings() are the defaults
    for event in events:                                         # Event, oldest first
        for alert in sentinel.observe(event):                    # list[Alert], nearly always empty
            ...                                                  # alert.key names it for ever
    saved = sentinel.snapshot()                                  # bytes: JSON, sorted keys
    sentinel = Sentinel.restore(saved, Settings(...))            # the same settings; goes on as if never ended
    sentinel.learning                                            # True in the first days: no alerts then

- It is pure: no clock, no chance, no file, no process. The same events give the same alerts, however they are cut.
- ``observe`` scores an event by what came before it and then learns from it; it raises nothing.
- Alerts of one call come most severe first. ``Alert.events`` ends with the number of the event that raised it.
- Signals: ``export``, ``join``, ``artifact``, ``agent``, ``off-hours``, ``first-time``, ``slow``, ``scope``,
  ``denied``, ``drift``. What to do about each is a table in ``response``: ``actions_for(alert, kind_of_principal)``.
"""

from __future__ import annotations

from safehold.sentinel.alert import Alert
from safehold.sentinel.detector import Sentinel
from safehold.sentinel.event import Event
from safehold.sentinel.settings import Settings

__all__ = ["Alert", "Event", "Sentinel", "Settings"]
