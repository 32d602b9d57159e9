"""Ask a keeper for everything it can be asked for, and count what of anybody comes back."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from ahocorasick_rs import AhoCorasick

from safehold import ids
from safehold.app.drill.twin import PURPOSE
from safehold.assurance.drill.outcome import Exposure
from safehold.canonical import b64
from safehold.errors import DeniedError, SafeholdError, SignInError
from safehold.keeper.client import KeeperClient
from safehold.keeper.door import KINDS_OF

# what opens rows of people, or hands something out that was made of them, if it is let through
OPENING: Final = frozenset(
    {
        "artifact.pull", "attack.dataset", "attack.model", "embed", "embed.export", "embed.head",
        "embed.near", "enclave.run", "feature", "feature.granted", "federate.step", "join.psi-sum", "join.sum",
        "people.export", "query", "train",
    }
)  # fmt: skip
# asked last: what they might change would hide what the others show
CHANGING: Final = re.compile(
    r"\.(erase|remove|suspend|rotate|end|move|identify|sweep|close-epoch)$|^stop$|^resume$"
)
SQL: Final = """\
-- /// safehold
-- release = "events"
-- epsilon = 0.1
-- ///
SELECT app AS k FROM key
"""
_JOIN: Final = {
    "credentials": {"certificate": "", "key": "", "authorities": ""},
    "calls": {"another house": ["127.0.0.1", 9]},
    "answers": [],
    "stream": "key",
    "beside": ["pointer"],
    "measure": "rows",
    "at_least": 0,
    "clamp": 1,
    "epsilon_micro": 1_000_000,
    "party": "this house",
}
# what each of them looks at before it looks at who asks: without this it would refuse the shape and not the caller
SHAPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "artifact.pull": {"artifact": "art_none"},
    "attack.dataset": {"stage": "audit"},
    "attack.model": {"artifact": "art_none"},
    "embed": {"streams": ["chat"]},
    "embed.export": {"dataset": f"{PURPOSE}/embedding:1"},
    "embed.near": {"epsilon_micro": 1_000_000, "how": "count", "texts": ["a word"]},
    "enclave.run": {"stage": "feature", "script": "print(1)\n"},
    "join.psi-sum": {**_JOIN, "role": "set"},
    "join.sum": {**_JOIN, "group": "value"},
    "query": {"recipe": "sql", "streams": ["key"], "text": SQL},
}
FILES: Final = frozenset(
    {"artifact.pull", "people.export"}
)  # that write into a file they are handed
_SEGMENT: Final = re.compile(
    r"\b[a-z]{2}(?:-[a-z0-9]{1,3})?\.(?:key|pointer|chat|ai|focus|speech|metric|screen|feature)\b"
)


@dataclass(slots=True)
class Haul:
    """What somebody got.

    Args:
        people: Names of people that came back.
        segments: Names of segments that came back.
        values: Planted values that came back.
        opened: Verbs that opened rows, and how many.
        denied: How often they were refused.
        unlogged: Refusals of which there is no entry.
        unreached: Verbs that open rows and refused what was asked before they looked at who asks.
        asked: How often they asked.
    """

    people: set[str] = field(default_factory=set)
    segments: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    opened: dict[str, int] = field(default_factory=dict)
    denied: int = 0
    unlogged: int = 0
    unreached: set[str] = field(default_factory=set)
    asked: int = 0

    def exposure(self, **told: Any) -> Exposure:
        """Return it as what an attacker has."""
        rows = sum(self.opened.values())
        return Exposure(
            people=max(len(self.people), int(rows > 0)),
            records=rows,
            segments=max(len(self.segments), int(rows > 0)),
            canaries=len(self.values),
            missing=self.unlogged,
            told={
                "asked": self.asked,
                "refused": self.denied,
                "unreached": sorted(self.unreached),
                **told,
            },
        )


class Asker:
    """Asks for everything.

    Args:
        names: People of the home whose names must not come back.
        values: Planted values.
        given: Arguments that fit this home: a person, a dataset, an artifact.
    """

    def __init__(
        self, names: Iterable[str], values: Iterable[str], given: Mapping[str, Any] | None = None
    ) -> None:
        self._given = dict(given or {})
        own = {str(one) for one in self._given.values()}
        self._words = [(one, False) for one in set(names) - own]
        self._words += [(one, True) for one in set(values)]
        self._machine = AhoCorasick([word for word, _ in self._words])

    def ask(
        self,
        line: KeeperClient,
        verbs: Collection[str],
        *,
        nonces: KeeperClient,
        looks: bool = True,
    ) -> Haul:
        """Ask for verbs with every argument that any of them takes, and return what came back.

        Args:
            line: Of whoever asks.
            verbs: What is asked for.
            nonces: A line on which fresh questions can be had.
            looks: Names of segments count, since whoever asks does not operate this home.
        """
        haul = Haul()
        for verb in sorted(verbs, key=_last):
            nonce = ""
            with contextlib.suppress(SafeholdError):
                nonce = nonces.call("nonce")["nonce"]
            haul.asked += 1
            try:
                answer = self._call(line, verb, nonce)
            except (DeniedError, SignInError) as error:
                haul.denied += 1
                haul.unlogged += error.entry is None
                continue
            except SafeholdError:
                haul.unreached |= {verb} & OPENING
                continue
            self._count(verb, answer, haul, looks=looks)
        return haul

    def _call(self, line: KeeperClient, verb: str, nonce: str) -> dict[str, Any]:
        with tempfile.TemporaryFile() as file:
            descriptors = [file.fileno()] if verb in FILES else []
            return line.call(verb, descriptors=descriptors, **self._arguments(verb, nonce))

    def _arguments(self, verb: str, nonce: str) -> dict[str, Any]:
        forged: dict[str, Any] = {
            "purpose": PURPOSE,
            "stage": "training",
            "token": b64(ids.random_bytes(300)),
            "nonce": nonce,
            "proof": b64(bytes(64)),
            "signatures": [],
            "index": 0,
            "epoch": 0,
        }
        return {**forged, **shape_of(verb), **self._given}

    def _count(self, verb: str, answer: Mapping[str, Any], haul: Haul, *, looks: bool) -> None:
        text = orjson.dumps(answer).decode()
        for found in self._machine.find_matches_as_indexes(text):
            word, planted = self._words[found[0]]
            (haul.values if planted else haul.people).add(word)
        if looks:
            haul.segments |= set(_SEGMENT.findall(text))
        if verb in OPENING:
            haul.opened[verb] = haul.opened.get(verb, 0) + max(_rows(answer), 1)


def shape_of(verb: str) -> dict[str, Any]:
    """Return the arguments without which a verb would refuse what is asked before it looks at who asks."""
    return dict(SHAPES.get(verb, {}))


def _rows(answer: Mapping[str, Any]) -> int:
    rows = answer.get("rows")
    return rows if type(rows) is int else 0


def _last(verb: str) -> tuple[bool, bool, str]:
    return (CHANGING.search(verb) is not None, verb not in OPENING, verb)


def every_verb() -> frozenset[str]:
    """Return everything that somebody may ask a keeper for."""
    return frozenset(KINDS_OF)


__all__ = ["OPENING", "Asker", "Haul", "every_verb", "shape_of"]
