"""The engine finds what the plain reading of the rules finds, in every tier and every form of Arrow text."""

import re
import threading
import tracemalloc
from importlib import import_module

import numpy as np
import pyarrow as pa
import pytest
from tests.detection import CORPORA, corpus, engine_spans, plain_spans
from tests.detection_cases import FOUND, NEAR

from safehold.dlp import Rules, mask_text, scan
from safehold.dlp.engine import rows
from safehold.dlp.engine.gate import digits_in
from safehold.dlp.engine.needs import digits_of, needed, stays_within
from safehold.dlp.engine.run import DIGITS
from safehold.dlp.engine.shapes import Shapes, table_of
from safehold.dlp.engine.syntax import DIGIT, mask_of, read_expression
from safehold.dlp.engine.tier import TIERS, VARIABLE, using_tier
from safehold.dlp.engine.vet import VETS, Candidates, Facts
from safehold.dlp.engine.words import FastFinder, PlainFinder
from safehold.dlp.pattern import data_version, load_patterns
from safehold.dlp.scan import find_spans
from safehold.errors import InvalidError

TEXTS = [*FOUND.values(), *NEAR.values()]
AROUND = [f"{before}{text}{after}" for text in TEXTS for before, after in (("", ""), ("x ", " y"), ("é漢😀 ", " ñ"), ("1", "2"))]  # fmt: skip


@pytest.fixture(params=TIERS)
def tier(request):
    if request.param == "fast":
        pytest.importorskip("hyperscan")
    return request.param


def test_the_engine_finds_what_the_plain_reading_finds(tier):
    assert engine_spans(AROUND, tier=tier) == plain_spans(AROUND)


@pytest.mark.parametrize("sign", ["\u00df", "\u6f22", "\U0001f600"])
def test_a_sign_of_several_bytes_within_what_a_rule_needs_hides_nothing(tier, sign):
    texts = [f"in Grolmanstra{sign}e 25 here", f"Haupt{sign}weg 7", f"https://{sign}:{sign}{sign}{sign}@a.example", f"an{sign}n@b.example"]  # fmt: skip
    want = plain_spans(texts)
    assert {row for row, *_ in want} >= {0, 1, 2}
    assert engine_spans(texts, tier=tier) == want


@pytest.mark.real
@pytest.mark.parametrize("name", CORPORA)
def test_both_tiers_agree_with_the_plain_reading_on_shared_text(shared_data, name):
    texts = corpus(shared_data, name, most=250)
    want = plain_spans(texts)
    assert engine_spans(texts) == want
    if pytest.importorskip("hyperscan"):
        assert engine_spans(texts, tier="fast") == want


@pytest.mark.real
@pytest.mark.proof
@pytest.mark.parametrize("name", [*CORPORA, "irc_train_unlabelled"])
def test_both_tiers_agree_with_the_plain_reading_on_all_shared_text(shared_data, name):
    pytest.importorskip("hyperscan")
    whole = corpus(shared_data, name)
    for texts in (whole, [row for text in whole for row in text.split("\n")][:60_000]):
        want = plain_spans(texts)
        assert engine_spans(texts) == engine_spans(texts, tier="fast") == want


# --- rows and borders


def test_a_row_is_read_as_if_it_stood_alone(tier):
    alone = [engine_spans([text], tier=tier) for text in TEXTS]
    together = engine_spans(TEXTS, tier=tier)
    assert together == [(row, *each[1:]) for row, found in enumerate(alone) for each in found]
    assert engine_spans(TEXTS[::-1], tier=tier) == [
        (row, *each[1:]) for row, found in enumerate(alone[::-1]) for each in found
    ]


@pytest.mark.parametrize(
    "halves",
    [
        ("4111 1111 ", "1111 1111"), ("4111111", "111111111"), ("ann@mail.exa", "mple.org"), ("password: ", "hunter42"),
        ("123-45", "-6789"), ("10.120.", "3.200"), ("error ", "code 1234"), ("version ", "10.2.3.4"),
    ],
)  # fmt: skip
def test_no_match_and_no_check_sees_the_next_row(tier, halves):
    for texts in (
        list(halves),
        ["x " + halves[0], halves[1] + " x"],
        [halves[0], "", None, halves[1]],
    ):
        want = [(row, *each[1:]) for row, text in enumerate(texts) for each in plain_spans([text])]
        assert engine_spans(texts, tier=tier) == want


