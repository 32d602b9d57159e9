"""``safehold evidence``: what shows that promises are kept, and obligations met."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    existing,
    keeper,
    progress_bar,
    put,
    say,
)

group = typer.Typer(no_args_is_help=True, help="Evidence: promises, obligations, bundles.")


@group.callback()
def evidence() -> None:
    """Evidence: promises, obligations, bundles."""


@group.command()
def milestones(
    *,
    measure: Annotated[bool, typer.Option("--measure", help="Measure every promise now.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Show every measurement of every promise.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option(help="With --history: also draw it, to this new file.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show each promise of the charter with its newest measurement; exit 1 if one is broken."""
    with keeper(home) as client:
        found = client.call("milestones", measure=measure)["milestones"]
        past = client.call("evidence.history") if history else None
    if past is None:
        put({"promises": found}, as_json=as_json)
    else:
        if svg is not None:
            with svg.open("x", encoding="utf-8") as file:
                file.write(past["svg"])
        put({"promises": past["promises"]}, as_json=as_json)
    if any(one["state"] == "broken" for one in found):
        raise typer.Exit(1)


@group.command()
def controls(
    *,
    framework: Annotated[
        str | None, typer.Option(help="Only this framework, such as gdpr or nist-800-207.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure every promise first.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show every obligation with its state and why; exit 1 if one is not satisfied."""
    with keeper(home) as client:
        found = client.call("evidence.controls", measure=measure, framework=framework)
    if as_json:
        put(found, as_json=True)
    else:
        _show(found)
    if any(row["state"] == "not-satisfied" for row in found["controls"]):
        raise typer.Exit(1)


@group.command()
def build(
    *,
    out: Annotated[Path, typer.Option(help="A new folder; an archive is written beside it.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Measure every promise, and build one bundle that an auditor checks offline."""
    from safehold.app.evidence.client import build as make

    with keeper(home) as client, progress_bar("building", quiet=as_json) as show:
        said = make(client, out, progress=show)
    put({key: value for key, value in said.items() if key != "limits"}, as_json=as_json)
    if not as_json:
        say("\n".join(f"limit: {line}" for line in said["limits"]))


@group.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The folder, or its archive.")],
    *,
    policy: Annotated[Path, typer.Option(help="Whose word counts; from outside the bundle.")],
    head: Annotated[list[Path] | None, typer.Option(help="A head that was kept outside.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle with the offline verifier; needs no home and no keeper."""
    from safehold.app.evidence.client import verify as check
    from safehold_verify.evidence import tell_evidence

    report = check(existing(bundle), existing(policy), [existing(one) for one in head or []])
    if as_json:
        put({"ok": True, **report.payload()}, as_json=True)
    else:
        print("\n".join(tell_evidence(report)))


def _show(found: Mapping[str, Any]) -> None:
    from safehold.assurance.evidence.table import controls as table

    signs = {"satisfied": "ok ", "not-satisfied": "NO ", "not-measured": " ? "}
    for one in table(found):
        told = ", ".join(f"{number} {state}" for state, number in one["counts"].items())
        sys.stdout.write(f"{one['title']}\n  {told}\n")
        for row in one["rows"]:
            people = " (people decide)" if row["people_decide"] else ""
            sys.stdout.write(
                f"  {signs[row['state']]} {row['clause']}{people}: {row['demands']}\n"
                f"       {' '.join(row['controls'])}: {row['reason']}\n"
            )
    say("\n".join(f"limit: {line}" for line in found["limits"]))
