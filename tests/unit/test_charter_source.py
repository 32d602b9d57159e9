"""Reading the text: refuse what is ambiguous, unknown, doubled or too large, and say on which line."""

from __future__ import annotations

import re

import pytest
from ruamel.yaml import YAML
from tests import boardroom

from safehold import charter as charters
from safehold.charter import source, value
from safehold.charter.source import Mapping, Scalar, Sequence
from safehold.errors import InvalidError, MissingError

TEXT = charters.shipped("example").read_text("utf-8")
WORDS = ("on", "off", "yes", "no", "On", "OFF", "Yes", "NO")


def refuse(text: str) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        charters.parse(text, name="c.yaml")
    return caught.value


def swap(old: str, new: str) -> str:
    assert TEXT.count(old) >= 1, old
    return TEXT.replace(old, new, 1)


@pytest.mark.parametrize("word", WORDS)
def test_ambiguous_words_are_refused_as_value_and_as_key(word):
    line = TEXT[: TEXT.index("any_time: true")].count("\n") + 1
    error = refuse(swap("any_time: true", f"any_time: {word}"))
    assert error.rule == "charter.ambiguous_word"
    assert f"row {line}" in error.message
    assert refuse(f"{TEXT}{word}: 1\n").rule == "charter.ambiguous_word"
    assert (
        refuse(swap("[employee, consultant]", f"[employee, {word}]")).rule
        == "charter.ambiguous_word"
    )


def test_yaml_1_1_would_have_dropped_the_key():
    old = YAML(typ="safe", pure=True)
    old.version = (1, 1)
    assert old.load("on: 1") == {True: 1}
    assert refuse("on: 1").rule == "charter.ambiguous_word"


def test_a_quoted_word_is_a_word():
    assert source.read('a: "no"', name="x") == Mapping(
        {"a": Scalar("no", plain=False, line=1)}, {"a": Scalar("a", plain=True, line=1)}, 1
    )


@pytest.mark.parametrize("name", ["example", "demo"])
def test_an_unknown_and_a_doubled_key_are_refused_at_every_level(name):
    """Put a stray key, then the first key again, into each mapping of the document."""
    text = charters.shipped(name).read_text("utf-8")
    count = 0
    for place, kind in _mappings(text):
        for extra, rule in (
            ("zzz: 1", "charter.unknown_key"),
            (f"{kind}: 1", "charter.duplicate_key"),
        ):
            error = refuse(f"{text[:place]}{extra}, {text[place:]}")
            if extra.startswith("zzz") and error.rule in {"charter.shape", "charter.missing_key"}:
                pytest.fail(f"an unknown key was taken for a name at {place}")
            assert error.rule == rule, (place, kind, error.rule, error.message)
            assert re.search(r"row \d+", error.message)
        count += 1
    assert count >= 30


def _mappings(text):
    """Yield the offset just inside each flow mapping, and its first key."""
    for match in re.finditer(r"\{([a-z_]+):", text):
        yield match.start(1), match[1]


def test_an_unknown_key_in_each_block_mapping_is_refused():
    for key in (
        "  legal_basis:",
        "  collect_in:",
        "  - what: chat",
        "  train_ui_agent:",
        "  seats:",
    ):
        place = TEXT.index(key)
        indent = " " * (len(key) - len(key.lstrip(" -")))
        stray = (
            TEXT[: TEXT.index("\n", place) + 1]
            + (f"{'    ' if key.endswith('agent:') else indent}zzz: 1\n")
            + TEXT[TEXT.index("\n", place) + 1 :]
        )
        assert refuse(stray).rule == "charter.unknown_key", key


def test_a_missing_key_is_refused():
    for key in ("id", "version", "oversight", "red_lines", "never_collect"):
        text = re.sub(rf"^{key}:.*?\n(?=[a-z_]+:|$)", "", TEXT, flags=re.MULTILINE | re.DOTALL)
        assert refuse(text).rule == "charter.missing_key", key


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: &x [1]\nb: *x", "charter.anchor"),
        ("a: !!int 3", "charter.tag"),
        ("a: !python/object x", "charter.tag"),
        ("%YAML 1.1\n---\na: b", "charter.yaml"),
        ("a: b\n---\nc: d", "charter.documents"),
        ("a:", "charter.empty_value"),
        ("a: ~", "charter.empty_value"),
        ("a: null", "charter.empty_value"),
        ("? [a]\n: b", "charter.key"),
        ("a: [1", "charter.yaml"),
        ("\x00", "charter.yaml"),
        ("", "charter.empty"),
        ("- a", "charter.shape"),
        ("a", "charter.shape"),
        ("[" * 50 + "]" * 50, "charter.bounds"),
        ("a: [" + "1," * 30_000 + "1]", "charter.bounds"),
        ("#" * 300_000, "charter.size"),
        ("\ud800", "charter.utf8"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(text, rule):
    assert refuse(text).rule == rule


def test_billion_laughs_stay_small():
    text = "a0: &a0 [x,x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1},*a{n - 1}]\n" for n in range(1, 40))
    assert refuse(text).rule == "charter.anchor"


def test_a_comma_in_unquoted_prose_loses_nothing_and_gains_nothing():
    node = source.read("{rule: no raw pointer, keystroke or prompt data, ever}", name="x")
    assert isinstance(node, Mapping)
    assert node.items["rule"] == Scalar(
        "no raw pointer, keystroke or prompt data, ever", plain=True, line=1
    )
    assert refuse("{id: raw, pointer}").rule == "charter.empty_value"
    assert refuse('{rule: "raw", pointer}').rule == "charter.empty_value"


