"""``safehold enclave sql``: ask a question of telemetry, and get figures with noise."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HolderOption,
    HomeOption,
    JsonOption,
    existing,
    keeper,
    progress_bar,
    put,
    say,
)

MOST_ROWS = 400  # of a table on a terminal


def sql(
    text: Annotated[
        str | None, typer.Argument(help="SQL that returns k, a key, and v, a value.")
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option(help="A query file: its head says what it releases.")
    ] = None,
    grant: Annotated[Path | None, typer.Option(help="An approved request.")] = None,
    holder: HolderOption = None,
    release: Annotated[
        str | None, typer.Option(help="people, events, sum, mean, histogram or quantile.")
    ] = None,
    epsilon: Annotated[float | None, typer.Option(help="What it may cost.")] = None,
    delta: Annotated[
        float | None, typer.Option(help="What it may cost, where keys are thresholded.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="A public key; may be given many times.")
    ] = None,
    find_keys: Annotated[
        bool, typer.Option("--find-keys", help="Find keys that many people have; costs delta.")
    ] = False,
    groups: Annotated[
        int | None, typer.Option(help="Most keys that one person counts under.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Most rows of one person under a key.")] = None,
    low: Annotated[float | None, typer.Option(help="Least value.")] = None,
    high: Annotated[float | None, typer.Option(help="Largest value.")] = None,
    step: Annotated[float | None, typer.Option(help="How fine values are.")] = None,
    edge: Annotated[
        list[float] | None, typer.Option(help="Edge of a bin; may be given many times.")
    ] = None,
    at: Annotated[float | None, typer.Option(help="Which quantile, from 0 to 1.")] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Try it on empty tables here; asks nobody, costs nothing."),
    ] = False,
    save: Annotated[
        Path | None, typer.Option(help="Write it as a query file, to have it reviewed.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Ask a question under a grant: one noisy figure, or one for each key.

    The query runs once for each person, over that person's rows alone. What it costs is charged before a row is
    opened and is not given back, whatever becomes of the query.
    """
    from safehold.app.query import check_query, compose_query, run_query
    from safehold.errors import InvalidError

    if (text is None) == (file is None):
        raise InvalidError("SQL, or a query file", rule="cli.options", fix="SQL or --file")
    query = compose_query(
        existing(file).read_text("utf-8") if file is not None else str(text),
        {
            "release": release,
            "epsilon": epsilon,
            "delta": delta,
            "keys": "thresholded" if find_keys else key or None,
            "groups": groups,
            "rows": rows,
            "low": low,
            "high": high,
            "step": step,
            "edges": edge or None,
            "at": at,
        },
    )
    if save is not None:
        if save.exists():
            raise InvalidError("this file exists", file=save.name, rule="cli.file")
        check_query(query)
        save.write_text(query, "utf-8")
        say(f"written: {save.name}; have it reviewed: safehold request new --query {save.name}")
        return
    if check:
        put({"query": check_query(query).name, "runs": True}, as_json=as_json)
        return
    if grant is None:
        raise InvalidError("this needs a grant", rule="cli.options", fix="--grant with --holder")
    with keeper(home) as client, progress_bar("asking", quiet=as_json) as progress:
        answer = run_query(
            client, home, query, grant=existing(grant), holder=holder, progress=progress
        )
    if as_json:
        put(answer, as_json=True)
        return
    _show(answer)


def _show(answer: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    figures = answer["figures"]
    table = Table(title=None, box=None, pad_edge=False)
    keyed, binned = any(one["key"] for one in figures), any(one["bin"] for one in figures)
    for shown, name in ((keyed, "key"), (binned, "bin")):
        if shown:
            table.add_column(name)
    for name in (answer["release"], "± error", "95 % interval", "people"):
        table.add_column(name, justify="right")
    for one in figures[:MOST_ROWS]:
        names = [one["key"]] * keyed + [one["bin"]] * binned
        if one["value"] is None:
            table.add_row(*names, "too few people", "-", "-", "-")
            continue
        interval = "-" if one["low"] is None else f"{_number(one['low'])} … {_number(one['high'])}"
        table.add_row(
            *names,
            _number(one["value"]),
            "-" if one["error"] is None else _number(one["error"]),
            interval,
            f"{one['people']:,}",
        )
    console = Console(file=sys.stdout, soft_wrap=True)
    console.print(table)
    if not figures:
        console.print("no key is shared by enough people")
    say(
        f"epsilon {answer['epsilon']:g} spent, {answer['epsilon_left']:g} left for this purpose; "
        f"every figure carries noise (the error is the noise's alone); ledger entry {answer['entry']}"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}"
