"""``safehold incident``: what one owes: clocks, notices, letters, the root cause, what to do, the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.incident_surface import KeyOption, Number, SeatOption, Text, sign_as
from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put
from safehold.errors import InvalidError


def register(group: typer.Typer) -> None:
    """Add the commands to the group of incidents."""
    group.command()(clock)
    group.command()(notice)
    group.command()(letters)
    group.command()(cause)
    group.command()(action)
    group.command()(report)


def clock(
    incident: Number,
    *,
    since: Annotated[
        str | None,
        typer.Option(help="Somebody knew earlier: since when, such as 2026-11-26T09:30."),
    ] = None,
    text: Annotated[str, typer.Option("--text", help="How that is known; sealed.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the clocks: due, late, met. None can be paused or set back; exit 1 if one is late."""
    from safehold.app.moment import moment_us

    with keeper(home) as client:
        if since is not None:
            client.call(
                "incident.aware",
                incident=incident,
                since_us=moment_us(since, field="since"),
                text=text,
            )
        told = client.call("incident.clock", incident=incident)
    put(told, as_json=as_json)
    if any(one["state"] == "late" for one in told["clocks"]):
        raise typer.Exit(1)


def notice(
    incident: Number,
    name: Annotated[str, typer.Argument(help="authority, people, board, regulator or attorney.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the draft to a file.")] = None,
    sent: Annotated[
        Path | None, typer.Option(help="It was sent: the file; of people, the sealed list.")
    ] = None,
    not_needed: Annotated[str, typer.Option(help="It is not needed: why; sealed.")] = "",
    seat: SeatOption = None,
    key: KeyOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Draft a notice; or say, as the seat of privacy or of law, that it was sent or is not needed."""
    from safehold.app.incidents import hash_of

    if sent is not None and not_needed:
        raise InvalidError("it was sent, or it is not needed", rule="cli.notice")
    with keeper(home) as client:
        if sent is not None or not_needed:
            said = {"notice": name, "decision": "sent" if sent is not None else "not_needed"}
            said |= {"sha256": hash_of(existing(sent))} if sent is not None else {"why": not_needed}
            put(sign_as(client, home, incident, "notice", said, seat, key), as_json=as_json)
            return
        told = client.call("incident.draft", incident=incident, notice=name)
    if out is not None:
        out.write_text(told["text"], encoding="utf-8")
        put({"incident": incident, "notice": name, "file": str(out)}, as_json=as_json)
    elif as_json:
        put(told, as_json=True)
    else:
        typer.echo(told["text"], nl=False)


def letters(
    incident: Number,
    *,
    paper: Annotated[Path, typer.Option(help="The paper that two seats sign.")],
    seat: SeatOption = None,
    key: KeyOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Hand it in, and write the sealed list and letters here.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Draw up who is to be told, and a letter to each: sealed to the privacy seat, which signs first, then another."""
    from safehold.app.incidents import draw_letters, sign_letters

    with keeper(home) as client:
        told: dict[str, Any] = {}
        if seat is not None and key is not None:
            told = sign_letters(client, home, incident, paper, seat=seat, key=existing(key))
        elif out is None:
            raise InvalidError("a seat signs this", rule="cli.seat", fix="give --seat and --key")
        if out is not None:
            told |= draw_letters(client, incident, existing(paper), out)
        put(told, as_json=as_json)


def cause(
    incident: Number,
    file: Annotated[Path, typer.Argument(help="The text of the root cause.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Publish the root cause: its hash in the clear, its text sealed."""
    text = existing(file).read_text(encoding="utf-8")
    with keeper(home) as client:
        put(client.call("incident.cause", incident=incident, text=text), as_json=as_json)


def action(
    incident: Number,
    *,
    text: Text,
    done: Annotated[int | None, typer.Option(help="Entry of the action that is done.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write down something to do, or that it is done."""
    with keeper(home) as client:
        put(
            client.call("incident.action", incident=incident, text=text, done=done), as_json=as_json
        )


def report(
    incident: Number,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report, its picture and its proofs.")
    ] = None,
    publish: Annotated[
        Path | None, typer.Option(help="Publish the completed report by its hash.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Draw up the report after an incident: each claim with its entry and the proof of it."""
    from safehold.app.incidents import hash_of, write_report

    with keeper(home) as client:
        if publish is not None:
            sha = hash_of(existing(publish))
            put(client.call("incident.publish", incident=incident, sha256=sha), as_json=as_json)
            return
        told = client.call("incident.report", incident=incident)
    if out is not None:
        put(write_report(told, out), as_json=as_json)
    elif as_json:
        put(told, as_json=True)
    else:
        typer.echo(told["text"], nl=False)
