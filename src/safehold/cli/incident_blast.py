"""``safehold incident blast`` and ``incident reached``: how far an incident reaches, and whose data it was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put
from safehold.errors import InvalidError

GrantOption = Annotated[
    str, typer.Option(help="Id of a stolen grant; what descends from it belongs to it.")
]
CapabilityOption = Annotated[
    str, typer.Option(help="Revocation id of a block of a stolen capability.")
]
PrincipalOption = Annotated[str, typer.Option(help="Id of a person, a workload or an agent.")]
KeyOption = Annotated[
    str,
    typer.Option(help="A leaked key: SEGMENT, SEGMENT/EPOCH, @person/NAME, @mint or @root."),
]
SegmentOption = Annotated[str, typer.Option(help="A segment, such as us-ca.key.")]
ArtifactOption = Annotated[str, typer.Option(help="Id of a model or a dataset.")]
SinceOption = Annotated[
    str | None, typer.Option("--from", help="From when, such as 2026-11-02T09:00:00, in UTC.")
]
UntilOption = Annotated[str | None, typer.Option("--to", help="Until when.")]


def register(group: typer.Typer) -> None:
    """Add the commands to the group of incidents."""
    group.command()(blast)
    group.command()(reached)


def blast(
    *,
    grant: GrantOption = "",
    capability: CapabilityOption = "",
    principal: PrincipalOption = "",
    key: KeyOption = "",
    segment: SegmentOption = "",
    artifact: ArtifactOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
    svg: Annotated[Path | None, typer.Option(help="New file for a picture of it.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show how far an incident reaches: what was opened, and apart from it what could have been.

    Several options at once mean what they have in common. Of real people numbers are told in tens, and none below
    the charter's floor. The question itself becomes an entry of the ledger.
    """
    from safehold.app.blast import write_picture

    target = _target(
        since,
        until,
        grant=grant,
        capability=capability,
        principal=principal,
        key=key,
        segment=segment,
        artifact=artifact,
    )
    with keeper(home) as client:
        answer = client.call("incident.blast", target=target)
    if svg is not None:
        write_picture(svg, answer)
    if as_json:
        put(answer, as_json=True)
        return
    from safehold.incident.blast_picture import draw_blast_tree

    for line in draw_blast_tree(answer):
        put(line, as_json=False)


def reached(
    *,
    grant: GrantOption = "",
    capability: CapabilityOption = "",
    principal: PrincipalOption = "",
    key: KeyOption = "",
    segment: SegmentOption = "",
    artifact: ArtifactOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
    reason: Annotated[str, typer.Option(help="Why they must be known, in a sentence.")] = "",
    open_with: Annotated[
        Path | None, typer.Option(help="Key file of whoever opens the list.")
    ] = None,
    paper: Annotated[
        Path | None, typer.Option(help="File of the order, which goes from seat to seat.")
    ] = None,
    seat: Annotated[str | None, typer.Option(help="Your seat on the board.")] = None,
    seat_key: Annotated[Path | None, typer.Option(help="Your seat's key file.")] = None,
    out: Annotated[Path | None, typer.Option(help="File of the sealed list.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Find out whose data it was: an order that the seat for privacy and another one sign, and a sealed list.

    Draw it up with what it is about, --reason, --open-with and --paper; sign it with --seat and --seat-key; hand it in
    with --paper and --out; read the list with --out and --open-with. Everybody on it finds that in their own trail.
    """
    from safehold.app import blast as orders
    from safehold.settings import Home
    from safehold.signing import SigningKey

    match (paper, seat, seat_key, out, open_with):
        case (Path() as file, None, None, None, Path() as opener) if reason:
            target = _target(
                since,
                until,
                grant=grant,
                capability=capability,
                principal=principal,
                key=key,
                segment=segment,
                artifact=artifact,
            )
            told = orders.draw_up(
                Home.open(home).id, target, reason=reason, opener=existing(opener)
            )
            put(orders.put_paper(file, told), as_json=as_json)
        case (Path() as file, str() as name, Path() as mine, None, None):
            told = orders.read_paper(file)
            signed = orders.sign(told, seat=name, key=SigningKey.read(existing(mine)))
            put(orders.put_paper(file, signed), as_json=as_json)
        case (Path() as file, None, None, Path() as place, None):
            with keeper(home) as client:
                answer = client.call("incident.reached", **orders.read_paper(file))
            put(orders.keep_list(answer, place), as_json=as_json)
        case (None, None, None, Path() as place, Path() as opener):
            put(orders.open_list(existing(place), existing(opener)), as_json=as_json)
        case _:
            raise InvalidError(
                "draw up, sign or hand in an order, or read a list",
                rule="cli.options",
                fix="--reason, --open-with and --paper; or --paper, --seat and --seat-key; or --paper and --out;"
                " or --out and --open-with",
            )


def _target(since: str | None, until: str | None, **texts: str) -> dict[str, str | int]:
    from safehold.app.moment import moment_us

    target: dict[str, str | int] = {name: text for name, text in texts.items() if text}
    if since is not None:
        target["since_us"] = moment_us(since, field="from")
    if until is not None:
        target["until_us"] = moment_us(until, field="to")
    return target
