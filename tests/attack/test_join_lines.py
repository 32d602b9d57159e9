"""What a line between two houses shows, and what a house gets that does not keep to the protocol.

The listener in between (``Tap``) has every byte as it is before TLS; what TLS hides beside is not counted on.
"""

from __future__ import annotations

import socket
import threading
from hashlib import sha256, sha512
from typing import Any

import pytest
from tests.houses import (
    LOOSE,
    SET,
    VALUES,
    Tap,
    bodies,
    ended,
    figures,
    frames,
    meet,
    points,
    terms,
)

from safehold.errors import (
    DeniedError,
)
from safehold.federation import psi_sum
from safehold.federation.group import (
    Names,
    draw_scalar,
    multiply,
    scalar_bytes,
)
from safehold.federation.lifted import BATCH, LANES
from safehold.federation.line import Kind, Line
from safehold.federation.psi_sum import join_set, join_values


@pytest.fixture(scope="module")
def heard() -> tuple[Tap, Any]:
    tap = Tap()
    return tap, figures(meet(SET, VALUES, tap=tap, **LOOSE))


def test_no_name_and_no_plain_hash_of_one_is_on_the_line(heard) -> None:
    tap, _ = heard
    transcript = tap.transcript
    assert len(transcript) > 10_000
    for name in {*SET, *VALUES}:
        assert name not in transcript
        for digest in (sha256(name).digest(), sha512(name).digest(), sha512(name).digest()[:32]):
            assert digest not in transcript
            assert digest.hex().encode() not in transcript


def test_an_outsider_with_a_dictionary_and_the_session_finds_nobody(heard) -> None:
    """Whoever knows all names and the session can make each element, but not what two secrets make of it."""
    tap, (found, _) = heard
    on_the_line = {
        one for heard in tap.heard.values() for _, body in frames(heard) for one in points(body)
    }
    names = Names(b"safehold-join" + found.session)
    elements = {names.element(name) for name in {*SET, *VALUES}}
    assert elements.isdisjoint(on_the_line)
    guess = scalar_bytes(draw_scalar())
    assert {multiply(guess, one) for one in elements}.isdisjoint(on_the_line)
    # the test can fail: a house that masked nothing would be found by the same search
    assert not {names.element(SET[0])}.isdisjoint(on_the_line | {names.element(SET[0])})


def test_each_side_with_its_own_secret_sees_no_name_of_the_other(monkeypatch) -> None:
    """The dictionary attack of a party: it has one secret, every name, and all that it was sent."""
    secrets: list[int] = []
    real = psi_sum.draw_scalar
    monkeypatch.setattr(psi_sum, "draw_scalar", lambda: secrets.append(value := real()) or value)
    tap = Tap()
    found, _ = figures(meet(SET, VALUES, tap=tap, **LOOSE))
    assert len(secrets) == 2
    names = Names(b"safehold-join" + found.session)
    elements = [names.element(name) for name in {*SET, *VALUES}]
    once = {multiply(scalar_bytes(one), element) for one in secrets for element in elements}
    # the set house is sent VALUES and BACK; the values house is sent SET
    to_set = set(points(bodies(tap.heard["to one"], Kind.BACK)))
    by_values = set(points(bodies(tap.heard["to one"], Kind.VALUES)))
    by_set = set(points(bodies(tap.heard["to two"], Kind.SET)))
    # what a house masked with its own secret alone is what it sent, and only that
    assert once & to_set == set()
    for one in secrets:
        mine = {multiply(scalar_bytes(one), element) for element in elements}
        assert not (mine & by_values and mine & by_set)
    # with both secrets, which no house has, the names would be there
    both = scalar_bytes(secrets[0] * secrets[1])
    assert len({multiply(both, names.element(name)) for name in SET} & to_set) == len(SET)


def test_what_comes_back_is_in_no_order_that_the_set_house_knows(monkeypatch) -> None:
    """Without the shuffle of the values house the n-th element would be that of the n-th name sent."""
    secrets: list[int] = []
    real = psi_sum.draw_scalar
    monkeypatch.setattr(psi_sum, "draw_scalar", lambda: secrets.append(value := real()) or value)
    tap = Tap()
    figures(meet(SET, VALUES, tap=tap, **LOOSE))
    sent = points(bodies(tap.heard["to two"], Kind.SET))
    back = points(bodies(tap.heard["to one"], Kind.BACK))
    assert len(sent) == len(back) >= 64
    twice = [[multiply(scalar_bytes(one), element) for element in sent] for one in secrets]
    (masked,) = [one for one in twice if set(one) == set(back)]
    assert masked != back  # 64 elements fall into place by chance once in 10^89
    assert sum(one == two for one, two in zip(masked, back, strict=True)) < 32


