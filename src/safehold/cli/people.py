"""``safehold people``: who takes part, and what they chose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put

group = typer.Typer(no_args_is_help=True, help="People: enrol, choose, check, erase.")

Person = Annotated[str, typer.Argument(help="The person, by the company's name for them.")]


@group.command()
def enrol(
    *,
    file: Annotated[
        Path | None,
        typer.Option(help="CSV: person, jurisdiction; level, key; streams where an operator may."),
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="Enrol everybody who appears in a source file.")
    ] = None,
    mapping: Annotated[str | None, typer.Option(help="Mapping of that source.")] = None,
    jurisdiction: Annotated[str, typer.Option(help="Where the people of --source work.")] = "US-CA",
    evidence: Annotated[str, typer.Option(help="Where their opt-in is recorded.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Enrol people with what they opted in to; people who are known are left as they are."""
    from safehold.app.roster import read_roster, roster_of_source
    from safehold.errors import InvalidError

    if (file is None) == (source is None):
        raise InvalidError("give either --file or --source", rule="cli.options")
    people = (
        read_roster(existing(file))
        if file is not None
        else roster_of_source(existing(source or Path()), mapping, jurisdiction)
    )
    with keeper(home) as client:
        put(client.call("people.enrol", people=people, evidence=evidence), as_json=as_json)


@group.command()
def show(person: Person, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show whether a person is enrolled; what they chose is shown to them alone: safehold me show."""
    with keeper(home) as client:
        put(client.call("people.show", person=person), as_json=as_json)


@group.command()
def consent(
    person: Person,
    streams: Annotated[list[str], typer.Argument(help="Streams: key pointer chat ai ...")],
    *,
    evidence: Annotated[str, typer.Option(help="Where the opt-in is recorded.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Enter an opt-in, where the charter lets an operator; else the person opts in: safehold me consent."""
    with keeper(home) as client:
        put(
            client.call(
                "people.choose", person=person, choice="consent", streams=streams, evidence=evidence
            ),
            as_json=as_json,
        )


@group.command()
def pause(person: Person, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Enter a pause for a person, marked as an operator's: nothing is recorded or used until they resume."""
    with keeper(home) as client:
        put(client.call("people.choose", person=person, choice="pause"), as_json=as_json)


@group.command()
def resume(person: Person, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Enter the end of a pause, where the charter lets an operator."""
    with keeper(home) as client:
        put(client.call("people.choose", person=person, choice="resume"), as_json=as_json)


@group.command()
def withdraw(
    person: Person, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Enter a withdrawal, marked as an operator's: every key is withheld from the next release on."""
    with keeper(home) as client:
        put(client.call("people.choose", person=person, choice="withdraw"), as_json=as_json)


@group.command()
def erase(
    person: Person,
    *,
    evidence: Annotated[str, typer.Option(help="Where the request is recorded.")],
    receipt: Annotated[
        Path | None, typer.Option(help="Where to write the receipt; the person keeps it.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Erase a person: their keys are destroyed, and nothing that is left leads to them.

    Tells what was made from them and what becomes of each: shredded, rebuilt, pending, bounded, unsupported.
    It is called complete only when nothing is unsupported or pending.
    """
    from safehold.app.trail import keep_receipt

    with keeper(home) as client:
        answer = client.call("people.erase", person=person, evidence=evidence)
    put(keep_receipt(answer, receipt), as_json=as_json)


@group.command()
def erasures(
    request: Annotated[
        str | None, typer.Argument(help="One request, by the name that it was given.")
    ] = None,
    *,
    receipt: Annotated[
        Path | None, typer.Option(help="Where to write the receipt of that request.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List erasures with their deadlines, or show one and write its receipt; whose they were is not known."""
    from safehold.app.trail import keep_receipt

    with keeper(home) as client:
        answer = client.call("people.erased", request=request)
    put(answer if request is None else keep_receipt(answer, receipt), as_json=as_json)


@group.command()
def export(
    request: Annotated[Path, typer.Argument(help="What the person signed: safehold-verify ask.")],
    *,
    out: Annotated[Path, typer.Option(help="New file for the sealed copy.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write a copy of everything that is held about a person, sealed to their own key.

    They open it with `safehold-verify open`. Whoever runs this cannot read it.
    """
    from safehold.app.trail import export_to

    with keeper(home) as client:
        put(export_to(client, existing(request), out), as_json=as_json)


@group.command()
def receipt(
    person: Person,
    *,
    out: Annotated[Path, typer.Option(help="Where to write it; the person keeps it.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write what commits the keeper to a person's keys; no key is in it. Best made at the enrolment."""
    from safehold.app.trail import write_private

    with keeper(home) as client:
        answer = client.call("people.receipt", person=person)
    write_private(out, answer["receipt"].encode())
    put({"receipt": str(out)}, as_json=as_json)


@group.command()
def trail(
    person: Person,
    *,
    proof: Annotated[Path, typer.Option(help="New directory for the package with all proofs.")],
    receipt: Annotated[
        Path | None, typer.Option(help="The person's receipt, to compare the keys with.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write the complete, provable list of uses of a person's data, check it offline, and tell it in plain words.

    The package is for the person alone: whoever has it sees what they see.
    """
    from safehold.app.trail import check_package, report_of, told, write_package
    from safehold.settings import Home

    with keeper(home) as client:
        answer = client.call("people.trail", person=person)
    file = write_package(proof, answer["package"])
    report = check_package(Home.open(home), file, None if receipt is None else existing(receipt))
    if as_json:
        put(report_of(report), as_json=True)
        return
    for line in told(report):
        put(line, as_json=False)


@group.command(name="list")
def count(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Count the people, and tell what was last released of who takes part; nobody is listed."""
    with keeper(home) as client:
        put(client.call("people.count"), as_json=as_json)
