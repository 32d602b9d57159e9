"""Small blocks are joined, and nobody who reads can tell: same rows, same order, same sources, same answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from tests.compaction_desk import Trickle, held, on_disk, told
from tests.containing import contain
from tests.keeper_desk import PEOPLE, Bench, chunk, copy_bench, found_bench
from tests.stores import STORES
from tests.world import raised

from safehold.canonical import b64
from safehold.catalog.row import MARK
from safehold.clock import DAY_US
from safehold.errors import (
    ConflictError,
    DeniedError,
    ShreddedError,
)
from safehold.incident.holdings import Holdings
from safehold.incident.tracks import Tracks
from safehold.keeper.compaction import SHARE, TURN_S, Compaction
from safehold.keeper.openable import openable_now
from safehold.keeper.packing import GRACE_US
from safehold.keeper.rows import Only, read_chosen
from safehold.keeper.run import Run
from safehold.telemetry.stream import STREAMS
from safehold.vault import PlainBlock


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, control: object | None) -> Bench:
    made = found_bench(tmp_path_factory.mktemp("made"), control=control)  # type: ignore[arg-type]
    made.start()
    trickle = Trickle(made)
    for _ in range(3):
        trickle.take(*PEOPLE)
    for _ in range(2):
        trickle.take("ana", "bo", days_ago=2, streams=("pointer", "key"))
    made.stop()
    return made


@pytest.fixture(scope="module")
def control() -> None:
    """A file of the home; the twin of this suite says otherwise."""
    return


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def _blocks(bench: Bench) -> list:
    return bench.desk.catalog.blocks(kind="telemetry", streams=STREAMS, after_day=0)


def _sources(bench: Bench) -> dict[tuple[str, str, int], list[str]]:
    found: dict[tuple[str, str, int], list[str]] = {}
    for block in _blocks(bench):
        place = (block.person, block.stream, block.window)
        found[place] = sorted(
            {*found.get(place, []), *bench.desk.catalog.sources_of([block.block_id])}
        )
    return found


def test_rows_are_joined_and_nobody_can_tell(bench: Bench) -> None:
    desk = bench.desk
    before, sources = held(bench), _sources(bench)
    shown = bench.call("dataset.list"), {one: desk.catalog.label_of(one) for one in _all(sources)}
    answer = bench.call("dataset.compact")
    assert (answer["blocks"], answer["into"], answer["passed_over"]) == (17, 7, 0)
    assert answer["before"] == {"blocks": 17, "objects": 7, "bytes": answer["before"]["bytes"]}
    # one for the pointer and one for the keys, of each day that they end on
    assert answer["after"]["blocks"] == 7
    assert answer["after"]["objects"] == answer["runs"] == 3
    assert held(bench) == before
    assert _sources(bench) == sources
    assert (
        bench.call("dataset.list"),
        {one: desk.catalog.label_of(one) for one in _all(sources)},
    ) == shown
    assert all(desk.catalog.lives(one, after_day=0) for one in _all(sources))
    bench.restart()
    assert held(bench) == before
    again = bench.call("dataset.compact")
    assert (again["runs"], again["blocks"]) == (0, 0), "what is joined is left alone"


def _all(sources: dict[tuple[str, str, int], list[str]]) -> set[str]:
    return {one for several in sources.values() for one in several}


def test_nothing_is_joined_across_what_must_stay_apart(bench: Bench) -> None:
    def places() -> set[tuple]:
        return {
            (one.person, one.stream, one.segment, one.window, one.label) for one in _blocks(bench)
        }

    before = places()
    bench.call("dataset.compact")
    assert places() == before
    assert len(_blocks(bench)) == len(before)
    for block in _blocks(bench):
        assert block.generation == 2


def test_rows_under_two_labels_of_a_day_stay_apart(bench: Bench) -> None:
    trickle = Trickle(bench)
    trickle._next = 50
    trickle.take("cy", days_ago=0)
    trickle.take("cy", days_ago=0)
    bench.enact(bench.changed())
    trickle.take("cy", days_ago=0)
    trickle.take("cy", days_ago=0)
    bench.clock.advance(DAY_US)
    before = held(bench)
    bench.call("dataset.compact")
    cy = [one for one in _blocks(bench) if one.window == bench.today - 1]
    assert len(cy) == len({one.label for one in cy}) == 2
    assert held(bench) == before


def test_the_ledger_says_so_before_anything_is_opened(bench: Bench) -> None:
    size = bench.desk.ledger.size
    opened: list[int] = []
    read = bench.desk.vault.read

    def watched(blocks, **given):
        opened.append(bench.desk.ledger.size)
        return read(blocks, **given)

    bench.desk.vault.read = watched  # type: ignore[method-assign]
    bench.call("dataset.compact", segment="us-ca.key")
    bench.desk.vault.read = read  # type: ignore[method-assign]
    leaves = list(bench.desk.ledger.leaves(size))
    assert [(leaf["k"], leaf["pub"]["state"]) for _, leaf in leaves] == [
        ("compaction", "begun"),
        ("compaction", "made"),
        ("compaction", "done"),
    ]
    assert opened[0] == size + 1
    (begun, first), (made, second), (_, third) = leaves
    assert first["pub"]["blocks"] == 4
    assert second["ref"] == third["ref"] == begun
    nobody = b64(sha256(b"").digest())
    assert {leaf["sub"] for _, leaf in leaves} == {nobody}
    detail = bench.desk.ledger.detail(made)["detail"]
    ((name, root, size_, generation),) = detail["objects"]
    assert generation == 2
    assert bench.desk.vault.check(name, root=bytes.fromhex(root), size=size_, segment="us-ca.key")


def test_a_dry_run_opens_nothing(bench: Bench) -> None:
    size, names = bench.desk.ledger.size, on_disk(bench)
    answer = bench.call("dataset.compact", dry_run=True, segment="us-ca.pointer")
    assert (answer["runs"], answer["blocks"], answer["into"]) == (2, 13, 5)
    assert (bench.desk.ledger.size, on_disk(bench)) == (size, names)
    assert raised(lambda: bench.call("dataset.compact", segment=3)).rule == "compaction.arguments"


@pytest.mark.parametrize("bench", STORES, indirect=True)
def test_whoever_chose_before_finishes_or_asks_again(bench: Bench) -> None:
    old = _blocks(bench)
    before = held(bench)
    bench.call("dataset.compact")
    assert sum(len(table) for _, table in read_chosen(bench.desk, old, None)) == sum(
        map(len, before.values())
    )
    bench.clock.advance(GRACE_US - 1)
    assert bench.verbs.compaction.tidy() == 0
    bench.clock.advance(2)
    assert bench.verbs.compaction.tidy() == 7
    assert raised(lambda: list(read_chosen(bench.desk, old, None))).rule == "release.rewritten"
    assert held(bench) == before
    # what is lost without being joined is no reason to ask again
    bench.desk.vault.remove([_blocks(bench)[0].object])
    assert raised(lambda: list(read_chosen(bench.desk, _blocks(bench), None))).rule == (
        "object.missing"
    )


def test_retired_objects_are_no_strangers_and_go_at_the_next_start(bench: Bench) -> None:
    names = on_disk(bench)
    bench.call("dataset.compact")
    bench.call("dataset.sweep")
    bench.desk.vault.sweep(bench.desk.catalog.objects, alone=True)
    assert names < on_disk(bench)
    bench.restart()
    assert on_disk(bench) == {one.object for one in _blocks(bench)}
    assert bench.verbs.compaction.rewriting.retired() == []


def test_a_use_of_some_sources_gets_their_rows_alone(bench: Bench) -> None:
    catalog = bench.desk.catalog
    (first, *_), *_ = [
        several for place, several in _sources(bench).items() if place[2] == bench.today - 1
    ]
    wanted = frozenset({first})

    def rows() -> dict[str, list]:
        blocks = catalog.blocks(kind="telemetry", streams=STREAMS, after_day=0, sources=wanted)
        only = Only(sources=wanted, parts=catalog.parts_of([one.block_id for one in blocks]))
        return {
            block.person: table.to_pylist()
            for block, table in read_chosen(bench.desk, blocks, only)
        }

    before = rows()
    assert {len(one) for one in before.values()} == {3}
    bench.call("dataset.compact")
    assert rows() == before


def test_who_lets_nobody_use_it_is_left_alone(bench: Bench) -> None:
    bench.call("people.choose", person="ana", choice="withdraw")
    bench.call("people.choose", person="bo", choice="pause")
    mine = {bench.desk.people.find(one): one for one in PEOPLE}
    before = {one.block_id for one in _blocks(bench) if mine[one.person] != "cy"}
    assert bench.call("dataset.compact")["blocks"] == 3
    assert before < {one.block_id for one in _blocks(bench)}
    bench.clock.advance(1)
    bench.call("people.choose", person="bo", choice="resume")
    assert bench.call("dataset.compact")["blocks"] == 7


def test_what_ends_soon_is_left_alone(bench: Bench) -> None:
    keep = bench.charter().retention("pointer")
    bench.clock.advance((keep - 2) * DAY_US)
    assert bench.call("dataset.compact")["blocks"] == 0


@pytest.mark.parametrize("what", ["segment", "dataset"])
def test_what_is_contained_is_left_alone(bench: Bench, what: str) -> None:
    sources = sorted(_all(_sources(bench)))
    target = "us-ca.pointer" if what == "segment" else sources[0]
    contain(bench, what, target)
    touched = {
        one.block_id
        for one in _blocks(bench)
        if one.segment == target or target in bench.desk.catalog.sources_of([one.block_id])
    }
    assert touched
    assert bench.call("dataset.compact")["passed_over"] == 0, "it is not even tried"
    assert touched < {one.block_id for one in _blocks(bench)}


def test_what_no_purpose_may_use_now_is_left_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release for a purpose that is contained, or that the charter has no more, is refused; so is a join."""
    desk = bench.desk
    (label,) = {one.label.purposes for one in _blocks(bench) if one.stream == "pointer"}
    groups = list(bench.verbs.compaction.rewriting.groups())
    mine = [
        one
        for group in bench.verbs.compaction.rewriting.of_groups(groups)
        for one in group
        if one.sealed.stream == "pointer"
    ]
    assert mine
    assert all(map(openable_now(desk), mine))
    without = {name: one for name, one in bench.charter().purposes.items() if name not in label}
    charter = replace(bench.charter(), purposes=without)
    with monkeypatch.context() as later:
        later.setattr(desk.trust, "charter", lambda: charter)
        assert not any(map(openable_now(desk), mine))
    for purpose in label:
        contain(bench, "purpose", purpose)
    assert not any(map(openable_now(desk), mine))


