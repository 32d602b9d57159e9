"""The table at the end of ``make bench``."""

from __future__ import annotations

from typing import Any

import pytest
from tests.bench.board import BOARD, Board


@pytest.fixture
def board() -> Board:
    """Where a bench puts its rows."""
    return BOARD


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if BOARD.rows:
        terminalreporter.section("ratios of this run")
        for text in BOARD.render():
            terminalreporter.write_line(text)
