"""What a person sees in a notebook or on a terminal: states, shapes and times; never a value of a result.

Everything is escaped: a purpose or the name of a seat is text that somebody wrote.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final, TextIO

from safehold.keeper.client import Progress
from safehold.sdk.standing import Standing

_BOX: Final = "display:inline-block;padding:.15em .6em;border:1px solid;border-radius:.4em"
_DONE, _OPEN, _ENDED = "border-color:#2a7;", "border-color:#999;color:#777;", "border-color:#c33;"
WIDTH: Final = 30  # characters of the bar


def draw_standing(title: str, standing: Standing) -> str:
    """Return how a request stands as a small picture in HTML: requested, approved, used, ended."""
    boxes = "<span> &rarr; </span>".join(
        f'<span style="{_BOX};{_DONE if done else _ENDED if ended else _OPEN}">{escape(words)}</span>'
        for words, done, ended in standing.steps()
    )
    return f"<div><b>{escape(title)}</b><div>{boxes}</div></div>"


def draw_result(name: str, said: str, columns: Sequence[tuple[str, str]]) -> str:
    """Return a result as HTML: how it stands, and its columns with their types."""
    rows = "".join(
        f"<tr><td>{escape(column)}</td><td><code>{escape(kind)}</code></td></tr>"
        for column, kind in columns
    )
    return (
        f"<div><b>{escape(name)}</b>: {escape(said)}"
        f"<details><summary>columns</summary><table>{rows}</table></details></div>"
    )


def draw_list(title: str, lines: Sequence[str]) -> str:
    """Return some lines as HTML."""
    return f"<div><b>{escape(title)}</b><br>{'<br>'.join(escape(one) for one in lines)}</div>"


class Bar:
    """Progress in words and a bar: on a terminal one line that is written over, elsewhere through a callback.

    Args:
        show: Takes the line.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._title = "working"
        self._shown = ""

    def __call__(self, message: dict[str, Any]) -> None:
        """Take one message of a run or of a wait."""
        self._title = str(message.get("title", self._title))
        line = self._title
        of = message.get("of")
        if isinstance(of, int) and of > 0:
            done = min(int(message.get("done", 0)), of)
            filled = done * WIDTH // of
            line += f" [{'#' * filled}{'.' * (WIDTH - filled)}] {done} of {of}"
        if note := message.get("note"):
            line += f" {note}"
        if line != self._shown:
            self._shown = line
            self._show(line)


def on_terminal(stream: TextIO) -> Progress:
    """Return a progress display that writes over one line of a terminal."""

    def show(line: str) -> None:
        stream.write(f"\r\x1b[2K{line}")
        stream.flush()

    return Bar(show)


def in_cell(display: Callable[..., Any]) -> Progress:
    """Return a progress display that keeps one output of a notebook's cell up to date.

    Args:
        display: ``IPython.display.display``, or what behaves like it: returns a handle with ``update``.
    """
    handle: Any = None

    def show(line: str) -> None:
        nonlocal handle
        shown = {"text/plain": line, "text/html": f"<pre>{escape(line)}</pre>"}
        if handle is None:
            handle = display(shown, raw=True, display_id=True)
        else:
            handle.update(shown, raw=True)

    return Bar(show)


def progress_here() -> Progress:
    """Return the display that fits: a notebook's cell, a terminal's line, or none."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None and getattr(shell, "kernel", None) is not None:
        from IPython.display import display  # noqa: PLC0415 - there only in a notebook

        return in_cell(display)
    if sys.stderr is not None and sys.stderr.isatty():
        return on_terminal(sys.stderr)
    return lambda _message: None
