"""What a house gets that does not keep to the protocol: a refusal, and nothing was released."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.houses import (
    HEAD,
    LOOSE,
    SET,
    VALUES,
    Tap,
    bodies,
    ended,
    figures,
    meet,
    points,
    terms,
)

from safehold.errors import (
    InvalidError,
    SafeholdError,
    UnavailableError,
)
from safehold.federation.group import (
    IDENTITY,
    POINT,
    Names,
    draw_element,
    multiply,
    scalar_bytes,
)
from safehold.federation.lifted import BATCH, LANES
from safehold.federation.line import Kind, Line
from safehold.federation.psi_sum import join_set, join_values
from safehold.federation.terms import Terms, agree, confirm, session_of


class Liar:
    """The set house, or the values house, by hand: each step may be another one."""

    def __init__(self, line: Line, mine: Terms, *, first: bool) -> None:
        self.line, self.mine, self.first = line, mine, first
        self.peer = agree(line, mine, first=first)
        self.session = session_of((mine, self.peer))
        confirm(line, self.session, first=first)
        self.names = Names(b"safehold-join" + self.session)
        self.mask = scalar_bytes(7)


def against_values(lie: Callable[[Line], Any]) -> SafeholdError:
    """Return what the values house says to a set house that does this."""
    one, two = socket.socketpair()
    left, right = (Line(end, idle_s=5, whole_s=30) for end in (one, two))
    thread = threading.Thread(target=lambda: ended(lambda: lie(left), left))
    thread.start()
    found = ended(lambda: join_values(right, terms("values", len(VALUES), **LOOSE), VALUES), right)
    thread.join()
    assert isinstance(found, SafeholdError), found
    return found


def against_set(lie: Callable[[Line], Any]) -> SafeholdError:
    """Return what the set house says to a values house that does this."""
    one, two = socket.socketpair()
    left, right = (Line(end, idle_s=5, whole_s=30) for end in (one, two))
    thread = threading.Thread(target=lambda: ended(lambda: lie(right), right))
    thread.start()
    found = ended(lambda: join_set(left, terms("set", len(SET), **LOOSE), SET), left)
    thread.join()
    assert isinstance(found, SafeholdError), found
    return found


BAD_ELEMENTS = {
    "identity": IDENTITY,
    "not canonical": b"\xff" * 32,
    "negative": b"\x01" + bytes(31),
    "the prime": (2**255 - 19).to_bytes(32, "little"),
    "no square": bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
}


@pytest.mark.parametrize("bad", BAD_ELEMENTS.values(), ids=BAD_ELEMENTS)
def test_an_element_in_no_form_is_refused_by_both(bad: bytes) -> None:
    def in_set(line: Line) -> None:
        liar = Liar(line, terms("set", len(SET), **LOOSE), first=True)
        elements = [draw_element() for _ in range(liar.mine.size - 1)]
        line.send(Kind.SET, b"".join([*elements, bad]))
        line.receive(Kind.BACK)

    def in_values(line: Line) -> None:
        liar = Liar(line, terms("values", len(VALUES), **LOOSE), first=False)
        serve_back(liar)
        body = bytearray(draw_batches(liar.mine.size))
        body[POINT : 2 * POINT] = bad  # the first masked name
        line.send(Kind.VALUES, bytes(body))
        line.receive(Kind.TOTAL)

    assert against_values(in_set).rule == "join.element"
    assert against_set(in_values).rule == "join.element"


def serve_back(liar: Liar, *, key: bytes | None = None) -> None:
    body = liar.line.receive(Kind.SET)
    back = [multiply(liar.mask, one) for one in points(body)]
    liar.line.send(Kind.BACK, b"".join(back))
    liar.line.send(Kind.KEY, key or b"".join(draw_element() for _ in range(LANES)))


def draw_batches(size: int) -> bytes:
    return b"".join(draw_element() for _ in range(size // LANES * (1 + 2 * LANES)))


@pytest.mark.parametrize(
    "key",
    [b"".join([draw_element()] * LANES), bytes(LANES * POINT), b"\xff" * LANES * POINT],
    ids=["one lane for all", "identity", "not canonical"],
)
def test_a_key_that_is_none_is_refused(key: bytes) -> None:
    def lie(line: Line) -> None:
        serve_back(Liar(line, terms("values", len(VALUES), **LOOSE), first=False), key=key)

    assert against_set(lie).rule in {"join.key", "join.element"}


def test_names_that_come_twice_are_refused_by_both() -> None:
    def in_set(line: Line) -> None:
        liar = Liar(line, terms("set", len(SET), **LOOSE), first=True)
        elements = [draw_element() for _ in range(liar.mine.size - 1)]
        line.send(Kind.SET, b"".join([*elements, elements[0]]))
        line.receive(Kind.BACK)

    def in_back(line: Line) -> None:
        liar = Liar(line, terms("values", len(VALUES), **LOOSE), first=False)
        back = [multiply(liar.mask, one) for one in points(line.receive(Kind.SET))]
        back[0] = back[1]
        line.send(Kind.BACK, b"".join(back))
        line.receive(Kind.TOTAL)

    def in_values(line: Line) -> None:
        """A value that is to count twice: the masked name of one person, in two lanes."""
        liar = Liar(line, terms("values", len(VALUES), **LOOSE), first=False)
        serve_back(liar)
        body = bytearray(draw_batches(liar.mine.size))
        one = multiply(liar.mask, liar.names.element(SET[0]))
        body[POINT : 2 * POINT] = body[2 * POINT : 3 * POINT] = one
        line.send(Kind.VALUES, bytes(body))
        line.receive(Kind.TOTAL)

    assert against_values(in_set).rule == "join.twice"
    assert against_set(in_back).rule == "join.twice"
    assert against_set(in_values).rule == "join.twice"


def test_a_sum_out_of_range_or_in_no_form_is_refused() -> None:
    def lie(total: Callable[[Liar], bytes], count: int) -> Callable[[Line], None]:
        def play(line: Line) -> None:
            liar = Liar(line, terms("set", len(SET), **LOOSE), first=True)
            line.send(Kind.SET, b"".join(draw_element() for _ in range(liar.mine.size)))
            line.receive(Kind.BACK)
            line.receive(Kind.KEY)
            line.receive(Kind.VALUES)
            line.send(Kind.TOTAL, total(liar) + count.to_bytes(8, "big"))
            line.receive(Kind.RESULT)

        return play

    anything = lie(lambda _: b"".join(draw_element() for _ in range(LANES + 1)), 40)
    assert against_values(anything).rule == "join.range"  # a random element is no small sum
    assert against_values(lie(lambda _: bytes(BATCH), 40)).rule == "join.element"
    assert against_values(lie(lambda _: bytes(BATCH), 2**63)).rule == "join.range"
    assert against_values(lie(lambda _: bytes(BATCH), 0)).rule == "join.range"


@pytest.mark.parametrize("extra", [POINT, -POINT, 1, 1 << 20, 1 << 30])
def test_more_or_less_than_was_stated_is_refused_before_it_is_read(extra: int) -> None:
    """The size was stated, and is in the other ledger, before the first element."""

    def lie(line: Line) -> None:
        liar = Liar(line, terms("set", len(SET), **LOOSE), first=True)
        line._link.sendall(HEAD.pack(Kind.SET, liar.mine.size * POINT + extra))
        line._link.sendall(bytes(64))
        line.receive(Kind.BACK)

    assert against_values(lie).rule == "join.order"


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.HELLO, Kind.REFUSED}])
def test_a_message_out_of_turn_is_refused(kind: Kind) -> None:
    assert against_values(lambda line: line.send(kind, bytes(32))).rule == "join.order"


def test_a_peer_that_falls_silent_or_goes_is_given_up() -> None:
    def silent(line: Line) -> None:
        Liar(line, terms("set", len(SET), **LOOSE), first=True)
        event.wait(20)

    event = threading.Event()
    one, two = socket.socketpair()
    left, right = Line(one, idle_s=30, whole_s=60), Line(two, idle_s=0.2, whole_s=60)
    thread = threading.Thread(target=lambda: ended(lambda: silent(left), left))
    thread.start()
    found = ended(lambda: join_values(right, terms("values", len(VALUES), **LOOSE), VALUES), right)
    event.set()
    thread.join()
    assert isinstance(found, UnavailableError)

    def gone(line: Line) -> None:
        Liar(line, terms("set", len(SET), **LOOSE), first=True)
        line.close()

    assert isinstance(against_values(gone), UnavailableError)


def test_a_peer_that_sends_one_byte_at_a_time_ends_with_the_line() -> None:
    one, two = socket.socketpair()
    line = Line(two, idle_s=30, whole_s=0.3)
    stop = threading.Event()

    def drip() -> None:
        one.send(HEAD.pack(Kind.HELLO, 100))
        while not stop.wait(0.02):
            try:
                one.send(b"x")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    with pytest.raises(UnavailableError):
        line.receive(Kind.HELLO, most=100)
    stop.set()
    thread.join()
    line.close()
    one.close()


def test_a_recorded_session_played_again_is_refused() -> None:
    """The other nonce makes it another session."""
    tap = Tap()
    figures(meet(SET, VALUES, tap=tap, **LOOSE))
    recorded = bytes(tap.heard["to two"])

    def replay(line: Line) -> None:
        line._link.sendall(recorded)
        line.receive(Kind.BACK)

    assert against_values(replay).rule == "join.session"


def test_a_house_in_between_that_changes_terms_is_found() -> None:
    """Two ends that were told two things compute two sessions."""

    def change(_way: str, data: bytes) -> bytes:
        return data.replace(b'"commitment":"ab', b'"commitment":"cd')

    left, right = meet(SET, VALUES, tap=Tap(change), idle_s=5, **LOOSE)
    assert all(isinstance(one, SafeholdError) for one in (left, right))
    assert "join.session" in {left.rule, right.rule}


def test_a_bit_changed_anywhere_gives_no_figure() -> None:
    """Below TLS, which finds it first: an element that was changed is another one or none."""
    for place in (400, 3000, 9000):
        seen = {"to one": 0, "to two": 0}

        def change(way: str, data: bytes, place: int = place, seen: dict[str, int] = seen) -> bytes:
            at, seen[way] = place - seen[way], seen[way] + len(data)
            if way == "to one" and 0 <= at < len(data):
                return data[:at] + bytes((data[at] ^ 0x40,)) + data[at + 1 :]
            return data

        left, right = meet(SET, VALUES, tap=Tap(change), idle_s=5, **LOOSE)
        assert isinstance(left, SafeholdError) or left.total == right.total


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "other"}, {"clamp": 99}, {"epsilon_sum_micro": 9_000_000}, {"delta_e12": 999_999},
        {"epsilon_count_micro": 9_000_000}, {"streams": ("chat",)}, {"beside": ("chat",)}, {"layout": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_terms_that_differ_end_it_before_anything_is_sent(change: dict[str, Any]) -> None:
    heard: list[int] = []

    def lie(line: Line) -> None:
        line.send(Kind.HELLO, terms("set", len(SET), **(LOOSE | change)).to_bytes())
        line.receive(Kind.HELLO)
        heard.append(1)
        line.receive(Kind.SESSION, size=32)

    assert against_values(lie).rule == "join.terms"


@pytest.mark.parametrize(
    "hello",
    [
        b"", b"{}", b"[]", b"null", b"\xff" * 40, b"x" * 5000,
        terms("set", 40).to_bytes().replace(b'"size":', b'"size":-'),
        terms("set", 40).to_bytes().replace(b'"clamp":100', b'"clamp":0'),
        terms("set", 40).to_bytes().replace(b'"least":1', b'"least":1.5'),
        terms("set", 40).to_bytes().replace(b"safehold-join/1", b"safehold-join/2"),
    ],
    ids=range(10),
)  # fmt: skip
def test_a_hello_that_is_none_is_refused(hello: bytes) -> None:
    assert against_values(lambda line: line.send(Kind.HELLO, hello)).rule in {
        "join.hello",
        "join.order",
    }


def test_own_mistakes_are_refused_before_a_line_is_used() -> None:
    line: Any = None
    with pytest.raises(InvalidError):
        join_set(line, terms("set", 2, **LOOSE), [b"a", b"a"])
    with pytest.raises(InvalidError):
        join_values(line, terms("values", 1, **LOOSE), {b"a": 101})
    with pytest.raises(InvalidError):
        join_values(line, terms("values", 1, **LOOSE), {b"a": -1})
    with pytest.raises(InvalidError):
        join_set(line, terms("set", 900, **LOOSE), [b"a"])


def test_a_sum_that_nobody_could_find_is_refused_before_elements_are_sent() -> None:
    tap = Tap()
    changes = {"clamp": 1_000_000, "epsilon_sum_micro": 1_000}
    left, right = meet(SET, dict.fromkeys(VALUES, 1), tap=tap, **changes)
    assert {left.rule, right.rule} == {"join.range"}
    assert bodies(tap.heard["to two"], Kind.SET) == b""
