"""What a collector sealed, brought to rest: the sandbox looks at every row again."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from tests.collector_desk import SECOND, World
from tests.ingest_job import NOW_US, Frames, job

from safehold.errors import InvalidError
from safehold.ingest import recipe
from safehold.sandbox.channel import pack_parts


def test_what_a_collector_sealed_comes_to_rest() -> None:
    world = World()
    world.type("hello")
    world.collector.flush()
    parts = [
        ({"person": lease.person, "stream": envelope.stream}, pa.ipc.open_stream(body).read_all())
        for lease, envelope, body in world.received
    ]
    frames = Frames()
    recipe.main(job({"kind": "leased"}), [pack_parts(parts)], frames)
    assert frames.tally()["taken"]["key"] == world.rows
    assert {header["person"] for header in frames.of("batch")} == {"ann"}


def test_a_leased_row_from_a_silence_is_dropped_where_it_has_a_time() -> None:
    """A device that seals what it was told to drop: the keeper's sandbox looks again."""
    world = World()
    world.type("hello", step_us=SECOND)
    world.collector.flush()
    table = pa.ipc.open_stream(world.received[0][2]).read_all()
    rows, index = len(table), table.schema.get_field_index("t")
    times = pa.array([NOW_US + at * SECOND for at in range(rows)], table.schema.field(index).type)
    timed = table.set_column(index, table.schema.field(index), times)
    whole = job({"kind": "leased"})
    whole["people"]["ann"]["pauses"] = [[NOW_US + SECOND, NOW_US + 3 * SECOND]]
    whole["now_us"] = NOW_US + 60 * SECOND
    for given, taken in ((timed, rows - 2), (table, rows)):  # at L3 only the day is left
        frames = Frames()
        parts = pack_parts([({"person": "ann", "stream": "key"}, given)])
        recipe.main(whole, [parts], frames)
        assert frames.tally()["taken"]["key"] == taken
        assert frames.tally()["dropped"].get("paused", 0) == rows - taken


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("minim", 2, "leased.level"),
        ("person", "bob", "leased.person"),
        ("field_kind", "password", "leased.password"),
    ],
)
def test_a_leased_batch_that_breaks_a_rule_is_refused(column: str, value: Any, rule: str) -> None:
    world = World()
    world.type("hello")
    world.collector.flush()
    table = pa.ipc.open_stream(world.received[0][2]).read_all()
    index = table.schema.get_field_index(column)
    kind = table.schema.field(index).type
    table = table.set_column(index, table.schema.field(index), pa.array([value] * len(table), kind))
    parts = pack_parts([({"person": "ann", "stream": "key"}, table)])
    with pytest.raises(InvalidError) as caught:
        recipe.main(job({"kind": "leased"}), [parts], Frames())
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("apps", "comes_in"), [(None, True), (["editor"], True), (["crm"], False), ([], False)]
)
def test_a_leased_batch_of_an_application_that_is_not_recorded_is_refused(
    apps: list[str] | None, comes_in: bool
) -> None:
    world = World()
    world.type("hello")
    world.collector.flush()
    table = pa.ipc.open_stream(world.received[0][2]).read_all()
    index = table.schema.get_field_index("app")
    kind = table.schema.field(index).type
    table = table.set_column(
        index, table.schema.field(index), pa.array(["Editor"] * len(table), kind)
    )
    whole = job({"kind": "leased"})
    whole["rules"]["key"] |= {"apps": apps}
    del whole["rules"]["key"]["version"]
    frames = Frames()
    parts = [pack_parts([({"person": "ann", "stream": "key"}, table)])]
    if comes_in:
        recipe.main(whole, parts, frames)
        assert frames.tally()["taken"]["key"] == len(table)
        return
    with pytest.raises(InvalidError) as caught:
        recipe.main(whole, parts, frames)
    assert caught.value.rule == "leased.app"
