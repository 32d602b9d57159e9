"""What a recorded choice makes of a standing. Pure: the record says everything, so a crash can be made good from it.

A choice that a person signed carries their statement as they signed it; its fields are read from there, so nothing
that was not signed can stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from safehold import canonical
from safehold.errors import InvalidError
from safehold.subjects import Case, Link, Span, Standing, Voice, digest_identity

Change = Callable[[Standing], Standing]

# what an operator may enter for somebody: it takes away, or hands out what only the person can use
NARROWING: Final = frozenset({"pause", "withdraw", "object", "restrict", "correct"})
WIDENING: Final = frozenset({"consent", "resume", "lift"})
KEYS: Final = frozenset({"key"})  # by which key they speak; said by the person alone
LINKS: Final = frozenset({"link", "unlink", "disown"})  # by which sign-in, and what is not theirs
MINE: Final = NARROWING | WIDENING | KEYS | LINKS  # what a person can say


def fields_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what was chosen: the person's own words where they signed, and what the keeper added."""
    if "statement" not in record:
        return record
    return {**canonical.decode(str(record["statement"]).encode()), **record}


def read_choice(record: Mapping[str, Any]) -> Change:
    """Return what a recorded choice makes of a standing.

    Raises:
        InvalidError: There is no such choice.
    """
    said = fields_of(record)
    at, choice = int(said["at_us"]), said["choice"]
    if choice in {"object", "restrict", "correct"}:
        return _asked(said, at)
    match choice:
        case "pause" | "resume":
            return _paused(said, at)
        case "consent":
            streams, evidence = frozenset(said["streams"]), str(said.get("evidence", ""))
            purposes, signed = said.get("purposes"), "statement" in record
            return lambda one: one.consent(
                streams, at_us=at, evidence=evidence, purposes=purposes, signed=signed
            )
        case "withdraw" | "erase":  # whoever asks to be erased is out at once; the keys follow
            return lambda one: one.withdraw(at_us=at)
        case "answer":
            name, outcome = str(said["case"]), str(said["outcome"])
            return lambda one: one.answer(name, outcome, at_us=at)
        case _:
            return _kept(said, at)


def _paused(said: Mapping[str, Any], at: int) -> Change:
    if said["choice"] == "pause":
        start, end = said.get("start_us"), said.get("end_us")
        return lambda one: one.pause(at_us=at, start_us=start, end_us=end)
    planned = said.get("planned") is True
    return lambda one: one.resume(at_us=at, planned=planned)


def _asked(said: Mapping[str, Any], at: int) -> Change:
    case = Case(
        id=str(said["case"]),
        right=str(said["choice"]),
        about=tuple(said.get("purposes") or said.get("about") or ()),
        at_us=at,
        due_us=int(said["due_us"]),
    )
    match case.right:
        case "object":
            return lambda one: one.object_to(case)
        case "restrict":
            return lambda one: one.restrict(case)
        case _:
            spans = [Span(stream, first, last, case.id) for stream, first, last in said["days"]]
            return lambda one: one.contest(case, spans)


def _kept(said: Mapping[str, Any], at: int) -> Change:
    """Return the rest: a restriction lifted, where somebody works, and by which key they speak."""
    match said["choice"]:
        case "lift":
            return lambda one: one.lift(at_us=at)
        case "move":
            spans = [Span(*one) for one in said.get("days", ())]
            place, level = str(said["jurisdiction"]), str(said["level"])
            return lambda one: one.move(at_us=at, jurisdiction=place, level=level, spans=spans)
        case "invite":
            digest = str(said["code_digest"])
            return lambda one: _voiced(one, one.voice.invite(digest, at_us=at))
        case "key":
            key, by_code = str(said["new_key"]), said["by_code"] is True
            return lambda one: _voiced(one, one.voice.take(key, at_us=at, by_code=by_code))
        case "link" | "unlink" | "disown":
            return _linked(said)
        case "read":
            return lambda one: one
        case _:
            raise InvalidError("no such choice", rule="subjects.choice")


def _linked(said: Mapping[str, Any]) -> Change:
    """Return what a choice about sign-ins makes of a standing."""
    at = int(said["at_us"])
    match said["choice"]:
        case "unlink":
            return lambda one: _voiced(one, one.voice.unlink())
        case "disown":
            return lambda one: _voiced(one, one.voice.disown(at_us=at))
        case _:
            by_code = said["by_code"] is True
            link = Link(
                principal=str(said["principal"]),
                identity=digest_identity(str(said["identity"])),
                method=str(said["method"]),
                since_us=at,
                register=int(said["register"]),
            )
            return lambda one: _voiced(one, one.voice.join(link, by_code=by_code))


def _voiced(standing: Standing, voice: Voice) -> Standing:
    return replace(standing, voice=voice)
