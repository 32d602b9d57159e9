"""``safehold artifact`` and ``safehold budget``: the models that were made, and what they cost in privacy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, keeper, put
from safehold.errors import DeniedError, MissingError

_SHOWN = 20  # findings of a file that are shown without --json

group = typer.Typer(no_args_is_help=True, help="Model artifacts: list, scan, show.")
budget = typer.Typer(no_args_is_help=True, help="Privacy budgets: show.")

Artifact = Annotated[str, typer.Argument(help="Id of the artifact.")]


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the artifacts."""
    with keeper(home) as client:
        put(client.call("artifact.list"), as_json=as_json)


@group.command()
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of files.")],
    *,
    release: Annotated[
        bool, typer.Option("--release", help="Judge whether they may leave, not only be stored.")
    ] = False,
    canaries: Annotated[
        Path | None, typer.Option(help="Planted words to look for, one a line.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look into models, tokenizers, notebooks, logs and tables for what must not be in them.

    Shows places and classes, never the text. Needs no home. Ends with 3 when a file is refused.
    """
    from safehold.app.inspection import judge_files, list_files, read_canaries
    from safehold.dlp.artifact import Use

    words = None if canaries is None else read_canaries(canaries)
    use = Use.RELEASE if release else Use.STORE
    judged = []
    for each in judge_files(list_files(paths), use=use, canaries=words):
        refusal = None if each.refusal is None else each.refusal.payload()
        found = {} if each.inspection is None else each.inspection.to_record()
        judged.append(
            {"file": str(each.path), "admitted": refusal is None, "refusal": refusal} | found
        )
        if not as_json:
            typer.echo(_told(judged[-1]))
    if as_json:
        put({"use": str(use), "files": judged}, as_json=True)
    if not all(item["admitted"] for item in judged):
        raise typer.Exit(DeniedError.exit_code)


def _told(item: dict[str, Any]) -> str:
    kind = item.get("kind", "not read")
    head = f"{'admitted' if item['admitted'] else 'refused '}  {kind:12} {item['file']}"
    lines = [head, *(f"    note: {note}" for note in item.get("notes", ()))]
    lines += [
        f"    {each['class']:10} {each['count']:>4} x  {each['place']}  ({each['rule']})"
        for each in item.get("findings", ())[:_SHOWN]
    ]
    left = len(item.get("findings", ())) + item.get("more", 0) - _SHOWN
    lines += [f"    and {left} more; see them with --json"] if left > 0 else []
    if item["refusal"] is not None and not item.get("findings"):
        lines.append(f"    {item['refusal']['message']}: {item['refusal']['fix']}")
    return "\n".join(lines)


@group.command()
def show(
    artifact: Artifact,
    *,
    card: Annotated[
        bool, typer.Option("--card", help="Only its model card and datasheet, as Markdown.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Check an artifact against its signed provenance and show both; never its weights."""
    with keeper(home) as client:
        shown = client.call("artifact.show", artifact=artifact)
    markdown = shown.pop("card_markdown", None)
    if not card:
        put(shown, as_json=as_json)
    elif markdown is None:
        raise MissingError("this artifact was kept without a card", rule="artifact.card")
    elif as_json:
        put(shown["card"], as_json=True)
    else:
        print(markdown, end="")


@budget.command(name="show")
def budget_show(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show what each purpose may spend, has spent and has left."""
    with keeper(home) as client:
        put(client.call("budget.show"), as_json=as_json)


@budget.callback()
def _noun() -> None:
    """Keep the noun a group while it has one verb."""
