"""In a notebook and on a terminal: what a cell shows, and how progress is drawn."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from safehold.errors import DeniedError
from safehold.sdk import Result, notebook
from safehold.sdk.standing import Standing

FIGURE = 0.7351902


@pytest.fixture
def shell(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    return InteractiveShell(config=Config(HistoryManager={"enabled": False}))


def standing(**changes: Any) -> Standing:
    return Standing(
        **{
            "state": "open",
            "decisions": {"privacy": "approve", "legal": "approve"},
            "agreed": 2,
            "needed": 2,
            "runs": 1,
            "of": 3,
            "ends_us": 1_795_629_674_124_083,
            "entry": 7,
        }
        | changes
    )


def test_a_cell_shows_shapes_and_a_traceback_no_values(shell: Any) -> None:
    def refuse() -> list[dict[str, Any]]:
        token = "canary-8812"  # noqa: F841
        raise DeniedError("no", rule="test.rule")

    schema = pa.schema([("top1", pa.float64())])
    shell.user_ns["result"] = Result("train", schema, lambda: [{"top1": FIGURE}])
    shell.user_ns["refused"] = Result("train", schema, refuse)
    shell.run_line_magic("xmode", "Verbose")
    with capture_output() as seen:
        shell.run_cell("result")
        shell.run_cell("_ = result.to_arrow()")
        shell.run_cell("result")
        done = shell.run_cell("refused.to_arrow()")
    assert "not asked yet" in seen.stdout
    assert "1 row of 1 columns" in seen.stdout
    assert isinstance(done.error_in_exec, DeniedError)
    assert "test" in seen.stdout
    assert "canary" not in seen.stdout + seen.stderr
    assert str(FIGURE) not in seen.stdout + seen.stderr
    drawn, _ = shell.display_formatter.format(shell.user_ns["result"])
    assert "<table>" in drawn["text/html"]
    assert str(FIGURE) not in str(drawn)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"state": "requested", "decisions": {"legal": "approve"}, "agreed": 1, "runs": 0, "ends_us": None},
            ["requested, entry 7", "1 of 2 approvals", "used 0 of 3 runs", "its time begins when it is opened"],
        ),
        ({}, ["requested, entry 7", "approved by legal, privacy", "used 1 of 3 runs", "ends at 2026-11-25 18:01 UTC"]),
        ({"state": "denied", "decisions": {"legal": "deny"}}, ["requested, entry 7", "denied by legal"]),
        ({"state": "lapsed", "decisions": {}}, ["requested, entry 7", "lapsed: not approved within a day"]),
        ({"state": "revoked"}, ["requested, entry 7", "approved by legal, privacy", "used 1 of 3 runs", "revoked"]),
        (
            {"state": "ended", "runs": 3},
            ["requested, entry 7", "approved by legal, privacy", "used 3 of 3 runs", "ended; was to end at 2026-11-25 18:01 UTC"],
        ),
    ],
)  # fmt: skip
def test_how_a_request_stands_in_steps(changes: dict[str, Any], words: list[str]) -> None:
    one = standing(**changes)
    assert [step for step, _, _ in one.steps()] == words
    drawn = notebook.draw_standing("grant_1", one)
    assert all(step in drawn for step in words)
    assert drawn.count("<span style") == len(words)


def test_progress_on_a_terminal_is_one_line() -> None:
    stream = io.StringIO()
    show = notebook.on_terminal(stream)
    show({"title": "training"})
    show({"done": 1, "of": 2})
    show({"done": 1, "of": 2})  # nothing new, nothing written
    show({"done": 5, "of": 2, "note": "done"})
    lines = stream.getvalue().split("\r\x1b[2K")[1:]
    assert lines == [
        "training",
        f"training [{'#' * 15}{'.' * 15}] 1 of 2",
        f"training [{'#' * 30}] 2 of 2 done",
    ]


def test_progress_in_a_notebook_is_one_output_and_escaped() -> None:
    class Handle:
        def __init__(self) -> None:
            self.shown: list[dict[str, str]] = []

        def update(self, data: dict[str, str], *, raw: bool) -> None:
            assert raw
            self.shown.append(data)

    handle, first = Handle(), []

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        first.append(data)
        return handle

    show = notebook.in_cell(display)
    show({"title": "<b>x</b>"})
    show({"done": 0, "of": 4})
    assert [one["text/html"] for one in first] == ["<pre>&lt;b&gt;x&lt;/b&gt;</pre>"]
    assert len(handle.shown) == 1
    assert "0 of 4" in handle.shown[0]["text/plain"]


def test_the_display_is_chosen_by_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    notebook.progress_here()({"title": "waiting"})
    assert "waiting" in stream.getvalue()
    silent = io.StringIO()
    monkeypatch.setattr("sys.stderr", silent)
    notebook.progress_here()({"title": "waiting"})
    assert silent.getvalue() == ""
    monkeypatch.setattr("sys.stderr", None)  # as under pythonw and some servers
    notebook.progress_here()({"title": "waiting"})
