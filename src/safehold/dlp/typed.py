"""Key events as editing operations: what reconstruction, masking and tokens share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Typed:
    """Key events as editing operations, in order of session and sequence.

    Args:
        order: Row of the table at each place of this order.
        ops: Operation at each place; ups are ``NOP``.
        texts: Text each place inserts.
        names: Number of the resolved key at each place.
        vocabulary: Resolved keys by number.
        segments: Segment at each place.
        fields: For each segment number, the window it lies in; a click alone does not end that.
        counts: Repeats at each place.
        kinds: ``KeyKind`` at each place.
        release: For each up, the place of its press; -1 where there is none.
        commits: For each press that an input method took, the place of the commit it went into;
            -1 where there is none.
    """

    order: Ints
    ops: Ints
    texts: npt.NDArray[np.object_]
    names: Ints
    vocabulary: list[str]
    segments: Ints
    fields: Ints
    counts: Ints
    kinds: Ints
    release: Ints
    commits: Ints
