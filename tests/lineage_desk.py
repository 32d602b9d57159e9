"""A keeper with three kinds of telemetry of a few people, and runs that make derived datasets of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.keeper_desk import Bench, batch, chunk, copy_bench, found_bench, passed
from tests.seated import founding
from tests.world import PURPOSE, raised

from safehold import canonical
from safehold.access import Workload
from safehold.catalog.lineage import Node
from safehold.charter import Charter
from safehold.dlp.feature import Feature
from safehold.errors import DeniedError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.bounds import Opening
from safehold.keeper.derived import Derived, Part, Registered
from safehold.keeper.release import Release

PEOPLE = tuple(f"employee-{8800 + number}" for number in range(6))
SHE, HE = PEOPLE[:2]
STREAMS = ("pointer", "key", "metric")
OTHER = "study_menus"  # a purpose that the pointer alone serves
ENGINEER = Asker(principal=Workload(id="pipeline", role="engineer"), action="operate")
RECIPE = "pool"  # of tables of several people


def charter() -> Charter:
    """Return the demo's charter with performance figures, which stand in no silo, and a second purpose."""
    tree = canonical.decode(canonical.encode(founding().to_json()))
    pointer = next(one for one in tree["collect"] if one["what"] == "pointer")
    tree["collect"].append({**pointer, "what": "performance_metrics"})
    first = tree["purposes"][PURPOSE]
    first["sources"] = [*first["sources"], "performance_metrics"]
    tree["purposes"][OTHER] = {**first, "plain": "Study menus.", "sources": ["pointer"]}
    return Charter.from_json(tree)


def found(path: Path) -> Bench:
    """Make a home where everybody's telemetry of yesterday is taken in."""
    bench = found_bench(path, people=(), charter=charter()).start()
    bench.call(
        "people.enrol",
        people=[
            {"person": one, "jurisdiction": ("US-CA", "US-WA")[at % 2], "streams": list(STREAMS)}
            for at, one in enumerate(PEOPLE)
        ],
        evidence="made up",
    )
    for stream in STREAMS:
        bench.ingest(
            *(batch(one, bench.today - 1, stream=stream) for one in PEOPLE),
            chunk(rows=2 * len(PEOPLE), taken={stream: 2 * len(PEOPLE)}),
            name=stream,
        )
    bench.stop()
    return bench


def begin(made: Bench, path: Path) -> Bench:
    """Return a copy of a home with its keeper."""
    bench = copy_bench(made, path).start()
    bench.workshop.scripts["feature"] = _nothing
    return bench


def _nothing(_spec: Mapping[str, Any]) -> Iterator[Any]:
    yield passed("progress", values={"done": 1, "of": 1})


def release(bench: Bench) -> Release:
    return bench.verbs.work.release


def derived(bench: Bench) -> Derived:
    return release(bench).derived


def ask(kind: str = "telemetry", *within: str, **changes: Any) -> Ask:
    """Return a use: of streams, or of derived datasets by their ids."""
    given: dict[str, Any] = {
        "recipe": "feature",
        "kind": kind,
        "streams": frozenset({"pointer"} if kind == "telemetry" else {"feature"}),
        "purpose": PURPOSE,
        "stage": "feature",
        "least_people": 1,
        "within": frozenset(within) or None,
    }
    return Ask(**given | changes)


@contextmanager
def opened(bench: Bench, wanted: Ask, asker: Asker = ENGINEER) -> Iterator[Opening]:
    """Decide a use, and run it: what is opened is in ``bench.workshop.packed``."""
    with release(bench).opened(wanted, asker) as opening:
        release(bench).run(wanted, opening, sorted(opening.blocks), {}, lambda _: None)
        yield opening
        release(bench).close(wanted, opening, asker, {})


def figures(*names: str) -> pa.Table:
    """Return one row of figures."""
    return pa.table({name: pa.array([1], pa.int32()) for name in names or ("n",)})


def made_of(*sources: str, name: str = "n") -> list[Feature]:
    """Return the lineage of a column."""
    return [Feature(name=name, sources=frozenset(sources))]


def pool(
    bench: Bench,
    name: str,
    wanted: Ask | None = None,
    *,
    features: Iterable[Feature] | None = None,
    kind: str = "table",
    recipe: str = RECIPE,
    remember: Mapping[str, Any] | None = None,
) -> Registered:
    """Make one table of everybody."""
    wanted = wanted or ask()
    with opened(bench, wanted) as opening:
        return derived(bench).register(
            opening,
            ask=wanted,
            actor="pipeline",
            kind=kind,
            name=name,
            parts=[Part(table=figures())],
            recipe=recipe,
            features=features,
            remember=remember,
        )


def apart(
    bench: Bench,
    name: str,
    wanted: Ask | None = None,
    *,
    features: Iterable[Feature] | None = None,
    kind: str = "vectors",
    recipe: str = "embed",
    people: Sequence[str] | None = None,
) -> Registered:
    """Make a table of each person."""
    wanted = wanted or ask()
    with opened(bench, wanted) as opening:
        return derived(bench).register(
            opening,
            ask=wanted,
            actor="pipeline",
            kind=kind,
            name=name,
            parts=[
                Part(table=figures(), person=person)
                for person in (sorted(opening.blocks) if people is None else map(PersonId, people))
            ],
            recipe=recipe,
            features=features,
        )


def erase(bench: Bench, person: str = SHE) -> dict[str, Any]:
    return bench.call("people.erase", person=person, evidence="a letter")


def statuses(answer: Mapping[str, Any]) -> dict[str, str]:
    return {one["id"]: one["status"] for one in answer["effects"]}


def refused(bench: Bench, wanted: Any, asker: Any = ENGINEER) -> str:
    """Return the rule by which a use is refused; nothing was opened, and the ledger has it."""
    packed, size = len(bench.workshop.packed), bench.desk.ledger.size

    def use() -> None:
        with opened(bench, wanted, asker):
            pass

    error = raised(use)
    assert isinstance(error, DeniedError | TamperedError)
    assert len(bench.workshop.packed) == packed, "nothing was opened"
    if isinstance(error, DeniedError):
        (refusal,) = [i for i, leaf in bench.desk.ledger.leaves(size) if leaf["k"] == "refusal"]
        assert error.entry == refusal
        assert bench.desk.ledger.detail(refusal)["detail"]["rule"] == error.rule
    assert "access.intent" not in bench.leaves(size)
    return error.rule or ""


def deep(bench: Bench) -> tuple[str, str, str]:
    """Return a table of several people, one made of it, and one made of that."""
    first = pool(bench, "first").dataset
    second = pool(bench, "second", ask("table", first)).dataset
    return first, second, pool(bench, "third", ask("table", second)).dataset


def rewrite(bench: Bench, node: Node) -> None:
    """Write a row as only the keeper can."""
    with bench.desk.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE dataset SET label = ? WHERE id = ?", (bench.desk.lineage._write(node), node.id)
        )
