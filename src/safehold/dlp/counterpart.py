"""The other people in a conversation.

A turn is kept only when its author and every other participant have opted in. Direct and private
channels are dropped whole unless the rules list them. What a kept turn quotes is somebody else's:
quoted lines go, and so do the words of a turn that was dropped, in the turn that answers it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.engine.literal import Literals
from safehold.dlp.engine.rows import whole_of
from safehold.dlp.rules import Rules

Bools = npt.NDArray[np.bool_]
_CHAIN: Final = 16  # edits of edits that are followed; then every edit goes
_KINDS: Final = {"public": "channel", "direct": "dm"}  # words of a charter, words of the schema


# a quoted line; what a mail program puts below an answer
_QUOTED: Final = (
    r"(?m)^[ \t]*(?:>|&gt;|»|\x{FF1E}).*$",
    (
        r"(?is)(?:^|\n)[ \t]*(?:on [^\n]{4,200} wrote:|-{2,}\s{0,3}(?:original|forwarded) message"
        r"|from: [^\n]{1,200}\n(?:sent|date|to): ).*"
    ),
)
_QUOTING: Final = Literals(  # one of these stands in every text that quotes
    [
        b">",
        b"&gt;",
        "»".encode(),
        "\uff1e".encode(),
        b"wrote:",
        b"original",
        b"forwarded",
        b"from: ",
    ]
)
_QUOTE: Final = "[QUOTE]"
_SHORTEST: Final = 12  # characters; shorter words are anybody's


def without_quotes(table: pa.Table, lost: pa.Table) -> tuple[pa.Array, int]:
    """Return the texts without what they quote, and how many quoted something.

    Args:
        table: Turns that are kept.
        lost: Turns of the same chunk that were dropped.
    """
    before = whole_of(table.column("text"))
    texts = before
    if len(rows := _QUOTING.rows(before)):
        fresh = before.take(pa.array(rows))
        for pattern in _QUOTED:
            fresh = pc.replace_substring_regex(fresh, pattern, _QUOTE)
        place = np.zeros(len(texts), bool)
        place[rows] = True
        texts = pc.replace_with_mask(texts, pa.array(place), fresh)
    gone = dict(zip(lost.column("msg").to_pylist(), lost.column("text").to_pylist(), strict=True))
    if gone:
        known = pa.array(list(gone), pa.string())
        answers = np.zeros(len(texts), bool)
        for name in ("reply_to", "edit_of"):
            answers |= _known(table.column(name), known)
        rows = np.flatnonzero(answers)
        pairs = zip(table.column("reply_to").to_pylist(), table.column("edit_of").to_pylist(),
                    strict=True)  # fmt: skip
        told = [pair for at, pair in enumerate(pairs) if answers[at]]
        fresh = []
        for text, names in zip(texts.take(pa.array(rows)).to_pylist(), told, strict=True):
            left = text
            for name in names:
                words = (gone.get(name) or "").strip()
                if left is not None and len(words) >= _SHORTEST:
                    left = left.replace(words, _QUOTE)
            fresh.append(left)
        texts = pc.replace_with_mask(texts, pa.array(answers), pa.array(fresh, texts.type))
    changed = pc.fill_null(pc.not_equal(before, texts), fill_value=False)
    return texts, int(pc.sum(changed).as_py() or 0)


def _edited(table: pa.Table, lost: Bools) -> Bools:
    """Tell which turns edit a turn that is dropped, or edit such an edit."""
    msgs = table.column("msg")
    for _ in range(_CHAIN):
        known = pc.unique(msgs.filter(pa.array(lost)).combine_chunks())
        more = _known(table.column("edit_of"), known) | lost
        if (more == lost).all():
            return np.asarray(more, bool)
        lost = more
    return np.asarray(lost | pc.is_valid(table.column("edit_of")).to_numpy(), bool)


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
    lost = out | unknown | ~author
    return {
        "channel": ~_known(kind, kinds),
        "not_consented": ~author,
        "counterpart": out | (_edited(table, lost) & ~lost),
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
