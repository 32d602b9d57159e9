"""What is known of pictures of a screen that nobody keeps: when, how large, and how much was blacked out."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from safehold.workforce.frame import Frame, choose, make_table
from safehold.workforce.plan import CLICK
from safehold.workforce.spec import SCREEN, Spec, generator

_EVERY: Final = 6  # clicks from one picture to the next
_TRIGGERS: Final = pa.array(["focus", "click"])


def screen(frame: Frame, spec: Spec, index: int, day: int) -> pa.Table:
    """Return one row for each picture: at every window that comes to the front, and at some clicks."""
    timed, plan = frame.timed, frame.plan
    opened = np.array([each.action for each in plan.contexts], np.int64)
    clicks = np.flatnonzero(np.asarray(plan.kinds, np.int64) == CLICK)[::_EVERY]
    actions = np.concatenate([opened, clicks])
    clicked = np.arange(len(actions)) >= len(opened)
    order = np.lexsort((clicked, actions))
    actions, clicked = actions[order], clicked[order]
    rows = len(actions)
    rng = generator(spec.seed, index, day, SCREEN)
    regions = rng.poisson(24, rows)
    names = rng.bytes(32 * rows)
    return make_table(
        "screen",
        frame.of_actions(actions, timed.start[actions] + np.where(clicked, 20_000, 0))
        | {
            "blob": pa.Array.from_buffers(pa.binary(32), rows, [None, pa.py_buffer(names)]),
            "width": pa.array(np.full(rows, 1920, np.uint16)),
            "height": pa.array(np.full(rows, 1080, np.uint16)),
            "bytes": pa.array(rng.lognormal(12.2, 0.5, rows).astype(np.uint32)),
            "ocr_regions": pa.array(regions.astype(np.uint16)),
            "redacted": pa.array(rng.binomial(regions, 0.12).astype(np.uint16)),
            "trigger": choose(clicked.astype(np.int64), _TRIGGERS),
        },
    )
