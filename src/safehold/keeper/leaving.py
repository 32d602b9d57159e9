"""The verbs by which a person has themselves erased: what it would end, and then the erasure.

What cannot be undone is said twice. The first call shows what an erasure would end and returns a word that confirms
it; the second names that word, in a statement that the person signed or in the session that speaks for them. The word
holds for ten minutes, for this person, and until they choose anything else; nothing is kept to check it by.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError
from safehold.ids import PersonId
from safehold.keeper.deadlines import deadline
from safehold.keeper.effects import Effects, conclude
from safehold.keeper.erasure import Erasure
from safehold.keeper.server import Report
from safehold.keeper.signed_in import speaks_as_self
from safehold.keeper.voice import hear, require_person

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

COUNTS_US: Final = 600 * SECOND_US


class Leaving:
    """The verbs.

    Args:
        desk: What the keeper works with.
        erasure: Erases people.
        effects: Finds what was made from somebody.
    """

    def __init__(self, desk: Desk, erasure: Erasure, effects: Effects) -> None:
        self._desk = desk
        self._erasure = erasure
        self._effects = effects
        self._derive: Callable[[str], bytes] = desk.vault.derive

    def leave(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what an erasure of the caller would end and until when it would be done, and what confirms it."""
        desk = self._desk
        person = require_person(desk, arguments, "people.leave", keyless=False)
        now = desk.now_us()
        effects = self._effects.of(person)
        return {
            "confirm": self._word(person, now),
            "until_us": now + COUNTS_US,
            "due_us": deadline(desk, now),
            "effects": effects,
            **conclude(effects),
        }

    def erase(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Erase somebody: at their own word, confirmed, or entered by an operator with evidence.

        Raises:
            DeniedError: The word that confirms it is not of the last ten minutes, or of somebody else.
        """
        if "statement" not in arguments and not speaks_as_self(arguments):
            return self._erasure.erase(arguments, descriptors, report)
        spoken = hear(self._desk, arguments)
        if spoken.fields["choice"] != "erase":
            raise InvalidError("this asks for no erasure", rule="subjects.choice")
        self._require_word(spoken.person, spoken.fields)
        said = {"by": spoken.by, "evidence": "asked for by the person", **spoken.proof}
        return self._erasure.begin(spoken.person, said)

    def _word(self, person: PersonId, at_us: int) -> str:
        desk = self._desk
        said = canonical.encode([desk.home.id, str(person), desk.people.version(person), at_us])
        return b64(at_us.to_bytes(8, "big") + hmac.digest(self._derive("leaving"), said, "sha256"))

    def _require_word(self, person: PersonId, fields: Mapping[str, Any]) -> None:
        given = str(fields.get("confirm", ""))
        at_us = int.from_bytes(unb64(given)[:8], "big")
        fresh = 0 <= self._desk.now_us() - at_us < COUNTS_US
        if not fresh or not hmac.compare_digest(given, self._word(person, at_us)):
            raise DeniedError(
                "this does not confirm what was shown",
                rule="subjects.confirm",
                fix="ask again what an erasure would end, and confirm that: safehold me erase",
            )