def test_a_stop_stops_it(bench: Bench) -> None:
    bench.call("stop", **bench.order("stop", "privacy"))
    assert isinstance(raised(lambda: bench.call("dataset.compact")), DeniedError)
    assert bench.verbs.compaction.turn() == []


def test_a_source_that_is_not_through_is_left_alone(bench: Bench) -> None:
    def compact() -> None:
        assert bench.call("dataset.compact")["blocks"] == 17

    window = bench.today - 1
    bench.ingest(
        told("cy", window, first=7_000), chunk(), compact,
        told("cy", window, first=7_100), chunk(1), name="slow",
    )  # fmt: skip
    assert bench.call("dataset.compact")["blocks"] == 3


def test_a_source_whose_closing_leaf_is_not_written_is_left_alone(bench: Bench) -> None:
    source = next(iter(_all(_sources(bench))))
    assert bench.control.edit(bench.home, "UPDATE source SET noted = false WHERE id = ?", source)
    before = {
        one.block_id
        for one in _blocks(bench)
        if bench.desk.catalog.sources_of([one.block_id]) == [source]
    }
    bench.call("dataset.compact")
    assert before <= {one.block_id for one in _blocks(bench)}


def test_a_restored_control_database_is_noticed(bench: Bench) -> None:
    bench.stop()
    kept = bench.control.keep(bench.home, bench.path / "kept")
    bench.start()
    bench.call("dataset.compact")
    bench.stop()
    bench.control.put_back(bench.home, kept)
    assert raised(bench.start).rule == "catalog.rollback"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE block SET place = place + 100 WHERE id = ?",
        "UPDATE block SET source = 'another' WHERE id = ?",
    ],
)
def test_a_row_that_somebody_edits_is_found(bench: Bench, change: str) -> None:
    bench.call("dataset.compact")
    block = _blocks(bench)[0].block_id
    assert bench.control.edit(bench.home, change, block)
    assert raised(lambda: _blocks(bench)).rule == "catalog.mac"


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM origin WHERE block = ?",
        "UPDATE origin SET source = 'another' || substr(source, 8) WHERE block = ?",
    ],
)
def test_whose_rows_lie_in_a_block_is_not_believed_of_an_index(bench: Bench, change: str) -> None:
    """The table of origins is under no MAC: a use of one source neither loses rows by it nor gains people."""
    bench.call("dataset.compact")
    source = min(_all(_sources(bench)))

    def found(of: str) -> list[bytes]:
        blocks = bench.desk.catalog.blocks(
            kind="telemetry", streams=STREAMS, after_day=0, sources=[of]
        )
        return [one.block_id for one in blocks]

    blocks = found(source)
    assert blocks
    assert bench.control.edit(bench.home, change, blocks[0])
    assert found(source) == blocks
    assert found(f"another{source[7:]}") == []


