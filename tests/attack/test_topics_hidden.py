"""A message about somebody's illness does not slip through because of what is put around it or into it."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.ingest_job import key_rows, wire_table

from safehold.dlp import Rules, minimise
from safehold.dlp.classes import GROUPS
from safehold.dlp.message import mask_messages, message_units
from safehold.dlp.topic import find_units
from safehold.telemetry.stream import Level

SECRET = "my wife has breast cancer and starts chemo on monday"
WORK = "the kernel module of the server fails in the build on the ubuntu cluster. "


def wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if sign.isalpha() else sign for sign in text)


@pytest.mark.parametrize(
    "text",
    [
        SECRET.upper(),
        SECRET.replace(" ", "   "),
        SECRET.replace(" ", "\t"),
        wide(SECRET),
        SECRET.replace("c", "c\u200b"),
        SECRET.replace(" ", "\u00a0"),
        SECRET.replace("e", "e\u0301"),
        f"{WORK * 3}{SECRET}. {WORK * 3}",  # among words that speak for work
        f"{WORK * 200}{SECRET}. {WORK * 200}",
        f"{WORK}\n\n{SECRET}\n\n{WORK * 20}",
    ],
)
def test_the_message_is_found(text: str) -> None:
    (left,) = mask_messages(pa.array([text])).text.to_pylist()
    for word in ("cancer", "wife", "monday"):
        assert word not in left
    assert "[HEALTH]" in left


def test_words_of_work_in_one_message_do_not_hide_the_next() -> None:
    units = message_units([WORK * 4, SECRET, WORK * 4])
    assert [len(each) for each in units] == [0, 1, 0]


def test_terms_of_two_messages_make_no_unit_of_either() -> None:
    assert message_units(["my", "cancer cells in the biology course", "chemo"])[0] == []
    joined = find_units(pa.array(["we are sick", "leave it there"]), groups=frozenset(GROUPS))
    assert "LEAVE" not in {
        one[2] for each in message_units(["we are sick", "leave it"]) for one in each
    }
    assert joined.row.tolist() in ([], [0])


def test_a_message_typed_and_erased_is_masked() -> None:
    rows = key_rows(SECRET)
    erase = key_rows("x" * len(SECRET))
    for number, row in enumerate(erase):
        row.update(seq=len(rows) + number, key="Backspace", mono=row["mono"] + 60_000_000,
                   t=row["t"] + 60_000_000)  # fmt: skip
    table = wire_table("key", rows + erase)
    out = minimise("key", table, Rules(stream="key", level=Level.L2))
    typed = out.table["key"].to_pylist()[: len(SECRET)]
    assert set(typed) == {"<HEALTH>"}


def test_a_great_deal_of_terms_is_judged_in_bounded_memory() -> None:
    import tracemalloc

    text = "my cancer hurts and the doctor sued me for $95k in debt at work. " * 500
    tracemalloc.start()
    assert message_units([text])[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * len(text) + (64 << 20)
