"""Every rule by itself: one text it finds something in, one that only looks like it."""

from __future__ import annotations

import json
import random
import re
from re import _constants as op
from re import _parser as parser
from typing import Any

import pyarrow as pa
import pytest
from tests.detection_cases import FOUND, NEAR

from safehold.dlp.check_secret import entropy_of
from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.makers import expand
from safehold.dlp.pattern import compile_expression, load_gate, load_patterns, read_data
from safehold.dlp.scan import find_spans

FACTS = json.loads(read_data("patterns/makers.json"))
MAKERS = {item["id"] for item in expand(FACTS)}
RULES = {rule.id: rule for rule in load_patterns()}


def rules_in(text: str) -> set[str]:
    spans = find_spans(pa.array([text]), report=True)
    return {load_patterns()[number].id for number in spans.rule.tolist()}


def test_every_rule_has_a_case_and_every_case_a_rule():
    assert set(FOUND) == set(NEAR) == set(RULES) - MAKERS


@pytest.mark.parametrize("rule", sorted(FOUND))
def test_a_rule_finds_its_case_and_not_what_looks_like_it(rule):
    assert rule in rules_in(FOUND[rule])
    assert rule in rules_in(f"\u00e9 {FOUND[rule]}")
    assert rule not in rules_in(NEAR[rule])


def test_the_gate_and_the_words_of_a_rule_are_wider_than_the_rule():
    gate = compile_expression(load_gate())
    for name, text in FOUND.items():
        assert gate.search(text), name
        needs = RULES[name].needs
        assert not needs or any(need in text.lower() for need in needs), name
        assert all(need == need.lower() for need in needs), name


def drawn(pattern: str, rng: random.Random) -> str:
    """Draw a text that an expression matches."""
    return "".join(_drawn(parser.parse(pattern), rng))


def _drawn(tree: Any, rng: random.Random) -> list[str]:
    out: list[str] = []
    for kind, value in tree:
        if kind is op.LITERAL:
            out.append(chr(value))
        elif kind is op.IN:
            out.append(_one_of(value, rng))
        elif kind is op.BRANCH:
            out += _drawn(rng.choice(value[1]), rng)
        elif kind is op.SUBPATTERN:
            out += _drawn(value[3], rng)
        elif kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            low, high, inner = value
            for _ in range(rng.randint(low, min(int(high), low + 3))):
                out += _drawn(inner, rng)
        else:  # pragma: no cover - a construct no fact uses
            raise AssertionError(kind)
    return out


def _one_of(items: Any, rng: random.Random) -> str:
    signs = ""
    for kind, value in items:
        if kind is op.RANGE:
            signs += "".join(map(chr, range(value[0], value[1] + 1)))
        elif kind is op.LITERAL:
            signs += chr(value)
    return rng.choice(signs)


def _key(item: dict[str, Any], pattern: str, rng: random.Random) -> str:
    """Draw a key with the entropy its facts ask for; short ones do not always have it."""
    while True:
        key = drawn(pattern, rng)
        if entropy_of(key.encode()) >= item.get("bits", 3) + 0.01 and re.search("[0-9]", key + "0"):
            return key


@pytest.mark.parametrize("item", FACTS["tokens"], ids=lambda item: item["id"])
def test_a_key_of_a_maker_is_found_and_a_placeholder_is_not(item):
    rng = random.Random(item["id"])
    key = _key(item, item["pattern"], rng)
    text = f"export X='{key}' {' '.join(item['needs'])}"
    assert f"secret.{item['id']}" in rules_in(text)
    dull = re.sub("[A-Za-z0-9+/]{12,}", lambda run: "x" * len(run[0]), key)
    if dull != key:
        assert f"secret.{item['id']}" not in rules_in(f"X='{dull}'")


@pytest.mark.parametrize("item", FACTS["assigned"], ids=lambda item: item["shape"])
def test_a_key_beside_the_word_of_its_maker_is_found_and_without_it_is_not(item):
    rng = random.Random(item["shape"])
    for maker in item["makers"]:
        key = _key(item, item["value"], rng)
        name = maker.replace("_", "-")
        assert f"secret.assigned.{item['shape']}" in rules_in(f'{name}_key = "{key}"'), maker
    assert f"secret.assigned.{item['shape']}" not in rules_in(f'other_key = "{key}"')
    assert f"secret.assigned.{item['shape']}" not in rules_in(f'x{name}_key = "{key}"')


def test_what_is_masked_follows_the_class_unless_the_rule_says_otherwise():
    assert RULES["date.birth"].masked
    assert not RULES["date.iso"].masked
    assert RULES["url.token"].masked
    assert not RULES["url.link"].masked
    for rule in RULES.values():
        if rule.masked != CLASSES[NAMES[rule.kind]].masked:
            assert rule.id.split(".")[0] in {"date", "url", "loc", "national", "licence"}


def test_only_a_scan_reports_what_is_not_masked():
    text = pa.array(["on Tuesday, born 8/12/1991"])
    assert {NAMES[kind] for kind in find_spans(text, report=True).kind.tolist()} == {"DATE"}
    rules = {load_patterns()[number].id for number in find_spans(text).rule.tolist()}
    assert rules == {"date.birth"}