def test_a_house_sends_its_names_in_no_order(monkeypatch) -> None:
    monkeypatch.setattr(psi_sum, "draw_scalar", lambda: 5)
    tap = Tap()
    found, _ = figures(meet(SET, VALUES, tap=tap, **LOOSE))
    names = Names(b"safehold-join" + found.session)
    expected = [multiply(scalar_bytes(5), names.element(name)) for name in SET]
    sent = points(bodies(tap.heard["to two"], Kind.SET))
    places = [sent.index(one) for one in expected]
    assert places != sorted(places)  # forty in order: once in 10^47


def test_two_sessions_of_the_same_sets_have_no_element_in_common() -> None:
    seen = []
    for _ in range(2):
        tap = Tap()
        figures(meet(SET, VALUES, tap=tap, **LOOSE))
        seen.append(set(points(bodies(tap.heard["to two"], Kind.SET))))
    assert seen[0].isdisjoint(seen[1])


def test_the_size_of_a_transcript_tells_no_number_of_matches() -> None:
    """All that is sent follows from the sizes that both stated: the same with no match hidden and with all of them."""
    sizes = []
    for start in (0, 15):
        tap = Tap()
        values = {
            f"employee-{number:05}@example.org".encode(): number % 50
            for number in range(start, start + 40)
        }
        figures(meet(SET, values, tap=tap, **LOOSE))
        sizes.append(
            [
                (kind, len(body))
                for way in tap.heard.values()
                for kind, body in frames(way)
                if kind != Kind.HELLO
            ]
        )
    assert sizes[0] == sizes[1]


def test_the_values_house_gets_a_sum_that_is_blinded_and_noisy(monkeypatch) -> None:
    """The ciphertext it decrypts shares no element with those it sent, so it does not tell which were added."""
    tap = Tap()
    figures(meet(SET, VALUES, tap=tap, **LOOSE))
    total = points(bodies(tap.heard["to two"], Kind.TOTAL)[:BATCH])
    sent = set(points(bodies(tap.heard["to one"], Kind.VALUES)))
    assert len(total) == LANES + 1
    assert sent.isdisjoint(total)


def test_no_house_has_an_exact_figure(monkeypatch) -> None:
    """The noise of each is drawn by that house and taken out of no message: with it fixed, all is as it must be."""
    drawn: list[tuple[str, int]] = []

    def shift(_epsilon: int, reach: int) -> int:
        drawn.append(("count", reach))
        return reach + 1

    def laplace(_epsilon: int, _clamp: int) -> int:
        drawn.append(("sum", 0))
        return 7

    monkeypatch.setattr(psi_sum, "draw_shift", shift)
    monkeypatch.setattr(psi_sum, "draw_laplace", laplace)
    left, right = figures(meet(SET, VALUES, **LOOSE))
    both = [name for name in SET if name in VALUES]
    assert left.people == right.people == len(both) + 2
    assert left.total == right.total == sum(VALUES[name] for name in both) + 14
    assert sorted(what for what, _ in drawn) == ["count", "count", "sum", "sum"]


# --- below the minimum


@pytest.mark.parametrize("common", [0, 1, 9, 19])
def test_below_the_minimum_is_always_refused(common: int) -> None:
    values = {
        f"employee-{number:05}@example.org".encode(): 1
        for number in range(40 - common, 80 - common)
    }
    tap = Tap()
    left, right = meet(SET, values, tap=tap, least=20, **LOOSE)
    for one in (left, right):
        assert isinstance(one, DeniedError)
        assert one.rule == "join.min_people"
    assert bodies(tap.heard["to two"], Kind.TOTAL) == b""  # no sum was sent
    refusals = [body for kind, body in frames(tap.heard["to two"]) if kind == Kind.REFUSED]
    assert refusals[0] == b"\0"  # one word, and no number


def test_the_larger_minimum_of_the_two_counts() -> None:
    one, two = socket.socketpair()
    left, right = (Line(end, idle_s=30, whole_s=60) for end in (one, two))
    found: list[Any] = []
    thread = threading.Thread(
        target=lambda: found.append(
            ended(lambda: join_values(right, terms("values", 40, least=30, **LOOSE), VALUES), right)
        )
    )
    thread.start()
    had = ended(lambda: join_set(left, terms("set", 40, least=1, **LOOSE), SET), left)
    thread.join()
    assert {had.rule, found[0].rule} == {"join.min_people"}


def test_enough_is_let_through() -> None:
    same = dict.fromkeys(SET, 2)
    left, _ = figures(meet(SET, same, least=20, **LOOSE))
    assert left.at_least >= 20
