"""What several journeys need: a browser, and a folder whose homes find their outside in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one file; without its program they skip aloud."""
    from tests.portal_desk import browser_running

    with browser_running() as found:
        yield found


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the homes of one file; what is outside of them lies in it as well."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("apart")
        patch.setenv("SAFEHOLD_OUTSIDE", str(folder / "outside"))
        yield folder
