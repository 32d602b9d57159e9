"""A number told over many messages, spoken over many segments, or kept in a name."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from tests.ingest_job import chat_row, wire_table

from safehold.dlp import Rules, minimise, scan_names

ALL = frozenset({"public", "private", "direct"})
CONSENT = frozenset({"ann", "bob"})


def said(texts: list[str], people: list[str] | None = None) -> list[str | None]:
    rows: list[dict[str, Any]] = [
        chat_row(at, text=text, person=(people or ["ann"] * len(texts))[at])
        for at, text in enumerate(texts)
    ]
    rules = Rules(stream="chat", channels=ALL)
    return (
        minimise("chat", wire_table("chat", rows), rules, consented=CONSENT)
        .table["text"]
        .to_pylist()
    )


def spoken(texts: list[str]) -> list[str | None]:
    rows = [
        {"person": "ann", "device": "d", "session": "s", "seq": at, "t": at, "mono": at, "meeting": "m",
         "speaker": "ann", "start": at, "end": at + 1, "text": text}
        for at, text in enumerate(texts)
    ]  # fmt: skip
    out = minimise("speech", wire_table("speech", rows), Rules(stream="speech"), consented=CONSENT)
    return out.table["text"].to_pylist()


@pytest.mark.parametrize(
    "texts",
    [
        ["it is 4111", "1111", "1111", "1111 ok"],
        ["4111", "1111", "1111", "1111"],
        ["four one one one", "one one one one", "one one one one", "one one one one"],
        ["the card is four one", *["one one"] * 6, "one one thanks"],
        ["4", *["1"] * 15],
    ],
)
def test_a_card_in_pieces_is_masked_in_every_message(texts: list[str]) -> None:
    for left in (said(texts), spoken(texts)):
        assert all("[" in str(text) for text in left)
        assert not any(
            word in str(text) for text in left for word in ("1", "4", "one one", "four one")
        )


def test_two_people_reading_a_number_in_turn_tell_it_too() -> None:
    left = said(["4111", "1111", "1111", "1111"], ["ann", "bob", "ann", "bob"])
    assert left == ["[CARD]"] * 4


def test_another_message_between_breaks_a_chain_of_one_person_only() -> None:
    people = ["ann", "bob", "ann", "ann", "ann"]
    left = said(["4111", "hm", "1111", "1111", "1111"], people)
    assert left == ["[CARD]", "hm", "[CARD]", "[CARD]", "[CARD]"]


@pytest.mark.parametrize(
    "texts",
    [
        ["we need one", "two of them came", "three left"],
        ["see you at 10", "or 11", "or 12 then"],
        ["4111", "then lunch", "1111 1111 1111"],
    ],
)
def test_ordinary_numbers_in_a_row_stay(texts: list[str]) -> None:
    assert said(texts) == texts


def test_a_chain_is_read_in_windows_and_no_further() -> None:
    texts = ["7"] * 5000  # a counter; the same digit again and again is no number of a card
    assert said(texts) == texts


@pytest.mark.parametrize(
    "name",
    [
        "invoice_4111111111111111.pdf", "4111-1111-1111-1111", "card 4111 1111 1111 1111.txt",
        "cust_4111_1111_1111_1111_v2", "ann@mail.example", "recordings_ann@mail.example_2024", "ssn_123-45-6789",
    ],
)  # fmt: skip
def test_a_number_in_the_name_of_a_file_folder_or_column_is_found(name: str) -> None:
    found = scan_names([name, "plain_name.txt"]).to_pylist()
    assert {row["row"] for row in found} == {0}
    assert {row["class"] for row in found} & {"CARD", "EMAIL", "SSN"}


def test_a_name_given_as_a_column_is_not_read_as_text_of_the_next() -> None:
    assert not scan_names(["4111 1111", "1111 1111"]).num_rows
    assert pa.types.is_string(scan_names(["x"]).schema.field("class").type)
