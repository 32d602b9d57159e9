"""``safehold audit``: the independent audit, from the engagement to the last finding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put
from safehold.errors import InvalidError

group = typer.Typer(
    no_args_is_help=True,
    help="The independent audit: engage, hand out, hear, answer. An overdue one tightens access by itself.",
)

Paper = Annotated[Path, typer.Argument(help="The paper that goes from seat to seat.")]
Number = Annotated[int, typer.Argument(help="The engagement: its entry.", min=0)]
SeatOption = Annotated[str | None, typer.Option("--seat", help="Your seat on the board.")]
KeyOption = Annotated[Path | None, typer.Option("--key", help="Your seat's key file.")]
HandIn = Annotated[bool, typer.Option("--hand-in", help="Hand it in with all its signatures.")]


@group.command()
def engage(
    paper: Paper,
    *,
    auditor: Annotated[
        Path | None,
        typer.Option(help="Draw it up: public file of the auditor, by `safehold-verify auditor`."),
    ] = None,
    organisation: Annotated[str, typer.Option(help="Whose auditor it is.")] = "",
    lead: Annotated[str, typer.Option(help="Id of the person who leads the audit; sealed.")] = "",
    days: Annotated[int, typer.Option(help="How long it lasts, in days.", min=1)] = 60,
    control: Annotated[
        list[str] | None, typer.Option(help="A control in the scope. Default: all.")
    ] = None,
    seat: SeatOption = None,
    key: KeyOption = None,
    handed: HandIn = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Engage an auditor: draw the order up, sign it, hand it in. It takes what widening takes."""
    from safehold.app.auditing import draw_engagement

    told: dict[str, Any] = {}
    if auditor is not None:
        with keeper(home) as client:
            told = draw_engagement(
                client,
                home,
                paper,
                seat=_named(seat),
                auditor=existing(auditor),
                organisation=organisation,
                lead=lead,
                days=days,
                controls=control or (),
            )
    put(_go_on(told, paper, seat, key, handed=handed, home=home), as_json=as_json)


@group.command()
def dismiss(
    paper: Paper,
    *,
    engagement: Annotated[
        int | None, typer.Option(help="Draw it up: entry of the engagement that ends.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; sealed.")] = "",
    seat: SeatOption = None,
    key: KeyOption = None,
    handed: HandIn = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """End an engagement before its opinion. It takes what widening takes, and postpones nothing."""
    from safehold.app.auditing import draw_dismissal

    told: dict[str, Any] = {}
    if engagement is not None:
        told = draw_dismissal(home, paper, seat=_named(seat), engagement=engagement, reason=reason)
    put(_go_on(told, paper, seat, key, handed=handed, home=home), as_json=as_json)


@group.command()
def papers(
    engagement: Number,
    *,
    out: Annotated[Path, typer.Option(help="A new folder.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write what the auditor gets: the order, what the keeper counted, and each epoch, sealed to them."""
    from safehold.app.auditing import write_papers

    with keeper(home) as client:
        put(write_papers(client, engagement, out), as_json=as_json)


@group.command()
def hear(
    word: Annotated[Path, typer.Argument(help="What the auditor signed: `safehold-verify word`.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hand in a word of the auditor: that they begin, a finding, the opinion, that a finding is closed."""
    from safehold.app.auditing import read_word

    with keeper(home) as client:
        put(client.call("audit.hear", word=read_word(existing(word))), as_json=as_json)


@group.command()
def answer(
    finding: Annotated[int, typer.Argument(help="The finding: its entry.", min=0)],
    *,
    text: Annotated[str, typer.Option("--text", help="What was done; sealed.")],
    evidence: Annotated[
        list[int], typer.Option(help="Entry of the ledger that shows it; may come again.")
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Answer a finding, with the entries that show what was done. Only an auditor closes it."""
    with keeper(home) as client:
        put(
            client.call("audit.answer", finding=finding, text=text, evidence=evidence),
            as_json=as_json,
        )


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the engagements with their findings, newest first."""
    with keeper(home) as client:
        put(client.call("audit.list"), as_json=as_json)


@group.command()
def show(
    engagement: Number, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Show one engagement: who was engaged, by which seats, and every finding with its texts."""
    with keeper(home) as client:
        put(client.call("audit.show", engagement=engagement), as_json=as_json)


@group.command()
def due(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Say when the next audit is due and what is tightened because of it; exit 1 if something is."""
    with keeper(home) as client:
        told = client.call("audit.due")
    put(told, as_json=as_json)
    if told["step"] != "in_time":
        raise typer.Exit(1)


def _go_on(
    told: dict[str, Any],
    paper: Path,
    seat: str | None,
    key: Path | None,
    *,
    handed: bool,
    home: Path,
) -> dict[str, Any]:
    """Sign a paper if a key is given, and hand it in if that is wanted."""
    from safehold.app.auditing import hand_in, sign_paper

    if key is not None:
        told = sign_paper(existing(paper), seat=_named(seat), key=existing(key))
    if handed:
        with keeper(home) as client:
            told = hand_in(client, existing(paper))
    if not told:
        raise InvalidError(
            "nothing to do",
            rule="cli.paper",
            fix="draw it up, or give --seat and --key, or --hand-in",
        )
    return told


def _named(seat: str | None) -> str:
    if seat is None:
        raise InvalidError("a seat draws this up, and signs it", rule="cli.seat", fix="give --seat")
    return seat
