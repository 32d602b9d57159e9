"""``safehold attack``: try on data what somebody who wants to know more would try."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.audit import audit
from safehold.cli.surface import (
    DEFAULT_HOME,
    GrantSeatsOption,
    HolderOption,
    HomeOption,
    JsonOption,
    existing,
    keeper,
    progress_bar,
    put,
    say,
)

group = typer.Typer(
    no_args_is_help=True, help="Attacks: measure how well people are recognised in protected data."
)
group.command()(audit)


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


@group.command()
def dataset(
    name: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="Its id. Default: the newest.")
    ] = None,
    *,
    purpose: Annotated[str, typer.Option(help="A purpose of the dataset.")] = "train_ui_agent",
    grant: Annotated[
        Path | None, typer.Option(help="An approved request for the recipe reidentify.")
    ] = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Attack the keys and pointer that a dataset of the home was made from, in a sandbox, with every attacker.

    The result is a leaf for each gate on re-identification. Exit code 1 unless every one of them passed.
    """
    from safehold.app.grants import demand_pass

    with keeper(home) as client, progress_bar("attacking", quiet=as_json) as progress:
        permit = demand_pass(
            client,
            home,
            purpose=purpose,
            recipe="reidentify",
            grant=grant,
            holder=holder,
            seats=seats,
        )
        result = permit.attack(client, purpose, name, progress)
    if as_json:
        put(result, as_json=True)
    else:
        for one in result["gates"]:
            _tell(one)
    if any(one["state"] != "passed" for one in result["gates"]):
        raise typer.Exit(1)


@group.command()
def membership(
    artifact: Annotated[str, typer.Argument(help="Id of the model.")],
    *,
    purpose: Annotated[str, typer.Option(help="Purpose of the grant.")] = "train_ui_agent",
    grant: Annotated[Path | None, typer.Option(help="An approved request.")] = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Attack a model: was somebody in its training set? In a sandbox, with eight shadow models.

    The result is a leaf for each gate on membership. Exit code 1 unless every one of them passed; the model lies in
    quarantine then.
    """
    from safehold.app.grants import demand_pass
    from safehold.keeper.recipes import TRIAL_VERB

    with keeper(home) as client, progress_bar("attacking", quiet=as_json) as progress:
        permit = demand_pass(
            client,
            home,
            purpose=purpose,
            recipe="membership",
            grant=grant,
            holder=holder,
            seats=seats,
        )
        result = client.call(
            TRIAL_VERB,
            progress=progress,
            artifact=artifact,
            purpose=purpose,
            **permit.prove(client, TRIAL_VERB, purpose),
        )
    _tell_model(result, as_json=as_json)


@group.command()
def canary(
    artifact: Annotated[str, typer.Argument(help="Id of the model.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Attack a model: does it give away the sequences that were planted in its training? Opens nobody's rows.

    The result is a leaf for each gate on canaries. Exit code 1 unless every one of them passed; the model lies in
    quarantine then.
    """
    with keeper(home) as client:
        result = client.call("attack.canary", artifact=artifact)
    _tell_model(result, as_json=as_json)


def _tell_model(result: dict[str, Any], *, as_json: bool) -> None:
    """Print how a model stands before each gate, with the power of the attack."""
    if as_json:
        put(result, as_json=True)
    else:
        for one in result["gates"]:
            figure = f"{one['micro'] / 1e6:.3f}, at most {one['upper'] / 1e6:.3f}"
            print(
                f"{one['gate']}: {figure} (must be {one['op']} {one['bound'] / 1e6:g}): {one['state']}"
            )
            print(f"  power: {one['power']}")
        print(f"{result['artifact']}: {result['state']}")
    if not result["gates"]:
        say("the charter has no gate on this attack, so it decides nothing")
    if any(one["state"] != "passed" for one in result["gates"]):
        raise typer.Exit(1)


@group.command()
def gates(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show how each dataset of the home stands before each gate: passed, failed, unmeasured or stale."""
    with keeper(home) as client:
        answer = client.call("gate.list")
    if as_json:
        put(answer, as_json=True)
        return
    for gate in answer["gates"]:
        print(f"{gate['dataset']}  {gate['gate']} {gate['must_be']}: {gate['state']}")
        for one in gate["measured"]:
            _tell(one)


def _tell(one: dict[str, Any]) -> None:
    """Print one result: who was recognised how often, how sure that is, and what follows."""
    if one["stream"] == "embedding":
        figure = f"{one['top1']:g}, at most {one['upper']:g}" if "upper" in one else "no figure"
        print(
            f"  {one['gate']} vectors: {figure} of {one['people']} people (must be {one['must_be']:g},"
            f" needs {one['fewest']} people): {one['state']}  entry {one['entry']}"
        )
        return
    figure = f"{one['top1']:.1%}, at most {one['upper']:.1%}" if "upper" in one else "no figure"
    print(
        f"  {one['gate']} {one['stream']} {one['level']}: {figure} of {one['people']} people"
        f" (must be {one['must_be']:.1%}, needs {one['fewest']} people): {one['state']}"
        f"  entry {one['entry']}"
    )


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
