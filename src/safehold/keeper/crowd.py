"""The verbs about people: enrol, choose, and see what one chose.

A choice is in the ledger before it counts. Consent, pause, resumption and withdrawal share one kind of leaf,
so that the ledger does not tell who did which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from safehold.errors import InvalidError
from safehold.ids import PersonId
from safehold.keeper.desk import Desk
from safehold.keeper.server import Report
from safehold.ledger import Entry
from safehold.subjects import Pause, Standing
from safehold.telemetry.schema import STREAMS

LONGEST_NAME = 200  # characters
SILENT = {"pause": "pause", "withdraw": "withdrawn"}


class Crowd:
    """The verbs about people.

    Args:
        desk: What the keeper works with.
        on_silence: Called with a person and a reason when recording must end at once.
        on_sound: Called with a person when recording may begin again.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        on_silence: Callable[[PersonId, str], None],
        on_sound: Callable[[PersonId], None],
    ) -> None:
        self._desk = desk
        self._on_silence = on_silence
        self._on_sound = on_sound

    def enrol(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Enrol people with where they work and what they opted in to; known ones are left alone."""
        desk = self._desk
        evidence = _text(arguments["evidence"], "evidence", 500)
        now = desk.now_us()
        fresh: list[Standing] = []
        for given in arguments["people"]:
            external = _text(given["person"], "person", LONGEST_NAME)
            if desk.people.knows(external):
                continue
            streams = _streams(given.get("streams", []))
            standing = Standing(
                external=external,
                jurisdiction=_text(given["jurisdiction"], "jurisdiction", 16),
                pauses=tuple(Pause(int(start), int(end)) for start, end in given.get("pauses", [])),
            )
            if streams:
                standing = standing.consent(streams, at_us=now, evidence=evidence)
            fresh.append(standing)
        names = desk.people.enrol(fresh)
        if names:
            # one padded leaf for the whole batch: how many opted in is not readable from it
            desk.log(
                Entry(
                    kind="choice",
                    actor="people",
                    object="enrolment",
                    detail={"choice": "enrol", "evidence": evidence},
                    charter=desk.trust.digest(),
                    subjects=desk.subjects(list(names)),
                )
            )
        return {"enrolled": len(names), "known": len(arguments["people"]) - len(names)}

    def choose(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Record a choice of one person: consent, pause, resume or withdraw."""
        desk = self._desk
        person = desk.people.find(_text(arguments["person"], "person", LONGEST_NAME))
        choice = arguments["choice"]
        now = desk.now_us()
        how: Callable[[Standing], Standing]
        match choice:
            case "consent":
                streams = _streams(arguments["streams"])
                evidence = _text(arguments["evidence"], "evidence", 500)

                def how(standing: Standing) -> Standing:
                    return standing.consent(streams, at_us=now, evidence=evidence)
            case "pause":

                def how(standing: Standing) -> Standing:
                    return standing.pause(at_us=now)
            case "resume":

                def how(standing: Standing) -> Standing:
                    return standing.resume(at_us=now)
            case "withdraw":

                def how(standing: Standing) -> Standing:
                    return standing.withdraw(at_us=now)
            case _:
                raise InvalidError("no such choice", rule="subjects.choice")
        (receipt,) = desk.log(
            Entry(
                kind="choice",
                actor="people",
                object=person,
                detail={"choice": choice},
                charter=desk.trust.digest(),
                subjects=desk.subjects([person]),
            )
        )
        desk.people.change(person, how)
        if choice in {"consent", "withdraw"}:
            desk.catalog.forget_derived(person)
        if choice in SILENT:
            self._on_silence(person, SILENT[choice])
        else:
            self._on_sound(person)
        return {"choice": choice, "at_us": now, "entry": receipt.index}

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what one person chose."""
        desk = self._desk
        person = desk.people.find(_text(arguments["person"], "person", LONGEST_NAME))
        record = desk.people.standing(person).to_record()
        record["paused"] = desk.people.standing(person).paused(desk.now_us())
        return record

    def count(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return how many are enrolled, take part, have paused and have withdrawn."""
        now = self._desk.now_us()
        everybody = self._desk.people.everybody().values()
        return {
            "enrolled": len(everybody),
            "participating": sum(bool(one.streams) and not one.paused(now) for one in everybody),
            "paused": sum(one.paused(now) for one in everybody),
            "withdrawn": sum(one.withdrawn_us is not None for one in everybody),
        }


def _streams(given: Any) -> frozenset[str]:
    streams = frozenset(given)
    if not streams <= frozenset(STREAMS):
        raise InvalidError(
            "an unknown stream", rule="stream.unknown", fix=f"known: {', '.join(STREAMS)}"
        )
    return streams


def _text(given: Any, field: str, longest: int) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= longest or not given.isprintable():
        raise InvalidError("not a short printable text", field=field, rule="subjects.text")
    return given
