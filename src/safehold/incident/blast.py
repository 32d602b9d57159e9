"""The blast radius: what was opened, and what could have been. Two answers, never one.

What *was* opened is told by intents and results, so it is complete by construction. What *could have been* is how far
the stolen thing reached while it lived, over what is still there to be opened.

Pure: it is given the tracks, the holdings and what a target means in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from safehold.catalog.lineage import MODEL, SOURCE, Node
from safehold.incident.granted import living_grants, terms_of, with_token
from safehold.incident.holdings import Holdings, Mask
from safehold.incident.target import Meant
from safehold.incident.tracks import NONE, Column, Tracks, among, distinct

SHOWN: Final = 100  # runs that are told one by one; all of them count


@dataclass(slots=True, kw_only=True)
class Part:
    """One of the two answers.

    Args:
        people: Ids of the living people.
        places: Bits of the living people; of what was opened.
        erased: Fewest and most people who were in it and are erased since.
        untold: Runs of which nobody can say any more whose data they opened.
        streams: Streams of telemetry.
        categories: Their terms in the charter.
        days: UTC days.
        blocks: Blocks.
        derived: Ids of datasets that were made.
        models: Ids of models.
        runs: The runs, newest first, at most ``SHOWN`` of them.
        count: How many runs.
        grants: Leaves of the grants.
        releases: What left.
    """

    people: frozenset[str] = frozenset()
    places: int = 0
    erased: tuple[int, int] = (0, 0)
    untold: int = 0
    streams: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    days: tuple[int, ...] = ()
    blocks: int = 0
    derived: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    runs: tuple[Mapping[str, Any], ...] = ()
    count: int = 0
    grants: tuple[int, ...] = ()
    releases: tuple[Mapping[str, Any], ...] = field(default=())


def was_opened(tracks: Tracks, holdings: Holdings, meant: Meant, people: Mapping[int, str]) -> Part:
    """Return what was opened, by intents and results.

    Args:
        tracks: What the ledger tells.
        holdings: What was made of what.
        meant: The target.
        people: Who has which place.
    """
    uses, words = tracks["uses"], tracks.words
    made_row, made_what = tracks["made"]["row"], tracks["made"]["what"]
    chosen = _choose(tracks, holdings, meant)
    outcome, blocks = _answers(tracks)
    # a run whose result says that nothing was opened opened nothing; of any other it may have been all
    opened = chosen & (blocks != 0)
    if meant.made is not None:  # whose data is in it, and not in what was made of it and of others
        makers = made_row[made_what == words.find(meant.made)]
        opened &= _rows(len(opened), makers)
    told = opened & (uses["erased"] >= 0)
    bits = tracks.unite(uses["people"][told])
    if meant.place is not None:
        bits &= 1 << meant.place if meant.place >= 0 else 0
    streams, categories = _behind(tracks, opened)
    rows = np.flatnonzero(chosen)
    within = (made_row >= 0) & chosen[made_row]
    own = [words[one] for one in distinct(made_what[within])]
    if meant.made is not None:
        own = [meant.made]
    names = list(dict.fromkeys([*own, *holdings.below(own)]))
    models = [one for one in names if _is_model(one, holdings)]
    return Part(
        people=frozenset(people[at] for at in places_of(bits) if at in people),
        places=bits,
        erased=(0, 0) if meant.place is not None else _erased(tracks, told),
        untold=int(np.count_nonzero(opened & ~told)),
        streams=streams,
        categories=categories,
        days=_days(uses["first"][opened], uses["last"][opened]),
        blocks=int(blocks[opened & (blocks > 0)].sum()),
        derived=tuple(one for one in names if one not in models),
        models=tuple(models),
        runs=_runs(tracks, rows, outcome, blocks),
        count=len(rows),
        grants=tuple(one for one in distinct(uses["grant"][chosen]) if one != NONE),
        releases=tuple(_releases(tracks, rows, outcome, models)),
    )


def could_be_opened(
    tracks: Tracks,
    holdings: Holdings,
    meant: Meant,
    *,
    by_grant: bool,
    filters: Callable[[int], Any],
    people: Mapping[int, str],
) -> Part:
    """Return what could have been opened.

    Args:
        tracks: What the ledger tells.
        holdings: What there is.
        meant: The target.
        by_grant: Whether grants bound it.
        filters: Returns whom a grant means, by the row of the grant.
        people: Who has which place.
    """
    mask, tables = holdings.all(), list(_pooled(holdings))
    grants: tuple[int, ...] = ()
    if by_grant:
        chosen = living_grants(tracks, meant)
        mask, found = holdings.none(), dict[str, Node]()
        for terms in terms_of(tracks, chosen, meant, filters):
            more, pooled = holdings.reach(terms)
            mask |= more
            found |= {node.id: node for node in pooled}
        tables = list(found.values())
        grants = tuple(tracks["grants"]["leaf"][chosen].tolist())
    if meant.segments is not None:
        mask = mask & holdings.of_segments(meant.segments)
        # a table of several people has a key of its own, under a segment of no place
        tables = []
    inside: set[str] = set()
    if meant.made is not None:
        carrying = [meant.made, *holdings.below([meant.made])]
        inside = _within(tracks, carrying, people)
        mask = mask & holdings.of_sources(holdings.above(carrying)) & holdings.of_people(inside)
        tables = [node for node in tables if node.id in carrying]
    if meant.person is not None:
        mask = mask & holdings.of_people([meant.person])
        tables = []
    who = holdings.people(mask)
    for node in tables:
        who |= _within(tracks, [node.id], people)
    if meant.made is not None and not by_grant and meant.segments is None:
        who |= inside
    if meant.person is not None:
        who &= {meant.person}
    streams, categories = holdings.classes(mask)
    days = set(holdings.days(mask))
    for node in tables:
        streams |= node.label.streams
        categories |= node.label.categories
        days |= set(range(node.label.first_day, node.label.last_day + 1))
    roots = [*holdings.sources(mask), *(node.id for node in tables)]
    if meant.made is not None:
        roots = [meant.made]
    names = list(dict.fromkeys([*roots, *holdings.below(roots)]))
    made = [one for one in names if one in holdings.nodes and holdings.nodes[one].kind != SOURCE]
    models = [one for one in made if _is_model(one, holdings)]
    return Part(
        people=frozenset(who),
        streams=frozenset(streams),
        categories=frozenset(categories),
        days=tuple(sorted(days)),
        blocks=holdings.count(mask) + len(tables),
        derived=tuple(one for one in made if one not in models),
        models=tuple(models),
        grants=grants,
    )


def places_of(bits: int) -> list[int]:
    """Return the places whose bits are set."""
    raw = np.frombuffer(bits.to_bytes((bits.bit_length() + 7) // 8, "little"), dtype=np.uint8)
    found: list[int] = np.flatnonzero(np.unpackbits(raw, bitorder="little")).tolist()
    return found


def _choose(tracks: Tracks, holdings: Holdings, meant: Meant) -> Mask:
    uses, words = tracks["uses"], tracks.words
    chosen = np.ones(len(uses), dtype=bool)
    if meant.actors is not None:
        tags = [words.find(tag) for tag in meant.actors]
        mine = among(uses["actor"], tags)
        chosen &= mine | among(uses["grant"], list(meant.grants or ()))
    elif meant.grants is not None:
        chosen &= among(uses["grant"], list(meant.grants))
    if meant.tokens is not None:
        chosen &= with_token(tracks, meant)
    if meant.segments is not None:
        wanted = [
            at
            for at in distinct(uses["segments"])
            if at >= 0 and not meant.segments.isdisjoint(words[at].split("+"))
        ]
        chosen &= among(uses["segments"], wanted)
    if meant.place is not None:
        numbers = distinct(uses["people"])
        bit = 1 << meant.place if meant.place >= 0 else 0
        chosen &= among(uses["people"], [one for one in numbers if tracks.sets[one] & bit])
    if meant.made is not None:
        about = [words.find(one) for one in (meant.made, *holdings.below([meant.made]))]
        made = tracks["made"]
        makers = made["row"][among(made["what"], about)]
        chosen &= _rows(len(uses), makers) | among(uses["artifact"], about)
    if meant.since is not None:
        chosen &= uses["at"] >= meant.since
    if meant.until is not None:
        chosen &= uses["at"] <= meant.until
    return chosen


def _rows(count: int, rows: Column) -> Mask:
    found = np.zeros(count, dtype=bool)
    found[rows[rows >= 0]] = True
    return found


def _answers(tracks: Tracks) -> tuple[Column, Column]:
    """Return by use the word of its outcome and how many blocks it opened; -1 where nobody wrote it."""
    results, count = tracks["results"], len(tracks["uses"])
    outcome, blocks = np.full(count, NONE), np.full(count, NONE)
    there = results["row"] >= 0
    outcome[results["row"][there]] = results["outcome"][there]
    blocks[results["row"][there]] = results["blocks"][there]
    return outcome, blocks


def _erased(tracks: Tracks, chosen: Mask) -> tuple[int, int]:
    """Return the fewest and the most people of some uses who are erased; several entries of one cannot be linked."""
    gone, leaves = tracks["uses"]["erased"][chosen], tracks["uses"]["leaf"][chosen]
    if not len(gone) or not gone.any():
        return 0, 0
    after = int(np.count_nonzero(tracks["erasures"]["leaf"] > int(leaves[gone > 0].min())))
    return int(gone.max()), max(int(gone.max()), min(int(gone.sum()), after))


def _behind(tracks: Tracks, chosen: Mask) -> tuple[frozenset[str], frozenset[str]]:
    streams: set[str] = set()
    categories: set[str] = set()
    for number in distinct(tracks["uses"]["behind"][chosen]):
        if number >= 0:
            told = orjson.loads(tracks.words[number])
            streams |= set(told[0])
            categories |= set(told[1])
    return frozenset(streams), frozenset(categories)


def _days(first: Column, last: Column) -> tuple[int, ...]:
    """Return the days that intents name; each names the first and the last of its own."""
    known = first >= 0
    first, last = first[known], last[known]
    if not len(first):
        return ()
    low, wide = int(first.min()), int((last - first).max()) + 1
    found: set[int] = set()
    for one in distinct((first - low) * wide + last - first):
        start, more = divmod(one, wide)
        found |= set(range(low + start, low + start + more + 1))
    return tuple(sorted(found))


def _runs(
    tracks: Tracks, rows: NDArray[np.int64], outcome: Column, blocks: Column
) -> tuple[Mapping[str, Any], ...]:
    uses, words = tracks["uses"], tracks.words
    return tuple(
        {
            "entry": int(uses["leaf"][row]),
            "at_ms": int(uses["at"][row]),
            "what": words[int(uses["what"][row])],
            "purpose": words[int(uses["purpose"][row])],
            "grant": int(uses["grant"][row]),
            "outcome": words[int(outcome[row])],
            "blocks": int(blocks[row]),
        }
        for row in rows[::-1][:SHOWN].tolist()
    )


def _releases(
    tracks: Tracks, rows: NDArray[np.int64], outcome: Column, models: Sequence[str]
) -> Iterable[Mapping[str, Any]]:
    """Yield what left: models that were pulled, figures that were charged or sent, joins, steps of a federation."""
    uses, words = tracks["uses"], tracks.words
    chosen = _rows(len(uses), rows)
    ours = [words.find(one) for one in models]
    ok = words.find("ok")
    made = _rows(len(uses), tracks["made"]["row"])
    pulled = (uses["artifact"] >= 0) & (chosen | among(uses["artifact"], ours))
    pulled &= (outcome == ok) & among(uses["what"], [words.find("pull")])
    for row in np.flatnonzero(pulled).tolist():
        yield {
            "kind": "pull",
            "what": words[int(uses["artifact"][row])],
            "entry": int(uses["leaf"][row]),
            "at_ms": int(uses["at"][row]),
            "grant": int(uses["grant"][row]),
        }
    results = tracks["results"]
    sent = np.zeros(len(uses), dtype=np.int64)
    there = results["row"] >= 0
    sent[results["row"][there]] = results["sent"][there]
    # what was charged to a budget, or went through the gate, and was not kept as a dataset or a model
    figures = chosen & ~made & (uses["artifact"] < 0) & ((uses["epsilon"] > 0) | (sent > 0))
    for row in np.flatnonzero(figures).tolist():
        yield {
            "kind": "figures",
            "what": words[int(uses["what"][row])],
            "entry": int(uses["leaf"][row]),
            "at_ms": int(uses["at"][row]),
            "grant": int(uses["grant"][row]),
            "epsilon_micro": int(uses["epsilon"][row]),
            "bytes": max(int(sent[row]), 0),
        }
    left = tracks["left"]
    grants = {str(one) for one in distinct(uses["grant"][chosen])}
    for leaf, row, kind, what in zip(*(left[name].tolist() for name in left.names), strict=True):
        said = words[what]
        if (row >= 0 and chosen[row]) or (row < 0 and said.rpartition("/")[2] in grants):
            yield {"kind": words[kind], "what": said, "entry": leaf}


def _within(tracks: Tracks, names: Iterable[str], people: Mapping[int, str]) -> set[str]:
    """Return the living people in what was made."""
    made = tracks["made"]
    rows = made["row"][among(made["what"], [tracks.words.find(one) for one in names])]
    bits = tracks.unite(tracks["uses"]["people"][rows[rows >= 0]])
    return {people[at] for at in places_of(bits) if at in people}


def _pooled(holdings: Holdings) -> Iterable[Node]:
    return (
        node
        for node in holdings.nodes.values()
        if node.pooled and holdings.tell(node.id)["status"] == "live"
    )


def _is_model(name: str, holdings: Holdings) -> bool:
    node = holdings.nodes.get(name)
    return name.startswith("art") if node is None else node.kind == MODEL
