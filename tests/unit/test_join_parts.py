"""Group, sums under encryption, noise, vectors and measures of joins, each by itself."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.houses import Authority
from tests.keeper_desk import rest_table
from tests.world import raised

from safehold.app.crossing import PartyProcesses
from safehold.errors import DeniedError, InvalidError, SafeholdError, TamperedError
from safehold.federation import secure_sum
from safehold.federation.group import (
    IDENTITY,
    ORDER,
    Names,
    add,
    draw_element,
    draw_scalar,
    multiply,
    multiply_base,
    scalar_bytes,
    subtract,
)
from safehold.federation.lifted import LANES, SecretKey, Tally, Total, find_exponent
from safehold.federation.line import Line
from safehold.federation.measure import MeasureGate, main
from safehold.federation.noise import VectorNoise, draw_shift, reach_of_shift
from safehold.federation.secure_sum import join_sum
from safehold.federation.terms import Terms, padded
from safehold.keeper.commitment import commit
from safehold.privacy.counting import draw_laplace
from safehold.sandbox.parts import pack_parts

# RFC 9497 appendix A.1.1: Input, Blind, BlindedElement of OPRF(ristretto255, SHA-512)
RFC_9497 = (
    ("00", "609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c"),
    ("5a" * 17, "da27ef466870f5f15296299850aa088629945a17d1f5b7f5ff043f76b3c06418"),
)
BLIND = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706"


@pytest.mark.parametrize(("name", "blinded"), RFC_9497)
def test_names_become_elements_as_the_rfc_has_it(name: str, blinded: str) -> None:
    """Its tag ends otherwise than ours, so the two ends of what is hashed are put in its place."""
    names = Names(b"")
    tag = b"HashToGroup-OPRFV1-\x00-ristretto255-SHA512"
    end = tag + bytes((len(tag),))
    names._first, names._second = b"\x00\x40\x00" + end, b"\x01" + end
    assert multiply(bytes.fromhex(BLIND), names.element(bytes.fromhex(name))).hex() == blinded


def test_a_name_is_another_element_under_another_tag() -> None:
    assert Names(b"a").element(b"x") != Names(b"b").element(b"x")
    assert Names(b"a").element(b"x") == Names(b"a").element(b"x")
    with pytest.raises(InvalidError):
        Names(bytes(230))


def test_masks_can_be_put_on_in_either_order() -> None:
    one, two, element = scalar_bytes(draw_scalar()), scalar_bytes(draw_scalar()), draw_element()
    assert multiply(one, multiply(two, element)) == multiply(two, multiply(one, element))


def test_the_group_has_its_order() -> None:
    element = draw_element()
    assert add(multiply(scalar_bytes(ORDER - 1), element), element) == IDENTITY
    assert subtract(element, element) == IDENTITY
    assert multiply_base(scalar_bytes(ORDER)) == IDENTITY


def test_scalars_are_drawn_over_the_whole_range() -> None:
    drawn = [draw_scalar() for _ in range(200)]
    assert all(0 < one < ORDER for one in drawn)
    assert len(set(drawn)) == 200
    assert any(one.bit_length() == ORDER.bit_length() - 1 or one > ORDER // 2 for one in drawn)


@pytest.mark.parametrize("noise", [-900, 0, 5])
def test_a_sum_comes_out_with_its_noise_from_any_lanes(noise: int) -> None:
    key, true = SecretKey(), 0
    tally = Tally(key.public())
    for batch in range(3):
        values = [batch * 100 + lane for lane in range(LANES)]
        ephemeral, encrypted = key.encrypt(values)
        for lane in range(batch, LANES, batch + 2):
            tally.add(lane, ephemeral, encrypted[lane])
            true += values[lane]
    total = Total.from_bytes(tally.total(noise).to_bytes())
    assert key.decrypt(total, least=-1000, most=10_000) == true + noise
    with pytest.raises(TamperedError):
        SecretKey().decrypt(total, least=-1000, most=10_000)


def test_a_value_in_another_lane_decrypts_to_nothing() -> None:
    key = SecretKey()
    tally = Tally(key.public())
    ephemeral, encrypted = key.encrypt([1] * LANES)
    tally.add(1, ephemeral, encrypted[0])
    with pytest.raises(TamperedError):
        key.decrypt(tally.total(0), least=-100, most=100)


@pytest.mark.parametrize(
    ("least", "most"), [(0, 0), (-5, 5), (-1000, 1), (7, 7), (-3, 100), (0, 2**16)]
)
def test_exponents_are_found_at_both_ends_and_nowhere_else(least: int, most: int) -> None:
    for value in {least, most, (least + most) // 2}:
        assert find_exponent(multiply_base(scalar_bytes(value)), least=least, most=most) == value
    for value in (least - 1, most + 1):
        with pytest.raises(TamperedError):
            find_exponent(multiply_base(scalar_bytes(value)), least=least, most=most)


def test_a_range_too_wide_to_search_is_refused() -> None:
    with pytest.raises(InvalidError):
        find_exponent(IDENTITY, least=0, most=2**34)


@pytest.mark.parametrize("epsilon", [10_000, 100_000, 500_000, 2_000_000])
@pytest.mark.parametrize("delta", [1, 10**6, 10**8])
def test_the_hidden_count_keeps_epsilon_and_delta_exactly(epsilon: int, delta: int) -> None:
    """The two neighbouring distributions, summed over all of their range: what is left over e^epsilon is delta."""
    reach = reach_of_shift(epsilon, delta)
    weights = [math.exp(-epsilon / 1e6 * abs(x)) for x in range(-reach, reach + 1)]
    whole = math.fsum(weights)
    chances = [one / whole for one in weights]
    for one, two in (([*chances, 0.0], [0.0, *chances]), ([0.0, *chances], [*chances, 0.0])):
        over = math.fsum(
            max(0.0, a - math.exp(epsilon / 1e6) * b * (1 + 1e-12))
            for a, b in zip(one, two, strict=True)
        )
        assert over <= delta / 1e12
    if reach > 1:  # and no smaller range would
        assert math.exp(-epsilon / 1e6 * (reach - 1)) / whole > 0.9 * delta / 1e12


def test_shifts_stay_in_their_range_and_are_not_constant() -> None:
    drawn = {draw_shift(200_000, 12) for _ in range(400)}
    assert min(drawn) >= 0
    assert max(drawn) <= 24
    assert len(drawn) > 5


@pytest.mark.parametrize(("epsilon", "delta"), [(0, 1), (1, 0), (-1, 1), (1, 1)])
def test_what_no_dummies_can_keep_is_refused(epsilon: int, delta: int) -> None:
    with pytest.raises(InvalidError):
        reach_of_shift(epsilon, delta)


def test_noise_is_as_wide_as_one_person_moves_a_figure() -> None:
    many = 2_000
    for sensitivity in (1, 50):
        drawn = [draw_laplace(1_000_000, sensitivity) for _ in range(many)]
        mean = sum(map(abs, drawn)) / many / sensitivity
        # |noise| has mean about 1 and standard deviation about 1: seven of those of the mean
        assert abs(mean - (0.85 if sensitivity == 1 else 1.0)) < 7 / math.sqrt(many) + 0.02


@pytest.mark.parametrize(("epsilon", "sensitivity"), [(1_000_000, 1), (250_000, 1), (500_000, 20)])
def test_vector_noise_is_discrete_laplace(epsilon: int, sensitivity: int) -> None:
    many = 100_000
    drawn = VectorNoise(epsilon, sensitivity).draw(many)
    ratio = math.exp(-epsilon / 1e6 / sensitivity)
    for value in (0, 1, -1, 3, -5):
        chance = (1 - ratio) / (1 + ratio) * ratio ** abs(value)
        spread = math.sqrt(chance * (1 - chance) / many)
        assert abs(np.mean(drawn == value) - chance) < 6 * spread + 1e-9
    variance = 2 * ratio / (1 - ratio) ** 2
    assert abs(np.var(drawn) / variance - 1) < 0.1  # kurtosis 6: six standard deviations are 0.05


def test_digits_of_the_noise_have_their_chances_to_2_128() -> None:
    noise = VectorNoise(693_147, 1)
    for place, chance in enumerate(noise._chances[:4]):
        rate = float(Fraction(693_147, 10**6) * 2**place)
        assert abs(chance / 2**128 - math.exp(-rate) / (1 + math.exp(-rate))) < 1e-15
    assert noise._chances[-1] < 2**70


def test_sizes_show_within_two_percent() -> None:
    for count in (1, 63, 64, 65, 1000, 100_000, 1_000_001):
        size = padded(count)
        assert size % 64 == 0
        assert count <= size <= max(64 * -(-count // 64), count * 1.016 + 1)


# --- vectors


def parties(count: int, size: int, vectors: list[Any], **changes: Any) -> list[Any]:
    names = ("a", "b", "c")[:count]
    ends = {pair: socket.socketpair() for pair in combinations(names, 2)}

    def run(place: int) -> Any:
        name = names[place]
        lines = {
            (two if name == one else one): Line(ends[one, two][name == two], idle_s=30, whole_s=120)
            for one, two in ends
            if name in (one, two)
        }
        mine = Terms(
            protocol="sum", purpose="p", party=name, parties=names, streams=("focus",), beside=(),
            role="vector", clamp=1, epsilon_count_micro=0, epsilon_sum_micro=1_000_000, delta_e12=0,
            least=1, size=len(vectors[place]), layout="l", commitment="0" * 64, nonce=os.urandom(32).hex(),
        )  # fmt: skip
        try:
            return join_sum(lines, mine, vectors[place])
        except SafeholdError as error:
            return error
        finally:
            for line in lines.values():
                line.close()

    assert all(len(one) == size for one in vectors) or changes.get("uneven")
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.parametrize("count", [2, 3])
def test_a_sum_of_vectors_is_right_but_for_the_noise_of_each(count: int, monkeypatch) -> None:
    size = secure_sum.CHUNK + 7  # more than one chunk, and not a whole number of them
    monkeypatch.setattr(VectorNoise, "draw", lambda _self, many: np.full(many, 3, np.int64))
    vectors = [np.arange(size, dtype=np.int64) * (place - 1) for place in range(count)]
    found = parties(count, size, vectors)
    assert {one.session for one in found} == {found[0].session}
    for one in found:
        assert (one.vector == sum(vectors) + 3 * count).all()


def test_every_house_adds_noise_of_its_own() -> None:
    found = parties(3, 4_000, [np.zeros(4_000, np.int64) for _ in range(3)])
    ratio = math.exp(-1)
    assert abs(np.var(found[0].vector) / (3 * 2 * ratio / (1 - ratio) ** 2) - 1) < 0.5


def test_a_share_says_nothing_of_the_vector(monkeypatch) -> None:
    """A house is sent one random share and one sum of shares by each: neither depends on the vector alone."""
    sent: list[bytes] = []
    real = Line.send
    monkeypatch.setattr(
        Line, "send", lambda self, kind, body: (sent.append(body), real(self, kind, body))[1]
    )
    vector = np.full(1_000, 123_456_789, np.int64)
    parties(3, 1_000, [vector, vector, vector])
    words = np.concatenate([np.frombuffer(one, np.uint64) for one in sent if len(one) == 8_000])
    assert len(words) == 12_000
    high = np.mean(words >> np.uint64(63))
    assert abs(high - 0.5) < 6 * 0.5 / math.sqrt(6_000)  # each partial sum is sent to two houses
    assert not np.isin(words, vector.view(np.uint64)).any()


def test_houses_that_lay_out_other_vectors_do_not_add_them() -> None:
    found = parties(2, 5, [np.zeros(5, np.int64), np.zeros(6, np.int64)], uneven=True)
    assert all(isinstance(one, SafeholdError) for one in found)
    assert "join.terms" in {one.rule for one in found}


# --- measures


def measure(tables: list[tuple[str, int, pa.Table]], **spec: Any) -> dict[str, int]:
    given = {"stream": "focus", "measure": "rows", "name": None, "clamp": 10} | spec
    memory = pack_parts(
        ({"person": person, "stream": given["stream"], "window": window}, table)
        for person, window, table in tables
    )
    found: dict[str, int] = {}
    gate = MeasureGate(people=frozenset(one for one, _, _ in tables), clamp=given["clamp"])

    def emit(header: dict[str, Any]) -> None:
        person, value = gate.admit(header)
        found[person] = value

    try:
        main(given, [memory], emit)
    finally:
        os.close(memory)
    return found


def metric(*values: float, name: str = "tickets") -> pa.Table:
    return pa.table(
        {
            "t": pa.array([0] * len(values), pa.timestamp("us", "UTC")),
            "name": pa.array([name] * len(values)).dictionary_encode(),
            "value": pa.array(values, pa.float64()),
        }
    )


def test_measures_are_what_they_say() -> None:
    table = rest_table("focus", 4).select(["t"])
    parts = [("a", 1, table), ("a", 2, table), ("b", 1, rest_table("focus", 1).select(["t"]))]
    assert measure(parts) == {"a": 8, "b": 1}
    assert measure(parts, clamp=5) == {"a": 5, "b": 1}
    assert measure(parts, measure="days") == {"a": 2, "b": 1}
    assert measure(parts, measure="presence") == {"a": 1, "b": 1}


def test_the_mean_of_a_metric_is_of_that_metric_and_lies_in_its_clamp() -> None:
    parts = [
        ("a", 1, metric(3, 4)), ("a", 2, metric(8)), ("b", 1, metric(99, name="other")),
        ("c", 1, metric(-7)), ("d", 1, metric(math.nan, math.inf)), ("e", 1, metric(1e300)),
    ]  # fmt: skip
    found = measure(parts, stream="metric", measure="value", name="tickets")
    assert found == {"a": 5, "c": 0, "e": 10}


@pytest.mark.parametrize(
    "spec",
    [
        {"measure": "median"}, {"clamp": 0}, {"clamp": True}, {"measure": "value"}, {"name": "x"},
        {"stream": "unheard"}, {"stream": "metric", "measure": "value", "name": ""}, {"clamp": 10**7}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_measure_that_is_none_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        measure([("a", 1, rest_table("focus", 1))], **spec)


@pytest.mark.parametrize(
    ("header", "body", "kind"),
    [
        ({"type": "measure", "person": "b", "value": 1}, b"", TamperedError),
        ({"type": "measure", "person": "a", "value": 11}, b"", TamperedError),
        ({"type": "measure", "person": "a", "value": -1}, b"", TamperedError),
        ({"type": "measure", "person": "a", "value": 1.0}, b"", TamperedError),
        ({"type": "measure", "person": "a", "value": True}, b"", TamperedError),
        ({"type": "measure", "person": "a", "value": 1, "note": "x"}, b"", TamperedError),
        ({"type": "measure", "person": "a", "value": 1}, b"row", TamperedError),
        ({"type": "derived", "person": "a", "rows": 1}, b"", DeniedError),
        ({"type": "error", "code": "invalid", "rule": "somebody's name"}, b"", SafeholdError),
    ],
    ids=range(9),
)
def test_nothing_but_one_clamped_number_for_each_person_passes_the_gate(
    header: dict[str, Any], body: bytes, kind: type[SafeholdError]
) -> None:
    gate = MeasureGate(people=frozenset({"a"}), clamp=10)
    error = raised(lambda: gate.admit(header, body))
    assert isinstance(error, kind)
    assert "somebody's name" not in str(error.payload())


def test_a_second_number_of_somebody_is_refused() -> None:
    gate = MeasureGate(people=frozenset({"a"}), clamp=10)
    assert gate.admit({"type": "measure", "person": "a", "value": 3}) == ("a", 3)
    with pytest.raises(TamperedError):
        gate.admit({"type": "measure", "person": "a", "value": 3})


def test_a_commitment_hides_and_binds() -> None:
    salt, brought = bytes(range(32)), [("a", 1), ("b", 2)]
    assert commit(brought, salt) == commit(reversed(brought), salt)
    others = [[("a", 1)], [("a", 1), ("b", 3)], [("a", 1), ("c", 2)], []]
    assert len({commit(one, salt) for one in (brought, *others)}) == 5
    assert commit(brought, bytes(32)) != commit(brought, salt)


CONFINED = """
import ctypes, socket, sys
from safehold.federation import party
party._harden()
listener = socket.create_server(("127.0.0.1", 0))
abi = party._confine()
libc = ctypes.CDLL(None)
found = [str(abi), str(libc.prctl(3, 0, 0, 0, 0))]  # PR_GET_DUMPABLE
for act in (lambda: open("/etc/passwd"), lambda: socket.create_connection(listener.getsockname())):
    try:
        act()
        found.append("open")
    except OSError:
        found.append("refused")
print(*found)
"""


def test_a_party_gives_up_files_and_further_connections_and_cannot_be_read() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFINED], capture_output=True, check=True, text=True
    )
    abi, dumpable, files, lines = done.stdout.split()
    assert dumpable == "0"
    if int(abi) >= 1:
        assert files == "refused"
    if int(abi) >= 4:
        assert lines == "refused"


def test_a_party_that_is_killed_says_nothing_and_its_order_is_in_no_argument() -> None:
    waiting = {
        "members": [["a secret name", 1]],
        "credentials": Authority().issue("one"),
        "calls": {},
        "answers": ["two"],  # who never calls
    }
    with (
        socket.create_server(("127.0.0.1", 0)) as ear,
        PartyProcesses().start(waiting, ear.fileno()) as party,
    ):
        assert not any("secret" in str(word) for word in party._process.args)
        party.kill()
        assert raised(party.wait).rule == "join.ended"


def test_a_party_says_no_word_of_a_fault() -> None:
    """An order that is none: the text of the error that it causes is not told."""
    with PartyProcesses().start({"members": [["a secret name", 1]]}, None) as party:
        error = raised(party.wait)
    assert error.message == "a party failed: KeyError"
