"""The gate of a query: what people's processes sent goes no further than the noise.

A contribution does not leave. It is cut to the template again, by code that the sandbox cannot reach, and kept on the
trusted side until noise was added; nothing of it is counted, logged or shown. One that is not in its form counts as
nothing: whether somebody's was is no answer either. What ends a run is only what follows from public things: a query
that is refused before a row was seen, somebody's contribution that is missing or came twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from safehold.enclave.database import REASONS
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.privacy.bound import Share
from safehold.privacy.template import VALUED, Template, is_key

Body = bytes | bytearray | memoryview
LARGEST: Final = 1 << 20  # bytes of one
NOTHING: Final = Share({})


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one person adds to the figures.

    Args:
        person: Run-scoped id.
        share: The whole numbers.
    """

    person: str
    share: Share


class QueryGate:
    """Admit the frames of one query.

    Args:
        template: What was declared.
        people: Run-scoped ids given to the query.
    """

    def __init__(self, template: Template, people: frozenset[str]) -> None:
        self._template = template
        self._people = people
        self._seen: set[str] = set()

    def admit(self, header: Mapping[str, Any], body: Body = b"") -> Contribution:
        """Return one person's contribution, cut to the template.

        Raises:
            InvalidError: The query was refused before a row was seen.
            DeniedError: The frame is none that a query may send.
            TamperedError: It is about nobody who was handed in, or about somebody twice.
        """
        if header.get("type") == "refused":
            raise self._refusal(header, body)
        if header.get("type") != "contribution" or set(header) != {"type", "person"}:
            raise DeniedError("a query sends nothing but contributions", rule="egress.type")
        person = header["person"]
        if not isinstance(person, str) or person not in self._people or person in self._seen:
            raise TamperedError("a contribution of nobody who was handed in", rule="egress.person")
        self._seen.add(person)
        return Contribution(person, read_share(self._template, body))

    def close(self) -> None:
        """Check that there is one contribution of everybody.

        Raises:
            TamperedError: One is missing.
        """
        if self._seen != self._people:
            raise TamperedError("the query ended without everybody", rule="egress.whole")

    def _refusal(self, header: Mapping[str, Any], body: Body) -> InvalidError | TamperedError:
        rule = header.get("rule")
        if set(header) != {"type", "rule"} or len(body) or rule not in REASONS or self._seen:
            return TamperedError("a refusal is not in its only form", rule="egress.header")
        message, fix = REASONS[str(rule)]
        return InvalidError(message, rule=str(rule), fix=fix)


def read_share(template: Template, body: Body) -> Share:
    """Return what a body says one person adds, or nothing if it is not within the template."""
    if len(body) > LARGEST:
        return NOTHING
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        return NOTHING
    if not isinstance(tree, dict) or len(tree) > template.groups:
        return NOTHING
    least, most = _range(template)
    for key, values in tree.items():
        if template.thresholded:
            known = is_key(key)
        else:
            known = key in template.keys
        if not known or not isinstance(values, list) or not 1 <= len(values) <= template.rows:
            return NOTHING
        if not all(type(value) is int and least <= value <= most for value in values):
            return NOTHING
    return Share({key: tuple(values) for key, values in tree.items()})


def _range(template: Template) -> tuple[int, int]:
    if template.release in VALUED:
        return template.low, template.high
    return 0, template.bins - 1
