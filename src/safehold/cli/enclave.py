"""``safehold enclave``: what isolation this machine offers."""

from __future__ import annotations

import typer

from safehold.cli.surface import JsonOption, put

group = typer.Typer(no_args_is_help=True, help="Enclaves: probe the isolation of this machine.")


@group.command()
def probe(*, as_json: JsonOption = False) -> None:
    """Try each mechanism and report the assurance level, E0 to E3."""
    from safehold.app.doctor import probe_sandbox

    put(probe_sandbox(), as_json=as_json)


@group.callback()
def _noun() -> None:
    """Keep the noun a group while it has one verb."""
