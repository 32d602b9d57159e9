"""What people and seats sign, prepared here and signed elsewhere: by a passkey in a browser, or with a key on paper.

Pure: nothing here asks a keeper or reads a clock. A ``Draft``, made by ``signable.prepare``, has the exact bytes, their
domain, and the challenge that a passkey is given for them. ``complete`` puts a signature made elsewhere in its place,
after it was verified, and returns the verb and its arguments. ``gather`` joins what several seats signed about one
thing.

Nobody is trusted for it: the keeper reads the same bytes out of the arguments and verifies them again. Where a
person reads what they sign, they should be shown ``message`` itself, and not what somebody says of it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from safehold.access.identity.jose import b64url, unb64url
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError
from safehold.passkey import Assertion, challenge_of
from safehold.signing import speaking_key

VERSION: Final = "safehold-to-sign/1"
SIGNED: Final = "safehold-signed/1"
# what of a call several seats give together
TOGETHER: Final = (("signatures",), ("statements",), ("roster", "signatures"))
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Something that waits for one signature.

    Args:
        kind: One of ``signable.KINDS``.
        domain: What is signed under.
        message: The exact bytes.
        verb: What the keeper is asked once it is signed.
        arguments: With what; at ``place`` the signature is missing, and at ``named`` the key.
        place: Where the signature goes.
        named: Where the text of the key goes; nowhere if it is a seat's.
    """

    kind: str
    domain: str
    message: bytes
    verb: str
    arguments: Mapping[str, Any]
    place: Place
    named: Place = ()

    @property
    def challenge(self) -> bytes:
        """What a passkey is asked to sign, 32 bytes."""
        return challenge_of(self.domain, self.message)

    def of_seat(self, seat: str) -> Draft:
        """Return the same for another seat, where what is signed does not name one: orders and answers of several.

        Raises:
            InvalidError: The seat is part of what is signed.
        """
        match self.place:
            case [*way, "signatures", 0, "value"]:
                arguments = copy.deepcopy(dict(self.arguments))
                _put(arguments, (*way, "signatures", 0, "seat"), seat)
                return replace(self, arguments=arguments)
            case _:
                raise InvalidError(
                    "what is signed names its seat",
                    rule="signature.seat",
                    fix="prepare a paper for that seat",
                )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, to be handed to whoever signs."""
        return {
            "v": VERSION,
            "kind": self.kind,
            "domain": self.domain,
            "message": b64(self.message),
            "challenge": b64url(self.challenge),
            "finish": {
                "verb": self.verb,
                "arguments": copy.deepcopy(dict(self.arguments)),
                "place": list(self.place),
                "named": list(self.named),
            },
        }

    @classmethod
    def from_json(cls, tree: Any) -> Draft:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is none, or its challenge is that of something else.
        """
        match tree:
            case {
                "v": "safehold-to-sign/1",
                "kind": str(kind),
                "domain": str(domain),
                "message": str(message),
                "challenge": str(challenge),
                "finish": {
                    "verb": str(verb),
                    "arguments": dict(arguments),
                    "place": list(place),
                    "named": list(named),
                },
            } if len(tree) == 6 and domain.isascii():
                made = cls(
                    kind=kind,
                    domain=domain,
                    message=unb64(message),
                    verb=verb,
                    arguments=arguments,
                    place=tuple(place),
                    named=tuple(named),
                )
                if b64url(made.challenge) == challenge:
                    return made
        raise InvalidError("nothing to sign", rule="signature.draft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the keeper is asked.

    Args:
        verb: The verb.
        arguments: Its arguments.
    """

    verb: str
    arguments: Mapping[str, Any]


def complete(draft: Draft, *, key: str, value: bytes) -> Call:
    """Return the call that a signature finishes.

    Args:
        draft: What was signed.
        key: The public key, or passkey, as text.
        value: The signature: 64 bytes, or a packed assertion.

    Raises:
        TamperedError: It does not hold.
        InvalidError: It is no key.
    """
    speaking_key(key).verify(draft.domain, draft.message, value)
    arguments = copy.deepcopy(dict(draft.arguments))
    _put(arguments, draft.place, b64(value))
    if draft.named:
        _put(arguments, draft.named, key)
    return Call(verb=draft.verb, arguments=arguments)


def gather(calls: Sequence[Call]) -> Call:
    """Return one call with what several seats signed about the same thing.

    Raises:
        InvalidError: They are about different things, or of a kind that each hands in alone.
    """
    first, *others = calls
    if not others:
        return first
    for place in TOGETHER:
        if all(_has(one.arguments, place) for one in calls):
            merged = copy.deepcopy(dict(first.arguments))
            made = [item for one in calls for item in _get(one.arguments, place)]
            bare = []
            for one in calls:
                rest = copy.deepcopy(dict(one.arguments))
                _put(rest, place, [])
                bare.append((one.verb, rest))
            if all(one == bare[0] for one in bare):
                _put(merged, place, made)
                return Call(verb=first.verb, arguments=merged)
    raise InvalidError(
        "these are not about one thing", rule="signature.gather", fix="hand them in one by one"
    )


def value_of_browser(answer: Mapping[str, Any]) -> bytes:
    """Return the signature that a browser's passkey gave.

    Args:
        answer: ``authenticatorData``, ``clientDataJSON`` and ``signature`` of its ``response``, each base64url.

    Raises:
        InvalidError: It is no such answer.
    """
    try:
        data, client, signature = (
            unb64url(answer[name]) for name in ("authenticatorData", "clientDataJSON", "signature")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidError("not the answer of a passkey", rule="passkey.answer") from error
    return Assertion.of_browser(data=data, client=client, signature=signature).pack()


def _has(tree: Mapping[str, Any], place: Place) -> bool:
    try:
        return isinstance(_get(tree, place), list)
    except (KeyError, TypeError, IndexError):
        return False


def _get(tree: Any, place: Place) -> Any:
    for name in place:
        tree = tree[name]
    return tree


def _put(tree: Any, place: Place, value: Any) -> None:
    """Put something where it is missing."""
    try:
        *way, last = place
        inner = _get(tree, tuple(way))
        inner[last] = value
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise InvalidError("nothing to sign", rule="signature.draft") from error