def test_the_reach_of_an_incident_knows_every_source(bench: Bench) -> None:
    sources = _all(_sources(bench))

    def look() -> dict[str, tuple[set[str], int]]:
        holdings = Holdings(bench.desk, models=lambda _: True, pooled=lambda _: True)
        holdings.refresh(Tracks(str), moves=1)
        return {
            one: (
                holdings.people(holdings.of_sources({one})),
                sum(holdings.days(holdings.of_sources({one}))),
            )
            for one in sources
        } | {"all": (set(holdings.sources(holdings.all())), holdings.changed)}

    before = look()
    count = len(_blocks(bench))
    bench.call("dataset.compact")
    assert look() == before
    assert before["all"] == (sources, 0)
    assert len(_blocks(bench)) < count


def test_a_persons_page_shows_the_same(bench: Bench) -> None:
    looking = bench.verbs.looking

    def shown() -> list[object]:
        looking.own.keep_up()
        mine = [bench.desk.people.find(one) for one in PEOPLE]
        return [(looking._held._rows(one, bench.today), len(looking.own.of(one))) for one in mine]

    before = shown()
    bench.call("dataset.compact")
    assert shown() == before
    assert [sum(rows["pointer"].values()) for (rows, _), _ in before] == [15, 15, 9]


def test_no_key_is_made_for_rows_that_are_sealed_again(bench: Bench) -> None:
    block = _blocks(bench)[0]
    ((_, table),) = bench.desk.vault.read([block])
    bench.desk.vault.shred(person=block.person)
    again = PlainBlock(
        person=block.person,
        stream=block.stream,
        window=block.window,
        label=block.label,
        table=table,
    )
    error = raised(lambda: bench.desk.vault.seal([again], segment=block.segment, rewriting=True))
    assert isinstance(error, ShreddedError)
    assert block.person not in bench.desk.vault.owners()


