"""Which of two values allows more: one declared order for every kind of field.

An order looks at two different values and returns steps. It never returns "the same" for different values:
what it cannot rank is *incomparable*, and that counts as wider. Where a missing value can be read in two ways,
a step is narrower only if it is narrower in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold.charter import terms
from safehold.charter.difference.change import NARROWER, WIDER
from safehold.charter.difference.words import Said
from safehold.charter.value import Effect, Threshold
from safehold.errors import InvalidError

# a value and every name that either value holds -> what the value stands for
Sets = Callable[[Any, frozenset[str]], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One way in which a value changed.

    Args:
        side: ``wider`` or ``narrower``.
        message: Which of a field's sentences says it: ``wider``, ``narrower``, ``changed``, ``order``.
        said: What fills the sentence, beside the owner of the field.
    """

    side: str
    message: str
    said: tuple[tuple[str, Said], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """How two values of a field compare.

    Args:
        judge: Returns the steps from an old to a different new value.
        kind: What kind of word a value is, for the catalogue.
    """

    judge: Callable[[Any, Any, str], Iterable[Step]]
    kind: str = "text"

    def steps(self, old: Any, new: Any) -> tuple[Step, ...]:
        """Return the steps between two values; none only if they are equal."""
        if old == new:
            return ()
        return tuple(self.judge(old, new, self.kind)) or (
            _both(WIDER, "changed", old, new, self.kind),
        )


def words(kind: str = "text") -> Order:
    """Words that people rely on: no machine can rank them."""
    return Order(lambda old, new, of: [_both(WIDER, "changed", old, new, of)], kind)


def more_is_wider(kind: str, *, none: float | None = None) -> Order:
    """A number that allows more as it grows; ``none`` is where a missing one ranks."""
    return Order(_ranked(lambda value: none if value is None else value), kind)


def fewer_is_wider(kind: str, *, none: float | None = None) -> Order:
    """A number that allows more as it shrinks; ``none`` is where a missing one ranks."""
    return Order(_ranked(lambda value: _minus(none if value is None else value)), kind)


def ladder(*rungs: Any, kind: str = "text") -> Order:
    """Values from narrow to wide; any other is incomparable."""
    return Order(_ranked(lambda value: rungs.index(value) if value in rungs else None), kind)


def added_is_wider(kind: str, *, readings: Sequence[Sets] = ()) -> Order:
    """A list that allows more with each entry."""
    return Order(_sets(wider=True, readings=readings or (_plain,)), kind)


def removed_is_wider(kind: str, *, readings: Sequence[Sets] = ()) -> Order:
    """A list that protects with each entry."""
    return Order(_sets(wider=False, readings=readings or (_plain,)), kind)


def none_means_all(value: Any, universe: frozenset[str]) -> frozenset[str]:
    """Read a list of which a missing one sets no limit."""
    return universe | {"*"} if value is None else frozenset(value)


def none_means(*names: str) -> Sets:
    """Return the reading of a list in which a missing one stands for some names."""
    return lambda value, _: frozenset(names) if value is None else frozenset(value)


def empty_means(*names: str) -> Sets:
    """Return the reading of a list in which an empty one stands for some names."""
    return lambda value, _: frozenset(value) or frozenset(names)


def under(
    kind: str, *, vocabulary: str = "fides", broader: bool = False, linked: bool = True
) -> Sets:
    """Return the reading of a list of terms: each with all that lies under it.

    Args:
        kind: What the terms must be.
        vocabulary: Where a bare word is looked for.
        broader: Whether all counts that has something in common with a term, as for what is never collected.
        linked: Whether a term counts with what it means in other vocabularies; else in its own alone. Links are
            our reading, so whoever ranks lists of terms looks both ways.
    """

    def read(value: Iterable[str], _: frozenset[str]) -> frozenset[str]:
        found: set[str] = set()
        for word in value:
            try:
                name = terms.find(word, kind=kind, vocabulary=vocabulary).name
            except InvalidError:
                found.add(word)
                continue
            if linked:
                found |= terms.touched(name) if broader else terms.within(name)
            else:
                found |= terms.below(name) | (terms.ancestors(name) if broader else frozenset())
        return frozenset(found)

    return read


def terms_removed(kind: str, *, vocabulary: str = "fides", broader: bool = False) -> Order:
    """A list of terms that protects with each: narrower only if it is with links and without."""
    readings = tuple(
        under(kind, vocabulary=vocabulary, broader=broader, linked=linked)
        for linked in (True, False)
    )
    return removed_is_wider("term", readings=readings)


def missing_is_wider(kind: str) -> Order:
    """A limit that is one of several words: none at all is widest, two different ones are incomparable."""

    def judge(old: Any, new: Any, of: str) -> Iterable[Step]:
        side = NARROWER if old is None else WIDER
        yield _both(side, side if None in (old, new) else "changed", old, new, of)

    return Order(judge, kind)


def missing_is_narrower(kind: str) -> Order:
    """A permission that is a record of its own: none at all is narrowest."""

    def judge(old: Any, new: Any, of: str) -> Iterable[Step]:
        yield _both(
            NARROWER if new is None else WIDER, NARROWER if new is None else WIDER, old, new, of
        )

    return Order(judge, kind)


def narrower_term(kind: str, vocabulary: str) -> Order:
    """A use or a choice: what lies under the old term says less; all else is incomparable."""

    def judge(old: Any, new: Any, of: str) -> Iterable[Step]:
        side = NARROWER if _lies_under(new, old, kind, vocabulary) else WIDER
        yield _both(side, "narrower" if side == NARROWER else "changed", old, new, of)

    return Order(judge, "term")


def deadline() -> Order:
    """An effect: the same one later is wider, another one is incomparable."""

    def judge(old: Effect, new: Effect, of: str) -> Iterable[Step]:
        if old.name != new.name:
            yield _both(
                WIDER, "changed", (old.name, old.within_s), (new.name, new.within_s), "effect"
            )
            return
        # none at all may be never
        late = new.within_s == 0 or 0 < old.within_s < new.within_s
        said = _said(old.within_s, new.within_s, of)
        yield Step(side=WIDER if late else NARROWER, message=WIDER if late else NARROWER, said=said)

    return Order(judge, "seconds")


def bound() -> Order:
    """A bound on a measurement: one that admits less is narrower, one that admits more or other is wider."""

    def judge(old: Threshold, new: Threshold, of: str) -> Iterable[Step]:
        less = _inside(new, old)
        message = "narrower" if less else "wider" if _inside(old, new) else "changed"
        one, two = ((each.op, each.micro) for each in (old, new))
        yield _both(NARROWER if less else WIDER, message, one, two, of)

    return Order(judge, "bound")


def fixed(kind: str = "text") -> Order:
    """A field with one possible value in this language; another language cannot be compared."""
    return words(kind)


def order_only(old: Iterable[Any], new: Iterable[Any], kind: str) -> Step:
    """A list whose entries stand in another order, or twice: its readers may see what we do not."""
    return _both(WIDER, "order", tuple(old), tuple(new), kind)


def _ranked(rank: Callable[[Any], float | None]) -> Callable[[Any, Any, str], Iterable[Step]]:
    def judge(old: Any, new: Any, of: str) -> Iterable[Step]:
        before, after = rank(old), rank(new)
        if before is None or after is None or before == after:
            yield _both(WIDER, "changed", old, new, of)
        elif after > before:
            yield _both(WIDER, "wider", old, new, of)
        else:
            yield _both(NARROWER, "narrower", old, new, of)

    return judge


def _sets(*, wider: bool, readings: Sequence[Sets]) -> Callable[[Any, Any, str], Iterable[Step]]:
    """Return a judge of lists; an entry gained or lost in any reading shows."""
    more, less = (WIDER, NARROWER) if wider else (NARROWER, WIDER)

    def judge(old: Any, new: Any, of: str) -> Iterable[Step]:
        before, after = frozenset(old or ()), frozenset(new or ())
        pairs = [(read(old, before | after), read(new, before | after)) for read in readings]
        gained = any(two - one for one, two in pairs)
        lost = any(one - two for one, two in pairs)
        if not gained and not lost:
            yield order_only(old or (), new or (), of)
        for side, changed, names in ((more, gained, after - before), (less, lost, before - after)):
            if changed and names and None not in (old, new):
                said = (("names", Said(of, tuple(sorted(names)))),)
                yield Step(side=side, message=side, said=said)
            elif changed:
                yield _both(side, "changed", old, new, of)

    return judge


def _plain(value: Any, _: frozenset[str]) -> frozenset[str]:
    return frozenset(value or ())


def _lies_under(new: Any, old: Any, kind: str, vocabulary: str) -> bool:
    if new is None or old is None:
        return False
    try:
        below, above = (
            terms.find(word, kind=kind, vocabulary=vocabulary).name for word in (new, old)
        )
    except InvalidError:
        return False
    return above in terms.ancestors(below)


_Range = tuple[float, bool, float, bool]  # least, whether it counts, most, whether it counts
_ENDLESS: Final = float("inf")


def _range(one: Threshold) -> _Range:
    at = one.micro
    return {
        "<=": (-_ENDLESS, False, at, True),
        "<": (-_ENDLESS, False, at, False),
        ">=": (at, True, _ENDLESS, False),
        ">": (at, False, _ENDLESS, False),
        "==": (at, True, at, True),
    }[one.op]


def _inside(inner: Threshold, outer: Threshold) -> bool:
    low, low_in, high, high_in = _range(inner)
    least, least_in, most, most_in = _range(outer)
    above = low > least or (low == least and (least_in or not low_in))
    below = high < most or (high == most and (most_in or not high_in))
    return above and below


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _both(side: str, message: str, old: Any, new: Any, kind: str) -> Step:
    return Step(side=side, message=message, said=_said(old, new, kind))


def _said(old: Any, new: Any, kind: str) -> tuple[tuple[str, Said], ...]:
    return (("old", Said.of(kind, old)), ("new", Said.of(kind, new)))
