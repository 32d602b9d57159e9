"""Figures about a person's work: counted by the hour, reported by the day, rated by the week."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pyarrow as pa

from safehold.clock import SECOND_US
from safehold.workforce.frame import Frame, make_table
from safehold.workforce.life import role_on
from safehold.workforce.spec import METRIC, Spec, generator

_HOUR: Final = 3_600 * SECOND_US
_MINUTE: Final = 60 * SECOND_US
_COUNTED: Final = (("active_minutes", "min"), ("actions", "count"), ("messages_sent", "count"))
_DAY_S: Final = 86_400
_WEEK_S: Final = 604_800
# role -> (name, unit, mean, share of the mean that differs from person to person and from day to day)
_OF_ROLE: Final = {
    "support": (
        ("tickets_closed", "count", 14.0, 0.3),
        ("first_reply", "min", 22.0, 0.5),
        ("calls_taken", "count", 9.0, 0.3),
    ),
    "sales": (
        ("calls_made", "count", 18.0, 0.3),
        ("deals_value", "usd", 4_200.0, 0.8),
        ("quota_met", "percent", 92.0, 0.2),
    ),
    "analyst": (
        ("reports_done", "count", 3.0, 0.4),
        ("error_rate", "percent", 2.4, 0.5),
        ("queries_run", "count", 40.0, 0.4),
    ),
    "writer": (
        ("words_published", "count", 900.0, 0.5),
        ("pages_reviewed", "count", 6.0, 0.4),
        ("corrections_asked", "count", 4.0, 0.5),
    ),
    "developer": (
        ("changes_merged", "count", 2.5, 0.5),
        ("review_time", "min", 85.0, 0.4),
        ("builds_broken", "count", 0.7, 0.6),
    ),
    "manager": (
        ("one_to_ones", "count", 2.0, 0.4),
        ("approvals", "count", 7.0, 0.4),
        ("team_csat", "score", 4.1, 0.05),
    ),
}
# shares as in a public table of 1,470 fictional employees: rating 3 or 4, satisfaction 1 to 4
_RATED_FOUR: Final = 0.154
_SATISFIED: Final = (0.197, 0.387, 0.688, 1.0)
_OVERTIME: Final = 0.283


def _hours(frame: Frame) -> list[tuple[Any, ...]]:
    """Return what the day's own actions come to in each hour."""
    start = frame.timed.start
    last = int(start[-1])
    hours = last // _HOUR + 1
    actions = np.bincount(start // _HOUR, minlength=hours)
    minutes = np.bincount(np.unique(start // _MINUTE) // 60, minlength=hours)
    chats = np.array([each.action for each in frame.plan.chats], np.int64)
    sent = np.bincount(start[chats] // _HOUR, minlength=hours)
    rows: list[tuple[Any, ...]] = []
    for hour, counts in enumerate(zip(minutes, actions, sent, strict=True)):
        at = min((hour + 1) * _HOUR, last + SECOND_US)
        rows += [
            (at, name, float(count), unit, 3_600, "desktop", None)
            for (name, unit), count in zip(_COUNTED, counts, strict=True)
        ]
    return rows


def metric(frame: Frame, spec: Spec, index: int, day: int) -> pa.Table:
    """Return the figures of a person-day.

    A person's level lasts from day to day, and ratings follow it: whoever joins the streams can
    infer one from the other, which is what minimisation has to prevent.
    """
    timed = frame.timed
    rows: list[tuple[Any, ...]] = []
    if len(timed.start):
        last = int(timed.start[-1]) + 2 * SECOND_US
        lasting = generator(spec.seed, index, METRIC, 0, 0).standard_normal(5)
        rng = generator(spec.seed, index, day, METRIC)
        rows = _hours(frame)
        for place, (name, unit, mean, spread) in enumerate(_OF_ROLE[role_on(spec, index, day)]):
            level = 0.7 * lasting[place] + 0.7 * rng.standard_normal()
            value = mean * float(np.exp(spread * level - spread**2 / 2))
            value = float(rng.poisson(value)) if unit == "count" else round(value, 2)
            rows.append((last, name, value, unit, _DAY_S, "system", None))
        late = max(float(rng.normal(0.8, 0.5)), 0.0) if lasting[3] > _quantile(_OVERTIME) else 0.0
        rows.append((last, "overtime", round(late, 2), "h", _DAY_S, "system", None))
        if day % 5 == 4:
            four = 0.8 * lasting[0] + 0.6 * rng.standard_normal() > _quantile(_RATED_FOUR)
            rows.append((last, "rating", 4.0 if four else 3.0, "score", _WEEK_S, "manager", "1-4"))
            happy = 1 + int(np.searchsorted(_SATISFIED, rng.random(), side="right"))
            rows.append(
                (last, "satisfaction", float(min(happy, 4)), "score", _WEEK_S, "survey", "1-4")
            )
        rows += [
            (last, name, float(rng.integers(1, 60)), "count", _DAY_S, "system", None)
            for name in frame.plan.labels
        ]
    at = np.array([row[0] for row in rows], np.int64)
    actions = np.maximum(np.searchsorted(timed.start, at, side="right") - 1, 0)
    return make_table(
        "metric",
        frame.of_actions(actions, at)
        | {
            "name": pa.array([row[1] for row in rows], pa.string()),
            "value": pa.array([row[2] for row in rows], pa.float64()),
            "unit": pa.array([row[3] for row in rows], pa.string()),
            "period": pa.array([row[4] for row in rows], pa.duration("s")),
            "source": pa.array([row[5] for row in rows], pa.string()),
            "scale": pa.array([row[6] for row in rows], pa.string()),
        },
    )


def _quantile(share: float) -> float:
    """Return what a standard normal number exceeds with this chance."""
    return -NormalDist().inv_cdf(share)
