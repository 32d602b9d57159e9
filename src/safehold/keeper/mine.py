"""The verbs by which a person looks at every entry about them: page by page, and each with its proof.

Holds: what is told of an entry is what the person's package discloses of it too: what was done, when, for which
purpose, by which recipe, in which role somebody asked, under which approval, and what came of it; of a lease
beside that the device and the streams, which the person's own key alone opens. Who asked, and what is told later, is
as the board decided for this person and this entry (``disclosure``). Nothing is told of anybody else: not even how
many others an entry is about.
Does not hold: that the list is complete; the package proves that (``people.trail``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from safehold.canonical import LARGEST, b64
from safehold.clock import DAY_US
from safehold.errors import InvalidError, MissingError, SafeholdError, ShreddedError
from safehold.ids import PersonId
from safehold.keeper.disclosure import ACTOR, Disclosures
from safehold.keeper.journey import Journey
from safehold.keeper.leasing import read_said
from safehold.keeper.own import Columns, Own
from safehold.keeper.personal import open_personal
from safehold.keeper.server import Report
from safehold.keeper.voice import require_person
from safehold.ledger.entry import Opening
from safehold.ledger.subjects import epoch_key
from safehold.telemetry.stream import STREAMS

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MOST: Final = 200  # entries of one page
REMEMBERED: Final = 10_000  # grants
DAY_MS: Final = DAY_US // 1000
USE: Final = "access.intent"
# kinds of entries by what they mean to the person they are about
MEANT: Final[Mapping[str, frozenset[str]]] = {
    "used": frozenset({USE}),
    "recorded": frozenset({"ingest", "lease", "gap"}),
    "chosen": frozenset({"choice"}),
    "released": frozenset({"release", "join", "embed.export"}),
}
NAMED: Final = frozenset().union(*MEANT.values())
OTHER: Final = "other"


class Mine:
    """The verbs.

    Args:
        desk: What the keeper works with.
        own: Finds the entries of a person.
        journey: Knows what was made of whom.
        disclosures: What somebody is told otherwise than by the rule.
    """

    def __init__(self, desk: Desk, own: Own, journey: Journey, disclosures: Disclosures) -> None:
        self._desk = desk
        self._own = own
        self._journey = journey
        self._disclosures = disclosures
        self._seats: dict[
            int, list[str]
        ] = {}  # by the entry of a grant who approved it; it never changes

    def uses(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return a page of the entries about a person, newest first, and how many there are of each sort.

        The next page begins at ``next``; an entry that comes meanwhile shifts nothing.

        Raises:
            InvalidError: A filter is no such thing.
        """
        person = require_person(self._desk, arguments, "people.uses", keyless=False)
        size = self._desk.ledger.size
        everything = self._own.of(person)
        limit = _number(arguments, "limit", default=50, least=1, most=MOST)
        made = self._journey.made_of(person, everything)
        chosen = self._filter(everything, arguments, made)
        before = _number(arguments, "before", default=LARGEST, least=0, most=LARGEST)
        left = chosen.where(chosen.index < before)
        page = left.index[-limit:][::-1].tolist()
        return {
            "uses": list(self._tell(person, page, made)),
            "next": page[-1] if len(left) > limit else None,
            "matching": len(chosen),
            "all": len(everything),
            "size": size,
            "sorts": self._sorts(everything),
            "purposes": self._purposes(everything),
            "made": sorted({name for names in made.values() for name in names}),
        }

    def use(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return one entry about a person, with its leaf, its place in the log and the person's own place in it.

        Raises:
            MissingError: There is no such entry, or it is not about them; which of the two is not told.
        """
        desk = self._desk
        person = require_person(desk, arguments, "people.use", keyless=False)
        index = _number(arguments, "entry", default=-1, least=0, most=LARGEST)
        everything = self._own.of(person)
        at = int(np.searchsorted(everything.index, index))
        if at == len(everything) or everything.index[at] != index:
            raise MissingError("no entry of this number is about you", rule="trail.entry")
        with suppress(SafeholdError):  # whoever looks right after is shown the head that covers it
            desk.ledger.publish()
        (told,) = self._tell(person, [index], self._journey.made_of(person, everything))
        return told | {"leaf": b64(desk.ledger.leaf(index)), **self._proof(person, index)}

    def _proof(self, person: PersonId, index: int) -> dict[str, Any]:
        desk = self._desk
        (subject,) = desk.subjects([person])
        opening = desk.ledger.opening(index)
        found = opening.people.find(epoch_key(subject.key, desk.ledger.epochs.of(index)))
        place, flags = found if found is not None else (0, 0)
        mine = {
            "nonce": b64(opening.people.nonce),
            "flags": flags,
            "place": place,
            "set": [b64(one) for one in opening.people.path(place)],
        }
        try:
            return {"proof": desk.ledger.prove(index), "item": mine}
        except SafeholdError:  # no head covers it yet
            return {"proof": None, "item": mine}

    def _filter(
        self, every: Columns, arguments: Mapping[str, Any], made: Mapping[int, Sequence[str]]
    ) -> Columns:
        wanted = np.ones(len(every), dtype=bool)
        if (sort := _word(arguments, "sort")) is not None:
            numbers = [self._own.number(kind) for kind in MEANT.get(sort, NAMED)]
            if sort not in MEANT and sort != OTHER:
                raise InvalidError("no such sort of entries", field="sort", rule="trail.filter")
            wanted &= np.isin(every.kind, numbers, invert=sort == OTHER)
        if (purpose := _word(arguments, "purpose")) is not None:
            wanted &= every.purpose == self._own.number(purpose)
        if (name := _word(arguments, "made")) is not None:
            wanted &= np.isin(every.index, [at for at, names in made.items() if name in names])
        for field, later in (("first_day", True), ("last_day", False)):
            if field in arguments:
                day = _number(arguments, field, default=0, least=0, most=100_000)
                wanted &= (
                    (every.at_ms // DAY_MS >= day) if later else (every.at_ms // DAY_MS <= day)
                )
        return every.where(wanted)

    def _sorts(self, every: Columns) -> dict[str, int]:
        found = {
            sort: int(np.isin(every.kind, [self._own.number(kind) for kind in kinds]).sum())
            for sort, kinds in MEANT.items()
        }
        return {**found, OTHER: len(every) - sum(found.values())}

    def _purposes(self, every: Columns) -> dict[str, int]:
        numbers, counts = np.unique(every.purpose, return_counts=True)
        pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
        return {word: count for at, count in pairs if (word := self._own.word(at))}

    def _tell(
        self, person: PersonId, page: Sequence[int], made: Mapping[int, Sequence[str]]
    ) -> Iterator[dict[str, Any]]:
        """Yield what is told of some entries, each as the rule says or the board decided."""
        decided = self._disclosures.told(person)
        later = frozenset(index for index, fields in decided.items() if not fields)
        found: dict[int, dict[str, Any]] = {}
        for index, leaf in self._desk.ledger.pick(sorted(page)):
            told = found[index] = self._outline(index, leaf)
            if index in later or leaf.get("ref") in later:
                told["withheld"] = True
                continue
            try:
                opening = self._desk.ledger.opening(index)
            except (ShreddedError, MissingError):
                continue  # what the leaf says stays; the rest was destroyed
            told |= self._inside(person, leaf, opening)
            if leaf["k"] == USE:
                told |= self._result(index) | {"made": list(made.get(index, ()))}
            if ACTOR in decided.get(index, ()):
                told["who"] = opening.actor
        for index in page:
            yield found[index]

    def _outline(self, index: int, leaf: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is always told of an entry: where it stands, when, of which kind, for which purpose."""
        kind = str(leaf["k"])
        return {
            "entry": index,
            "at_ms": int(leaf["t"]),
            "kind": kind,
            "sort": next((name for name, kinds in MEANT.items() if kind in kinds), OTHER),
            "purpose": str(leaf.get("pub", {}).get("purpose", "")),
            "epoch": self._desk.ledger.epochs.of(index),
        }

    def _inside(
        self, person: PersonId, leaf: Mapping[str, Any], opening: Opening
    ) -> dict[str, Any]:
        """Return what may be told of what the side-car of an entry says."""
        match leaf["k"]:
            case "access.intent":
                told = self._use_of(leaf, opening)
            case "choice":
                told = self._choice_of(person, opening)
            case "disclosure":
                told = self._decision_of(person, opening)
            case "ingest":
                told = {"source": opening.object}
            case "lease":
                told = self._lease_of(person, opening)
            case "incident":
                step = str(leaf.get("pub", {}).get("step", ""))
                told = {"incident": opening.object, "step": step}
            case "release" | "derived" | "join" | "embed.export":
                told = {"recipe": opening.object, "ref": leaf.get("ref")}
            case _:
                told = {}
        return told

    def _use_of(self, leaf: Mapping[str, Any], opening: Opening) -> dict[str, Any]:
        said = opening.detail
        segments = [str(one) for one in said.get("segments", ())]
        streams = said.get("label", {}).get("streams") or {
            one.rpartition(".")[2] for one in segments
        }
        return {
            "recipe": opening.object,
            "role": str(said.get("role", "")),
            "streams": sorted(one for one in streams if one in STREAMS),
            "days": list(said.get("days", ())),
            "grant": str(said.get("grant", "")),
            **self._approval(leaf.get("ref")),
        }

    def _approval(self, entry: int | None) -> dict[str, Any]:
        """Return which entry approved a use and which seats signed it; never by name."""
        if entry is None:
            return {"approval": None, "seats": []}
        if entry not in self._seats:
            seats: Sequence[str] = ()
            with suppress(ShreddedError, MissingError):
                seats = self._desk.ledger.opening(entry).detail.get("seats", ())
            if len(self._seats) >= REMEMBERED:
                self._seats.clear()
            self._seats[entry] = sorted(map(str, seats))
        return {"approval": entry, "seats": list(self._seats[entry])}

    def _result(self, intent: int) -> dict[str, Any]:
        """Return how a use ended, and how many bytes left the enclave; nothing while it goes on."""
        ledger = self._desk.ledger
        found = ledger.find(f"access.result/{intent}")
        if found is None:
            return {"outcome": "", "result": None, "sent": None}
        ((_, leaf),) = ledger.pick([found.index])
        facts = leaf.get("pub", {})
        return {
            "outcome": str(facts.get("outcome", "")),
            "result": found.index,
            "sent": facts.get("bytes"),
        }

    def _decision_of(self, person: PersonId, opening: Opening) -> dict[str, Any]:
        """Return which decision of the board about what a person is told an entry is, and until when it holds."""
        (subject,) = self._desk.subjects([person])
        said = open_personal(subject.key, opening.detail["sealed"])
        return {"decision": said["what"], "until_us": said["until_us"]}

    def _lease_of(self, person: PersonId, opening: Opening) -> dict[str, Any]:
        """Return which device was allowed to record this person, and in which streams; of others nothing opens."""
        (subject,) = self._desk.subjects([person])
        said = read_said(subject.key, opening.detail)
        return {"device": said["device"], "streams": sorted(said["streams"])}

    def _choice_of(self, person: PersonId, opening: Opening) -> dict[str, Any]:
        if "sealed" not in opening.detail:
            return {"choice": "enrol", "by": "operator"}  # of several people at once
        (subject,) = self._desk.subjects([person])
        record = open_personal(subject.key, opening.detail["sealed"])
        return {"choice": record["choice"], "by": record.get("by", "operator")}


def _word(arguments: Mapping[str, Any], field: str) -> str | None:
    given = arguments.get(field)
    if given is None:
        return None
    if not isinstance(given, str) or not 0 < len(given) <= 200:
        raise InvalidError("not a word", field=field, rule="trail.filter")
    return given


def _number(
    arguments: Mapping[str, Any], field: str, *, default: int, least: int, most: int
) -> int:
    given = arguments.get(field, default)
    if type(given) is not int or not least <= given <= most:
        raise InvalidError("not such a number", field=field, rule="trail.filter")
    return given
