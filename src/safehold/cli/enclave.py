"""``safehold enclave``: what isolation this machine offers, and training inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli import embedding
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

group = typer.Typer(
    no_args_is_help=True, help="Enclaves: probe the isolation of this machine, train inside it."
)


@group.command()
def probe(*, as_json: JsonOption = False) -> None:
    """Try each mechanism and report the assurance level, E0 to E3."""
    from safehold.app.doctor import probe_sandbox

    put(probe_sandbox(), as_json=as_json)


@group.command()
def train(
    *,
    purpose: Annotated[str, typer.Option(help="Purpose of the training.")] = "train_ui_agent",
    grant: Annotated[Path | None, typer.Option(help="An approved request.")] = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Train on the features that there are; `safehold run` builds them, and anew each time.

    A charter with a gate on re-identification refuses it until the dataset has passed: safehold attack dataset.
    """
    from safehold.app.grants import demand_pass

    with keeper(home) as client, progress_bar("training", quiet=as_json) as progress:
        permit = demand_pass(client, home, purpose=purpose, grant=grant, holder=holder, seats=seats)
        put(permit.train(client, purpose, progress), as_json=as_json)


embedding.add_to(group)
