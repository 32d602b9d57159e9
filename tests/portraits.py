"""Everything of a home that comes before the noise, in a form that two homes have in common.

People bear the names that the company gave them. What is left out stands in ``LEFT_OUT``, with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tests.sameness import Ids, Names, given_by, in_order
from tests.twins import Twin

from safehold.enclave.contribution import read_share
from safehold.enclave.model import Shape, make_examples
from safehold.enclave.train import _join, _read_actions
from safehold.enclave.training import gather_people, learner_of
from safehold.enclave.vocabulary import Vocabulary
from safehold.privacy.aggregate import release_aggregate
from safehold.privacy.query import read_query

CLIP = 0.1
STREAMS = ("key", "pointer", "chat", "ai", "focus", "meeting", "metric", "screen", "feature")
LEFT_OUT: Mapping[str, str] = {
    "keys, nonces, wrapped rows, block ids": "random by design, in every home",
    "ids of subjects, devices, sessions, events, messages": "keyed by the home; which rows share one is compared",
    "names, bytes, sizes and roots of sealed objects": "ciphertext under random keys, of rows whose ids compress to other lengths",
    "order of the sessions of one day": "rows bear no time of day; sessions follow each other by ids that the home keys",
    "order of people within one sandbox input": "by run-scoped names, which are random",
    "who only scores in a training run": "drawn by a random permutation that no data touches",
    "sums after noise, models, scores, figures": "noise takes no seed",
    "times of leaves": "a home is founded by the machine's clock, one after the other",
}
# public facts that say what the noise did, or name a key
NOISY = frozenset({"micro", "lower", "upper", "detectable", "size", "bytes", "vkey", "lattice"})


def blocks_by(twin: Twin, kind: str) -> dict[tuple[str, str, int], list[Any]]:
    """Return opened rows and label of every block, by person, stream and day."""
    found: dict[tuple[str, str, int], list[Any]] = {}
    ids = Ids()
    blocks = twin.desk.catalog.blocks(kind=kind, streams=STREAMS, after_day=0)
    opened = sorted(
        twin.desk.vault.read(blocks),
        key=lambda one: (twin.person(one[0].person), one[0].stream, one[0].window, one[0].rows, Ids().digest(one[1])),
    )  # fmt: skip
    for block, table in opened:
        label = block.label
        found.setdefault((twin.person(block.person), block.stream, block.window), []).append(
            {
                "rows": ids.digest(table),
                "count": table.num_rows,
                "label": [list(label.purposes), label.jurisdiction, label.expires],
                "charter": label.charter.hex(),
                "segment": block.segment,
                "generation": block.generation,
            }
        )
    return {place: sorted(ones, key=repr) for place, ones in sorted(found.items())}


def examples(twin: Twin) -> dict[str, Any]:
    """Return training examples of every person, and their clipped sum at the start of training."""
    spec = twin.workshop.specs.get("train")
    vocabulary = Vocabulary.from_spec(spec or twin.workshop.specs["feature"])
    shape = Shape(tokens=len(vocabulary.tokens), apps=len(vocabulary.apps))
    parts: dict[str, list[Any]] = {}
    blocks = twin.desk.catalog.blocks(kind="derived", streams=("feature",), after_day=0)
    opened = sorted(
        twin.desk.vault.read(blocks),
        key=lambda one: (twin.person(one[0].person), one[0].window),
    )
    for block, table in opened:
        whole = in_order(table).unify_dictionaries().combine_chunks()
        parts.setdefault(twin.person(block.person), []).append(_read_actions(whole, vocabulary))
    people = {name: make_examples(_join(parts[name]), shape) for name in sorted(parts)}
    most = max((len(one.target) for one in people.values()), default=0)
    arrays = gather_people(list(people.values()), shape, most=most)
    learner = learner_of(shape)
    total, within = learner.sum_clipped(
        learner.start(),
        learner.prepare(arrays),
        np.ones(len(people), dtype=bool),
        {"weights": CLIP},
    )
    return {
        "examples": {
            name: hashlib.sha256(one.slots.tobytes() + one.target.tobytes()).hexdigest()
            for name, one in people.items()
        },
        "count": sum(len(one.target) for one in people.values()),
        "sum": hashlib.sha256(total["weights"].tobytes()).hexdigest(),
        "norm": float(np.linalg.norm(total["weights"])),
        "within": within,
    }


def leaves_said(twin: Twin) -> list[Any]:
    """Return kind, reference and public facts of every leaf, in order."""
    names = Names()
    found = []
    for index, leaf in twin.desk.ledger.leaves(0):
        facts = {
            key: names.of(value)
            for key, value in sorted(leaf.get("pub", {}).items())
            if key not in NOISY
        }
        found.append([index, leaf["k"], leaf.get("ref"), leaf["seg"], facts])
    return found


def by_what_they_say(shown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lineage with what came at one moment in an order that does not follow from names, which are drawn."""

    def plain(one: dict[str, Any]) -> str:
        return repr({name: said for name, said in one["label"].items() if name != "digest"})

    sources = sorted((one for one in shown if not one["parents"]), key=plain)
    return [*sources, *(one for one in shown if one["parents"])]


def portrait_of(twin: Twin) -> dict[str, Any]:
    """Return everything that comes before the noise."""
    names = Names()
    desk = twin.desk
    return {
        "answers": twin.answers,
        "telemetry": blocks_by(twin, "telemetry"),
        "features": blocks_by(twin, "derived"),
        "training": examples(twin),
        "packed": [given_by(one) for one in twin.workshop.given],
        "queries": exact_query(twin),
        "leaves": leaves_said(twin),
        "lineage": [
            {**one, "id": names.of(one["id"]), "parents": sorted(map(names.of, one["parents"]))}
            | ({"label": names.deep(one["label"])})
            for one in by_what_they_say(desk.lineage.show())
        ],
        "counts": desk.catalog.counts(),
        "objects": sum(1 for _ in desk.vault._objects.names()),
    }


def exact_query(twin: Twin) -> dict[str, Any]:
    """Return what every person added to the query, and the sums of it, before noise."""
    found: dict[str, Any] = {}
    for recipe, frames in twin.workshop.sent.items():
        if recipe == "feature" or not any(
            one.header.get("type") == "contribution" for one in frames
        ):
            continue
        template = read_query(twin.answers["query"]).template
        bodies = sorted(bytes(one.body) for one in frames if one.header["type"] == "contribution")
        shares = [read_share(template, body) for body in bodies]
        mechanism = Exact()
        release_aggregate(template, shares, least=1, mechanism=mechanism)
        found["query"] = {
            "shares": [hashlib.sha256(body).hexdigest() for body in bodies],
            "sums": mechanism.seen,
        }
    return found


class Exact:
    """Adds no noise, and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def add(self, numbers: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> Any:
        self.seen.append(["sums", list(numbers), sensitivity, epsilon_micro])
        return list(numbers), 1.0

    def choose(self, scores: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> int:
        self.seen.append(["scores", list(scores), sensitivity, epsilon_micro])
        return min(range(len(scores)), key=scores.__getitem__)

    def find(self, counts: Mapping[str, int], *, groups: int, least: int, epsilon_micro: int, delta_e12: int) -> Any:  # fmt: skip
        self.seen.append(["counts", dict(sorted(counts.items())), groups, epsilon_micro, delta_e12])
        return dict(counts)
