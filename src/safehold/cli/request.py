"""``safehold request``: ask for a use of data, see how far it reaches, approve or deny it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    Key,
    Seat,
    existing,
    keeper,
    put,
    say,
)

group = typer.Typer(no_args_is_help=True, help="Requests: ask, list, show, approve, deny.")

Named = Annotated[str, typer.Argument(help="The request file, or the request's id.")]


@group.command()
def new(
    file: Annotated[Path, typer.Argument(help="Where the request goes.")],
    *,
    requester: Annotated[str, typer.Option(help="Who asks.")],
    purpose: Annotated[str, typer.Option(help="The one purpose, from the charter.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence; a ticket number.")],
    holder: Annotated[Path, typer.Option(help="The holder's key file; made if it does not exist.")],
    minutes: Annotated[
        int, typer.Option(min=1, help="How long it may be used, from when it is enacted.")
    ] = 60,
    recipe: Annotated[
        str,
        typer.Option(
            help="train, feature, reidentify, membership, pull, code (own script), sql, join, embed(.near, .head)."
        ),
    ] = "train",
    script: Annotated[
        Path | None,
        typer.Option(help="The script that is to run, and no other; with --recipe code."),
    ] = None,
    agreement: Annotated[
        Path | None,
        typer.Option(help="The agreement of the houses, and no other; with --recipe federate."),
    ] = None,
    role: Annotated[str, typer.Option(help="The role that asks.")] = "data_scientist",
    column: Annotated[
        list[str] | None,
        typer.Option(help="stream.column, many times. Default: all that the recipe reads."),
    ] = None,
    place: Annotated[
        list[str] | None,
        typer.Option(help="Only people of this jurisdiction; may be given many times."),
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="Only these people: a file of opaque ids, one a line.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Most runs.")] = 3,
    rows: Annotated[int, typer.Option(min=1, help="Most rows of all runs.")] = 1_000_000_000,
    out_bytes: Annotated[
        int, typer.Option("--bytes", min=0, help="Most bytes out of all runs.")
    ] = 64_000_000,
    per_hour: Annotated[int, typer.Option(min=1, help="Most runs in any hour.")] = 3,
    epsilon: Annotated[
        float | None,
        typer.Option(min=0, help="Most epsilon of all runs. Default: what the runs cost."),
    ] = None,
    break_glass: Annotated[
        bool,
        typer.Option(
            "--break-glass",
            help="An emergency, if the charter knows any: one segment, one run, minutes, and an incident.",
        ),
    ] = False,
    segment: Annotated[
        str | None, typer.Option(help="Only this segment, such as us-ca.feature.")
    ] = None,
    query: Annotated[
        Path | None, typer.Option(help="A query file: only this query; --recipe sql: any query.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Ask for a use, for one holder, one purpose and one recipe; the keeper says how far it reaches."""
    from safehold.access.code import read_code
    from safehold.app.draft import Limits
    from safehold.app.grants import ask, people_of

    limits = Limits(
        runs=runs,
        rows=rows,
        out_bytes=out_bytes,
        per_hour=per_hour,
        epsilon_micro=None if epsilon is None else round(epsilon * 1e6),
    )
    chosen = people_of(place or (), None if people is None else existing(people))
    if query is not None or recipe == "sql":
        from safehold.app.query import Ask, ask_query, read_file

        asked = Ask(
            requester=requester,
            purpose=purpose,
            reason=reason,
            minutes=minutes,
            query=None if query is None else read_file(existing(query)),
            role=role,
            columns=column or (),
            limits=limits,
        )
        with keeper(home) as client:
            answer = ask_query(client, home, file, asked, holder=holder, people=chosen)
        put(answer, as_json=as_json)
        return
    if agreement is not None or recipe == "federate":
        from safehold.app.federate import recipe_of

        recipe = recipe_of(None if agreement is None else existing(agreement))
    with keeper(home) as client:
        answer = ask(
            client,
            home,
            file,
            holder=holder,
            people=chosen,
            requester=requester,
            purpose=purpose,
            reason=reason,
            minutes=minutes,
            recipe=recipe if script is None else "code",
            role=role,
            columns=column or (),
            limits=limits,
            break_glass=break_glass,
            segment=segment,
            script=None if script is None else read_code(existing(script)),
        )
    put(answer, as_json=as_json)


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the requests, newest first, with what each seat said."""
    with keeper(home) as client:
        put(client.call("request.list"), as_json=as_json)


@group.command()
def show(request: Named, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show a request, its price, and who decided; of a file, what the file says."""
    from safehold.app.requests import show_paper

    if Path(request).is_file():
        put(show_paper(Path(request)), as_json=as_json)
        return
    with keeper(home) as client:
        put(client.call("request.show", request=request), as_json=as_json)


@group.command()
def approve(
    request: Named,
    *,
    seat: Seat,
    key: Key,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Approve as one seat: into the file, or before the keeper. The signature covers request and price."""
    from safehold.app.requests import decide, sign_paper

    if Path(request).is_file():
        sign_paper(home, Path(request), seat=seat, key=existing(key))
        say(f"approved as {seat}")
        return
    with keeper(home) as client:
        put(
            decide(client, home, request, seat=seat, key=existing(key), decision="approve"),
            as_json=as_json,
        )


@group.command()
def deny(
    request: Named,
    *,
    seat: Seat,
    key: Key,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Deny as one seat, before the keeper; that ends the request for ever."""
    from safehold.app.requests import decide

    with keeper(home) as client:
        put(
            decide(client, home, request, seat=seat, key=existing(key), decision="deny"),
            as_json=as_json,
        )
