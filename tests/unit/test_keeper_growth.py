"""What a keeper still holds of leases, envelopes and files when they are over: nothing, and of what is stored one word each."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.keeper_desk import Bench, batch, chunk
from tests.stream_desk import Device, Line, begin, found_stream

from safehold.access.lease import LONGEST_US, SKEW_US
from safehold.canonical import b64
from safehold.catalog import tables
from safehold.catalog.mirror import Mirror
from safehold.catalog.register import TELEMETRY
from safehold.keeper.client import KeeperClient
from safehold.keeper.server import Server
from safehold.telemetry.stream import STREAMS

CYCLES = 12


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    one = begin(found_stream(tmp_path_factory.mktemp("growth")))
    yield one
    one.stop()


@pytest.fixture(scope="module")
def device(bench: Bench) -> Device:
    return Device(Line(bench), bench, "ana")


def work(bench: Bench, device: Device, start: int) -> None:
    """Lease, hand in, take a file in, some times; each lease is over before the next."""
    for number in range(start, start + CYCLES):
        bench.clock.advance(LONGEST_US + SKEW_US)
        device.renew()
        bench.call("lease.hand-in", envelopes=[b64(device.seal())])
        bench.ingest(
            batch("cy", bench.today - 1, first=1000 * number), chunk(rows=2), name=f"file {number}"
        )


def held(bench: Bench) -> dict[str, int]:
    """Return how many there are of what belongs to a lease or to work under way."""
    leases, lessor = bench.verbs.leases, bench.verbs.leases._lessor
    return {
        "leases": len(lessor._live),
        "secrets": len(lessor._store._secrets),
        "numbers": len(lessor._numbers),
        "sources under way": len(leases._intake._running),
        "open files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
    }


def test_what_is_over_is_let_go(bench: Bench, device: Device) -> None:
    work(bench, device, 0)
    before = held(bench)
    assert before["leases"] == before["numbers"] == before["secrets"] == 1
    size = bench.desk.ledger.size
    work(bench, device, CYCLES)
    assert bench.desk.ledger.size - size >= 6 * CYCLES
    after = held(bench)
    # the ledger publishes in the background: a file of it may be open at either moment
    assert after.pop("open files") <= before.pop("open files") + 3
    assert after == before


def test_a_caller_that_has_gone_leaves_no_thread_and_no_connection(bench: Bench) -> None:
    path = bench.path / "door"
    server = Server(path, bench.verbs.table())
    door = threading.Thread(target=server.serve, daemon=True)
    door.start()

    def sockets() -> int:
        found = 0
        for one in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # closed meanwhile by another thread
                found += os.readlink(f"/proc/self/fd/{one}").startswith("socket")
        return found

    others, open_before = set(threading.enumerate()), sockets()
    for _ in range(CYCLES):
        KeeperClient(path).call("nonce")
    for one in set(threading.enumerate()) - others:
        one.join(300)
        assert not one.is_alive()
    assert sockets() <= open_before
    server.close()
    door.join(300)


def test_blocks_that_say_the_same_keep_one_word(bench: Bench, device: Device) -> None:
    work(bench, device, 2 * CYCLES)
    blocks = Mirror(bench.desk.engine, key=bench.desk.vault.derive("catalog-mac")).refresh()
    assert len(blocks) >= CYCLES
    for field in ("person", "stream", "segment", "kind", "purposes"):
        values = [getattr(one, field) for one in blocks]
        assert len({id(one) for one in values}) == len(set(values)), field


def test_leases_that_say_the_same_keep_one_word(bench: Bench, device: Device) -> None:
    live = bench.verbs.leases._lessor._live
    known = set(live)
    for _ in range(2):
        device.renew()
    one, other = (lease for name, lease in live.items() if name not in known)
    for field in ("charter", "person", "device", "streams", "apps"):
        assert getattr(one, field) is getattr(other, field), field


def test_the_register_in_memory_is_kept_up_without_reading_it_anew(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(bench, device, 3 * CYCLES)
    mirror = Mirror(bench.desk.engine, key=bench.desk.vault.derive("catalog-mac"))
    before = mirror.refresh()
    names = {id(name) for name in mirror._known}
    checked: list[object] = []
    check = mirror._rows.check
    monkeypatch.setattr(mirror._rows, "check", lambda row: checked.append(row.id) or check(row))
    assert mirror.refresh() == before
    assert {id(name) for name in mirror._known} == names
    assert not checked
    bench.ingest(batch("cy", bench.today - 1, first=10**6), chunk(rows=2), name="one more")
    after = mirror.refresh()
    assert (after[: len(before)], len(after)) == (before, len(before) + 1)
    assert len(checked) == 1
    with bench.desk.engine.begin() as connection:  # gone, as with an erasure or a join
        connection.execute(tables.block.delete().where(tables.block.c.id == checked[0]))
    assert mirror.refresh() == before
    assert len(mirror._known) == len(before)
    assert len({id(one.sources) for one in before}) == len({one.sources for one in before})


def test_rows_of_all_blocks_and_datasets_come_some_at_a_time(bench: Bench, device: Device) -> None:
    work(bench, device, 4 * CYCLES)
    desk = bench.desk
    whole: list[str] = []

    def note(*told: Any) -> None:
        options = told[4].execution_options
        if told[2].startswith("SELECT") and not options.get("yield_per"):
            whole.append(told[2])

    sa.event.listen(desk.engine, "before_cursor_execute", note)
    try:
        blocks = desk.catalog.blocks(kind=TELEMETRY, streams=STREAMS, after_day=0)
        names = [one.block_id for one in blocks]
        assert len(desk.catalog.sources_of(names)) > CYCLES
        assert desk.catalog.blocks_of(blocks[0].person)
        Mirror(desk.engine, key=desk.vault.derive("catalog-mac")).refresh()
        desk.lineage.look(whole=True)
        assert list(bench.verbs.compaction.rewriting.groups())
        assert not whole
    finally:
        sa.event.remove(desk.engine, "before_cursor_execute", note)
    assert len({id(one.label) for one in blocks}) == len({str(one.label) for one in blocks})
    assert len({id(one.person) for one in blocks}) == len({one.person for one in blocks})
