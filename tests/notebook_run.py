"""A notebook's process: takes cells as JSON lines, runs each as IPython does, and says what it showed.

Args: none. A cell is ``{"cell": "..."}``; the answer ``{"shown": "...", "html": "...", "error": "..."}``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    shell.run_line_magic("xmode", "Verbose")
    for line in sys.stdin:
        with capture_output() as seen:
            done = shell.run_cell(json.loads(line)["cell"])
        drawn: dict[str, Any] = {}
        if done.result is not None:
            drawn, _ = shell.display_formatter.format(done.result)
        error = done.error_before_exec or done.error_in_exec
        answer = {
            "shown": seen.stdout + seen.stderr,
            "html": drawn.get("text/html", ""),
            "error": None if error is None else f"{type(error).__name__}: {error}",
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
