# ruff: noqa: RUF001 - look-alike signs are the point
"""Chat and assistants: what is said over two messages, and what others said."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from tests.ingest_job import chat_row, wire_table

from safehold.dlp import Rules, minimise

ALL = frozenset({"public", "private", "direct"})
FRIENDS = frozenset({"ann", "bob"})


def said(
    *rows: dict[str, Any], **more: Any
) -> tuple[list[str | None], dict[str, int], dict[str, int]]:
    turns = [chat_row(at, **row) for at, row in enumerate(rows)]
    rules = Rules(stream="chat", channels=ALL)
    out = minimise("chat", wire_table("chat", turns), rules, consented=FRIENDS, **more)
    return out.table["text"].to_pylist(), out.dropped, out.masked


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ("it is 4111 1111", "1111 1111 ok", ["it is [CARD]", "[CARD] ok"]),
        ("it is 41111111", "11111111 ok", ["it is [CARD]", "[CARD] ok"]),
        ("it is ４１１１ １１１１", "１１１１ １１１１ ok", ["it is [CARD]", "[CARD] ok"]),
        ("ssn 123-45", "-6789 ok", ["ssn [SSN]", "[SSN] ok"]),
        ("the password is", "hunter42x, all right", ["the password is", "[PASSWORD] all right"]),
        ("your verification code", "482913 I think", ["your verification code", "[OTP] I think"]),
        ("see you at", "10 then", ["see you at", "10 then"]),
        ("no number", "no number", ["no number", "no number"]),
    ],
)  # fmt: skip
def test_what_two_messages_hold_together_is_masked(
    first: str, second: str, left: list[str]
) -> None:
    assert said({"text": first}, {"text": second})[0] == left
    # somebody else answers; somebody else speaks in between
    assert said({"text": first}, {"text": second, "person": "bob"})[0] == left
    between = said({"text": first}, {"text": "hm", "person": "bob"}, {"text": second})[0]
    assert between == [left[0], "hm", left[1]]
    # another channel is another conversation
    apart = said({"text": first}, {"text": second, "channel": "random"})[0]
    assert apart == [first, second]


def test_a_text_that_is_missing_joins_nothing() -> None:
    assert said({"text": "it is 4111 1111"}, {"text": None})[0] == ["it is 4111 1111", None]
    assert said({"text": None}, {"text": "1111 1111"})[0] == [None, "1111 1111"]


def test_turns_with_an_assistant_are_read_together() -> None:
    rows = [
        {"person": "ann", "device": "d", "session": "s", "seq": at, "t": at, "mono": at, "turn": at,
         "conversation": "c", "role": "user", "text": text}
        for at, text in enumerate(["card 4111 1111", "1111 1111"])
    ]  # fmt: skip
    out = minimise("ai", wire_table("ai", rows), Rules(stream="ai")).table
    assert out["text"].to_pylist() == ["card [CARD]", "[CARD]"]
    assert out["sens"].to_pylist() == [4, 4]


@pytest.mark.parametrize(
    "row",
    [
        {"person": "eve"},
        {"participants": ["ann", "eve"]},
        {"participants": None, "channel_kind": "dm"},
        {"participants": None, "channel_kind": "private"},
        {"participants": ["ann", None]},
    ],
)
def test_a_turn_with_somebody_who_has_not_agreed_is_dropped(row: dict[str, Any]) -> None:
    texts, dropped, _ = said(row)
    assert not texts
    assert sum(dropped.values()) == 1


def test_an_edit_of_a_dropped_turn_is_dropped_and_so_are_edits_of_it() -> None:
    turns = [{"person": "eve", "text": "secret plan of eve"}]
    turns += [{"edit_of": f"m{at}", "text": "secret plan of eve, edited"} for at in range(20)]
    texts, dropped, _ = said(*turns, {"text": "mine"}, {"text": "mine, edited", "edit_of": "m21"})
    assert texts in (["mine", "mine, edited"], ["mine"])
    assert dropped["counterpart"] >= 20
    short = said(*turns[:3], {"text": "mine"}, {"text": "edited", "edit_of": "m3"})
    assert short[0] == ["mine", "edited"]


def test_words_of_a_dropped_turn_go_from_the_turn_that_answers_it() -> None:
    texts, _, masked = said(
        {"person": "eve", "text": "I will leave the company in May", "channel_kind": "channel"},
        {"text": "you said: I will leave the company in May - why?", "reply_to": "m0"},
        {"text": "fine", "reply_to": "m0"},
    )
    assert texts == ["you said: [QUOTE] - why?", "fine"]
    assert masked == {"QUOTE": 1}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("> I am ill\nget well", "[QUOTE]\nget well"),
        ("ok\n  >> I am ill\n> too\nbye", "ok\n[QUOTE]\n[QUOTE]\nbye"),
        ("&gt; I am ill", "[QUOTE]"),
        ("yes\n\nOn Mon, 3 May 2026, Eve wrote:\nI am ill\nvery", "yes\n[QUOTE]"),
        ("yes\n-----Original Message-----\nI am ill", "yes[QUOTE]"),
        ("yes\nFrom: Eve\nSent: Monday\nI am ill", "yes[QUOTE]"),
        ("a > b and 5 -> 6", "a > b and 5 -> 6"),
    ],
)
def test_quoted_lines_are_somebody_elses(text: str, left: str) -> None:
    assert said({"text": text})[0] == [left]


def test_nothing_of_a_dropped_turn_is_in_the_bytes_that_are_left() -> None:
    rows = [chat_row(0, person="eve", text="a word of eve"), chat_row(1), chat_row(2, text=None)]
    out = minimise(
        "chat", wire_table("chat", rows), Rules(stream="chat", channels=ALL), consented=FRIENDS
    ).table
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, out.schema) as writer:
        writer.write_table(out)
    assert b"a word of eve" not in bytes(sink.getvalue())