def test_the_register_puts_one_block_for_others_once(bench: Bench) -> None:
    """Whatever stands above it: what is not there any more is not replaced, and nothing of it is half done."""
    compaction = bench.verbs.compaction
    (batch,) = list(compaction.batches("us-ca.key"))
    bench.call("dataset.compact", segment="us-ca.key")
    before, number = held(bench), compaction.rewriting.number()
    plain = compaction.packing._open(batch, Run([]))
    sealed = bench.desk.vault.seal(plain, segment="us-ca.key", rewriting=True)
    error = raised(lambda: compaction.rewriting.replace(batch.outputs, sealed, now_us=0))
    assert error.rule == "catalog.rewriting"
    assert (held(bench), compaction.rewriting.number()) == (before, number)


def test_periodic_work_takes_its_share_and_no_more(bench: Bench) -> None:
    at = 100.0
    compaction = Compaction(bench.desk, now=lambda: at)

    def slow(_step: str) -> None:
        nonlocal at
        at += TURN_S  # each step of a join takes a whole turn

    compaction.packing.reached = slow
    assert len(compaction.turn()) == 1, "what was begun is finished, nothing more is begun"
    over = at
    assert compaction.turn() == []
    at = over + (over - 100.0) * (1 / SHARE - 1) - 0.1
    assert compaction.turn() == []
    at += 0.2
    assert len(compaction.turn()) == 1


def test_rows_that_go_into_no_one_table_do_not_keep_the_rest(bench: Bench) -> None:
    from safehold.keeper import packing

    real = packing.join_tables
    bad = bench.desk.people.find("bo")

    def picky(tables):
        subjects = {one.as_py() for one in tables[0].column("subject").combine_chunks()}
        if subjects & broken:
            raise ConflictError("made up", rule="compaction.rows")
        return real(tables)

    blocks = [one for one in _blocks(bench) if one.person == bad and one.stream == "pointer"]
    broken = {
        row["subject"] for _, table in bench.desk.vault.read(blocks) for row in table.to_pylist()
    }
    packing.join_tables = picky
    try:
        answer = bench.call("dataset.compact")
        assert answer["passed_over"] == 2
        assert {one.person for one in _blocks(bench) if one.generation == 1} == {bad}
        assert bench.call("dataset.compact")["passed_over"] == 2, "asked anew it is tried anew"
        assert bench.verbs.compaction.turn() == [], "by itself it waits for tomorrow"
    finally:
        packing.join_tables = real
    dropped = [leaf for leaf in bench.desk.ledger.leaves() if leaf[1]["k"] == "compaction"]
    assert "dropped" in {leaf["pub"]["state"] for _, leaf in dropped}


def test_what_stands_for_a_join_is_no_source(bench: Bench) -> None:
    bench.call("dataset.compact")
    assert not any(one.startswith(MARK) for one in _all(_sources(bench)))


def test_what_is_opened_at_once_is_bounded_in_blocks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 6
    monkeypatch.setattr("safehold.keeper.compaction.MOST_BLOCKS", most)
    before = held(bench)
    batches = list(bench.verbs.compaction.batches())
    assert all(len(one.inputs) <= most or len(one.outputs) == 1 for one in batches)
    assert sum(len(one.inputs) for one in batches) == 17
    assert bench.call("dataset.compact")["runs"] >= 4  # three without the bound
    assert held(bench) == before


def test_whoever_stands_against_it_keeps_nobody_behind_them_from_their_turn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safehold.keeper.compaction.MOST_GROUPS", 1)
    bench.call("people.choose", person="ana", choice="pause")  # she comes first
    planned = bench.call("dataset.compact", dry_run=True)
    answer = bench.call("dataset.compact")
    assert answer["blocks"] == planned["blocks"] > 0
