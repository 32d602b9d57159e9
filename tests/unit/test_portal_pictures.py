"""Pictures on pages: without a style of their own, with the same rules in the sheet."""

from __future__ import annotations

import re
from importlib import resources

from safehold.incident import blast_picture
from safehold.portal.svg import put_inline
from safehold.portal.svg.strip import draw_strip

SHEET = resources.files("safehold.portal").joinpath("static/pictures.css").read_text("utf-8")


def rules(text: str) -> set[str]:
    return set(re.findall(r"\.\w+\{[^{}]*\}", text.replace(" ", "")))


def test_the_sheet_says_what_the_picture_of_a_blast_says_of_itself():
    assert rules(blast_picture._STYLE) <= rules(SHEET)


def test_a_picture_comes_without_its_style_and_with_ids_of_its_own():
    drawn = put_inline(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" viewBox="0 0 9 9" aria-labelledby="t d">'
        '<title id="t">x</title><desc id="d">y</desc><style>.a{fill:red}</style><use href="#t"/></svg>',
        "blast",
    )
    assert "<style" not in drawn
    assert 'aria-labelledby="blast-t blast-d"' in drawn
    assert 'id="blast-t"' in drawn
    assert 'href="#blast-t"' in drawn
    assert 'class="drawn blast"' in drawn
    assert put_inline("no picture", "x") == ""


def test_a_strip_tells_each_state_by_its_shape_and_escapes_the_name():
    drawn = draw_strip('"><script>', [(1, "kept"), (2, "broken"), (3, "unmeasured"), (4, "new")])
    assert "<script" not in drawn
    assert drawn.count("<rect") == 3
    assert drawn.count("<path") == 1
    assert "1 kept, 1 broken, 2 unmeasured of the last 4" in drawn
    assert draw_strip("none", []).count("<rect") == 0