def test_lines_of_lists_and_words():
    node = source.read("a:\n  - x\n  - y\n", name="x")
    assert isinstance(node, Mapping)
    assert isinstance(node.items["a"], Sequence)
    assert [item.line for item in node.items["a"].items] == [2, 3]


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("keep: 14d", "keep: 14", "charter.duration"),
        ("keep: 14d", "keep: 0d", "charter.days"),
        ("keep: 14d", "keep: 36h", "charter.days"),
        ("keep: 14d", 'keep: "14d"', "charter.quoted"),
        ("max: 4h", "max: four", "charter.duration"),
        ("delta: 1.0e-6", "delta: 1.0e-13", "charter.decimal"),
        ("delta: 1.0e-6", "delta: 1e-6x", "charter.decimal"),
        ("epsilon: 4.0", "epsilon: .inf", "charter.decimal"),
        ("epsilon: 4.0", "epsilon: -4.0", "charter.decimal"),
        ("epsilon: 4.0", "epsilon: 4.0000001", "charter.decimal"),
        ("min_people: 50}", "min_people: 5_0}", "charter.integer"),
        ("min_people: 50}", "min_people: 0x32}", "charter.integer"),
        ("min_people: 50}", "min_people: 050}", "charter.integer"),
        ("approve: 5", "approve: true", "charter.integer"),
        ("any_time: true", "any_time: True", "charter.boolean"),
        ("any_time: true", 'any_time: "true"', "charter.quoted"),
        ("independent: every 180d", "independent: 180d", "charter.period"),
        ("effect: crypto_shred_within 24h", "effect: crypto_shred_within soon", "charter.effect"),
        ('must_be: "<=1"', "must_be: <=1", "charter.threshold"),
        ('must_be: "<=1"', 'must_be: "~1"', "charter.threshold"),
        ("default: not_participating", "default: participating", "charter.choice"),
        ("break_glass: never", "break_glass: sometimes", "charter.choice"),
        ("collect_in: [US-CA, US-WA]", "collect_in: US-CA", "charter.shape"),
        ("id: acme.computer-use-study", 'id: "a\\"b"', "charter.name"),
        ("signatures: []", "signatures: [x]", "charter.signatures"),
        ("charter: safehold/v1", "charter: safehold/v2", "charter.choice"),
    ],
)
def test_values_have_one_spelling(old, new, rule):
    error = refuse(swap(old, new))
    assert error.rule == rule
    assert "row " in error.message


def test_values_become_whole_numbers():
    assert value.duration("24h") == 86_400
    assert value.days("14d") == 14
    assert value.pico("1.0e-6") == 1_000_000
    assert value.micro("4.0") == 4_000_000
    assert value.every("every 180d") == 180
    assert value.threshold("<=0.15") == value.Threshold(op="<=", micro=150_000)
    assert value.effect("crypto_shred_within 24h") == value.Effect(
        name="crypto_shred", within_s=86_400
    )


def test_errors_carry_no_value():
    error = refuse(swap("keep: 14d", "keep: hunter2secret"))
    assert "hunter2secret" not in str(error.payload())


def test_files_that_are_missing_or_not_text(tmp_path):
    with pytest.raises(MissingError):
        charters.load(tmp_path / "none.yaml")
    path = tmp_path / "c.yaml"
    path.write_bytes(b"version: 1\n\xff\xfe\x00")
    with pytest.raises(InvalidError) as caught:
        charters.load(path)
    assert caught.value.rule == "charter.utf8"
    assert "row 2" in str(caught.value)
    assert caught.value.fix
    with pytest.raises(InvalidError):
        charters.load(tmp_path)


def test_the_canonical_form_is_read_back_and_has_no_float():
    promise = boardroom.charter("example")
    tree = promise.to_json()
    assert charters.Charter.from_json(tree) == promise
    assert b"." not in re.sub(rb'"[^"]*"', b"", promise.encode())
    again = charters.parse(
        TEXT.replace("\n# ", "\n#  ").replace("[US-CA, US-WA]", "[ US-CA,  US-WA ]")
    )
    assert again.digest() == promise.digest()
    assert charters.parse(swap("keep: 14d", "keep: 15d")).digest() != promise.digest()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tree: tree.update(extra=1),
        lambda tree: tree.pop("id"),
        lambda tree: tree.update(version="1"),
        lambda tree: tree.update(version=True),
        lambda tree: tree.update(id='x") permit'),
        lambda tree: tree["purposes"].update({'a"b': tree["purposes"]["train_ui_agent"]}),
        lambda tree: tree["collect"][0].update(what="secrets"),
        lambda tree: tree.update(regimes="eu-gdpr"),
        lambda tree: tree.update(purposes=[]),
        lambda tree: tree["collect"][0].update(keep_days=-1),
        lambda tree: tree["promises"][0]["must_be"].update(op="<=x"),
        lambda tree: tree["gates"][0]["must_be"].update(micro=-1),
        lambda tree: tree["oversight"]["stop"]["effect"].update(name="Nothing at all"),
    ],
)
def test_a_spoilt_canonical_form_is_refused(spoil):
    tree = boardroom.charter("example").to_json()
    spoil(tree)
    with pytest.raises(InvalidError):
        charters.Charter.from_json(tree)
