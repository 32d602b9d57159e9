"""Every field of two charters, compared by its declared order.

The walk follows the declared types of the model, so a field that is added to the language is visited without
anybody thinking of it. A value that differs yields at least one change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final, get_args, get_origin

from safehold.charter import record
from safehold.charter.difference.change import NARROWER, WIDER, Change
from safehold.charter.difference.field import IGNORED, LISTS, NAMED_BY, ORDERS
from safehold.charter.difference.order import Order, Step, order_only, words
from safehold.charter.difference.words import Said
from safehold.charter.model import Charter, Collect, Purpose, RedLine, Role
from safehold.charter.oversight import Promise
from safehold.charter.redline import forms

_Slots = tuple[tuple[str, Said], ...]
_TERMS: Final = ("forbid", "dpv", "forbid_terms")  # three spellings of one thing
_UNKNOWN: Final = words()
_EMERGENCY: Final = "oversight.break_glass"  # what takes nothing from the board


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk is: the documented pattern, the key of this charter, and whose field it is."""

    pattern: str = ""
    clause: str = ""
    owner: _Slots = ()

    @property
    def message(self) -> str:
        return self.pattern.replace("[]", "").replace(".<name>", "")

    def at(self, key: str) -> _Place:
        dot = "." if self.pattern else ""
        return _Place(f"{self.pattern}{dot}{key}", f"{self.clause}{dot}{key}", self.owner)

    def entry(self, name: str, *, mapping: bool, owner: _Slots) -> _Place:
        mark = ".<name>" if mapping else "[]"
        return _Place(f"{self.pattern}{mark}", f"{self.clause}.{name}", owner)

    def change(self, side: str, message: str, *said: tuple[str, Said]) -> Change:
        return Change(
            clause=self.clause,
            side=side,
            message=f"{self.message}.{message}",
            said=(*self.owner, *said),
        )

    def step(self, step: Step) -> Change:
        return self.change(step.side, step.message, *step.said)


def changes(old: Charter, new: Charter) -> Iterator[Change]:
    """Yield every change of a field between two charters, in the order of the document."""
    yield from _record(Charter, old, new, _Place())


def board_changes(told: Iterable[Change]) -> Iterator[Change]:
    """Yield that the board's own rules get stricter, which one seat must not decide: it counts as wider.

    Else a single seat could raise the quorum until nothing passes without it. What is said about emergencies is not
    among them: whoever ends or tightens those takes no way from the board that it has otherwise.
    """
    sides = {
        change.side
        for change in told
        if change.clause.startswith("oversight.") and not change.clause.startswith(_EMERGENCY)
    }
    if sides == {NARROWER}:
        yield Change(clause="oversight", side=WIDER, message="oversight.wider")


def first(charter: Charter) -> Iterator[Change]:
    """Yield what the first charter of all makes possible; before it, nothing was."""
    for pattern, allows in LISTS.items():
        entries = getattr(charter, pattern)
        if not allows:
            continue
        if not isinstance(entries, Mapping):
            entries = {getattr(one, NAMED_BY[pattern]): one for one in entries}
        for name, entry in entries.items():
            inner = _Place(pattern, pattern).entry(
                name, mapping=False, owner=_owner(name, None, entry)
            )
            yield inner.change(WIDER, "added")
    for key, kind, names in (
        ("data_subjects.include", "term", charter.data_subjects.include),
        ("jurisdictions.collect_in", "place", charter.jurisdictions),
    ):
        yield _Place(key, key).change(WIDER, WIDER, ("names", Said(kind, names)))


def _record(kind: Any, old: Any, new: Any, place: _Place) -> Iterator[Change]:
    hints = record.hints(kind)
    for each in fields(kind):
        if not place.pattern and each.name in IGNORED:
            continue
        before, after = getattr(old, each.name), getattr(new, each.name)
        if before == after:
            continue
        inner = place.at(record.key_of(each))
        found = list(
            _field(hints[each.name], before, after, inner, leaf=bool(each.metadata["read"]))
        )
        # a difference that nothing above could name is never passed over in silence
        yield from found or [inner.step(order_only((), (), "text"))]


def _field(declared: Any, old: Any, new: Any, place: _Place, *, leaf: bool) -> Iterator[Change]:
    kind = record.optional(declared)
    if get_origin(kind) is Mapping:
        yield from _entries(get_args(kind)[1], old, new, place, mapping=True)
    elif get_origin(kind) is tuple and is_dataclass(get_args(kind)[0]):
        name = NAMED_BY.get(place.pattern)
        before, after = (
            {getattr(one, str(name), None): one for one in many} for many in (old, new)
        )
        if name is None or (len(before), len(after)) != (len(old), len(new)):
            yield place.change(
                WIDER, "changed"
            )  # entries that nothing tells apart cannot be paired
            return
        yield from _entries(get_args(kind)[0], before, after, place, mapping=False)
        if [key for key in before if key in after] != [key for key in after if key in before]:
            yield place.step(order_only((), (), "text"))
    elif is_dataclass(kind) and not leaf and None not in (old, new):
        yield from _record(kind, old, new, place)
    else:
        yield from map(place.step, _order(place).steps(old, new))


def _order(place: _Place) -> Order:
    return ORDERS.get(place.pattern, _UNKNOWN)


def _entries(
    kind: Any, old: Mapping[Any, Any], new: Mapping[Any, Any], place: _Place, *, mapping: bool
) -> Iterator[Change]:
    allows = LISTS.get(place.pattern)
    for name in (*old, *(each for each in new if each not in old)):
        before, after = old.get(name), new.get(name)
        inner = place.entry(str(name), mapping=mapping, owner=_owner(str(name), before, after))
        if after is None:
            yield inner.change(NARROWER if allows else WIDER, "removed")
        elif before is None:
            yield inner.change(NARROWER if allows is False else WIDER, "added")
        elif kind is RedLine:
            yield from _red_line(before, after, inner)
        elif before != after:
            yield from _record(kind, before, after, inner)


def _red_line(old: RedLine, new: RedLine, place: _Place) -> Iterator[Change]:
    """Compare what two versions of a red line enforce; where they say it otherwise, that shows too."""
    yield from _record(RedLine, _enforced(old), _enforced(new), place)
    for names in (_TERMS, ("forbid_actions",), ("forbid_beside",), ("min_people",)):
        said = [name for name in names if getattr(old, name) != getattr(new, name)]
        one, two = ([getattr(_enforced(line), name) for name in names] for line in (old, new))
        if said and one == two:
            yield place.at(said[0]).step(order_only((), (), "text"))


def _enforced(line: RedLine) -> RedLine:
    """Return a red line with its machine form, its forbidden uses in one list."""
    full = forms(line)
    return replace(full, forbid=(), dpv=(), forbid_terms=full.terms())


def _owner(name: str, old: Any, new: Any) -> _Slots:
    """Return how the sentences of an entry name it: as the new charter does, or else the old one."""
    entry = new if new is not None else old
    match entry:
        case Collect():
            slot, said = "what", Said("what", (entry.what,))
        case Purpose():
            slot, said = "purpose", Said("purpose", (entry.plain,))
        case RedLine():
            slot, said = "line", Said("quote", (entry.words(),))
        case Promise():
            slot, said = "promise", Said("quote", (entry.says,))
        case Role():
            slot, said = "role", Said("role", (name,))
        case _:
            slot, said = "gate", Said("name", (name,))
    return ((slot, said),)