def test_sliced_null_empty_chunked_and_dictionary_arrays(tier):
    values = [
        "x@y.example first",
        None,
        "é漢😀e\u0301 ann@b.example",
        "",
        None,
        "123-45-6789",
        "plain",
    ]
    want = engine_spans(values[2:6], tier=tier)
    assert [each[0] for each in want] == [0, 3]
    for kind in (pa.string(), pa.large_string()):
        whole = pa.array(values, kind)
        assert engine_spans(whole.slice(2, 4), tier=tier) == want
        assert engine_spans(whole.slice(1).slice(1, 4), tier=tier) == want
        assert (
            engine_spans(pa.chunked_array([whole.slice(2, 1), whole.slice(3, 3)]), tier=tier)
            == want
        )
        assert engine_spans(pa.chunked_array([], kind), tier=tier) == []
        for part in (whole.dictionary_encode().slice(2, 4), whole.slice(2, 4).dictionary_encode()):
            assert engine_spans(part, tier=tier) == want
    nulls = pa.nulls(3, pa.string())
    assert engine_spans(nulls, tier=tier) == []
    assert mask_text(nulls).text.to_pylist() == [None] * 3


def test_a_null_with_bytes_beneath_it_is_not_read(tier):
    text = pa.array(["ann@b.example", "bob@b.example"], pa.large_string())
    hidden = pa.Array.from_buffers(
        pa.large_string(), 2, [pa.py_buffer(b"\x02"), *text.buffers()[1:]]
    )
    assert hidden.to_pylist() == [None, "bob@b.example"]
    assert [each[0] for each in engine_spans(hidden, tier=tier)] == [1]


@pytest.mark.parametrize("sign", ["é", "漢", "😀", "e\u0301", "\u200b", "\uff11", "\u202e"])
def test_bytes_and_code_points_agree_around_signs_of_every_width(tier, sign):
    text = (
        f"{sign}{sign} ann{sign if sign == chr(0x200B) else ''}@b.example {sign} 123-45-6789 {sign}"
    )
    for row, start, end, low, high, _, _ in engine_spans([text, None, text], tier=tier):
        assert row in (0, 2)
        assert text[start:end].encode() == text.encode()[low:high]
        assert len(sign) > 1 or text[start:end].strip(sign) == text[start:end]
    assert engine_spans([text], tier=tier) == plain_spans([text])


def test_text_beyond_one_chunk_is_read_a_chunk_at_a_time(tier, monkeypatch):
    texts = [f"{'long ' * 40}{number} ann{number}@b.example é" for number in range(200)] + [
        "x" * 5_000
    ]
    want = engine_spans(texts, tier=tier)
    monkeypatch.setattr(rows, "CHUNK", 1_000)
    parts = list(rows.chunks_of(pa.array(texts, pa.large_string())))
    assert len(parts) > 30
    assert max(len(part) for _, part in parts) < 10
    assert engine_spans(texts, tier=tier) == want


