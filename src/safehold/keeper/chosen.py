"""What a choice may say, checked at the rim. Nothing of it is ever repeated in an error."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from safehold import canonical
from safehold.clock import day_of
from safehold.errors import InvalidError
from safehold.signing import speaking_key
from safehold.subjects import Standing
from safehold.telemetry.stream import STREAMS

LEVELS: Final = ("staff", "manager", "executive")
CORRECTABLE: Final = frozenset({"jurisdiction", "label", "attribution", "metadata"})
LONGEST_TEXT: Final = 300  # characters
MOST_PURPOSES: Final = 16
MOST_DAYS: Final = 32  # contested stretches in one request
MOST_OPEN: Final = 24  # requests of one person that wait for an answer


def check_fields(
    standing: Standing, fields: Mapping[str, Any], *, now_us: int, purposes: Collection[str]
) -> dict[str, Any]:
    """Return the fields of a choice that it may say, in their stored form.

    Args:
        standing: Of whom.
        fields: As they came.
        now_us: Now.
        purposes: Those of the charter in force.

    Raises:
        InvalidError: One of them is no such thing.
    """
    choice = fields["choice"]
    if choice in {"object", "restrict", "correct"} and (
        sum(case.open for case in standing.cases) >= MOST_OPEN and choice == "correct"
    ):
        raise InvalidError(
            "too many requests wait for an answer", rule="subjects.cases", fix="wait for one"
        )
    match choice:
        case "consent":
            said: dict[str, Any] = {"streams": sorted(take_streams(fields["streams"]))}
            if fields.get("purposes"):
                said["purposes"] = take_purposes(fields["purposes"], purposes)
        case "pause":
            said = _pause(fields, now_us=now_us)
        case "resume":
            said = {"planned": True} if fields.get("planned") is True else {}
        case "object":
            said = {"purposes": take_purposes(fields["purposes"], purposes), **_text(fields)}
        case "restrict":
            said = _text(fields)
        case "correct":
            said = _correction(fields, now_us=now_us) | _text(fields)
        case "key":
            said = {"new_key": take_key(fields["new_key"])}
        case _:
            said = {}
    return said


def take_streams(given: Any) -> frozenset[str]:
    """Return the streams of a list."""
    if not isinstance(given, list) or len(given) > len(STREAMS):
        raise InvalidError("not a list, or too long", field="streams", rule="subjects.list")
    if not all(isinstance(name, str) for name in given):
        raise InvalidError("a stream is named by a word", field="streams", rule="stream.unknown")
    streams = frozenset(given)
    if not streams <= frozenset(STREAMS):
        raise InvalidError(
            "an unknown stream", rule="stream.unknown", fix=f"known: {', '.join(STREAMS)}"
        )
    return streams


def take_purposes(given: Any, known: Collection[str]) -> list[str]:
    """Return the purposes of a list, each one of the charter."""
    if not isinstance(given, list) or not 0 < len(given) <= MOST_PURPOSES:
        raise InvalidError("not a list of purposes", field="purposes", rule="subjects.purposes")
    if not all(isinstance(one, str) for one in given) or not set(given) <= set(known):
        raise InvalidError(
            "the charter has no such purpose",
            field="purposes",
            rule="charter.purpose",
            fix="safehold charter explain",
        )
    return sorted(set(given))


def take_key(given: Any) -> str:
    """Return a public key, or a passkey, as text."""
    return speaking_key(str(given)).text()


def take_level(given: Any) -> str:
    """Return a level."""
    if given not in LEVELS:
        raise InvalidError(
            "an unknown level", field="level", rule="subjects.level", fix=", ".join(LEVELS)
        )
    return str(given)


def take_days(given: Any, *, now_us: int) -> list[list[Any]]:
    """Return stretches of days as ``[stream, first, last]``; days are UTC day numbers, the last one included."""
    wrong = InvalidError("not stretches of days", field="days", rule="subjects.days")
    if not isinstance(given, list) or not 0 < len(given) <= MOST_DAYS:
        raise wrong
    found = []
    for one in given:
        match one:
            case [str(stream), int(first), int(last)] if (
                stream in STREAMS
                and type(first) is int
                and type(last) is int
                and 0 <= first <= last <= day_of(now_us) + 1
            ):
                found.append([stream, first, last])
            case _:
                raise wrong
    return found


def _pause(fields: Mapping[str, Any], *, now_us: int) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name in ("start_us", "end_us"):
        at = fields.get(name)
        if at is None:
            continue
        if type(at) is not int or not 0 < at <= canonical.LARGEST:
            raise InvalidError("not a moment", field=name, rule="subjects.pause")
        said[name] = at
    if "end_us" in said and said["end_us"] <= max(said.get("start_us", now_us), now_us):
        raise InvalidError(
            "a pause ends after it begins, and after now", field="end_us", rule="subjects.pause"
        )
    return said


def _correction(fields: Mapping[str, Any], *, now_us: int) -> dict[str, Any]:
    about = fields.get("about")
    if not isinstance(about, list) or not about or not set(map(str, about)) <= CORRECTABLE:
        raise InvalidError(
            "this cannot be corrected",
            field="about",
            rule="subjects.correct",
            fix=f"known: {', '.join(sorted(CORRECTABLE))}",
        )
    days = fields.get("days")
    return {
        "about": sorted({str(one) for one in about}),
        "days": take_days(days, now_us=now_us) if days else [],
    }


def _text(fields: Mapping[str, Any]) -> dict[str, Any]:
    text = fields.get("text")
    if text is None:
        return {}
    return {"text": take_text(text, "text", LONGEST_TEXT)}


def take_text(given: Any, field: str, longest: int) -> str:
    """Return one printable line of a field, at most so many characters.

    Raises:
        InvalidError: It is none.
    """
    if not isinstance(given, str) or not 0 < len(given) <= longest or not given.isprintable():
        raise InvalidError("not a short printable text", field=field, rule="subjects.text")
    return given
