"""Pictures on pages: drawn by the server, without a style of their own (the content security policy allows none)."""

from __future__ import annotations

import re
from typing import Final

from markupsafe import Markup

_STYLE: Final = re.compile(r"<style>.*?</style>", re.DOTALL)
_ROOT: Final = re.compile(r"<svg [^>]*>")
_IDS: Final = re.compile(r' (id|aria-labelledby|href)="(#?)([^"]*)"')


def put_inline(picture: str, kind: str) -> Markup:
    """Return an SVG document as a part of a page.

    Its style goes: ``static/pictures.css`` says the same for ``svg.KIND``. Its ids get the kind in front, so that
    several pictures stand on one page; its size is left to the page.

    Args:
        picture: A document that one of our own modules drew; never text of somebody else.
        kind: What the sheet calls it.
    """
    bare = _STYLE.sub("", picture)
    found = _ROOT.search(bare)
    if found is None:
        return Markup("")
    root = re.sub(r' (xmlns|width|height)="[^"]*"', "", found[0])
    root = root.replace("<svg ", f'<svg class="drawn {kind}" ', 1)
    whole = root + bare[found.end() :]

    def name(match: re.Match[str]) -> str:
        names = " ".join(f"{match[2]}{kind}-{one}" for one in match[3].split())
        return f' {match[1]}="{names}"'

    return Markup(_IDS.sub(name, whole))  # noqa: S704 - drawn by our own modules, which escape what they show
