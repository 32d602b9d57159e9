"""An order that several seats sign, on its way from one to the next: a text that carries it whole, kept nowhere.

The text names the kind of order, what it says, and who signed. What is signed is drawn up anew from what it says each
time, so a text that was changed on its way carries signatures that no longer hold, and is not taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from safehold import canonical
from safehold.app.signable import prepare
from safehold.app.signature import Call, Draft, complete
from safehold.canonical import unb64
from safehold.errors import InvalidError

VERSION: Final = "safehold-passing/1"
KINDS: Final = frozenset({"resume", "disclose"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """One order.

    Args:
        kind: ``resume`` or ``disclose``.
        facts: What it says, as ``signable`` takes it, without the seat.
        signatures: Who signed it: ``seat`` and ``value`` each.
    """

    kind: str
    facts: Mapping[str, Any]
    signatures: tuple[Mapping[str, str], ...] = ()

    @property
    def seats(self) -> list[str]:
        """Who signed it."""
        return [one["seat"] for one in self.signatures]

    def draft(self, seat: str) -> Draft:
        """Return what a seat signs."""
        return prepare(self.kind, {**self.facts, "seat": seat})

    def write(self) -> str:
        """Return it as the text that goes from seat to seat."""
        record = {
            "v": VERSION,
            "kind": self.kind,
            "facts": dict(self.facts),
            "signatures": [dict(one) for one in self.signatures],
        }
        return canonical.encode(record).decode()

    def add(self, call: Call) -> Passing:
        """Return it with what a seat has signed.

        Raises:
            InvalidError: The seat signed another order.
        """
        (made,) = call.arguments["signatures"]
        if dict(call.arguments) != {
            **self.draft(made["seat"]).arguments,
            "signatures": [made],
        }:
            raise InvalidError("this signs another order", rule="passing.order")
        kept = [one for one in self.signatures if one["seat"] != made["seat"]]
        return replace(self, signatures=(*kept, made))

    def call(self) -> Call:
        """Return what the keeper is asked, with all signatures."""
        draft = self.draft("")
        return Call(
            verb=draft.verb,
            arguments={**draft.arguments, "signatures": [dict(one) for one in self.signatures]},
        )


def read(text: str, *, home: str, keys: Mapping[str, str]) -> Passing:
    """Return an order that was passed on.

    Args:
        text: What ``write`` made.
        home: The home that it must be for.
        keys: Of each seat its public key, as text.

    Raises:
        InvalidError: It is none, or of another home.
        TamperedError: A signature on it does not hold.
    """
    match canonical.decode(text.strip().encode()):
        case {
            "v": "safehold-passing/1",
            "kind": str(kind),
            "facts": dict(facts),
            "signatures": list(made),
        } as tree if len(tree) == 4 and kind in KINDS and facts.get("home") == home:
            found = Passing(kind=kind, facts=facts)
        case _:
            raise InvalidError("not an order of this home that seats sign", rule="passing.shape")
    for one in made:
        match one:
            case {"seat": str(seat), "value": str(value)} if len(one) == 2 and seat in keys:
                call = complete(found.draft(seat), key=keys[seat], value=unb64(value))
                found = found.add(call)
            case _:
                raise InvalidError("signed by no seat of this board", rule="passing.shape")
    return found
