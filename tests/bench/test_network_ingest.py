"""What the network costs: the same envelopes over the socket, one by one and in batches, by HTTP, and through a queue.

Everything is counted: the keeper, its sandboxes, the front or the consumer, their callers, and the NATS server.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from tests.bench.board import Board
from tests.keeper_desk import Bench
from tests.nats import Nats
from tests.stream_desk import Device, found_stream, rows_of

from safehold.access.cover import cover
from safehold.access.envelope import LeaseKey, name_of
from safehold.app.workshop import SandboxWorkshop
from safehold.canonical import b64
from safehold.ingest.network.broker import Broker
from safehold.ingest.network.combine import hand_in
from safehold.ingest.network.consumer import Consumer
from safehold.ingest.network.front import Front
from safehold.ingest.network.line import HttpLine
from safehold.ingest.network.queue import Limits
from safehold.keeper.client import KeeperClient
from safehold.sandbox.launch import Launcher

ENVELOPES, ROWS, SINGLE = 96, 2_000, 8
KEY = LeaseKey(b"q" * 32)


class RealWorkshop(SandboxWorkshop):
    """Starts real sandboxes, where the bench of other tests has scripts."""

    def __init__(self) -> None:
        super().__init__(Launcher())
        self.scripts: dict[str, object] = {}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Bench]:
    bench = found_stream(tmp_path)
    bench.workshop = RealWorkshop()  # type: ignore[assignment]
    bench.start()
    assert bench.service is not None
    thread = threading.Thread(target=bench.service.serve, daemon=True)
    thread.start()
    yield bench
    bench.stop()
    thread.join(60)


def spent(*others: int) -> float:
    """Return CPU-seconds of this process, of its children that have ended, and of some others."""
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    mine = sum(one.ru_utime + one.ru_stime for one in both)
    times = [psutil.Process(pid).cpu_times() for pid in others]
    return mine + sum(one.user + one.system for one in times)


def rate(work: Callable[[], object], events: int, *others: int) -> float:
    """Return events for each CPU-second."""
    start = spent(*others)
    work()
    return events / (spent(*others) - start)


@pytest.mark.bench
def test_what_the_network_costs(board: Board, served: Bench, nats_server: Nats) -> None:
    client = KeeperClient(served.home.socket)
    device = Device(client, served)
    wide = pa.concat_tables([device.table(0)] * (ROWS // len(device.table(0)) + 1)).slice(0, ROWS)
    index = wide.schema.get_field_index("seq")

    def seal(many: int) -> list[bytes]:
        made = []
        for _ in range(many):
            seq = pa.array(range(device.first, device.first + ROWS), wide.schema.field(index).type)
            made.append(device.seal(wide.set_column(index, wide.schema.field(index), seq)))
            device.first += ROWS
        return made

    before = rows_of(served)
    one_by_one, direct, web, queued = (seal(many) for many in (SINGLE, *[ENVELOPES] * 3))
    hand_in(client, seal(1))  # whatever is done once is done

    def submit() -> None:
        for one in one_by_one:
            client.call("lease.submit", envelope=b64(one), device=device.key.public.text())

    alone = rate(submit, SINGLE * ROWS)
    batched = rate(lambda: hand_in(client, direct), ENVELOPES * ROWS)

    front = Front(client, bind="127.0.0.1:0", a_minute=0)
    with front.web.running() as url:
        lines = [HttpLine(url, person="ana", device=device.key) for _ in range(32)]
        for line in lines:
            line._until_us = device.lease.until_us  # as if each had asked for the lease itself

        def post() -> None:
            with ThreadPoolExecutor(len(lines)) as pool:
                each = [lines[at % len(lines)] for at in range(len(web))]
                list(pool.map(lambda line, one: line.submit(one), each, web))

        by_http = rate(post, ENVELOPES * ROWS)
        for line in lines:
            line.close()
    front.close()

    broker = Broker(nats_server.place(), limits=Limits(bytes=256 << 20))
    broker.prepare()
    consumer = Consumer(broker, client, key=KEY)

    def publish() -> None:
        for one in queued:
            broker.publish(cover(one, KEY.public), name=name_of(one), token="ab" * 16)
        while broker.waiting():
            consumer.turn(wait_s=0.5)
            time.sleep(0.05)

    by_queue = rate(publish, ENVELOPES * ROWS, nats_server.pid)
    broker.close()
    assert rows_of(served) - before == (3 * ENVELOPES + SINGLE + 1) * ROWS

    peer = f"the same in one batch over the socket: {batched:,.0f}"
    board.add(
        f"envelopes of {ROWS:,} key events, one a call",
        ours=f"{alone:,.0f} events/CPU-s",
        peer=peer,
        ratio=alone / batched,
        goal="(none: what batches replace)",
        met=True,
        most=0.8,
    )
    for name, figure in (
        ("by HTTP, each a request", by_http),
        ("through NATS JetStream", by_queue),
    ):
        board.add(
            f"envelopes {name}",
            ours=f"{figure:,.0f} events/CPU-s",
            peer=peer,
            ratio=figure / batched,
            goal=">= 0.7 of the socket",
            met=figure / batched >= 0.7,
            floor=0.4,
        )
