"""What a line between two houses shows, and what a house gets that does not keep to the protocol.

The listener in between (``Tap``) has every byte as it is before TLS; what TLS hides beside is not counted on.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from hashlib import sha256, sha512
from typing import Any

import pytest
from tests.houses import (
    Authority,
    Tap,
    ended,
    figures,
    meet,
    terms,
)

from safehold.errors import (
    DeniedError,
    InvalidError,
    SafeholdError,
    SignInError,
    UnavailableError,
)
from safehold.federation import psi_sum
from safehold.federation.group import (
    IDENTITY,
    POINT,
    Names,
    draw_element,
    draw_scalar,
    multiply,
    scalar_bytes,
)
from safehold.federation.lifted import BATCH, LANES
from safehold.federation.line import Kind, Line
from safehold.federation.link import Credentials, answer, call
from safehold.federation.psi_sum import join_set, join_values
from safehold.federation.terms import Terms, agree, confirm, session_of

SET = [f"employee-{number:05}@example.org".encode() for number in range(40)]
VALUES = {f"employee-{number:05}@example.org".encode(): number for number in range(20, 60)}
HEAD = struct.Struct(">BI")
LOOSE: dict[str, Any] = {"epsilon_count_micro": 10_000_000, "epsilon_sum_micro": 10_000_000}


def frames(heard: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + HEAD.size <= len(heard):
        kind, size = HEAD.unpack_from(heard, at)
        found.append((kind, bytes(heard[at + HEAD.size : at + HEAD.size + size])))
        at += HEAD.size + size
    return found


def bodies(heard: bytes, kind: Kind) -> bytes:
    return b"".join(body for one, body in frames(heard) if one == kind)


def points(data: bytes) -> list[bytes]:
    return [data[at : at + POINT] for at in range(0, len(data), POINT)]


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


# --- who does not keep to the protocol


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


# --- certificates


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def handshake(
    one: dict[str, str], two: dict[str, str], *, peer: str = "two", expected: str = "one"
) -> tuple[Any, Any]:
    """Let ``one`` call ``two``, which expects a name; return what each of them has."""
    found: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            try:
                found.append(answer(listener, Credentials(**two), peers=[expected], patience_s=1.5))
            except SafeholdError as error:
                found.append(error)

        thread = threading.Thread(target=listen)
        thread.start()
        had: Any
        try:
            had = call(
                ("127.0.0.1", listener.getsockname()[1]),
                Credentials(**one),
                peer=peer,
                patience_s=5,
            )
            had.settimeout(5)
        except SafeholdError as error:
            had = error
        thread.join()
    return had, found[0]


def hang_up(*lines: Any) -> None:
    for one in lines:
        for line in one.values() if isinstance(one, dict) else (one,):
            if not isinstance(line, Exception):
                line.close()


def test_two_houses_that_know_each_other_meet(authority: Authority) -> None:
    had, found = handshake(authority.issue("one"), authority.issue("two"))
    assert had.version() == "TLSv1.3"
    assert set(found) == {"one"}
    hang_up(had, found)


def test_a_wrong_certificate_is_refused_at_either_end(authority: Authority) -> None:
    other = Authority("another authority")
    stranger = other.issue("one", trusts=authority.pem)
    had, found = handshake(stranger, authority.issue("two"))
    assert isinstance(
        found, UnavailableError
    )  # the stranger was hung up on; the house was not there
    hang_up(had)
    had, found = handshake(authority.issue("one"), other.issue("two"))
    assert isinstance(had, SignInError)
    assert isinstance(found, UnavailableError)


def test_a_good_certificate_of_another_house_is_refused_at_either_end(authority: Authority) -> None:
    had, found = handshake(authority.issue("three"), authority.issue("two"))
    assert isinstance(found, UnavailableError)
    hang_up(had)
    had, found = handshake(authority.issue("one"), authority.issue("three"))
    assert isinstance(had, SignInError)
    assert isinstance(found, UnavailableError)


def test_without_a_certificate_nobody_comes_in(authority: Authority) -> None:
    import ssl

    two = authority.issue("two")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: list[Any] = []

        def listen() -> None:
            try:
                found.append(answer(listener, Credentials(**two), peers=["one"], patience_s=1.0))
            except SafeholdError as error:
                found.append(error)

        thread = threading.Thread(target=listen)
        thread.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=authority.pem)
        with socket.create_connection(listener.getsockname()) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="two") as line:
                    assert line.recv(1) == b""
            except OSError:
                pass
        thread.join()
    assert isinstance(found[0], UnavailableError)


def test_strangers_who_call_first_do_not_end_a_session(authority: Authority) -> None:
    stranger = Authority("another authority").issue("one", trusts=authority.pem)
    two, one = authority.issue("two"), authority.issue("one")
    found: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = listener.getsockname()
        thread = threading.Thread(
            target=lambda: found.append(
                answer(listener, Credentials(**two), peers=["one"], patience_s=20)
            )
        )
        thread.start()
        with socket.create_connection(where) as noise:
            noise.sendall(b"GET / HTTP/1.0\r\n\r\n")
        hang_up(call(where, Credentials(**stranger), peer="two", patience_s=5))
        had = call(where, Credentials(**one), peer="two", patience_s=5)
        thread.join()
    assert set(found[0]) == {"one"}
    hang_up(had, found[0])
