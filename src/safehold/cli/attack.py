"""``safehold attack``: try on data what somebody who wants to know more would try."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import JsonOption, existing, progress_bar, put, say

group = typer.Typer(
    no_args_is_help=True, help="Attacks: measure how well people are recognised in protected data."
)


@group.command()
def reidentify(
    source: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of telemetry, or folders of such files.", show_default=False),
    ] = None,
    *,
    made_up: Annotated[
        int | None, typer.Option(help="Attack this many made-up people instead.")
    ] = None,
    days: Annotated[int, typer.Option(help="Days of the made-up people.")] = 2,
    pace: Annotated[int, typer.Option(help="Events a made-up person makes a day.")] = 3_200,
    mapping: Annotated[
        list[str] | None,
        typer.Option(help="Mapping of each file in turn. Default: recognised by its columns."),
    ] = None,
    level: Annotated[
        list[str] | None, typer.Option(help="A level, L0 to L4. Default: L0 to L3.")
    ] = None,
    attacker: Annotated[
        list[str] | None,
        typer.Option(help="profile, discriminant, forest, encoder or fused. Default: all."),
    ] = None,
    cap: Annotated[
        int | None, typer.Option(help="Most events a pseudonym holds: the length of a probe.")
    ] = None,
    enrol: Annotated[
        int | None, typer.Option(help="Most events of a person that the attacker knows before.")
    ] = None,
    charter: Annotated[
        Path | None, typer.Option(help="Check its gates. Default: those of the shipped example.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed measures the same again.")] = 1,
    steps: Annotated[int, typer.Option(help="Steps the encoder is trained for.")] = 1_000,
    picture: Annotated[
        Path | None, typer.Option(help="Draw risk beside utility into this SVG file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Recognise people in what each level leaves, and check the charter's gate on the upper bound.

    Exit code 1 when a gate fails, or when there are too few people to say that it passes.
    """
    from safehold.app.attack import reidentify as measure

    with progress_bar("re-identification", quiet=as_json) as progress:
        result = measure(
            [existing(one) for one in source or ()],
            mappings=mapping or (),
            made_up=made_up,
            days=days,
            pace=pace,
            levels=level or ("L0", "L1", "L2", "L3"),
            attackers=attacker or (),
            cap=cap,
            enrol=enrol,
            charter=charter,
            seed=seed,
            steps=steps,
            picture=picture,
            progress=progress,
        )
    if as_json:
        put(result, as_json=True)
    else:
        _show(result)
    if result["outcome"] not in {"passed", "no gate"}:
        raise typer.Exit(1)


def _show(result: dict[str, Any]) -> None:
    """Print one line a level: who recognises how many, how sure that is, and what the level is good for."""
    for one in result["found"]:
        worst, verdict, use = one["worst"], one["verdict"], one["utility"]
        print(
            f"{one['stream']} {one['level']}: {worst['rank1']:.1%} of {one['people']} people"
            f" (at most {one['upper']:.1%}, by {worst['attacker']};"
            f" among ten {worst['rank10']:.1%}; equal error {worst['eer']:.1%};"
            f" {one['events']['probe']} events)"
        )
        if use is not None:
            low, high = use["interval"]
            print(f"  useful: {use['value']:.3f} [{low:.3f}, {high:.3f}] {use['task']}")
        if verdict is not None:
            print(
                f"  gate {verdict['gate']} at most {verdict['must_be']:.1%}: {verdict['state']}"
                f" (needs {verdict['fewest_people']} people)"
            )
    say("\n".join(f"limit: {line}" for line in result["limits"]))
