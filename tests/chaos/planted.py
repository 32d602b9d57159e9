"""Events with a number and, in chat, a word that nothing else holds: what is looked for when everything is opened."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

_SYLLABLES = tuple(a + b for a in "bdfgklmnprstvz" for b in "aeiou")
STREAMS = ("pointer", "chat", "focus")


class Words:
    """Words that nobody says, each given out once.

    Args:
        dice: Where they come from.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.all: set[str] = set()

    def one(self) -> str:
        while True:
            word = "".join(self._dice.choice(_SYLLABLES) for _ in range(7))
            if word not in self.all:
                self.all.add(word)
                return word


def lines(
    person: str, stream: str, numbers: Iterable[int], words: Sequence[str], *, named: bool
) -> Iterator[bytes]:
    """Yield events in wire form, as JSON.

    Args:
        person: Whose.
        stream: ``pointer``, ``chat`` or ``focus``.
        numbers: Their sequence numbers.
        words: One for each, used where the stream holds text.
        named: Whether each says which stream it is of, as a recorder's lines do.
    """
    now = time.time_ns() // 1000
    for at, (number, word) in enumerate(zip(numbers, words, strict=True)):
        told: dict[str, Any] = {
            **({"stream": stream} if named else {}),
            "person": person,
            "device": f"device of {person}",
            "session": f"session of {person}",
            "seq": number,
            "t": now - 1000 + at,
            "mono": number,
            "app": "chat" if stream == "chat" else "browser",
            "ctx": 1,
        }
        yield orjson.dumps(told | _of_stream(stream, person, number, word))


def _of_stream(stream: str, person: str, number: int, word: str) -> dict[str, Any]:
    if stream == "pointer":
        return {"kind": 3, "x": 9, "y": 5, "display": 0, "button": 0, "buttons": 0, "wheel_dx": 0,
                "wheel_dy": 0, "target_role": "button"}  # fmt: skip
    if stream == "focus":
        return {"kind": 0, "app_name": "browser", "title": f"about {word}", "url_host": None, "pid": 7, "left": 0,
                "top": 0, "width": 9, "height": 9, "dur": None, "afk": False}  # fmt: skip
    return {"platform": "chat", "channel": "general", "channel_kind": "channel", "msg": f"{person}-{number}",
            "reply_to": None, "participants": [person], "text": f"{word} brings the parts", "lang": "en",
            "attachments": 0, "edit_of": None}  # fmt: skip
