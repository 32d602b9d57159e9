"""``safehold enclave embed``, ``near`` and ``head``: vectors are made and used inside, and never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    GrantSeatsOption,
    HolderOption,
    HomeOption,
    JsonOption,
    keeper,
    progress_bar,
    put,
)

MICRO = 1_000_000
PURPOSE = "train_ui_agent"

PurposeOption = Annotated[str, typer.Option(help="Purpose.")]
GrantOption = Annotated[Path | None, typer.Option(help="An approved request for this recipe.")]
EncoderOption = Annotated[
    Path | None,
    typer.Option(
        help="The company's own encoder, safetensors; the one that is shipped without it."
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(help="The set of vectors; the newest that passed its gates without it."),
]


def embed(
    *,
    stream: Annotated[
        list[str],
        typer.Option(
            help="A stream of text: chat, ai (prompts), speech (transcripts), focus (titles)."
        ),
    ],
    noise: Annotated[
        float | None,
        typer.Option(
            help="Standard deviation of the noise in each number of a vector; 0.4 without it."
        ),
    ] = None,
    encoder: EncoderOption = None,
    purpose: PurposeOption = PURPOSE,
    grant: GrantOption = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make vectors of what people wrote and attack them; exit code 1 unless every gate of the charter holds.

    Vectors are sealed under the keys of whoever they are of, and never leave. A set that does not pass stays in
    quarantine.
    """
    asked: dict[str, Any] = {"streams": [_NAMES.get(one, one) for one in stream]}
    if noise is not None:
        asked["noise_micro"] = round(noise * MICRO)
    by = {"grant": grant, "holder": holder, "seats": seats}
    found = _ask("embed", purpose, home, quiet=as_json, by=by, encoder=encoder, **asked)
    put(found, as_json=as_json)
    if found["state"] != "registered":
        raise typer.Exit(1)


def near(
    *,
    text: Annotated[
        list[str], typer.Option(help="What is asked; one text, or 2 to 16 for topics and drift.")
    ],
    how: Annotated[
        str,
        typer.Option(
            help="near: bands of likeness. topics: the nearest text. drift: the same, before and after."
        ),
    ] = "near",
    epsilon: Annotated[float, typer.Option(help="What the answer costs.")] = 0.5,
    dataset: DatasetOption = None,
    encoder: EncoderOption = None,
    purpose: PurposeOption = PURPOSE,
    grant: GrantOption = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Ask vectors how many people lie near a text; counts with noise, and never whose."""
    asked = {"texts": text, "how": how, "epsilon_micro": round(epsilon * MICRO), "dataset": dataset}
    by = {"grant": grant, "holder": holder, "seats": seats}
    found = _ask("embed.near", purpose, home, quiet=as_json, by=by, encoder=encoder, **asked)
    put(found, as_json=as_json)


def head(
    *,
    epsilon: Annotated[
        float | None, typer.Option(help="Epsilon; all that the purpose allows without it.")
    ] = None,
    dataset: DatasetOption = None,
    purpose: PurposeOption = PURPOSE,
    grant: GrantOption = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Train a small head on vectors, with differential privacy for each person: which stream a text is from."""
    asked: dict[str, Any] = {"dataset": dataset}
    if epsilon is not None:
        asked["epsilon_micro"] = round(epsilon * MICRO)
    by = {"grant": grant, "holder": holder, "seats": seats}
    put(_ask("embed.head", purpose, home, quiet=as_json, by=by, **asked), as_json=as_json)


# the words of a charter, for the streams they name
_NAMES = {"prompts": "ai", "ai_prompts": "ai", "transcripts": "speech", "titles": "focus"}


def _ask(
    verb: str, purpose: str, home: Path, *, quiet: bool, by: dict[str, Path | None], **asked: Any
) -> dict[str, Any]:
    from safehold.app.grants import demand_pass

    with keeper(home) as client, progress_bar("working on vectors", quiet=quiet) as progress:
        permit = demand_pass(client, home, purpose=purpose, recipe=verb, **by)
        return permit.embed(client, verb, purpose, progress, **asked)


def add_to(group: typer.Typer) -> None:
    """Add the commands to a group."""
    for command in (embed, near, head):
        group.command()(command)
