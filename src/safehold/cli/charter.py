"""``safehold charter``: check, prove, show and sign the promise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, progress_bar, put

group = typer.Typer(no_args_is_help=True, help="The charter: check, prove, show, sign.")

File = Annotated[Path, typer.Argument(help="The charter, a YAML file.")]


@group.command()
def check(file: File, *, as_json: JsonOption = False) -> None:
    """Load a charter, compile it to policy, and try to cross each of its red lines."""
    from safehold.app.charters import check_charter

    put(check_charter(existing(file)), as_json=as_json)


@group.command()
def prove(
    file: File,
    *,
    policy: Annotated[
        Path | None,
        typer.Option(help="Cedar policies to prove instead of those the charter compiles to."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that no request can break a promise of a charter; if one can, say which."""
    from safehold.app.proving import prove_charter

    other = existing(policy) if policy is not None else None
    with progress_bar("proving", quiet=as_json) as progress:
        found = prove_charter(existing(file), other, progress=progress)
    put(found, as_json=as_json)


@group.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(help="A charter; default: the one in force.")
    ] = None,
    *,
    policy: Annotated[bool, typer.Option(help="Show the compiled Cedar policy instead.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show a charter in its canonical form, or the policy it compiles to."""
    from safehold.app.charters import show_charter

    put(show_charter(home, file, policy=policy), as_json=as_json)


@group.command()
def sign(
    file: File,
    *,
    seat: Annotated[str | None, typer.Option(help="Your seat on the board.")] = None,
    key: Annotated[Path | None, typer.Option(help="Your seat's key file.")] = None,
    seats: Annotated[
        Path | None,
        typer.Option(
            help="A folder of seat keys; signs as all of them. For trying things out only."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Sign a charter as a seat; signatures gather in a file beside it until the quorum is reached."""
    from safehold.app.charters import sign_charter

    put(sign_charter(home, existing(file), seat=seat, key=key, seats=seats), as_json=as_json)
