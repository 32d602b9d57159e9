"""Which grants an incident is about, what they covered, and when each of them ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.access.capability import LONGEST_S
from safehold.incident.holdings import Mask, Terms
from safehold.incident.target import Meant
from safehold.incident.tracks import Column, Tracks, among, distinct

LONGEST_MS: Final = LONGEST_S * 1000  # a capability lives no longer


def family(tracks: Tracks, grants: Iterable[int]) -> frozenset[int]:
    """Return grants and all that descends from them."""
    table = tracks["grants"]
    leaves, parents = table["leaf"].tolist(), table["parent"].tolist()
    found = set(grants)
    for leaf, parent in zip(leaves, parents, strict=True):  # a child comes after its parent
        if parent in found:
            found.add(leaf)
    return frozenset(found)


def living_grants(tracks: Tracks, meant: Meant) -> NDArray[np.int64]:
    """Return the rows of the grants that are meant and lived in the time that is meant."""
    table = tracks["grants"]
    chosen = np.ones(len(table), dtype=bool)
    if meant.grants is not None:
        chosen &= among(table["leaf"], list(meant.grants))
    if meant.tokens is not None:
        narrowed = tracks["narrowed"]
        ended = among(narrowed["token"], [tracks.words.find(one) for one in meant.tokens])
        used = tracks["uses"]["grant"][with_token(tracks, meant)]
        chosen &= among(table["leaf"], {*distinct(used), *narrowed["grant"][ended].tolist()})
    ends = ends_of(tracks)
    if meant.since is not None:
        chosen &= ends >= meant.since
    if meant.until is not None:
        chosen &= table["at"] <= meant.until
    return np.flatnonzero(chosen)


def with_token(tracks: Tracks, meant: Meant) -> Mask:
    """Return the uses whose capability is meant."""
    column, words, wanted = tracks["uses"]["tokens"], tracks.words, meant.tokens or frozenset()
    known = [
        at for at in distinct(column) if at >= 0 and not wanted.isdisjoint(words[at].split("+"))
    ]
    return among(column, known)


def ends_of(tracks: Tracks) -> Column:
    """Return when each grant ended at the latest, milliseconds: by itself, or revoked or closed before."""
    table, ends = tracks["grants"], tracks["ends"]
    found = table["ends"].copy()
    row_of = {leaf: row for row, leaf in enumerate(table["leaf"].tolist())}
    for leaf, at in zip(ends["grant"].tolist(), ends["at"].tolist(), strict=True):
        if leaf in row_of:
            found[row_of[leaf]] = min(found[row_of[leaf]], at)
    # what descends from a grant ends with it
    for row, parent in enumerate(table["parent"].tolist()):
        if parent in row_of:
            found[row] = min(found[row], found[row_of[parent]])
    return found


def terms_of(
    tracks: Tracks, rows: NDArray[np.int64], meant: Meant, filters: Callable[[int], Any]
) -> Iterable[Terms]:
    """Yield what grants covered; those that covered the same are one, which ended with the last of them."""
    table, words, ends = tracks["grants"], tracks.words, ends_of(tracks)
    narrowed = tracks["narrowed"]
    alike: dict[tuple[int, ...], tuple[int, int]] = {}
    names = ("purpose", "segments", "streams", "first", "last", "filter")
    columns = [table[name] for name in names]
    for row in rows.tolist():
        until = int(ends[row])
        if meant.tokens is not None:  # one token of it ended before the grant did
            ours = (narrowed["grant"] == table["leaf"][row]) & among(
                narrowed["token"], [words.find(one) for one in meant.tokens]
            )
            # it was minted before its first use, and lives no longer than any
            first = tracks["uses"]["at"][with_token(tracks, meant)][:1] + LONGEST_MS
            until = min([until, *narrowed["at"][ours].tolist(), *first.tolist()])
        if meant.until is not None:
            until = min(until, meant.until)
        key = tuple(int(column[row]) for column in columns)
        alike[key] = max(alike.get(key, (-1, row)), (until, row))
    for key, (until, row) in alike.items():
        yield Terms(
            purpose=words[key[0]],
            segments=frozenset(words[key[1]].split("+")),
            streams=frozenset(words[key[2]].split("+")),
            first=key[3],
            last=key[4],
            people=filters(row),
            until=until,
        )
