"""Side-car entries: no key with the same number twice, each bound to its place."""

from __future__ import annotations

import threading

import pytest
from tests.vaults import make_home

from safehold.errors import InvalidError, ShreddedError, TamperedError
from safehold.vault import keys


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


def test_no_two_side_cars_share_a_key_and_a_nonce(home):
    sealer = home.vault.sidecar
    batches = [sealer.batch(segment="de", month=600) for _ in range(3)]
    sealed = [one for seal in batches for one in seal([b"detail"] * 5, [b"leaf"] * 5)]
    assert len({one[:21] for one in sealed}) == 15  # version, salt of the batch, number
    assert len({one[:17] for one in sealed}) == 3
    for one in sealed:
        assert sealer.open(segment="de", month=600, sealed=one, aad=b"leaf") == b"detail"
        for other in sealed:
            mixed = other[:21] + one[21:]
            if mixed != one:
                with pytest.raises(TamperedError):
                    sealer.open(segment="de", month=600, sealed=mixed, aad=b"leaf")


def test_a_series_takes_a_fresh_key_when_its_numbers_are_used_up():
    key = keys.new_key()
    series = keys.Series(key, most=4)
    sealed = series.seal([b"x"] * 9, [b"y"] * 9)
    salts = [one[:16] for one in sealed]
    assert [salts.count(one) for one in dict.fromkeys(salts)] == [4, 4, 1]
    assert len({one[:20] for one in sealed}) == 9
    for one in sealed:
        assert keys.open_series(key, one, aad=b"y") == b"x"
        for wrong in (one[:-1], one[:35], b"", one[:16] + b"\xff" + one[17:], b"\0" + one):
            with pytest.raises(TamperedError):
                keys.open_series(key, wrong, aad=b"y")


def test_secrets_taken_away_meanwhile_are_sealed_all_the_same(monkeypatch):
    """Their count comes once: less than none left would give numbers out again, and never end."""
    key, secrets, aads = keys.new_key(), [b"x"] * 6, [b"y"] * 6
    calls = iter(range(9))
    seal = keys.seal_all

    def seal_and_take(*arguments):
        next(calls)
        secrets.clear()
        return seal(*arguments)

    monkeypatch.setattr(keys, "seal_all", seal_and_take)
    sealed = keys.Series(key, most=4).seal(secrets, aads)
    assert [keys.open_series(key, one, aad=b"y") for one in sealed] == [b"x"] * 6
    assert len({one[:20] for one in sealed}) == 6


def test_threads_that_share_a_series_never_share_a_number():
    series = keys.Series(keys.new_key(), most=50)
    found: list[bytes] = []
    work = [
        threading.Thread(
            target=lambda: found.extend(
                [one[:20] for _ in range(100) for one in series.seal([b""] * 5, [b""] * 5)]
            )
        )
        for _ in range(4)
    ]
    for one in work:
        one.start()
    for one in work:
        one.join()
    assert len(set(found)) == 2_000


def test_the_side_car_is_bound_to_segment_month_and_leaf(home):
    sealer = home.vault.sidecar
    (sealed,) = sealer.batch(segment="de", month=600)([b"detail"], [b"leaf"])
    assert (
        home.open().sidecar.open(segment="de", month=600, sealed=sealed, aad=b"leaf") == b"detail"
    )
    assert b"detail" not in sealed
    sealer.batch(segment="de", month=601)([b"x"], [b""])
    sealer.batch(segment="", month=600)([b"x"], [b""])
    for other in (
        {"aad": b"other"},
        {"month": 601},
        {"segment": ""},
        {"sealed": sealed[:-1] + bytes([sealed[-1] ^ 1])},
        {"sealed": b"\x01" + sealed[1:]},
        {"sealed": b""},
    ):
        given = {"segment": "de", "month": 600, "sealed": sealed, "aad": b"leaf"} | other
        with pytest.raises(TamperedError):
            sealer.open(**given)
    (empty,) = sealer.batch(segment="", month=600)([b""], [b""])
    assert sealer.open(segment="", month=600, sealed=empty, aad=b"") == b""
    with pytest.raises(InvalidError):
        sealer.batch(segment="", month=-1)


def test_what_hides_handles_ends_with_an_erasure_and_not_with_a_month(home):
    """An epoch counts as the period of its key; epoch 5 is no month before August 2026."""
    sealer, vault = home.vault.sidecar, home.vault
    hidden = {
        epoch: sealer.batch(segment="@index", month=epoch)([b"h"], [b"a"]) for epoch in (4, 5)
    }
    (month,) = sealer.batch(segment="", month=202607)([b"detail"], [b"a"])

    def opens(epoch: int) -> bool:
        try:
            return (
                sealer.open(segment="@index", month=epoch, sealed=hidden[epoch][0], aad=b"a")
                == b"h"
            )
        except ShreddedError:
            return False

    vault.subjects.key("psn_a")
    kept = vault.subjects.key("psn_b")
    vault.shred(sidecar_before=202608)
    assert opens(4)
    assert opens(5)
    with pytest.raises(ShreddedError):
        sealer.open(segment="", month=202607, sealed=month, aad=b"a")
    vault.shred(person="psn_a", handles_before=5)
    assert not opens(4)
    assert opens(5)
    assert vault.subjects.living() == {"psn_b": kept}
