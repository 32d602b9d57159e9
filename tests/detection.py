"""The plain reading of the rules: every rule with RE2 on every row, nothing skipped. Slow and easy to believe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from safehold.dlp.engine.run import AROUND
from safehold.dlp.fold import fold_table
from safehold.dlp.pattern import load_patterns

CORPORA = (
    "gitleaks_literals",
    "presidio_synth_v2",
    "presidio_generated_large",
    "piianon_technology",
    "wnut17_train",
)
Found = tuple[int, int, int, int, int, str, int]


def plain_spans(texts: list[str | None]) -> list[Found]:
    """Return (row, start, end, byte start, byte end, rule, confidence), in order."""
    found: list[Found] = []
    for row, text in enumerate(texts):
        if text is not None:
            found += [(row, *each) for each in _row(text)]
    return sorted(found)


def _row(text: str) -> Iterator[tuple[int, int, int, int, str, int]]:
    table = fold_table()
    kept = [at for at, char in enumerate(text) if table.get(ord(char), char) is not None]
    data = b"\0" + text.translate(table).encode() + b"\0"
    for rule in load_patterns():
        if rule.needs and not any(need.encode() in data.lower() for need in rule.needs):
            continue
        for match in rule.compiled.finditer(data):
            start, end = match.span(rule.group)
            start, end = max(start, 1), min(end, len(data) - 1)
            if start >= end:
                continue
            low = max(1, start - AROUND)
            said = rule.check(data[low : min(len(data) - 1, end + AROUND)], start - low, end - low)
            if said:
                first = kept[len(data[1:start].decode())]
                last = kept[len(data[1:end].decode()) - 1]
                byte = len(text[:first].encode())
                yield first, last + 1, byte, len(text[: last + 1].encode()), rule.id, said


def engine_spans(texts: list[str | None] | pa.Array, *, tier: str = "default") -> list[Found]:
    """The same by the engine."""
    from safehold.dlp.scan import find_spans

    spans = find_spans(
        pa.array(texts, pa.large_string()) if isinstance(texts, list) else texts,
        report=True,
        tier=tier,
    )
    ids = [rule.id for rule in load_patterns()]
    return sorted(
        zip(
            spans.row.tolist(), spans.start.tolist(), spans.end.tolist(), spans.byte_start.tolist(),
            spans.byte_end.tolist(), [ids[number] for number in spans.rule.tolist()], spans.confidence.tolist(),
            strict=True,
        )
    )  # fmt: skip


def corpus(folder: Path, name: str, *, most: int | None = None) -> list[str]:
    """Texts of a shared corpus."""
    texts = []
    with (folder / f"dlp/{name}.jsonl").open() as lines:
        for line in lines:
            texts.append(json.loads(line)["text"])
            if most is not None and len(texts) >= most:
                break
    return texts


def chat(folder: Path) -> list[str]:
    """Messages of the shared chat with their author and without the time; no lines of joining and leaving."""
    rows = [row for text in corpus(folder, "irc_train_unlabelled") for row in text.split("\n")]
    return [row[8:] for row in rows if row[:1] == "[" and row[8:9] == "<"]
