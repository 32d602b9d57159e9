"""The command line: noun, then verb; the same words as in the ledger, the API and the docs.

stdout is data, stderr everything else. Exit codes: 0 ok, 1 failed, 2 usage or bad input, 3 denied, 4 sign-in,
5 tampered, 6 unavailable, 130 interrupted. Only typer is imported before a command runs, so ``--help`` is quick.
"""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from safehold.cli import (
    agent,
    alert,
    alert_targets,
    artifact,
    attack,
    auditing,
    backup,
    board,
    capacity,
    charter,
    containment,
    dataset,
    dlp,
    drill,
    enclave,
    entrance,
    evidence,
    federate,
    grant,
    home,
    incident,
    incident_blast,
    ingest,
    job,
    join,
    key,
    ledger,
    me,
    migrate,
    paper,
    people,
    portal,
    principal,
    request,
    rights,
    source,
    tagger,
    watching,
    worker,
)
from safehold.cli.surface import guarded


def build() -> typer.Typer:
    """Return the whole command line."""
    root = typer.Typer(
        name="safehold",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Train AI on how people work, and prove that nothing else happened to the data.",
    )
    tagger.register(dlp.group)
    rights.register(people.group)
    incident_blast.register(incident.group)
    watching.register(alert.group)
    alert_targets.register(alert.group)
    for noun, group in (
        ("capacity", capacity.group),
        ("charter", charter.group),
        ("board", board.group),
        ("containment", containment.group),
        ("people", people.group),
        ("me", me.group),
        ("paper", paper.group),
        ("rights", rights.group),
        ("source", source.group),
        ("dataset", dataset.group),
        ("dlp", dlp.group),
        ("request", request.group),
        ("principal", principal.group),
        ("agent", agent.group),
        ("mcp", agent.server),
        ("entrance", entrance.group),
        ("ingest", ingest.group),
        ("portal", portal.group),
        ("backup", backup.group),
        ("grant", grant.group),
        ("enclave", enclave.group),
        ("federate", federate.group),
        ("artifact", artifact.group),
        ("attack", attack.group),
        ("alert", alert.group),
        ("join", join.group),
        ("audit", auditing.group),
        ("incident", incident.group),
        ("key", key.group),
        ("ledger", ledger.group),
        ("budget", artifact.budget),
        ("evidence", evidence.group),
        ("worker", worker.group),
    ):
        root.add_typer(group, name=noun)
    root.callback()(_options)
    home.register(root)
    migrate.register(root)
    principal.register(root)
    drill.register(root)
    job.register(root)
    return root


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("safehold")
        except PackageNotFoundError:  # run from its sources
            number = "(not installed)"
        typer.echo(f"safehold {number}")
        raise typer.Exit


def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say which version."),
    ] = False,
) -> None:
    """Train AI on how people work, and prove that nothing else happened to the data."""


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    guarded(build())