def test_threads_find_the_same_at_the_same_time(tier):
    want = engine_spans(AROUND, tier=tier)
    start, results = threading.Barrier(4), []

    def work():
        start.wait()
        results.extend(engine_spans(AROUND, tier=tier) == want for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 20


# --- what the gate rests on


def times_in(part, runs):
    """At how many places one of the runs begins, sign by sign."""
    tables = [[table_of(mask) for mask in run] for run in runs]
    return sum(
        any(
            at + len(run) <= len(part) and all(table[part[at + k]] for k, table in enumerate(run))
            for run in tables
        )
        for at in range(len(part))
    )


def test_every_rule_is_read_and_none_is_tried_on_every_row():
    for rule in load_patterns():
        node = read_expression(rule.pattern)
        assert needed(node) or rule.needs, rule.id


def test_what_a_rule_needs_is_in_every_text_it_matches():
    for rule in load_patterns():
        node = read_expression(rule.pattern)
        needs = needed(node)
        least = digits_of(node)
        for text in AROUND:
            data = text.encode()
            for match in rule.compiled.finditer(data):
                part = data[slice(*match.span())]
                assert sum(48 <= byte <= 57 for byte in part) >= least
                for need in needs:
                    assert times_in(part, need.runs) >= need.times, rule.id


def test_a_rule_that_names_words_finds_nothing_in_a_row_without_them(tier):
    key = "token cafebabe:deadbeef here"
    texts = [key, f"{key} gems.contribsys.com", key]
    found = {each[0] for each in engine_spans(texts, tier=tier) if each[5] == "secret.sidekiq_url"}
    assert found == {1}


@pytest.mark.parametrize("expression", [r"[^\pN]+", "[[:alpha:]]", "a**b(", "(?<x>a)", r"\Qa\E"])
def test_syntax_that_is_not_read_is_refused_and_the_rule_tried_everywhere(expression):
    with pytest.raises(InvalidError):
        read_expression(expression)


def test_flags_repeats_and_classes_are_read_as_re2_reads_them():
    import re2

    for expression in [
        "(?i)ab|cd", "a(?i:b)c", "a|(?i)b|c", "[^a-c]x", "[]a]", "[a-]", r"[\d\]x]", r"\x41\x{42}", "a{2}b{1,}c{0,2}d?",
        "(?P<n>ab)+?", r"\bx\B", ".y", "(?s).y", r"[\x00-\x1f]z", "(?i)[a-c]Z", "x{0}y",
    ]:  # fmt: skip
        needs = needed(read_expression(expression))
        compiled = re2.compile(expression)
        for text in ("ab", "AB", "abc", "aBc", "c", "C", "zx", "]", "a", "-", "9x", "AB ", "aabbccd", "aabc", "abab", "\ny", "\x01z", "bZ", "y", "éy", "x"):  # fmt: skip
            match = compiled.search(text)
            if match:
                for need in needs:
                    assert any(map(len, Shapes(need.runs).find(match[0].encode()))), (
                        expression,
                        text,
                    )


def test_rules_that_may_hold_a_zero_byte_are_tried_row_by_row():
    assert stays_within(r"[0-9]{3}-[^\s\x00]{1,9}")
    assert not stays_within(r"(?:^|[^a-z])key")
    assert not stays_within(r"\pN")


def test_a_border_in_the_expression_is_no_part_of_the_span(tier, monkeypatch):
    from safehold.dlp import pattern

    scanning = import_module("safehold.dlp.scan")

    rule = {"id": "x.key", "class": "SECRET", "check": "any", "group": 0}
    rule["pattern"] = "(?:^|[^A-Za-z0-9])kEy[0-9]{2}(?:[^A-Za-z0-9]|$)"
    monkeypatch.setattr(pattern, "rule_items", lambda _read: [rule])
    pattern.load_patterns.cache_clear()
    scanning._engine_of.cache_clear()
    try:
        texts = ["kEy12", "kEy34", " kEy56 ", "xkEy78", "kEy90kEy12 kEy34"]
        found = [each[:3] for each in engine_spans(texts, tier=tier)]
        assert found == [(0, 0, 5), (1, 0, 5), (2, 0, 7), (4, 10, 16)]
    finally:
        monkeypatch.undo()
        pattern.load_patterns.cache_clear()
        scanning._engine_of.cache_clear()


def test_digits_are_counted_row_by_row():
    draw = np.random.default_rng(5)
    texts = [
        "".join(draw.choice(list("a1 é9/:"), int(size))) for size in draw.integers(0, 200, 300)
    ]
    data, offsets = rows.bytes_of(pa.array(texts, pa.large_string()))
    assert digits_in(data, offsets).tolist() == [sum(c.isdigit() for c in text) for text in texts]
    assert digits_in(b"", np.zeros(1, np.int64)).tolist() == []


def test_shapes_are_found_at_every_place():
    draw = np.random.default_rng(6)
    data = bytes(draw.choice(np.frombuffer("a0.:é- ".encode(), np.uint8), 200_000))
    runs = [
        (DIGIT,), (DIGIT, mask_of("."), DIGIT), (mask_of(":-"), mask_of("a")), (DIGIT | mask_of("a"),) * 9, (1 << 128, DIGIT),
    ]  # fmt: skip
    want = []
    for run in runs:
        wide = b"".join(
            b"["
            + b"".join(b"\\x%02x" % c for c in range(128) if m >> c & 1)
            + (b"\\x80-\\xff" if m >> 128 else b"")
            + b"]"
            for m in run
        )
        want.append([m.start() for m in re.finditer(b"(?=" + wide + b")", data)])
    assert [each.tolist() for each in Shapes(runs).find(data)] == want
    for at, run in enumerate(runs):
        assert Shapes([run]).find(data)[0].tolist() == want[at]
        assert Shapes([run]).find(data[:3])[0].tolist() == [
            x for x in want[at] if x + len(run) <= 3
        ]


def test_memory_does_not_grow_with_how_many_rare_signs_a_text_holds():
    shapes, data = Shapes([(mask_of("-"), mask_of(":"))]), b"-" * 8_000_000
    tracemalloc.start()
    assert not len(shapes.find(data)[0])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * len(data)  # their places alone take eight bytes each


def test_both_finders_find_the_same_words_and_runs():
    pytest.importorskip("hyperscan")
    words = [b"key", b"ey1", b"a key", b"://", b"(at)", b"\\x"]
    runs = [(DIGIT, mask_of("."), DIGIT), (mask_of(":"), 1 << 128)]
    data = "KEY1 a kEy key1 ://(AT) 1.2.3 :é \\X key".encode() * 3
    one, two = PlainFinder(words, runs).find(data), FastFinder(words, runs).find(data)
    assert sorted(zip(*map(np.ndarray.tolist, one[:2]), strict=True)) == sorted(
        zip(*map(np.ndarray.tolist, two[:2]), strict=True)
    )
    assert [x.tolist() for x in one[2]] == [x.tolist() for x in two[2]]
    assert len(one[0]) == 30
    for none in (PlainFinder([], []), FastFinder([], [])):
        assert [len(x) for x in none.find(data)] == [0, 0, 0]


# --- what is decided many at a time


def test_plain_candidates_are_decided_as_the_checks_decide_them():
    draw = np.random.default_rng(7)
    signs = [
        *"0123456789aFx.:-/@#%+()[ \t=vV",
        "version ",
        "from ",
        "10.0.0.1",
        "::",
        "(at)",
        "00",
        "\n",
    ]
    decided = dict.fromkeys(VETS, 0)
    for rule in load_patterns():
        vet = VETS.get(rule.check.__name__)
        if vet is None:
            continue
        texts = [*FOUND.values(), *NEAR.values()]
        texts += ["".join(draw.choice(signs, int(size))) for size in draw.integers(4, 40, 1_500)]
        data, offsets = rows.laid_out(pa.array(texts, pa.large_string()))
        spans = [m.span(rule.group) for m in rule.compiled.finditer(data)]
        if not spans:
            continue
        start, end = np.array(spans, np.int64).T
        place = np.searchsorted(offsets, start, side="right") - 1
        said = vet(Candidates(Facts(data), start, end))
        for at in np.flatnonzero(said >= 0).tolist():
            first, last = int(offsets[place[at]]) + 1, int(offsets[place[at] + 1]) - 1
            got = rule.check(data[first:last], int(start[at]) - first, int(end[at]) - first)
            assert got == said[at], (rule.id, data[first:last], spans[at])
            decided[rule.check.__name__] += 1
    # a check no rule uses any more need not be decided
    used = {rule.check.__name__ for rule in load_patterns()}
    assert all(count for name, count in decided.items() if name in used), decided


def test_checks_reject_what_has_fewer_digits_than_the_gate_asks_for():
    draw = np.random.default_rng(8)
    used = {rule.check.__name__: rule.check for rule in load_patterns()}
    for name, least in DIGITS.items():
        if name not in used:
            continue
        for _ in range(3_000):
            letters = draw.choice(list("abcdefXYZ!#$%+/-_"), int(draw.integers(8, 40)))
            digits = draw.choice(list("0123456789"), least - 1)
            text = np.concatenate([letters, digits])
            draw.shuffle(text)
            text = "".join(text)
            for case in (text, "DE" + text, text.upper()[:20]):
                if sum(c.isdigit() for c in case) < least:
                    assert used[name](case.encode(), 0, len(case)) == 0, case


# --- tiers


def test_a_tier_is_chosen_openly_and_refused_when_it_cannot_run(monkeypatch):
    with pytest.raises(InvalidError):
        find_spans(pa.array(["x"]), tier="quick")
    with pytest.raises(InvalidError), using_tier("quick"):
        pass
    monkeypatch.setenv(VARIABLE, "quick")
    with pytest.raises(InvalidError):
        scan(pa.table({"t": ["x"]}), ["t"])
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("safehold.dlp.engine.tier.find_spec", lambda _: None)
    with pytest.raises(InvalidError) as refused:
        scan(pa.table({"t": ["x"]}), ["t"], tier="fast")
    assert "fast" in str(refused.value)


def test_the_tier_and_the_meaning_of_a_span_are_in_the_version(monkeypatch):
    pytest.importorskip("hyperscan")
    plain, fast = Rules(stream="chat"), Rules(stream="chat", tier="fast")
    assert plain.version != fast.version
    assert Rules.from_spec(fast.to_spec()).tier == "fast"
    monkeypatch.setenv(VARIABLE, "fast")
    assert Rules(stream="chat") == fast
    assert Rules.from_spec({"stream": "chat"}) == fast
    assert Rules.from_spec(plain.to_spec()) == plain
    before = data_version()
    monkeypatch.setattr("safehold.dlp.pattern.MEANING", "another")
    data_version.cache_clear()
    try:
        assert data_version() != before
    finally:
        monkeypatch.undo()
        data_version.cache_clear()
