"""``safehold incident``: when something went wrong, from its opening to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli import incident_papers
from safehold.cli.incident_surface import KeyOption, Number, SeatOption, Text, sign_as
from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put
from safehold.errors import InvalidError

group = typer.Typer(
    no_args_is_help=True,
    help="Incidents: open, work on, tell people, learn, close. Severity 0 is the gravest, 5 the least.",
)

Grants = Annotated[list[int] | None, typer.Option("--grant", help="Entry of a grant it is about.")]
Principals = Annotated[
    list[str] | None, typer.Option("--principal", help="Id of a principal it is about; sealed.")
]
Segments = Annotated[list[str] | None, typer.Option("--segment", help="A segment it is about.")]
Artifacts = Annotated[list[str] | None, typer.Option("--artifact", help="An artifact it is about.")]
Stolen = Annotated[
    list[str] | None,
    typer.Option(help="A key that somebody may have: SEGMENT, SEGMENT/EPOCH, @mint, @root."),
]


@group.command("open")
def open_(
    *,
    text: Text,
    severity: Annotated[
        int | None, typer.Option(help="0 (gravest) to 5; without, the worst it could be.")
    ] = None,
    alert: Annotated[int | None, typer.Option(help="Entry of the alert that shows it.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Since when somebody knew, such as 2026-11-26T09:30.")
    ] = None,
    grant: Grants = None,
    principal: Principals = None,
    segment: Segments = None,
    artifact: Artifacts = None,
    stolen: Stolen = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Open an incident. Every clock of the law runs from now, or from when somebody knew."""
    from safehold.app.incidents import scope_of
    from safehold.app.moment import moment_us

    with keeper(home) as client:
        put(
            client.call(
                "incident.open",
                text=text,
                severity=severity,
                alert=alert,
                since_us=None if since is None else moment_us(since, field="since"),
                scope=scope_of(
                    grant=grant or (),
                    principal=principal or (),
                    segment=segment or (),
                    artifact=artifact or (),
                    stolen=stolen or (),
                ),
            ),
            as_json=as_json,
        )


@group.command(name="list")
def listing(
    *,
    scale: Annotated[bool, typer.Option("--scale", help="Show what each severity means.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the incidents, open and grave ones first."""
    with keeper(home) as client:
        put(client.call("incident.list", scale=scale), as_json=as_json)


@group.command()
def show(incident: Number, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show where an incident stands, what is missing before it may end, and its clocks; no names."""
    with keeper(home) as client:
        put(client.call("incident.show", incident=incident), as_json=as_json)


@group.command()
def timeline(
    incident: Number,
    *,
    picture: Annotated[Path | None, typer.Option(help="Write the picture (SVG) to a file.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Tell what happened from the ledger: entry, time, sentence. People are counted, never named."""
    with keeper(home) as client:
        told = client.call("incident.timeline", incident=incident)
    drawn = told.pop("picture")
    if picture is not None:
        picture.write_text(drawn, encoding="utf-8")
    if as_json:
        del told["text"]
        put(told, as_json=True)
    else:
        typer.echo(told["text"], nl=False)


@group.command()
def note(
    incident: Number,
    *,
    text: Text,
    grant: Grants = None,
    principal: Principals = None,
    segment: Segments = None,
    artifact: Artifacts = None,
    stolen: Stolen = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Note something, and name more that the incident is about."""
    from safehold.app.incidents import scope_of

    scope = scope_of(
        grant=grant or (),
        principal=principal or (),
        segment=segment or (),
        artifact=artifact or (),
        stolen=stolen or (),
    )
    with keeper(home) as client:
        put(
            client.call("incident.note", incident=incident, text=text, scope=scope), as_json=as_json
        )


@group.command()
def assign(
    incident: Number,
    *,
    role: Annotated[
        str, typer.Option(help="commander, scribe, privacy, communications or responder.")
    ],
    principal: Annotated[str, typer.Option(help="Id in the register of principals; sealed.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Give somebody a role."""
    with keeper(home) as client:
        put(
            client.call("incident.assign", incident=incident, role=role, principal=principal),
            as_json=as_json,
        )


@group.command()
def severity(
    incident: Number,
    level: Annotated[int, typer.Argument(help="0 (gravest) to 5.", min=0, max=5)],
    *,
    text: Text,
    seat: SeatOption = None,
    key: KeyOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Set how grave it is. Graver, anybody may; less grave takes two seats, each with --seat and --key."""
    with keeper(home) as client:
        if seat is None:
            told = client.call("incident.severity", incident=incident, severity=level, text=text)
        else:
            told = sign_as(
                client, home, incident, "lower", {"severity": level, "why": text}, seat, key
            )
        put(told, as_json=as_json)


@group.command()
def move(
    incident: Number,
    state: Annotated[str, typer.Argument(help="triaged, contained, eradicated or recovering.")],
    *,
    text: Text,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Move an incident on."""
    with keeper(home) as client:
        put(
            client.call("incident.move", incident=incident, state=state, text=text), as_json=as_json
        )


@group.command()
def contain(
    incident: Number,
    what: Annotated[
        str, typer.Argument(help="grant, capability, principal, segment, purpose, artifact, ...")
    ] = "",
    target: Annotated[str, typer.Argument(help="Its name.")] = "",
    *,
    text: Text,
    nothing: Annotated[bool, typer.Option("--none", help="Say why nothing is contained.")] = False,
    seat: SeatOption = None,
    key: KeyOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hold something back for an incident, at once; or state why nothing is. To lift takes the board."""
    from safehold.app.incidents import contain

    if nothing == bool(what and target):
        raise InvalidError("say what and which one, or --none", rule="cli.contain")
    with keeper(home) as client:
        if nothing:
            told = client.call("incident.uncontained", incident=incident, text=text)
        else:
            told = contain(
                client,
                home,
                incident,
                what=what,
                target=target,
                reason=text,
                seat=seat,
                key=None if key is None else existing(key),
            )
        put(told, as_json=as_json)


incident_papers.register(group)


@group.command()
def restart(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show what keeps everything stopped; exit 1 if something does. To resume: safehold resume."""
    with keeper(home) as client:
        told = client.call("incident.restart")
    put(told, as_json=as_json)
    if told["missing"]:
        raise typer.Exit(1)


@group.command()
def close(
    incident: Number,
    *,
    seat: SeatOption = None,
    key: KeyOption = None,
    keep: Annotated[
        list[int] | None, typer.Option(help="Entry of a containment that stays for good.")
    ] = None,
    text: Annotated[str, typer.Option("--text", help="In your words; sealed.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Agree that an incident ends. It takes two people, and neither is who opened it."""
    with keeper(home) as client:
        said = {"keeps": sorted(keep or ()), "why": text}
        put(sign_as(client, home, incident, "close", said, seat, key), as_json=as_json)


@group.command()
def reopen(
    incident: Number, *, text: Text, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Open an incident again that had ended; its clocks go on from when they began."""
    with keeper(home) as client:
        put(client.call("incident.reopen", incident=incident, text=text), as_json=as_json)
