"""Made-up messages with the topics they are on: the phrases of ``phrases.txt`` with their slots filled.

Everything is drawn from one seeded generator, so the same seed gives the same messages.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from safehold.dlp.pattern import read_data
from safehold.dlp.topic.judge import TOPICS
from safehold.dlp.topic.lexicon import Lexicon
from safehold.errors import InvalidError

PHRASES: Final = "topic/phrases.txt"
NONE: Final = "none"
_SLOT: Final = re.compile(r"\{(\w+)\}")
_WORDS: Final = {
    "name": "Anna Ben Carla David Elif Femi Grace Hassan Ines Jack Kofi Lena Marco Nadia Omar Priya Quinn Rosa Sam "
    "Tariq Uma Viktor Wei Yusuf Zoe Maria Peter Sofia Tom Lucas",
    "thing": "importer parser api dashboard build cache login scheduler migration index export queue worker proxy",
    "day": "monday tuesday wednesday thursday friday tomorrow",
    "month": "january march april may june july september october december",
}  # fmt: skip
_LISTS: Final = {
    "time": ("yesterday", "last week", "this morning", "tomorrow", "on monday", "every week", "two weeks ago"),
    "lawyer": ("lawyer", "attorney", "solicitor", "counsel"),
    "tort": (
        "discrimination", "harassment", "sexual harassment", "wrongful dismissal", "breach of contract",
        "retaliation", "unpaid overtime", "patent infringement", "defamation", "malpractice", "age discrimination",
        "a hostile work environment", "unfair dismissal", "fraud", "antitrust violations",
    ),
    "crime": ("assault", "fraud", "drunk driving", "theft", "domestic violence", "insider trading", "possession",
              "embezzlement", "stalking", "tax evasion"),
    "case": ("2024-CV-1183", "19-cr-204", "B 4 K 12/23", "7:21-cv-00316"),
    "bad": ("below expectations", "really bad", "mediocre", "not good enough", "outstanding", "disappointing",
            "a disaster", "harsh", "great"),
    "rating": ("2/5", "a 2", "1 out of 5", "below expectations", "meets expectations", "exceeds expectations",
               "a 4.5", "needs improvement"),
    "perfadj": ("lazy", "unreliable", "sloppy", "incompetent", "careless", "useless", "too slow", "unprofessional",
                "disengaged", "always late", "difficult to work with", "a slacker", "brilliant", "a hard worker",
                "not a team player", "struggling", "underperforming", "arrogant", "unproductive"),
    "place": ("hospital", "clinic", "icu", "emergency room", "er", "ward", "rehab"),
    "hurts": ("hurts", "is swollen", "is broken", "is killing me", "is numb", "is sprained"),
    "dose": ("20 mg", "500mg", "5 ml", "a double dose", "75 mcg"),
    "debt": ("mortgage", "student loans", "credit card", "rent", "loan", "car payments", "child support", "debt"),
    "medic": ("doctor", "therapist", "gp", "dentist", "psychiatrist", "surgeon", "oncologist", "cardiologist",
              "neurologist", "nurse", "physio", "dermatologist", "specialist", "physician", "midwife"),
    "procedure": ("surgery", "a biopsy", "an mri", "a ct scan", "blood test", "chemo", "an x-ray", "a colonoscopy",
                  "a transplant", "ivf", "a root canal", "an ultrasound", "physical therapy", "dialysis",
                  "a knee replacement"),
    "maternity": ("pregnant", "seven weeks pregnant", "expecting a baby", "expecting twins", "in labor"),
    "disorder": ("depression", "anxiety", "panic attacks", "burnout", "alcoholism", "an addiction", "trauma"),
    "mental": ("depressed", "burned out", "anxious", "suicidal", "overwhelmed", "in therapy", "down", "panicking"),
}  # fmt: skip
_GROUPS: Final = ("condition", "ailment", "medication", "remedy", "body", "kin")
_PEOPLE: Final = (
    ("he", "him", "his"), ("she", "her", "her"), ("they", "them", "their"), ("she", "her", "her"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """A made-up message.

    Args:
        text: The text.
        topic: Number of its topic; -1 for none.
        phrase: Number of the phrase it was made from.
    """

    text: str
    topic: int
    phrase: int


def read_phrases() -> list[tuple[int, str]]:
    """Return the phrases with the number of their topic, -1 for none.

    Raises:
        InvalidError: A line stands under no topic that is known.
    """
    topic, phrases = None, []
    for line in read_data(PHRASES).decode().splitlines():
        if line.startswith("## "):
            name = line[3:]
            topic = -1 if name == NONE else TOPICS.index(name)
        elif line and not line.startswith("#"):
            if topic is None:
                raise InvalidError("a phrase stands under no topic", rule="dlp.topic")
            phrases.append((topic, line))
    return phrases


class Composer:
    """Draws messages.

    Args:
        lexicon: The terms, for slots that are a group of them.
        seed: The same seed gives the same messages.
    """

    def __init__(self, lexicon: Lexicon, *, seed: int) -> None:
        self._draw = random.Random(seed)  # noqa: S311 - made-up text, no secret
        self._lists = {name: tuple(words.split()) for name, words in _WORDS.items()} | _LISTS
        self._lists |= {name: lexicon.of(name) for name in _GROUPS}
        self._phrases = read_phrases()
        self._none = [phrase for topic, phrase in self._phrases if topic < 0]

    def messages(self, each: int) -> list[Message]:
        """Return a number of messages made from each phrase; some stand beside a sentence of work."""
        found = []
        for number, (topic, phrase) in enumerate(self._phrases):
            for _ in range(each):
                text = self._filled(phrase)
                if topic >= 0 and self._draw.random() < 0.3:
                    other = self._filled(self._draw.choice(self._none))
                    text = ". ".join(self._draw.sample([text, other], 2))
                found.append(Message(text, topic, number))
        self._draw.shuffle(found)
        return found

    def _filled(self, phrase: str) -> str:
        he, him, his = self._draw.choice(_PEOPLE)
        said: dict[str, Callable[[], str]] = {
            "he": lambda: he,
            "him": lambda: him,
            "his": lambda: his,
            "money": self._money,
        }

        def fill(match: re.Match[str]) -> str:
            name = match.group(1)
            return said[name]() if name in said else self._draw.choice(self._lists[name])

        text = _SLOT.sub(fill, phrase)
        text = text.replace("they has", "they have").replace("they is", "they are")
        return text if self._draw.random() < 0.6 else text[0].upper() + text[1:]

    def _money(self) -> str:
        amount = self._draw.randint(2, 240)
        return self._draw.choice(
            (f"${amount}k", f"{amount},000", f"{amount}k", f"€{amount},500", f"{amount} grand", f"£{amount * 10}",
             f"{amount * 500} euros", f"${amount * 100}", f"{amount * 100} dollars", f"{amount}k a year")
        )  # fmt: skip
