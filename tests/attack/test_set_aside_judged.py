"""What breaks a rule beside its form, or cannot be judged, is never set aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from tests.aside_desk import (
    BODY,
    SCHEMA,
    aside,
    found_aside,
    spoilt,
    without,
)
from tests.keeper_desk import Bench
from tests.stream_desk import Device, hand_in

from safehold.ingest import leased
from safehold.ingest.rest import pack

PICTURE = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ" * 4


@pytest.fixture(scope="module")
def made_stream(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_aside(tmp_path_factory.mktemp("aside"))


@pytest.fixture
def bench(stream_bench: Bench) -> Bench:
    return stream_bench


def test_what_breaks_a_rule_beside_its_form_is_never_kept(bench: Bench, device: Device) -> None:
    assert hand_in(bench, spoilt(device)) == [SCHEMA]
    assert aside(bench) == {"ana": 1}  # so it is not its form that keeps it out
    for columns in (
        {"person": "bo"},
        {"minim": 0},
        {"field_kind": "password"},
        {"commit": PICTURE},
        {"t": -1},
        {"t": 0},  # past its retention
    ):
        assert hand_in(bench, spoilt(device, **columns)) == [SCHEMA], columns
        assert aside(bench) == {"ana": 1}, columns


def test_what_cannot_be_judged_is_never_kept(bench: Bench, device: Device) -> None:
    for column in ("person", "minim", "app", "t", "field_kind"):
        assert hand_in(bench, device.seal(without(device.table(), column))) == [SCHEMA]
        other = device.table()
        index = other.schema.get_field_index(column)
        other = other.set_column(index, column, pa.array([None] * len(other), pa.float64()))
        assert hand_in(bench, device.seal(other)) == [SCHEMA]
        assert aside(bench) == {}, column
    more = device.table()
    more = more.append_column("more", pa.array(["x"] * len(more)))
    assert hand_in(bench, device.seal(more)) == [SCHEMA]
    for column in ("person", "minim", "t"):  # values that are missing
        table = device.table()
        table = table.set_column(
            table.schema.get_field_index(column),
            table.schema.field(column),
            pa.array([None] * len(table), table.schema.field(column).type),
        )
        assert hand_in(bench, device.seal(without(table, "code"))) == [SCHEMA]
    assert aside(bench) == {}


def streamed(device: Device, table: pa.Table, change: Callable[[bytes], bytes]) -> bytes:
    """Return an envelope with the bytes of a table, changed."""
    return bytes(device.seal(device.table(), body=change(bytes(pack(table)))))


def bad_text(table: pa.Table) -> pa.Table:
    """Return a table of which one text is no UTF-8."""
    at = table.schema.get_field_index("code")
    kind = table.schema.field(at).type
    texts = pa.array([b"\xff\xfe"] * len(table), pa.binary())
    buffers = texts.buffers()
    return table.set_column(at, "code", pa.Array.from_buffers(kind, len(table), buffers))


def test_a_table_that_breaks_off_is_judged_by_what_can_be_read(
    bench: Bench, device: Device
) -> None:
    """A fault in its last bytes is no way past the rules for all those before it."""

    def cut(data: bytes) -> bytes:
        return data[:-8] + bytes([255, 255, 255, 255, 255, 255, 0, 0])  # no end, but a length

    for at, columns in enumerate(({"minim": 0}, {"person": "bo"}, {"commit": PICTURE})):
        sealed = streamed(device, device.table(**columns), cut)
        assert hand_in(bench, sealed) == [BODY], at
        assert aside(bench) == {}, columns
    # one that no rule speaks against is kept, for it is its form alone
    assert hand_in(bench, streamed(device, device.table(), cut)) == [BODY]
    assert aside(bench) == {"ana": 1}


def test_a_table_whose_values_are_not_what_their_types_say_is_never_kept(
    bench: Bench, device: Device
) -> None:
    for table in (device.table(minim=0), device.table(person="bo"), device.table()):
        sealed = streamed(device, bad_text(table), bytes)
        assert hand_in(bench, sealed) == [BODY]
        assert aside(bench) == {}


def test_what_no_rule_looks_at_is_never_kept(bench: Bench, device: Device) -> None:
    """Texts of another type, words beside the rows, and bytes behind the table."""
    table = device.table()
    at = table.schema.get_field_index("commit")
    texts = [PICTURE] * len(table)
    for column in (
        pa.array([one.encode() for one in texts], pa.binary()),
        pa.array(texts).dictionary_encode(),
        pa.array([[one] for one in texts]),
    ):
        assert hand_in(bench, device.seal(table.set_column(at, "commit", column))) == [SCHEMA]
        assert aside(bench) == {}
    lacking = without(table, "code")
    named = lacking.replace_schema_metadata({"note": PICTURE})
    field = lacking.schema.field("key").with_metadata({"note": PICTURE})
    noted = lacking.cast(lacking.schema.set(lacking.schema.get_field_index("key"), field))
    for one in (named, noted):
        assert hand_in(bench, streamed(device, one, bytes)) == [SCHEMA]
        assert aside(bench) == {}
    second = bytes(pack(device.table(minim=0)))
    assert hand_in(bench, streamed(device, lacking, lambda data: data + second)) == [SCHEMA]
    assert aside(bench) == {}
    assert hand_in(bench, device.seal(lacking)) == [SCHEMA]
    assert aside(bench) == {"ana": 1}


def test_a_column_that_is_there_twice_breaks_nothing_but_itself(
    bench: Bench, device: Device
) -> None:
    table = device.table()
    twice = table.append_column("commit", table.column("commit"))
    assert hand_in(bench, device.seal(twice)) == [SCHEMA]
    assert aside(bench) == {}


def test_a_row_from_a_pause_is_never_kept(bench: Bench, device: Device) -> None:
    start = bench.clock.now_us()
    bench.call("people.choose", person="ana", choice="pause", evidence="a form")
    bench.clock.advance(60_000_000)
    bench.call("people.choose", person="ana", choice="resume", evidence="a form")
    device.renew()
    rows = len(device.table())
    assert hand_in(bench, spoilt(device, t=[start + 30_000_000] * rows)) == [SCHEMA]
    assert aside(bench) == {}
    assert hand_in(bench, spoilt(device)) == [SCHEMA]
    assert aside(bench) == {"ana": 1}


def test_what_a_rule_refused_is_never_kept(bench: Bench, device: Device) -> None:
    good = device.seal()
    assert hand_in(bench, good, device.seal(device.table(minim=0))) == [
        ("stored", ""),
        ("refused", "leased.level"),
    ]
    again = device.table(first=0)
    assert hand_in(bench, device.seal(again)) == [("refused", "sequence.duplicate")]
    assert aside(bench) == {}


def test_a_sandbox_that_lies_about_a_rule_is_not_believed(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leased, "MALFORMED", leased.MALFORMED | {"leased.level"})
    monkeypatch.setattr(leased, "_oldest_harmless", lambda *_: bench.today)
    assert hand_in(bench, device.seal(device.table(minim=0))) == [("refused", "leased.level")]
    assert aside(bench) == {}


def test_what_a_sandbox_does_not_call_malformed_is_never_kept(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal of form is not enough: that nothing else speaks against it must be said as well."""
    real = leased.LeasedChunk

    def chunk(*given: Any) -> Any:
        return real(*given[:5], bench.today) if len(given) > 5 else real(*given)

    monkeypatch.setattr(leased, "LeasedChunk", chunk)
    assert hand_in(bench, spoilt(device, minim=0)) == [SCHEMA]
    assert aside(bench) == {}
    assert hand_in(bench, spoilt(device)) == [SCHEMA]
    assert aside(bench) == {"ana": 1}
