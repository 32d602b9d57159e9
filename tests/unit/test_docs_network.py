"""The page about ingestion over the network says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from safehold.access import cover, envelope
from safehold.app.collection import OPEN
from safehold.app.network import KEEPER
from safehold.ingest.network import answer, combine, front, gather, queue
from safehold.keeper import batch, leasing, refusals
from safehold.keeper.retention import REMEMBERED_US

PAGE = (Path(__file__).parents[2] / "docs/reference/network-ingest.md").read_text("utf-8")
MIB = 1 << 20


@pytest.mark.parametrize(
    "said",
    [
        *(f"| `{one}` |" for one in (envelope.STORED, envelope.ALREADY, envelope.REFUSED)),
        f"| `{envelope.LATER}` |",
        *(f"`POST {one}`" for one in (front.NONCES, front.LEASES, front.ENVELOPES, front.MARKS)),
        f"`GET {front.READY}`",
        answer.KIND,
        f"| envelopes in one request | {answer.MOST} |",
        f"| bytes of one request | {answer.LARGEST // MIB} MiB; of one that is JSON {front.SMALL // 1024} KiB |",
        f"| connections | {front.LIMITS.connections:,}; of one address {front.LIMITS.each} |",
        f"its last | {front.LIMITS.request_s:.0f} s |",
        f"| requests of one address | {front.A_MINUTE} a minute",
        f"| bytes that wait for the keeper | {combine.WAITING // MIB} MiB;",
        f"| envelopes in one batch for the keeper | {combine.MOST}, {combine.LARGEST // MIB} MiB |",
        f"| requests for leases in one call of the keeper | {front.MOST_LEASES}; while others ask too, a call every {front.LEASES_EVERY_S} s |",
        f"| requests for nonces in one call of the keeper | {front.MOST_NONCES}; likewise, every {front.NONCES_EVERY_S} s |",
        f"| requests that wait for either | {gather.WAITING:,}, and {gather.PATIENCE_S:.0f} s;",
        f"up to {batch.MOST} envelopes and {batch.LARGEST // MIB} MiB",
        f"one leaf in {refusals.TOLD_US // 1_000_000 if refusals.TOLD_US != 10_000_000 else 'ten'} seconds",
        f"| bytes of the stream | {queue.Limits().bytes >> 30} GiB",
        f"| bytes of a message | {queue.Limits().message // MIB} MiB;",
        f"| a message waits | {queue.Limits().age_s // 60} minutes;",
        f"| {queue.Limits().pending} messages; none for longer than {queue.Limits().wait_s:.0f} s",
        f"| deliveries of one message | {queue.Limits().deliveries};",
        f"`{queue.MESSAGE_ID}`",
        f"`{queue.ANSWER_TO}`",
        f"`{cover.DOMAIN.decode()}`",
        f"a multiple of {cover.BUCKET // 1024} KiB",
        f"`{KEEPER}`",
        f"`{OPEN}`",
    ],
)
def test_the_page_says_so(said: str) -> None:
    assert said in PAGE


def test_names_are_remembered_for_as_long_as_the_page_says() -> None:
    assert REMEMBERED_US == 7 * 86_400_000_000
    assert "remembered for seven days" in PAGE


def test_the_page_about_leases_says_so() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/lease.md").read_text("utf-8")
    for said in (
        f"`{leasing.MANY}` takes `asked`: a list of 1 to {leasing.MOST} requests",
        f"All are {leasing.PAD} bytes long before they are sealed",
        "`lease.batch`",
    ):
        assert said in page


def test_what_the_front_hands_on_fits_into_a_batch_of_the_keeper() -> None:
    assert answer.MOST <= combine.MOST <= batch.MOST
    assert answer.LARGEST <= combine.LARGEST <= batch.LARGEST
    assert combine.LARGEST * 4 // 3 < 64 * MIB, "and into a message to it"
    assert queue.Limits().message <= combine.LARGEST
