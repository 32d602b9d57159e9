"""``safehold dlp train-tagger`` and ``train-topics``: train what finds names and topics again, or on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import JsonOption, put, say


def register(group: typer.Typer) -> None:
    """Add the commands to a group."""
    group.command(name="train-tagger")(train_tagger)
    group.command(name="train-topics")(train_topics)


def train_tagger(
    *,
    out: Annotated[Path, typer.Option(help="Gets the model.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of labelled corpora; without it, made-up text alone."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed and data give the same model.")] = 1,
    without: Annotated[
        list[str] | None, typer.Option(help="A corpus to leave out, to be tested on.")
    ] = None,
    composed: Annotated[int, typer.Option(help="Texts that are made up.", min=0)] = 24_000,
    rounds: Annotated[int, typer.Option(help="Passes over all texts.", min=1)] = 4,
    as_json: JsonOption = False,
) -> None:
    """Train the tagger that finds names (needs safehold[ner]); takes about two minutes."""
    from safehold.dlp.tagger.train import Recipe, train_file

    recipe = Recipe(seed=seed, composed=composed, rounds=rounds)
    made = train_file(out, folder=data, recipe=recipe, without=without or (), progress=say)
    put(made, as_json=as_json)


def train_topics(
    *,
    out: Annotated[Path, typer.Option(help="Gets the model.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with a corpus of chat; without it, made-up messages alone."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed and data give the same model.")] = 1,
    each: Annotated[int, typer.Option(help="Messages made from each phrase.", min=1)] = 24,
    rounds: Annotated[int, typer.Option(help="Steps over all messages.", min=1)] = 400,
    as_json: JsonOption = False,
) -> None:
    """Train the model that says which topic a message is on; takes less than a minute."""
    from safehold.dlp.topic.train import Recipe, train_file

    recipe = Recipe(seed=seed, each=each, rounds=rounds)
    put(train_file(out, folder=data, recipe=recipe, progress=say), as_json=as_json)
