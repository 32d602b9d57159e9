"""The papers of a bundle: page, PDF, statement, history; what each must say, and that none can do anything."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from safehold.app.evidence import paper
from safehold.app.evidence.archive import pack, unpack
from safehold.app.evidence.packs import rights_pack
from safehold.assurance.control import (
    NOT_SATISFIED,
    SATISFIED,
    Shown,
    Verdict,
    count,
    shipped,
    stand,
)
from safehold.assurance.evidence import history
from safehold.assurance.evidence.applicability import state_applicability
from safehold.assurance.evidence.outline import WORDS, lay_out
from safehold.assurance.evidence.page import render
from safehold.assurance.evidence.table import controls
from safehold.assurance.probe import PROBES
from safehold.charter import load
from safehold.charter import shipped as charter_of
from safehold.errors import ConflictError, InvalidError, UnavailableError

DAY_MS = 86_400_000
SPITEFUL = "<script>alert('&')</script> ümläut"


def claims() -> dict[str, Any]:
    shown = (Shown(leaf=7, kind="drill", facts={}),)
    said = {name: Verdict(state=SATISFIED, reason="It holds.", shown=shown) for name in PROBES}
    said["charter.drift"] = Verdict(state=NOT_SATISFIED, reason=SPITEFUL)
    rows = stand(shipped(), said)
    catalogue = shipped()
    return {
        "home": "home_x", "origin": "safehold.local/home_x/audit", "size": 9, "root": "ab", "at_ms": 1_800_000_000_000,
        "made_up": True, "keeper": "K1", "sandbox": "E3", "build": "1", "whole": True,
        "charter": {"id": "c", "version": 1, "digest": "aa", "title": SPITEFUL, "seats": []},
        "frameworks": {name: one.title for name, one in catalogue.frameworks.items()},
        "controls": {name: one.says for name, one in catalogue.controls.items()},
        "probes": {name: one.to_json() for name, one in said.items()},
        "rows": [one.to_json() for one in rows], "counts": count(rows),
        "limits": list(catalogue.limits), "gaps": ["There is a gap."], "legal_text": "No counsel has checked it.",
    }  # fmt: skip


def leaves(*states: str) -> list[tuple[int, dict[str, Any]]]:
    return [
        (
            index,
            {
                "k": "milestone", "t": DAY_MS * (20_000 + index),
                "pub": {"promise": "stop", "state": state, "op": "le", "bound": 60_000_000, "micro": 1},
            },
        )
        for index, state in enumerate(states)
    ]  # fmt: skip


class _Look(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_does_nothing_and_says_everything() -> None:
    said = claims()
    past = history.listing(history.fold(leaves("kept", "broken")))
    page = render(lay_out(said, past), picture=history.draw(history.fold(leaves("kept", "broken"))))
    look = _Look()
    look.feed(page)
    tags = [tag for tag, _ in look.tags]
    assert "script" not in tags
    assert not any(name.startswith("on") or name in ("src", "href") for _, held in look.tags for name in held)  # fmt: skip
    assert look.tags[0] == ("html", {"lang": "en"})
    assert tags.count("h1") == 1
    assert tags.count("caption") == tags.count("table") == tags.count("thead")
    assert all(held.get("scope") for tag, held in look.tags if tag == "th")
    assert all(held.get("tabindex") == "0" for tag, held in look.tags if held.get("role") == "region")  # fmt: skip
    text = "".join(look.text)
    assert SPITEFUL in text
    for line in (*said["limits"], *said["gaps"], said["legal_text"]):
        assert line in text
    for row in shipped().rows:
        assert row.clause in text
        assert row.demands in text
    assert WORDS["not-satisfied"] in text, "a state is a word, not a colour alone"
    assert "default-src 'none'" in page


def test_the_table_for_pages_has_every_row_with_its_probes() -> None:
    said = claims()
    found = controls({**said, "controls": said["rows"]})
    assert [one["framework"] for one in found] == list(shipped().frameworks)
    rows = {row["id"]: row for one in found for row in one["rows"]}
    assert set(rows) == {row.id for row in shipped().rows}
    row = rows["gdpr-25"]
    assert (row["word"], row["reason"]) == ("NOT satisfied", SPITEFUL)
    assert [one["probe"] for one in row["probes"] if one["decides"]] == ["charter.drift"]
    assert {one["entries"][0] for one in row["probes"] if one["entries"]} == {7}
    assert rows["gdpr-28"]["people_decide"]


def test_the_pdf_has_the_same_lines_and_the_same_bytes_again() -> None:
    pypdf = pytest.importorskip("pypdf")
    blocks = lay_out(claims(), [])
    made = paper.make_pdf(blocks)
    assert made == paper.make_pdf(blocks)
    read = pypdf.PdfReader(io.BytesIO(made))
    text = re.sub(r"\s+", " ", " ".join(page.extract_text() for page in read.pages))
    assert len(read.pages) > 5
    for line in shipped().limits:
        assert line in text
    assert "ümläut" in text
    assert "NOT satisfied" in text
    assert "Art. 33, 34" in text


def test_without_the_package_there_is_no_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "installed", lambda: False)
    with pytest.raises(UnavailableError, match="not installed") as caught:
        paper.make_pdf([])
    assert caught.value.rule == "extra.evidence"


def test_the_statement_of_applicability_has_every_clause_of_both_systems() -> None:
    said = claims()
    text = state_applicability(said)
    for row in shipped().rows:
        assert (f"| {row.clause} |" in text) == row.framework.startswith("iso-")
    for line in (*said["limits"], said["legal_text"]):
        assert line in text


def test_history_is_a_fold_and_the_worst_of_a_day_is_drawn() -> None:
    past = history.fold([(0, {"k": "home", "t": 0}), *leaves("kept", "broken", "unmeasured")[0:]])
    assert [one.state for one in past["stop"]] == ["kept", "broken", "unmeasured"]
    (told,) = history.listing(past)
    assert (told["measured"], told["kept"], told["broken"]) == (3, 1, 1)
    picture = history.draw(past)
    tree = ET.fromstring(picture)  # noqa: S314 - our own text
    kinds = [one.get("class") for one in tree.iter() if one.get("class") in ("k", "b", "u")]
    assert kinds == ["k", "b", "u"]
    assert "1 of 3 measurements kept" in picture
    twice = leaves("kept", "broken")
    twice[1][1]["t"] = twice[0][1]["t"]
    marks = history.draw(history.fold(twice))
    assert 'class="b"' in marks
    assert 'class="k"' not in marks
    assert history.draw({}).startswith("<svg")


def test_the_pack_for_fundamental_rights_fills_in_what_is_known() -> None:
    text = rights_pack(load(charter_of("demo")))
    for part in "abcdef":
        assert f"({part})" in text
    assert "Teach a software agent" in text
    assert "[to be completed: " in text


def test_an_archive_comes_out_as_it_went_in_and_nowhere_else(tmp_path: Any) -> None:
    files = {"b/c.txt": b"2", "a.txt": b"1"}
    names = unpack(pack(files), tmp_path / "out")
    assert names == ["a.txt", "b/c.txt"]
    assert (tmp_path / "out" / "b" / "c.txt").read_bytes() == b"2"
    with pytest.raises(ConflictError):
        unpack(pack(files), tmp_path / "out")
    for name in ("../x", "/x", "a//b", ".x", "a/../b"):
        with pytest.raises(InvalidError):
            unpack(pack({name: b""}), tmp_path / "bad")
