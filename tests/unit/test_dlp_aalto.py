"""Rebuilding text against what people really left in the field (Aalto 136M Keystrokes, CHI 2018)."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safehold.dlp.keys import read_keys
from safehold.dlp.keystroke import replay
from safehold.telemetry.schema import WIRE


def as_wire(keys: pa.Table) -> pa.Table:
    """Presses and releases as events, one session a sentence, in the order of time."""
    rows = keys.num_rows
    who, part = keys["participant"].to_numpy(), keys["section"].to_numpy()
    times = np.concatenate([keys["press_ms"].to_numpy(), keys["release_ms"].to_numpy()]).astype(
        np.int64
    )
    pick = np.concatenate([np.arange(rows)] * 2)
    kind = np.repeat([1, 0], rows)
    order = np.lexsort((np.arange(2 * rows), times, part[pick], who[pick]))
    pick, kind, times = pick[order], kind[order], times[order]
    columns = {
        "person": pa.array(who[pick]).cast(pa.string()),
        "device": pa.repeat("aalto", 2 * rows),
        "session": pa.array(part[pick]).cast(pa.string()),
        "seq": pa.array(np.arange(2 * rows), pa.uint32()),
        "t": pa.array(times * 1000).cast(pa.timestamp("us", "UTC")),
        "mono": pa.array(times * 1000).cast(pa.duration("us")),
        "kind": pa.array(kind, pa.uint8()),
        "key": keys["key"].combine_chunks().cast(pa.string()).take(pa.array(pick)),
        "code": keys["keycode"].combine_chunks().cast(pa.string()).take(pa.array(pick)),
    }
    schema = WIRE["key"]
    return pa.Table.from_arrays(
        [columns.get(f.name, pa.nulls(2 * rows, f.type)) for f in schema], schema=schema
    )


def edits(one: str, other: str) -> int:
    """Characters to change, add or remove (Levenshtein)."""
    row = list(range(len(other) + 1))
    for at, char in enumerate(one, 1):
        fresh = [at]
        for place, sign in enumerate(other, 1):
            fresh.append(min(row[place] + 1, fresh[-1] + 1, row[place - 1] + (char != sign)))
        row = fresh
    return row[-1]


@pytest.mark.real
def test_rebuilt_text_is_exact_on_three_sentences_of_four(shared_data):
    keys = pq.read_table(shared_data / "telemetry/aalto_keys.parquet")
    said = pq.read_table(shared_data / "telemetry/aalto_sentences.parquet").to_pylist()
    table = as_wire(keys)
    typed = read_keys(table)
    final = {}
    for piece in replay(typed.ops, typed.texts, typed.segments, counts=typed.counts):
        if piece.kind == "final":
            row = int(typed.order[piece.origins[0]])
            name = int(table["person"][row].as_py()), int(table["session"][row].as_py())
            final[name] = final.get(name, "") + piece.text
    exact = sum(final.get((r["participant"], r["section"]), "") == r["user_input"] for r in said)
    print(f"exact sentences: {exact / len(said):.4f} of {len(said)}")
    assert exact / len(said) >= 0.74
    near = 0
    for row in said:
        text, typed_text = row["user_input"], final.get((row["participant"], row["section"]), "")
        near += typed_text == text or edits(typed_text, text) <= 0.1 * max(len(text), 1)
    print(f"within a tenth of the characters: {near / len(said):.4f}")
    assert near / len(said) >= 0.98
