# ruff: noqa: PLR0911 - one way out for each form of a name
"""Made-up text with its names marked: chat, tickets, mail, transcripts, logs, news.

Everything is drawn from one seeded generator, so the same seed gives the same texts. A quarter of the names
are invented from syllables, so that no list holds them and the words around must tell.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

from safehold.dlp.tagger.labelled import Labelled
from safehold.dlp.tagger.lists import Lists, own_lists

_SLOT: Final = re.compile(r"\{\{|\}\}|\{(\w+)\}")
_CLASS: Final = {
    "name": "PERSON", "first": "PERSON", "last": "PERSON",
    "place": "LOC", "city": "LOC", "country": "LOC", "address": "LOC",
    "org": "ORG", "date": "DATE", "time": "DATE", "when": "DATE", "month": "DATE",
}  # fmt: skip
_MONTHS: Final = (
    "January February March April May June July August September October November December"
)
_DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_WHEN: Final = (
    "today", "tomorrow", "yesterday", "tonight", "next week", "last week", "this morning", "last year",
    "next month", "this weekend", "last month", "next year",
)  # fmt: skip
_HOME: Final = ("en_US", "en_GB", "en", "en_IN", "en_IE", "en_NZ")


class Composer:
    """Draws texts.

    Args:
        lists: Names, places and common words.
        seed: The same seed gives the same texts.
    """

    def __init__(self, lists: Lists, *, seed: int) -> None:
        self._lists = lists
        self._own = own_lists()
        self._draw = random.Random(seed)  # noqa: S311 - made-up text, no secret
        text = files("safehold.dlp.tagger").joinpath("compose/phrases.txt").read_text("utf-8")
        lines = [line for line in text.splitlines() if line and not re.match(r"##? ", line)]
        self._phrases = [line.replace("\\n", "\n") for line in lines]
        self._homes = [name for name in _HOME if name in lists.first and name in lists.last]
        self._abroad = sorted(set(lists.first) & set(lists.last))
        self._weights = [max(1, size) ** 0.5 for _, size in lists.cities]
        self._names = {
            word.lower()
            for part in (
                *lists.first.values(),
                *lists.last.values(),
                *(c[0].split() for c in lists.cities),
            )
            for word in part
        }

    # one word or name

    def _of(self, name: str) -> str:
        return self._draw.choice(self._own[name])

    def _chance(self, share: float) -> bool:
        return self._draw.random() < share

    def _invented(self) -> str:
        parts = [self._of("syllables") for _ in range(self._draw.choice((2, 2, 3, 3, 4)))]
        return "".join(parts).capitalize()

    def _person_part(self, kind: str) -> str:
        if self._chance(0.25):
            return self._invented()
        table: dict[str, list[str]] = getattr(self._lists, kind)
        places = self._homes if self._homes and self._chance(0.55) else self._abroad
        return self._draw.choice(table[self._draw.choice(places)]) if places else self._invented()

    def first(self) -> str:
        """Return a first name."""
        return self._person_part("first")

    def last(self) -> str:
        """Return a family name."""
        name = self._person_part("last")
        if self._chance(0.04):
            name += "-" + self._person_part("last")
        elif self._chance(0.03):
            name = self._draw.choice(("van ", "van der ", "de ", "von ", "O'", "Mc", "Al-")) + name
        return name

    def name(self) -> str:
        """Return a name of a person in one of many forms."""
        first, last, way = self.first(), self.last(), self._draw.random()
        letter = self._draw.choice("ABCDEFGHJKLMNPRSTW")
        if way < 0.62:
            return f"{first} {last}"
        if way < 0.72:
            return f"{first} {letter}. {last}"
        if way < 0.78:
            return f"{first} {self.first()} {last}"
        if way < 0.83:
            return f"{first[0]}. {last}"
        if way < 0.85:
            return f"{first[0]}.{letter}. {last}"
        if way < 0.93:
            return first
        if way < 0.96:
            return f"{last}, {first}"
        return f"{first} {last} {self._draw.choice(('Jr.', 'Sr.', 'III', 'II'))}"

    def city(self) -> str:
        """Return a city."""
        if self._chance(0.12) or not self._lists.cities:
            name = self._invented()
            if self._chance(0.4):
                name += self._draw.choice(
                    ("ville", "burg", "ton", "stad", "heim", "by", "ford", " Falls", " City")
                )
            return name
        return self._draw.choices(self._lists.cities, self._weights)[0][0]

    def country(self) -> str:
        """Return a country."""
        return self._draw.choice(self._lists.countries) if self._lists.countries else "France"

    def place(self) -> str:
        """Return a city, state, country, region, building or the like."""
        way = self._draw.random()
        if way < 0.3:
            return self.city()
        if way < 0.45:
            return self.country()
        if way < 0.55:
            return self._draw.choice(self._lists.states) if self._lists.states else "Ohio"
        if way < 0.75:
            return self._of("regions")
        base = self.city() if self._chance(0.5) else self.last()
        if way < 0.9:
            return f"{base} {self._of('place_tails')}"
        return f"{self._of('place_heads')} {base}"

    def org(self) -> str:
        """Return an organisation."""
        way = self._draw.random()
        if way < 0.42:
            return self._of("orgs")
        tail = self._of("tails")
        base = self.last() if self._chance(0.5) else self._of("lines") + self._of("lines").lower()
        if way < 0.62:
            return f"{base} {tail}" if self._chance(0.7) else f"{base}, {tail}"
        if way < 0.68:
            return f"{self.last()}{self._draw.choice((' and ', ' & ', '-'))}{self.last()}"
        if way < 0.72:
            return f"{self.last()}, {self.last()} and {self.last()}"
        if way < 0.8:
            return f"{self._of('lines')} {self._of('lines')} {tail}"
        if way < 0.86:
            return f"{self.city()} {self._of('offices' if self._chance(0.5) else 'tails')}"
        if way < 0.9:
            return f"University of {self.city()}" if self._chance(0.5) else self._of("offices")
        if way < 0.95:
            return "".join(
                self._draw.choice("ABCDEFGHIJLMNOPRSTUVW") for _ in range(self._draw.randint(2, 5))
            )
        return (
            self._invented() if self._chance(0.6) else self._of("lines") + self._of("lines").lower()
        )

    def address(self) -> str:
        """Return a postal address in one of many forms."""
        number = str(self._draw.randint(1, 9999 if self._chance(0.3) else 300))
        base, way = self.last() if self._chance(0.7) else self.city(), self._draw.random()
        if way < 0.55:
            street = f"{number} {base} {self._of('streets')}"
        elif way < 0.75:
            street = f"{base.lower().capitalize()}{self._of('street_glued')} {number}"
        elif way < 0.9:
            street = f"{self._of('street_before')} {base} {number}"
        else:
            street = f"{number} {base}"
        if self._chance(0.25):
            street += f"{self._draw.choice((', ', ' ', chr(10)))}{self._of('units')} {self._draw.randint(1, 999)}"
        if self._chance(0.35):
            return street
        gap = self._draw.choice((", ", ", ", "\n", "\n ", " "))
        code = str(self._draw.randint(10000, 99999))
        if self._chance(0.2):
            pick, digit = self._draw.choice, self._draw.randint
            code = (
                f"{pick('ABCEGLMNSW')}{digit(1, 20)} {digit(1, 9)}{pick('ABDEFG')}{pick('HJLNP')}"
            )
        state = self._draw.choice(
            ("CA", "NY", "TX", "WA", "MA", "IL", "OH", "FL", "PA", "CO", "OR", "GA")
        )
        end = self._draw.choice((
            self.city(), f"{self.city()}, {state} {code}", f"{code} {self.city()}", f"{self.city()} {code}",
            f"{self.city()}, {self.country()}", f"{self.city()}{gap}{self.country()} {code}", f"{self.city()}, {state}",
        ))  # fmt: skip
        return f"{street}{gap}{end}"

    def date(self) -> str:
        """Return a date in one of many forms."""
        draw = self._draw
        day, month, year = (
            draw.randint(1, 28),
            draw.choice(_MONTHS.split()),
            draw.randint(1930, 2030),
        )
        week, number = draw.choice(_DAYS.split()), draw.randint(1, 12)
        return draw.choice((
            f"{day} {month} {year}", f"{month} {day}, {year}", f"{month} {day}", f"{day}th of {month}",
            f"{month} {year}", f"{year}-{number:02}-{day:02}", f"{number}/{day}/{year}",
            f"{day:02}.{number:02}.{year}", f"{day}/{number}/{year % 100:02}",
            f"{week}, {month} {day}", f"{week} {day} {month}", f"{week}, {number}/{day}",
            f"{month[:3]} {day}", f"{day} {month[:3]} {year}", f"{day}-{month[:3]}-{year}",
            f"{year}-{number:02}-{day:02}T{draw.randint(0, 23):02}:{draw.randint(0, 59):02}:00Z",
            f"{year}-{number:02}-{day:02} {draw.randint(0, 23):02}:{draw.randint(0, 59):02}:{draw.randint(0, 59):02}",
            f"{year}-{number:02}", f"{number:02}/{year % 100:02}", f"{month} {year}", f"{year}", f"{year}",
        ))  # fmt: skip

    def time(self) -> str:
        """Return a time of day."""
        hour, minute = self._draw.randint(1, 12), self._draw.choice((0, 15, 30, 45, 5, 20))
        half = self._draw.choice(("am", "pm", " a.m.", " PM"))
        return self._draw.choice(
            (f"{hour}{half}", f"{hour}:{minute:02}{half}", f"{hour + 8}:{minute:02}")
        )

    def month(self) -> str:
        """Return a month."""
        return self._draw.choice(_MONTHS.split())

    def when(self) -> str:
        """Return a day as seen from today."""
        week = self._draw.choice(_DAYS.split())
        return self._draw.choice(
            (week, f"next {week}", f"last {week}", f"this {week}", self._draw.choice(_WHEN))
        )

    # what is not labelled

    def _word(self) -> str:
        words = self._lists.common[200:12_000] or self._own["things"]
        while True:
            word = self._draw.choice(words)
            if word not in self._names or not self._lists.common:
                return word

    def _title(self) -> str:
        return " ".join(self._word().capitalize() for _ in range(self._draw.randint(1, 4)))

    @cached_property
    def _after(self) -> dict[str, tuple[list[str], list[int]]]:
        table: dict[str, tuple[list[str], list[int]]] = {}
        ranks = self._lists.rank_of()
        for one, two, count in self._lists.pairs:
            if all(word not in self._names or ranks.get(word, 0) >= 6 for word in (one, two)):
                nexts, total = table.setdefault(one, ([], []))
                nexts.append(two)
                total.append((total[-1] if total else 0) + int(count**0.75))
        return table

    def _walk(self, length: int) -> list[str]:
        """Return words that often follow one another: no sentence, but the vocabulary of many."""
        if not self._after:
            return [self._word() for _ in range(length)]
        starts = list(itertools.islice(self._after, 0, 6000))
        words = [self._draw.choice(starts)]
        while len(words) < length:
            known = self._after.get(words[-1])
            if known is None:
                words.append(self._draw.choice(starts))
            else:
                words.append(self._draw.choices(known[0], cum_weights=known[1])[0])
        return words

    def _handle(self) -> str:
        base = self._person_part("first") if self._chance(0.3) else self._word()
        return base.lower() + self._draw.choice(
            ("", "", "_", str(self._draw.randint(1, 99)), "^", "-")
        )

    def _filler(self, slot: str) -> str:
        draw = self._draw
        fill: dict[str, Callable[[], str]] = {
            "word": self._word, "Word": lambda: self._word().capitalize(), "Title": self._title,
            "TITLE": lambda: self._title().upper(), "camel": lambda: self._title().replace(" ", ""),
            "handle": self._handle, "num": lambda: str(draw.randint(1, 10 ** draw.randint(1, 5))),
            "clock": lambda: f"{draw.randint(0, 23):02}:{draw.randint(0, 59):02}",
            "version": lambda: ".".join(str(draw.randint(0, 30)) for _ in range(draw.randint(2, 4))),
            "ip": lambda: ".".join(str(draw.randint(1, 254)) for _ in range(4)),
            "code": lambda: "".join(draw.choice("0123456789abcdefGHJKXYZ") for _ in range(draw.randint(6, 32))),
            "phone": lambda: f"+{draw.randint(1, 99)} {draw.randint(100, 999)} {draw.randint(1000, 9999999)}",
            "path": lambda: "/" + "/".join(self._word() for _ in range(draw.randint(1, 4))),
            "host": lambda: f"{self._word()}.{self._word()}.{draw.choice(('com', 'net', 'org', 'local'))}",
            "url": lambda: f"http://{self._word()}.{draw.choice(('com', 'ly', 'co', 'org'))}/{self._word()}",
            "email": self._email, "command": lambda: self._of("commands"), "title": lambda: self._of("titles"),
            "role": lambda: self._of("roles"), "product": lambda: self._of("products"),
            "nation": lambda: self._of("nations"), "language": lambda: self._of("languages"),
            "chatter": lambda: self._of("chatter"), "acronym": lambda: self._of("acronyms"),
            "thing": lambda: self._of("things"), "adj": lambda: self._of("adjs"),
        }  # fmt: skip
        return fill[slot]()

    def _email(self) -> str:
        host = f"{self._word()}.{self._draw.choice(('com', 'net', 'org', 'de', 'co.uk'))}"
        first, last = self._person_part("first").lower(), self._person_part("last").lower()
        way = self._draw.choice(
            (f"{first}.{last}", f"{first[0]}{last}", first, f"{first}{self._draw.randint(1, 99)}")
        )
        return f"{way.replace(' ', '')}@{host}"

    # whole texts

    def _fill(self, phrase: str) -> Labelled:
        parts: list[str] = []
        spans: list[tuple[int, int, str]] = []
        at, length = 0, 0
        for match in _SLOT.finditer(phrase):
            slot = match.group(1)
            kind = _CLASS.get(slot or "")
            value = (
                match.group()[0]
                if slot is None
                else getattr(self, slot)()
                if kind
                else self._filler(slot)
            )
            parts += [phrase[at : match.start()], value]
            length += match.start() - at
            if kind:
                spans.append((length, length + len(value), kind))
            length += len(value)
            at = match.end()
        parts.append(phrase[at:])
        return Labelled("".join(parts), tuple(spans))

    def _mixed(self) -> Labelled:
        """Return words that follow one another, with names in between where nothing announces them."""
        words: list[Any] = list(self._walk(self._draw.randint(3, 22)))
        for _ in range(self._draw.choice((0, 0, 0, 1, 2))):  # what looks like a name and is none
            kind = self._draw.choice(
                ("chatter", "chatter", "acronym", "product", "month", "when", "num", "Word")
            )
            words.insert(self._draw.randint(0, len(words)), "{" + kind + "}")
        for _ in range(self._draw.choice((0, 0, 1, 1, 2))):
            slot = self._draw.choice(
                ("name", "first", "place", "city", "org", "date", "name", "org")
            )
            words.insert(self._draw.randint(0, len(words)), "{" + slot + "}")
        if self._chance(0.5) and not words[0].startswith("{"):
            words[0] = words[0].capitalize()
        if self._chance(0.08):  # a heading
            words = [word if word.startswith("{") else word.capitalize() for word in words]
        text = ""
        for word in words:
            text += (
                word
                + (
                    self._draw.choice((",", ".", " -", ":", "?", " and"))
                    if self._chance(0.1)
                    else ""
                )
                + " "
            )
        return self._fill(text.strip() + ("." if self._chance(0.5) else ""))

    def text(self) -> Labelled:
        """Return one text with its names."""
        made = self._mixed() if self._chance(0.3) else self._fill(self._draw.choice(self._phrases))
        for _ in range(self._draw.choice((0, 0, 0, 1, 1, 2, 3))):
            more = (
                self._mixed()
                if self._chance(0.25)
                else self._fill(self._draw.choice(self._phrases))
            )
            made = made.joined(more, self._draw.choice((" ", " ", "\n", ". ")))
        return made

    def worn(self, made: Labelled) -> Labelled:
        """Return a text as people write it: in small letters, capitals, spaced, or with typing errors."""
        way = self._draw.random()
        if way < 0.3:
            return made.replaced(made.text.lower())
        if way < 0.36:
            return made.replaced(made.text.upper())
        if way < 0.42:
            return made.replaced(made.text.title())
        if way < 0.5 and len(made.text) > 12:
            signs = list(made.text)
            for _ in range(1 + len(signs) // 60):
                at = self._draw.randrange(len(signs) - 1)
                if signs[at].isalpha() and signs[at + 1].isalpha():
                    signs[at], signs[at + 1] = signs[at + 1], signs[at]
            return made.replaced("".join(signs))
        return made
