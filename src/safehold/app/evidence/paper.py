"""The report as PDF, made in a process of its own that holds no key and is told nothing but the report.

It reads blocks as JSON from standard input and writes the file to standard output. ReportLab (BSD) sets it; without
that package there is no PDF, and the bundle says so.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from safehold.app.embedded import keeper_environment
from safehold.assurance.evidence.outline import Block
from safehold.errors import UnavailableError

PATIENCE_S: Final = 120.0
FONT: Final = "Vera"
_SHARES: Final = {5: (0.14, 0.26, 0.12, 0.12, 0.36), 4: (0.24, 0.14, 0.46, 0.16)}


def installed() -> bool:
    """Return whether a PDF can be made here."""
    return importlib.util.find_spec("reportlab") is not None


def make_pdf(blocks: Sequence[Block]) -> bytes:
    """Return the report as PDF, set by a child process.

    Raises:
        UnavailableError: It cannot be set.
    """
    if not installed():
        raise UnavailableError(
            "no PDF can be set: ReportLab is not installed",
            rule="extra.evidence",
            fix="install safehold[evidence]",
        )
    made = subprocess.run(
        [sys.executable, "-P", "-m", "safehold.app.evidence.paper"],
        input=json.dumps([asdict(one) for one in blocks]).encode(),
        capture_output=True,
        check=False,
        env=keeper_environment(),
        timeout=PATIENCE_S,
    )
    if made.returncode != 0 or not made.stdout.startswith(b"%PDF-"):
        raise UnavailableError("the PDF could not be set", rule="evidence.paper")
    return made.stdout


def set_pdf(blocks: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the file; the same blocks give the same bytes."""
    import reportlab
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4, landscape
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    fonts = Path(reportlab.__file__).parent / "fonts"
    pdfmetrics.registerFont(TTFont(FONT, fonts / "Vera.ttf"))
    pdfmetrics.registerFont(TTFont(f"{FONT}-Bold", fonts / "VeraBd.ttf"))
    body = ParagraphStyle("body", fontName=FONT, fontSize=8, leading=10.5)
    small = ParagraphStyle("small", parent=body, fontSize=6.5, leading=8.5)
    bold = ParagraphStyle("bold", parent=small, fontName=f"{FONT}-Bold")
    heads = {
        "h1": ParagraphStyle("h1", parent=body, fontName=f"{FONT}-Bold", fontSize=16, leading=22),
        "h2": ParagraphStyle("h2", parent=body, fontName=f"{FONT}-Bold", fontSize=11, leading=18),
    }
    file = io.BytesIO()
    page = landscape(A4)
    title = next((one["text"] for one in blocks if one["kind"] == "h1"), "Evidence")
    document = SimpleDocTemplate(
        file, pagesize=page, title=title, author="Safehold", lang="en", invariant=1,
        leftMargin=36, rightMargin=36, topMargin=36, bottomMargin=36,
    )  # fmt: skip
    width = page[0] - 72
    story: list[Any] = []
    for one in blocks:
        match one["kind"]:
            case "h1" | "h2":
                story.append(Paragraph(_plain(one["text"]), heads[one["kind"]]))
            case "list":
                story += [Paragraph(f"- {_plain(line)}", body) for line in one["items"]]
            case "table":
                count = len(one["head"])
                shares = _SHARES.get(count, (1 / count,) * count)
                rows = [[Paragraph(_plain(text), bold) for text in one["head"]]]
                rows += [
                    [
                        Paragraph(_plain(text), bold if at == one["state"] else small)
                        for at, text in enumerate(row)
                    ]
                    for row in one["rows"]
                ]
                table = Table(rows, [share * width for share in shares], repeatRows=1)
                lines = [
                    ("LINEBELOW", (0, 0), (-1, -1), 0.3, colors.grey),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ]
                table.setStyle(TableStyle(lines))
                story += [Paragraph(_plain(one["text"]), small), table]
            case _:
                story.append(Paragraph(_plain(one["text"]), body))
        story.append(Spacer(1, 4))
    document.build(story, onFirstPage=_number, onLaterPages=_number)
    return file.getvalue()


def _number(canvas: Any, _document: Any) -> None:
    canvas.setFont(FONT, 6.5)
    canvas.drawString(36, 20, f"page {canvas.getPageNumber()}")


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def main() -> int:
    """Read blocks, write the file."""
    made = set_pdf(json.loads(sys.stdin.buffer.read()))
    with os.fdopen(os.dup(1), "wb") as out:
        out.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
