"""The other people in a conversation.

A turn is kept only when its author and every other participant have opted in. Direct and private
channels are dropped whole unless the rules list them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.rules import Rules

Bools = npt.NDArray[np.bool_]
_KINDS: Final = {"public": "channel", "direct": "dm"}  # words of a charter, words of the schema


def chat_losses(table: pa.Table, rules: Rules, *, consented: frozenset[str]) -> dict[str, Bools]:
    """Return by reason which turns are dropped; the first reason that fits counts.

    Args:
        table: Turns in wire form.
        rules: The rules of the stream.
        consented: People who have opted in.
    """
    known = pa.array(sorted(consented), pa.string())
    allowed = {"public"} if rules.channels is None else rules.channels
    kinds = pa.array(sorted(_KINDS.get(name, name) for name in allowed), pa.string())
    kind = table.column("channel_kind").cast(pa.string())
    author = _known(table.column("person"), known)
    people = table.column("participants").combine_chunks()
    if isinstance(people, pa.ChunkedArray):
        people = pa.concat_arrays(people.chunks) if people.num_chunks else pa.array([], people.type)
    listed = pc.is_valid(people).to_numpy(zero_copy_only=False)
    out = np.zeros(table.num_rows, bool)
    rows = pc.list_parent_indices(people).to_numpy(zero_copy_only=False)
    out[rows[~_known(people.flatten(), known)]] = True
    # in a public channel nobody but the author is named; elsewhere an unknown list may hide anybody
    unknown = ~listed & ~pc.fill_null(pc.equal(kind, "channel"), fill_value=False).to_numpy(
        zero_copy_only=False
    )
    return {
        "channel": ~_known(kind, kinds),
        "not_consented": ~author,
        "counterpart": out,
        "participants_unknown": unknown,
    }


def speech_losses(table: pa.Table, *, consented: frozenset[str]) -> dict[str, Bools]:
    """Return which segments are dropped: those of speakers who have not opted in."""
    known = pa.array(sorted(consented), pa.string())
    both = _known(table.column("person"), known) & _known(table.column("speaker"), known)
    return {"counterpart": ~both}


def _known(column: pa.ChunkedArray | pa.Array, known: pa.Array) -> Bools:
    plain = column.cast(pa.string())
    return (
        np.asarray(pc.is_in(plain, value_set=known).to_numpy(zero_copy_only=False), bool)
        if isinstance(plain, pa.Array)
        else np.asarray(pc.is_in(plain, value_set=known).to_numpy(), bool)
    )
