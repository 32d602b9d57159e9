"""The table at the end of a bench; see ``tests/bench/__main__.py`` for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.bench.board import BOARD, Board
from tests.bench.groups import group_of


@pytest.fixture(autouse=True)
def _group(request: pytest.FixtureRequest) -> Iterator[None]:
    """Rows know which group made them; a bench fails after all of its rows were made, not at the first."""
    BOARD.group = group_of(Path(str(request.node.path)))
    yield
    try:
        BOARD.settle()
    finally:
        _save()


@pytest.fixture
def board() -> Board:
    """Where a bench puts its rows."""
    return BOARD


def _save() -> None:
    """Keep what there is: a bench that is ended loses nothing that was measured."""
    if into := os.environ.get("SAFEHOLD_BENCH_ROWS"):
        BOARD.save(Path(into))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if BOARD.rows:
        terminalreporter.section("ratios of this run")
        for text in BOARD.render():
            terminalreporter.write_line(text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """What is skipped stays in the table, with its reason."""
    report = yield
    if report.skipped and item.get_closest_marker("bench"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        BOARD.group = group_of(Path(str(item.path)))
        BOARD.miss(
            item.name.removeprefix("test_").replace("_", " "),
            peer="skipped",
            why=reason.removeprefix("Skipped: "),
        )
        _save()
    return report
