"""What holds for every page, tried in a real browser: accessible, no wider than a phone, within its own security policy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
    from tests.portal_desk import Portal

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "portal"
PHONE = {"width": 375, "height": 800}
WIDE = {"width": 1000, "height": 1000}
# WCAG 2.2 AA, and what axe calls good practice
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def check_pages(browser: Browser, portal: Portal, name: str | None, paths: Sequence[str]) -> None:
    """Open pages as somebody and find nothing wrong with any: by axe in light and dark, at 375 px, and in the console."""
    for scheme in ("light", "dark"):
        # axe is put into the page, which our policy would not allow: here alone it is off
        with _visiting(browser, portal, name, bypass_csp=True, color_scheme=scheme) as context:
            page = context.new_page()
            for path in paths:
                page.goto(portal.url + path)
                found = Axe().run(page, options=RULES).response["violations"]
                assert not found, f"{path} ({scheme}): {_told(found)}"
    with _visiting(browser, portal, name, viewport=PHONE) as context:
        page = context.new_page()
        said = listen(page)
        for path in paths:
            page.goto(portal.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
            assert said == [], path


def listen(page: Page) -> list[str]:
    """Return a list that fills with what the console of a page says: a broken security policy speaks there."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if not message.text.startswith("Failed to load resource"):  # a refusal that was asked for
            said.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def draw(page: Page, name: str) -> None:
    """Keep a picture of a page for the documentation, if pictures are asked for."""
    if not os.environ.get("SAFEHOLD_PICTURES"):
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size(WIDE)
    page.screenshot(path=str(PICTURES / f"{name}.png"))


def press_until(page: Page, key: str, label: str, most: int = 200) -> None:
    """Press a key until what has the focus says something, as somebody without a pointer does."""
    for _ in range(most):
        page.keyboard.press(key)
        spoken = page.evaluate(
            "(() => { const e = document.activeElement;"
            " return (e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent || e.value || '').trim(); })()"
        )
        if spoken.startswith(label):
            return
    raise AssertionError(f"the keyboard does not reach {label!r}")


@contextmanager
def _visiting(
    browser: Browser, portal: Portal, name: str | None, **more: Any
) -> Iterator[BrowserContext]:
    context = browser.new_context(**more)
    try:
        if name is not None:
            portal.visit(context, name)
        yield context
    finally:
        context.close()


def _told(found: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    return [(one["id"], [node["html"][:160] for node in one["nodes"][:4]]) for one in found]
