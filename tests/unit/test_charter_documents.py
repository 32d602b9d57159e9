"""Texts the law asks for: they follow the charter, mark what people must fill, and are stale when it moves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench

from safehold.canonical import unb64
from safehold.charter import Charter, load, shipped
from safehold.charter.legal import DOCUMENTS, left_out, open_questions, write
from safehold.charter.legal.page import GAP
from safehold.errors import InvalidError, MissingError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


@pytest.fixture(scope="module")
def charter() -> Charter:
    return load(shipped("example"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_names_its_charter_and_says_that_it_is_a_draft(
    charter: Charter, name: str
) -> None:
    text = write(name, charter)
    assert charter.digest().hex() in text
    assert "counsel reads it first" in text
    assert charter.controller.name in text
    assert "None" not in text
    assert "{" not in text
    assert write(name, replace(charter, version=charter.version + 1)) != text


def test_what_needs_judgement_is_left_open(charter: Charter) -> None:
    assert open_questions(write("dpia", charter)) > 10
    assert open_questions(write("risk", charter)) > 10
    assert 0 < open_questions(write("record", charter)) < 10


# what each text must tell: (Article or rule, a word of the charter that has to be in it)
MUST: dict[str, list[str]] = {
    "record": ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)", "(g)", "14 days", "US-WA", "eu-gdpr:A6-1-f"],
    "notice": ["Article 15", "(17)", "(21)", "(77)", "(22)", "Article 14", "14 days", "US-WA"],
    "dpia": ["(a)", "(b)", "(c)", "(d)", "and (9)", "Article 36", "E3"],
    "risk": ["2027-12-31", "Benefits", "Negative impacts", "Safeguards", "employee_representative"],
    "balance": ["1. The interest", "2. Necessity", "3. Balance", "WP249"],
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_part_that_the_rule_names_is_there(charter: Charter, name: str) -> None:
    text = write(name, charter)
    assert not [part for part in MUST[name] if part not in text]


CHANGES: dict[str, Any] = {
    "keep": lambda charter: replace(
        charter, collect=(replace(charter.collect[0], keep_days=3), *charter.collect[1:])
    ),
    "a red line": lambda charter: replace(charter, red_lines=charter.red_lines[1:]),
    "the controller": lambda charter: replace(
        charter, controller=replace(charter.controller, dpo="other@acme.example")
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_text_follows_the_charter_beyond_its_digest(
    charter: Charter, name: str, change: str
) -> None:
    other = CHANGES[change](charter)
    before = write(name, charter).replace(charter.digest().hex(), "")
    assert write(name, other).replace(other.digest().hex(), "") != before


def test_a_charter_that_allows_employment_decisions_does_not_claim_the_opposite(
    charter: Charter,
) -> None:
    without = replace(
        charter,
        red_lines=tuple(one for one in charter.red_lines if one.id != "no-performance-use"),
    )
    assert "that is a red line" in write("notice", charter)
    assert "that is a red line" not in write("notice", without)


def state(bench: Bench, name: str) -> str:
    found = bench.call("document.list")["documents"]
    assert [one["document"] for one in found] == list(DOCUMENTS)
    return next(one["state"] for one in found if one["document"] == name)


def test_a_document_is_current_until_the_charter_moves(bench: Bench) -> None:
    assert state(bench, "notice") == "missing"
    made = bench.call("document.publish", name="notice")
    assert state(bench, "notice") == "current"
    leaf = list(bench.desk.ledger.leaves())[made["entry"]][1]
    file = bench.home.documents / "notice.md"
    assert leaf["pub"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert unb64(leaf["chr"]) == bench.charter().digest()
    again = bench.call("document.publish", name="notice")
    assert again["entry"] == made["entry"], "the same text is one entry"
    bench.enact(bench.changed())
    assert state(bench, "notice") == "stale"
    bench.call("document.publish", name="notice")
    assert state(bench, "notice") == "current"


def test_a_text_that_comes_back_is_published_again(bench: Bench) -> None:
    text = write("dpia", bench.charter())
    for one in (text, text + "more\n", text):
        bench.call("document.publish", name="dpia", text=one)
        assert state(bench, "dpia") == "current"


def test_a_text_that_was_changed_or_lost_is_noticed(bench: Bench) -> None:
    bench.call("document.publish", name="dpia")
    file = bench.home.documents / "dpia.md"
    file.write_text(file.read_text("utf-8") + "\nand more\n", "utf-8")
    assert state(bench, "dpia") == "changed"
    file.unlink()
    assert state(bench, "dpia") == "changed"
    bench.restart()
    assert state(bench, "dpia") == "changed"


def test_a_completed_text_must_be_about_the_charter_in_force(bench: Bench) -> None:
    text = write("dpia", bench.charter()).replace("[to be completed]", "low")
    made = bench.call("document.publish", name="dpia", text=text)
    assert made["open"] < open_questions(write("dpia", bench.charter()))
    other = text.replace(bench.charter().digest().hex(), "00" * 32)
    size = bench.desk.ledger.size
    for wrong in (other, "", "x" * ((1 << 20) + 1), 7):
        with pytest.raises(InvalidError):
            bench.call("document.publish", name="dpia", text=wrong)
    with pytest.raises(MissingError):
        bench.call("document.publish", name="../../etc/passwd")
    assert bench.desk.ledger.size == size
    assert state(bench, "dpia") == "current"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_completed_text_keeps_all_that_the_charter_says(charter: Charter, name: str) -> None:
    drawn = write(name, charter)
    filled = drawn.replace("[to be completed]", "low")
    while (place := filled.find("[to be completed: ")) >= 0:
        filled = filled[:place] + "it was weighed" + filled[filled.index("]", place) + 1 :]
    assert open_questions(filled) == 0
    assert left_out(filled, drawn) is None
    lines = drawn.splitlines()
    assert (
        left_out("Seen by counsel.\n" + filled.replace("\n\n", "\n\nA further word.\n\n"), drawn)
        is None
    )
    assert left_out(f"About {charter.digest().hex()}", drawn) is not None
    for number, line in enumerate(lines):
        if line.strip() and "[to be completed" not in line and lines.count(line) == 1:
            fewer = filled.splitlines()
            assert line in fewer
            fewer.remove(line)
            assert left_out("\n".join(fewer), drawn) is not None, (
                f"line {number + 1} can be left out: {line}"
            )


def test_a_text_that_only_names_the_charter_is_not_published(bench: Bench) -> None:
    drawn = write("notice", bench.charter())
    size = bench.desk.ledger.size
    for wrong in (
        f"Nothing is recorded. {bench.charter().digest().hex()}",
        drawn.replace("14 days", "14 years"),
        "\n".join(reversed(drawn.splitlines())),
    ):
        with pytest.raises(InvalidError) as caught:
            bench.call("document.publish", name="notice", text=wrong)
        assert caught.value.rule == "document.text"
        assert caught.value.fix is not None
    assert bench.desk.ledger.size == size
    assert state(bench, "notice") == "missing"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_put_before_or_behind_what_a_line_says(charter: Charter, name: str) -> None:
    drawn = write(name, charter)
    lines = drawn.splitlines()
    assert left_out(drawn, drawn) is None
    assert left_out(drawn.replace("\n", "\r\n"), drawn) is None
    for number, line in enumerate(lines):
        if not line.strip() or GAP in line or "[to be completed]" in line:
            continue
        for other in (f"It is not true that {line}", f"{line}0", f"{line} is what nobody does"):
            changed = "\n".join([*lines[:number], other, *lines[number + 1 :]])
            if lines.count(line) == 1:
                assert left_out(changed, drawn) is not None, line


def test_a_text_that_says_less_than_this_version_does_is_stale(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version wrote less, or took a completed text whatever it said: the charter has not moved."""
    monkeypatch.setattr("safehold.keeper.documents.left_out", lambda _text, _drawn: None)
    text = write("notice", bench.charter()).replace("14 days", "14 years")
    bench.call("document.publish", name="notice", text=text)
    assert state(bench, "notice") == "current"
    monkeypatch.undo()
    assert state(bench, "notice") == "stale"
    bench.call("document.publish", name="notice")
    assert state(bench, "notice") == "current"
