"""``safehold dlp``: find what is sensitive in text, measure how well, and mask it; no home is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import JsonOption, existing, put, say

group = typer.Typer(
    no_args_is_help=True,
    help="Detection: scan text, measure against gold spans, redact, list the rules.",
)
Source = Annotated[Path, typer.Argument(help="JSON lines, one document a line.")]
Field = Annotated[str, typer.Option(help="The field that holds the text.")]
TierName = Annotated[
    str | None,
    typer.Option("--tier", help="default, fast or ner; the best installed unless named."),
]


@group.command()
def scan(
    file: Source,
    *,
    out: Annotated[Path, typer.Option(help="Gets one line per line: id and spans.")],
    field: Field = "text",
    tier: TierName = None,
    as_json: JsonOption = False,
) -> None:
    """Write where something sensitive stands in each text: start, end, class, confidence, rule."""
    from safehold.app.detection import scan_file

    put(scan_file(existing(file), out, field=field, tier=tier, tell=_tell()), as_json=as_json)


@group.command(name="eval")
def evaluate(
    file: Source,
    *,
    field: Field = "text",
    tier: TierName = None,
    misses: Annotated[
        Path | None, typer.Option(help="Write a page of misses, without values, here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure against gold spans: precision, recall, F1 and F2 per class, false alarms per megabyte."""
    from safehold.app.detection import eval_file

    put(
        eval_file(existing(file), field=field, tier=tier, misses=misses, tell=_tell()),
        as_json=as_json,
    )


@group.command()
def topics(
    file: Source,
    *,
    field: Field = "text",
    out: Annotated[
        Path | None, typer.Option(help="Gets one line per line: id and units on a topic.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which documents are on a sensitive topic, and how many per megabyte; with gold spans, how many were found."""
    from safehold.app.detection import topics_file

    put(topics_file(existing(file), field=field, out=out, tell=_tell()), as_json=as_json)


@group.command()
def redact(
    file: Source,
    *,
    out: Annotated[Path, typer.Option(help="Gets the same lines, masked.")],
    field: Field = "text",
    tier: TierName = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is only reported at ingest, such as dates.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the same lines with everything sensitive in the field replaced by its class."""
    from safehold.app.detection import redact_file

    result = redact_file(
        existing(file), out, field=field, tier=tier, everything=everything, tell=_tell()
    )
    put(result, as_json=as_json)


@group.command()
def rules(*, as_json: JsonOption = False) -> None:
    """List the rules, the tiers and the version of the data they come from."""
    from safehold.app.detection import list_rules

    put(list_rules(), as_json=as_json)


def _tell() -> Callable[[dict[str, int]], None] | None:
    if not sys.stderr.isatty():
        return None
    return lambda total: say(f"{total['documents']:,} documents, {total['bytes'] / 1e6:,.1f} MB")
