"""Ten thousand valid uses on a machine that is busy, and none of them refused."""

from __future__ import annotations

import multiprocessing
import os

import pytest
from tests import boardroom
from tests.boardroom import MESSAGE, NOW, demand, policy, present, request, token

from safehold.access import Holder, Nonces, attenuate, authorise

pytestmark = pytest.mark.proof

USES = 10_000


def _burn(end: multiprocessing.synchronize.Event) -> None:
    while not end.is_set():
        sum(range(100_000))


def test_ten_thousand_valid_uses_on_a_busy_machine_and_no_refusal() -> None:
    end = multiprocessing.Event()
    load = [
        multiprocessing.Process(target=_burn, args=(end,), daemon=True)
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    for one in load:
        one.start()
    nonces, made, wide = Nonces(), policy(), token()
    shown = [wide]
    for caps in ({"max_rows": 900}, {"columns": ["feature.token"]}, {"max_runs": 3}):
        shown.append(attenuate(shown[-1], boardroom.MINT.public, **caps))
    try:
        for number in range(USES):
            text = shown[number % len(shown)]
            nonce = nonces.spend(nonces.issue(NOW + number), NOW + number)
            claims = present(
                text,
                nonce=nonce,
                proof=Holder(text, boardroom.HOLDER).prove(nonce, MESSAGE),
                demand=demand(rows=number % 900, columns=("feature.token",), runs=1 + number % 3),
            )
            authorise(made, request(people=50 + number, claims=claims))
    finally:
        end.set()
        for one in load:
            one.join(60)
    assert [one.is_alive() for one in load] == [False] * len(load)
