"""Leases are given here: for one device, or for many that ask at about the same time.

Holds: many at once come out as one by one would. Each device is judged by itself, and what is refused to one is given
to the others. No leaf of a lease follows the leaf of a choice against it: all are judged under the lock that choices
take, and it is held until their leaves are durable and their keys made.
What many share is done once: the checks of the home, one commit, and one leaf about all of them, which tells each
person about themselves and nobody about another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from safehold.access.lease import Lessor
from safehold.charter import Charter
from safehold.dlp import Rules
from safehold.dlp.named import admit_names
from safehold.errors import (
    DeniedError,
    InvalidError,
    MissingError,
    SafeholdError,
    UnavailableError,
)
from safehold.ids import PersonId
from safehold.keeper.batch import COLLECTOR
from safehold.keeper.caller import caller
from safehold.keeper.desk import Desk
from safehold.keeper.intake import Intake
from safehold.keeper.names import chosen_names
from safehold.keeper.offer import quiet_streams, silences
from safehold.keeper.personal import open_personal, seal_personal
from safehold.keeper.server import Report
from safehold.keeper.sources import Sources
from safehold.keeper.terms import recorded_streams
from safehold.ledger import Entry, Subject
from safehold.signing import VerifyKey
from safehold.subjects import Device, Standing
from safehold.telemetry.stream import segment_name

MANY: Final = "lease.obtain-many"
MOST: Final = 256  # requests in one call: a choice waits for no more than these
PAD: Final = 64  # bytes of what a leaf says to one person: a key's id and a number

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class _Terms:
    """What all requests of a call are judged by."""

    charter: Charter
    rules: Mapping[str, dict[str, Any]]
    hashes: Mapping[str, str]
    stops: Sequence[tuple[int, int | None]]
    now_us: int
    firsts: list[tuple[Device, Entry]] = field(default_factory=list)  # grows as they are judged


@dataclass(frozen=True, slots=True)
class _Judged:
    """A request whose device proved itself and may be given a lease."""

    person: PersonId
    device: VerifyKey
    standing: Standing
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Given:
    """A lease, and the streams that it names."""

    lease: bytes
    streams: tuple[str, ...]


class Leasing:
    """The verbs.

    Args:
        desk: What the keeper works with.
        intake: Knows what may be taken in.
        sources: Knows the devices.
        lessor: Makes leases, and knows to whom none is given.
        key: The keeper's own, by which leases are verified.
        turn: Lets planned pauses begin and end, as the clock says.
    """

    def __init__(
        self,
        desk: Desk,
        intake: Intake,
        sources: Sources,
        lessor: Lessor,
        *,
        key: VerifyKey,
        turn: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._intake = intake
        self._sources = sources
        self._lessor = lessor
        self._key = key
        self._turn = turn

    def obtain(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Give a lease for one device of one person, or say why not."""
        (one,), rules = self._give([arguments])
        if isinstance(one, SafeholdError):
            raise one
        return {
            "lease": one.lease.decode(),
            "rules": {stream: rules[stream] for stream in one.streams},
            "keeper": self._key.text(),
        }

    def obtain_many(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Give leases for many devices, and answer each: a lease with its streams, or why not.

        Raises:
            InvalidError: It is no list of requests, or too long.
            DeniedError: Nobody is given one now.
        """
        given = arguments["asked"]
        if not isinstance(given, list) or not 0 < len(given) <= MOST:
            raise InvalidError(f"1 to {MOST} devices ask at once", rule="lease.batch")
        answers, rules = self._give(given)
        self._tell([one for one in answers if isinstance(one, SafeholdError)])
        return {
            "answers": [
                {"error": one.payload()}
                if isinstance(one, SafeholdError)
                else {"lease": one.lease.decode(), "streams": list(one.streams)}
                for one in answers
            ],
            "rules": rules,
            "keeper": self._key.text(),
        }

    def _give(
        self, given: Sequence[Any]
    ) -> tuple[list[_Given | SafeholdError], Mapping[str, dict[str, Any]]]:
        """Return for each request its lease or why there is none; and the rules that leases name.

        Raises:
            SafeholdError: Nobody is given one now.
        """
        desk = self._desk
        desk.trust.require_running()
        desk.ledger.check_health()
        desk.check_time()
        admit_names(chosen_names(desk.home))
        self._intake.guard()
        self._intake.check_home(COLLECTOR)
        charter = desk.trust.charter()
        refused: dict[int, SafeholdError] = {}
        admitted = _sift(enumerate(given), self._admit, refused)
        self._turn()
        with desk.turn.last():  # no leaf of a lease follows the leaf of a choice against it
            rules = self._intake.orders()["rules"]
            hashes = {stream: Rules.from_spec(spec).version for stream, spec in rules.items()}
            terms = _Terms(charter, rules, hashes, desk.trust.stops(), desk.now_us())
            judged = _sift(admitted, lambda one: self._judge(*one, terms), refused)
            if judged:
                self._log([one for _, one in judged], terms)
            made = dict(_sift(judged, lambda one: self._grant(one, terms), refused))
        return [made[at] if at in made else refused[at] for at in range(len(given))], rules

    def _admit(self, asked: Any) -> tuple[PersonId, VerifyKey]:
        """Return who asks, if they proved it."""
        if not isinstance(asked, dict):
            raise _misshapen()
        return self._sources.admit(asked)

    def _judge(self, person: PersonId, device: VerifyKey, terms: _Terms) -> _Judged:
        """Return a device that may be given a lease now; called with the lock."""
        desk = self._desk
        if person in desk.gone:
            raise MissingError("somebody was erased a moment ago", rule="subjects.erased")
        standing = desk.people.standing(person)
        allowed = standing.allowed(at_us=terms.now_us)
        if standing.jurisdiction not in terms.charter.jurisdictions:
            raise DeniedError("nothing is collected where this person works", rule="charter.place")
        allowed &= recorded_streams(terms.charter, standing)
        wanted = [stream for stream in terms.rules if stream in allowed]
        kept = tuple(stream for stream in wanted if self._collects(standing, stream))
        if wanted and not kept:  # of what is left somebody may still be recorded
            desk.trust.contained.require_collected(
                (segment_name(standing.jurisdiction, stream), stream) for stream in wanted
            )
        if not kept:
            raise DeniedError("the charter collects nothing of this person", rule="charter.collect")
        self._sources.require_counting(person, device)
        self._lessor.require_open(person=standing.external, device=device)
        first = self._sources.first_of(person, device, [one for one, _ in terms.firsts])
        if first is not None:
            terms.firsts.append(first)
        return _Judged(person, device, standing, kept)

    def _log(self, judged: Sequence[_Judged], terms: _Terms) -> None:
        """Have everything durable that says of leases; nobody is given one before.

        Raises:
            DeniedError: Everything was stopped meanwhile.
        """
        people = list(dict.fromkeys(one.person for one in judged))
        subjects = dict(zip(people, self._desk.subjects(list(people)), strict=True))
        *early, last = _commits(terms.firsts)
        log = self._desk.trust.log_all_running  # no lease follows the leaf of a stop
        for firsts in early:
            log([leaf for _, leaf in firsts])
            self._sources.put_first([device for device, _ in firsts])
        log([*(leaf for _, leaf in last), *_leaves(judged, subjects, terms)])
        self._sources.put_first([device for device, _ in last])

    def _grant(self, one: _Judged, terms: _Terms) -> _Given:
        hashes = {stream: terms.hashes[stream] for stream in one.streams}
        lease = self._lessor.grant(
            person=one.standing.external,
            device=one.device,
            charter=terms.charter.digest(),
            streams=hashes,
            apps={stream: terms.rules[stream]["apps"] for stream in one.streams},
            silences=silences(one.standing, terms.stops),
            quiet=quiet_streams(one.standing, hashes, self._desk.trust.contained),
        )
        return _Given(lease, one.streams)

    def _collects(self, standing: Standing, stream: str) -> bool:
        segment = segment_name(standing.jurisdiction, stream)
        return self._desk.trust.contained.collects(segment, stream)

    def _tell(self, errors: Sequence[SafeholdError]) -> None:
        """Say in the ledger how many of a call were refused by which rules, and in each answer where that stands."""
        refused = [one for one in errors if not isinstance(one, UnavailableError)]
        if not refused:
            return
        rules: dict[str, int] = {}
        for error in refused:
            rule = error.rule or error.code
            rules[rule] = rules.get(rule, 0) + 1
        told = {
            "rule": max(rules, key=rules.__getitem__),
            "count": len(refused),
            "rules": dict(sorted(rules.items())),
        }
        entry = self._desk.note_refusal(caller().id, MANY, told)
        for error in refused:
            error.entry = entry


def _sift(
    items: Iterable[tuple[int, A]], step: Callable[[A], B], refused: dict[int, SafeholdError]
) -> list[tuple[int, B]]:
    """Take each request a step further and return those that got there; why another did not is put beside."""
    found = []
    for at, one in items:
        try:
            found.append((at, step(one)))
        except SafeholdError as error:
            refused[at] = error
        except (KeyError, TypeError, ValueError):
            refused[at] = _misshapen()
    return found


def _misshapen() -> InvalidError:
    return InvalidError("the request has another shape", rule="keeper.verb")


def _commits(firsts: Sequence[tuple[Device, Entry]]) -> list[list[tuple[Device, Entry]]]:
    """Return devices that get their first lease, commit by commit, the last one for what else there is to write.

    A person has one in each: whoever starts after a crash looks for one change of a person that the register of
    devices has not seen, and takes a second for a ledger that is another one's.
    """
    found: list[list[tuple[Device, Entry]]] = []
    rank: dict[PersonId, int] = {}
    for device, leaf in firsts:
        at = rank[device.person] = rank.get(device.person, -1) + 1
        if at == len(found):
            found.append([])
        found[at].append((device, leaf))
    return found or [[]]


def _leaves(
    judged: Sequence[_Judged], subjects: Mapping[PersonId, Subject], terms: _Terms
) -> Iterator[Entry]:
    """Yield the leaves about leases: one for all, and a further one for each further lease of the same person.

    A person is in a leaf once, so that there are as many entries about them as leases were given.
    """
    left = list(judged)
    while left:
        now: dict[PersonId, _Judged] = {}
        later = [one for one in left if now.setdefault(one.person, one) is not one]
        yield Entry(
            kind="lease",
            actor="device",
            object="recording",
            detail={
                "rules": dict(terms.hashes),
                # in the order of their noise, which says nothing of who asked first
                "sealed": sorted(
                    _said(one, subjects[one.person].key, terms) for one in now.values()
                ),
            },
            charter=terms.charter.digest(),
            subjects=[subjects[person] for person in now],
        )
        left = later


def _said(one: _Judged, key: bytes, terms: _Terms) -> str:
    """Return what a leaf says to one person alone: which device, and which of the streams, as bits."""
    bits = sum(1 << at for at, stream in enumerate(sorted(terms.hashes)) if stream in one.streams)
    return seal_personal(key, {"device": one.device.key_id, "of": bits}, pad=PAD)


def read_said(key: bytes, detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the detail of a leaf about leases says to one person: the device's id, and rules by stream.

    Args:
        key: The person's ledger key.
        detail: Of the leaf; leaves of before there were several in one are read too.

    Raises:
        MissingError: It says nothing to them.
    """
    match detail:
        case {"sealed": str(sealed)}:
            return open_personal(key, sealed)
        case {"sealed": list(several), "rules": dict(rules)}:
            for sealed in several:
                try:
                    said = open_personal(key, sealed)
                except SafeholdError:  # it is somebody else's
                    continue
                streams = [one for at, one in enumerate(sorted(rules)) if said["of"] >> at & 1]
                told = {stream: rules[stream] for stream in streams}
                return {"device": said["device"], "streams": told}
        case _:
            pass
    raise MissingError("this entry gives no lease of this person", rule="lease.entry")


__all__ = ["MANY", "MOST", "PAD", "Leasing", "read_said"]
