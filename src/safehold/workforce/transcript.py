"""Transcripts of meetings: the speech stream."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from safehold.workforce.frame import Frame, make_table, same


def speech(frame: Frame) -> pa.Table:
    """Return the transcripts of a person-day: one row for each thing said."""
    said = frame.plan.said
    rows = len(said)
    actions = np.array([each.action for each in said], np.int64)
    begin = np.array([each.start for each in said], np.int64)
    pace = frame.timed.pace  # a hurried day has hurried meetings
    at = frame.timed.start[actions] + (begin * pace).astype(np.int64) * 1_000
    return make_table(
        "speech",
        frame.of_actions(actions, at)
        | {
            "meeting": pa.array([each.meeting for each in said], pa.string()),
            "speaker": pa.array([each.speaker for each in said], pa.string()),
            "start": pa.array((begin * pace).astype(np.int64), pa.duration("ms")),
            "end": pa.array([int(each.end * pace) for each in said], pa.duration("ms")),
            "text": pa.array([each.text for each in said], pa.large_string()),
            "confidence": pa.array([each.confidence for each in said], pa.float32()),
            "lang": same("en", rows),
        },
    )
