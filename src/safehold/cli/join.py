"""``safehold join``: one figure out of two or three houses, whose data never lies in one place."""

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
    existing,
    keeper,
    progress_bar,
    put,
)
from safehold.errors import InvalidError

group = typer.Typer(
    no_args_is_help=True,
    help="Joins: one noisy figure out of several houses, without a table of both.",
)

Purpose = Annotated[str, typer.Option(help="The one purpose, the same in every charter.")]
Stream = Annotated[str, typer.Option(help="The stream of this house.")]
Beside = Annotated[
    list[str], typer.Option(help="A stream of another house; may be given many times.")
]
Measure = Annotated[
    str, typer.Option(help="What is made of each person's rows: presence, rows, days or value.")
]
Metric = Annotated[
    str | None, typer.Option(help="With the measure value: the metric of which the mean is taken.")
]
AtLeast = Annotated[int, typer.Option(help="Leave out who has less.")]
Clamp = Annotated[int, typer.Option(help="The most that one person counts for.")]
Epsilon = Annotated[float, typer.Option(help="What it costs of the purpose's budget, for good.")]
PartyName = Annotated[
    str, typer.Option("--party", help="This house's name, as in its certificate.")
]
Listen = Annotated[str | None, typer.Option(help="host:port to be called at.")]
Cert = Annotated[Path, typer.Option(help="This house's certificate, PEM.")]
CertKey = Annotated[Path, typer.Option("--key", help="Its key, PEM, readable by its owner alone.")]
PeerCA = Annotated[
    list[Path],
    typer.Option(
        "--peer-ca", help="Who signs the other house, or its own certificate; many times."
    ),
]
GrantFile = Annotated[Path | None, typer.Option(help="An approved request for the recipe join.")]


@group.command("psi-sum")
def psi_sum(
    *,
    purpose: Purpose,
    role: Annotated[
        str, typer.Option(help="set: people, or values: a number for each; one house each.")
    ],
    stream: Stream,
    beside: Beside,
    measure: Measure = "presence",
    metric: Metric = None,
    at_least: AtLeast = 0,
    clamp: Clamp,
    epsilon: Epsilon,
    party: PartyName,
    peer: Annotated[str, typer.Option(help="The other house's name, as in its certificate.")],
    listen: Listen = None,
    connect: Annotated[str | None, typer.Option(help="host:port of the other house.")] = None,
    cert: Cert,
    key: CertKey,
    peer_ca: PeerCA,
    grant: GrantFile = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Sum one house's values over the people who are in both; neither learns who they are.

    One house listens, the other connects. Both state the same purpose, clamp and epsilon; clamp is that of the values.
    """
    from safehold.app.joining import address_of

    if (listen is None) == (connect is None):
        raise InvalidError(
            "one house listens, the other connects", rule="cli.options", fix="--listen or --connect"
        )
    order = _order(
        purpose, stream, beside, measure=measure, metric=metric, at_least=at_least, clamp=clamp,
        epsilon=epsilon, party=party,
    )  # fmt: skip
    order["role"] = role
    order["calls"] = {} if connect is None else {peer: list(address_of(connect))}
    order["answers"] = [peer] if connect is None else []
    _run(
        "join.psi-sum", order, home, credentials=(cert, key, peer_ca), listen=listen, grant=grant,
        holder=holder, seats=seats, as_json=as_json,
    )  # fmt: skip


@group.command("sum")
def vector_sum(
    *,
    purpose: Purpose,
    stream: Stream,
    beside: Beside,
    group_by: Annotated[
        str,
        typer.Option(
            "--group", help="One figure for each level, jurisdiction, or value (a histogram)."
        ),
    ],
    measure: Measure = "presence",
    metric: Metric = None,
    at_least: AtLeast = 0,
    clamp: Clamp,
    epsilon: Epsilon,
    party: PartyName,
    listen: Listen = None,
    answer: Annotated[
        list[str] | None, typer.Option(help="A house that calls this one; may be given twice.")
    ] = None,
    connect: Annotated[
        list[str] | None,
        typer.Option(help="NAME=host:port of a house to call; may be given twice."),
    ] = None,
    cert: Cert,
    key: CertKey,
    peer_ca: PeerCA,
    grant: GrantFile = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Sum a vector of each of two or three houses; none learns another's, and each adds its noise."""
    from safehold.app.joining import address_of

    order = _order(
        purpose, stream, beside, measure=measure, metric=metric, at_least=at_least, clamp=clamp,
        epsilon=epsilon, party=party,
    )  # fmt: skip
    order["group"] = group_by
    order["calls"] = {
        name: list(address_of(address))
        for name, _, address in (one.partition("=") for one in connect or ())
    }
    order["answers"] = list(answer or ())
    _run(
        "join.sum", order, home, credentials=(cert, key, peer_ca), listen=listen, grant=grant,
        holder=holder, seats=seats, as_json=as_json,
    )  # fmt: skip


@group.command()
def identity(
    name: Annotated[str, typer.Argument(help="DNS name of this house, lower case.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of certificate and key.")] = Path(),
    days: Annotated[int, typer.Option(help="How long it holds.")] = 365,
    as_json: JsonOption = False,
) -> None:
    """Make a certificate by which other houses know this one; hand the .pem to them, keep the .key."""
    from safehold.app.joining import make_identity

    put(make_identity(name, out, days=days), as_json=as_json)


@group.command()
def rehearse(
    *,
    people: Annotated[int, typer.Option(help="Made-up people in each house.")] = 1_000,
    common: Annotated[
        int | None, typer.Option(help="How many are in both. Default: half of them.")
    ] = None,
    clamp: Clamp = 100,
    epsilon: Annotated[float, typer.Option(help="Epsilon of the session.")] = 1.0,
    min_people: Annotated[int, typer.Option(help="Fewest people in both.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Carry out psi-sum between two processes on made-up people; shows figures, processor time and memory."""
    from safehold.app.joining import rehearse as run

    put(
        run(
            people=people,
            common=people // 2 if common is None else common,
            clamp=clamp,
            epsilon_micro=round(epsilon * 1e6),
            least=min_people,
        ),
        as_json=as_json,
    )


def _order(
    purpose: str, stream: str, beside: list[str], *, epsilon: float, **more: Any
) -> dict[str, Any]:
    return {
        "purpose": purpose,
        "stream": stream,
        "beside": list(beside),
        "epsilon_micro": round(epsilon * 1e6),
        **more,
    }


def _run(
    verb: str,
    order: dict[str, Any],
    home: Path,
    *,
    credentials: tuple[Path, Path, list[Path]],
    listen: str | None,
    grant: Path | None,
    holder: Path | None,
    seats: Path | None,
    as_json: bool,
) -> None:
    from safehold.app.grants import demand_pass
    from safehold.app.joining import credentials_of, join

    certificate, key, authorities = credentials
    order["credentials"] = credentials_of(
        existing(certificate), existing(key), [existing(one) for one in authorities]
    )
    with keeper(home) as client, progress_bar("joining", quiet=as_json) as progress:
        permit = demand_pass(
            client, home, purpose=order["purpose"], recipe="join", grant=grant, holder=holder,
            seats=seats,
        )  # fmt: skip
        put(join(client, permit, verb, order, listen=listen, progress=progress), as_json=as_json)
