"""``safehold federate``: several houses train one model, and each keeps its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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

group = typer.Typer(
    no_args_is_help=True, help="Federation: train one model over several houses; no row leaves any."
)
AgreementOption = Annotated[Path, typer.Option(help="The agreement of all houses.")]


@group.command()
def card(
    name: Annotated[str, typer.Argument(help="What the others call this house.")],
    *,
    key: Annotated[Path, typer.Option(help="The node's key; made if it is not there.")],
    out: Annotated[Path, typer.Option(help="The new file.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write down what an agreement says of this house: two public keys."""
    import orjson

    from safehold.app.federate import silo_card
    from safehold.vault import durable

    with keeper(home) as client:
        made = silo_card(client, name, key)
    durable.write_new(out, orjson.dumps(made))
    put({"card": str(out), "name": name}, as_json=as_json)


@group.command()
def draft(
    cards: Annotated[list[Path], typer.Argument(help="The cards of all houses.")],
    *,
    out: Annotated[Path, typer.Option(help="The new file.")],
    key: Annotated[Path, typer.Option(help="The coordinator's signing key; made if missing.")],
    certificate: Annotated[Path, typer.Option(help="The coordinator's TLS certificate.")],
    people: Annotated[int, typer.Option(help="About how many people train in all.")],
    honest: Annotated[int, typer.Option(help="Silos whose noise counts.")],
    colluding: Annotated[int, typer.Option(help="Silos that may help the coordinator.")] = 0,
    epsilon: Annotated[float, typer.Option(help="Epsilon of the whole run.")] = 4.0,
    delta: Annotated[float, typer.Option(help="Delta of the whole run.")] = 1e-6,
    steps: Annotated[int, typer.Option(help="Sums that may be seen, lost ones among them.")] = 40,
    checks: Annotated[int, typer.Option(help="How often held-out people judge the model.")] = 2,
    held_out: Annotated[float, typer.Option(help="Share of people who only judge.")] = 0.2,
    sampling: Annotated[float, typer.Option(help="Chance of a person to be in a step.")] = 1.0,
    clip: Annotated[float, typer.Option(help="Longest part of one person.")] = 0.1,
    rate: Annotated[float, typer.Option(help="Step size.")] = 4.0,
    worse: Annotated[float, typer.Option(help="By how much a model may be worse.")] = 0.1,
    purpose: Annotated[str, typer.Option(help="The one purpose.")] = "train_ui_agent",
    synthetic: Annotated[bool, typer.Option(help="The people are made up.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw up an agreement with the least noise that keeps its promise; each house reads and accepts it."""
    import orjson

    from safehold.app.federate import draft_agreement, promise
    from safehold.vault import durable

    made = draft_agreement(
        cards,
        purpose=purpose,
        key=key,
        certificate=certificate,
        synthetic=synthetic,
        epsilon_micro=round(epsilon * 1e6),
        delta_e12=round(delta * 1e12),
        steps=steps,
        checks=checks,
        sampling_ppm=round(sampling * 1e6),
        held_out_ppm=round(held_out * 1e6),
        clip_micro=round(clip * 1e6),
        rate_micro=round(rate * 1e6),
        actions_per_person=64,
        people=people,
        honest=honest,
        colluding=colluding,
        worse_ppm=round(worse * 1e6),
    )
    durable.write_new(out, orjson.dumps(dict(made.tree), option=orjson.OPT_INDENT_2))
    told = {"agreement": made.digest(), "least_silos": made.least, "promise": promise(made)}
    put(told, as_json=as_json)


@group.command()
def node(
    name: Annotated[str, typer.Argument(help="This house in the agreement.")],
    *,
    agreement: AgreementOption,
    coordinator: Annotated[str, typer.Option(help="Where it listens: host:port.")],
    ca: Annotated[Path, typer.Option(help="The authority of its certificate.")],
    key: Annotated[Path, typer.Option(help="The node's key.")],
    grant: Annotated[Path | None, typer.Option(help="An approved request.")] = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Take part: each step is a release of this home's keeper, and what leaves it is masked."""
    from safehold.app.draft import Limits
    from safehold.app.federate import read_agreement, run_node
    from safehold.app.grants import demand_pass
    from safehold.app.permit import Pass

    agreed = read_agreement(agreement)
    runs = agreed.numbers["steps"] + agreed.numbers["checks"] + 2  # and to join, and to end
    with keeper(home) as client:

        def permit() -> Pass:
            return demand_pass(
                client,
                home,
                purpose=agreed.purpose,
                grant=grant,
                holder=holder,
                seats=seats,
                recipe=agreed.recipe,
                limits=Limits(runs=runs, per_hour=runs),
            )

        run_node(
            client,
            permit(),
            agreement=agreed,
            name=name,
            coordinator=coordinator,
            ca=ca,
            key=key,
            renew=None if grant is None else permit,
            ready=lambda: typer.echo("connected", err=True),
        )


@group.command()
def run(
    *,
    agreement: AgreementOption,
    key: Annotated[Path, typer.Option(help="The coordinator's signing key.")],
    certificate: Annotated[Path, typer.Option(help="Its TLS certificate.")],
    tls_key: Annotated[Path, typer.Option(help="The key of that certificate.")],
    out: Annotated[Path, typer.Option(help="Folder of the state, the model and its statement.")],
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for any.")] = 9092,
    step_seconds: Annotated[float, typer.Option(help="How long a step may take.")] = 600.0,
    patience: Annotated[float, typer.Option(help="How long to wait for all silos.")] = 120.0,
    as_json: JsonOption = False,
) -> None:
    """Coordinate: order the steps and add up what is masked. Run it again after a crash; it goes on."""
    from safehold.app.federate import read_agreement, run_coordinator

    with progress_bar("steps", quiet=as_json) as progress:
        made = run_coordinator(
            read_agreement(agreement),
            key=key,
            certificate=certificate,
            tls_key=tls_key,
            host=host,
            port=port,
            out=out,
            step_s=step_seconds,
            patience_s=patience,
            progress=lambda done, of: progress({"done": done, "of": of}),
            listening=lambda at: typer.echo(f"listening on {host}:{at}", err=True),
        )
    put(made, as_json=as_json)
