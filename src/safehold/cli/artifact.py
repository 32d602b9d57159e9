"""``safehold artifact`` and ``safehold budget``: the models that were made, and what they cost in privacy."""

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
    put,
)
from safehold.errors import DeniedError, InvalidError, MissingError

_SHOWN = 20  # findings of a file that are shown without --json

group = typer.Typer(
    no_args_is_help=True, help="Model artifacts: list, scan, show, pull, verify, quarantine."
)
budget = typer.Typer(no_args_is_help=True, help="Privacy budgets: show.")

Artifact = Annotated[str, typer.Argument(help="Id of the artifact.")]


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the artifacts."""
    with keeper(home) as client:
        put(client.call("artifact.list"), as_json=as_json)


@group.command()
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of files.")],
    *,
    release: Annotated[
        bool, typer.Option("--release", help="Judge whether they may leave, not only be stored.")
    ] = False,
    canaries: Annotated[
        Path | None, typer.Option(help="Planted words to look for, one a line.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look into models, tokenizers, notebooks, logs and tables for what must not be in them.

    Shows places and classes, never the text. Needs no home. Ends with 3 when a file is refused.
    """
    from safehold.app.inspection import judge_files, list_files, read_canaries
    from safehold.dlp.artifact import Use

    words = None if canaries is None else read_canaries(canaries)
    use = Use.RELEASE if release else Use.STORE
    judged = []
    for each in judge_files(list_files(paths), use=use, canaries=words):
        refusal = None if each.refusal is None else each.refusal.payload()
        found = {} if each.inspection is None else each.inspection.to_record()
        judged.append(
            {"file": str(each.path), "admitted": refusal is None, "refusal": refusal} | found
        )
        if not as_json:
            typer.echo(_told(judged[-1]))
    if as_json:
        put({"use": str(use), "files": judged}, as_json=True)
    if not all(item["admitted"] for item in judged):
        raise typer.Exit(DeniedError.exit_code)


def _told(item: dict[str, Any]) -> str:
    kind = item.get("kind", "not read")
    head = f"{'admitted' if item['admitted'] else 'refused '}  {kind:12} {item['file']}"
    lines = [head, *(f"    note: {note}" for note in item.get("notes", ()))]
    lines += [
        f"    {each['class']:10} {each['count']:>4} x  {each['place']}  ({each['rule']})"
        for each in item.get("findings", ())[:_SHOWN]
    ]
    left = len(item.get("findings", ())) + item.get("more", 0) - _SHOWN
    lines += [f"    and {left} more; see them with --json"] if left > 0 else []
    if item["refusal"] is not None and not item.get("findings"):
        lines.append(f"    {item['refusal']['message']}: {item['refusal']['fix']}")
    return "\n".join(lines)


@group.command()
def show(
    artifact: Artifact,
    *,
    card: Annotated[
        bool, typer.Option("--card", help="Only its model card and datasheet, as Markdown.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the release record of an artifact, checked against its file and signatures; never its weights.

    What it was made from and how, what it may tell of a person, which attacks were tried with which power, what a scan
    found, and how often it was pulled.
    """
    from safehold.cli.record import told

    with keeper(home) as client:
        shown = client.call("artifact.show", artifact=artifact)
    markdown = shown.pop("card_markdown", None)
    if card:
        if markdown is None:
            raise MissingError("this artifact was kept without a card", rule="artifact.card")
        if as_json:
            put(shown["card"], as_json=True)
        else:
            print(markdown, end="")
        return
    if as_json:
        put(shown, as_json=True)
    else:
        typer.echo("\n".join(told(shown["record"])))


@group.command()
def pull(
    artifact: Artifact,
    *,
    out: Annotated[Path, typer.Option(help="A new folder.")],
    purpose: Annotated[str, typer.Option(help="Purpose of the grant.")] = "train_ui_agent",
    grant: Annotated[Path | None, typer.Option(help="An approved request for pulling.")] = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take a model out, under a grant for pulling, with all that proves what it is.

    Refused while it lies in quarantine or a gate of the charter has not passed. Every pull, and every attempt, is an
    entry of the ledger.
    """
    from safehold.app import artifacts
    from safehold.app.grants import demand_pass

    with keeper(home) as client:
        permit = demand_pass(
            client, home, purpose=purpose, recipe="pull", grant=grant, holder=holder, seats=seats
        )
        put(artifacts.pull(client, artifact, permit, purpose=purpose, out=out), as_json=as_json)


@group.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="What a pull wrote.")],
    *,
    policy: Annotated[
        Path, typer.Option(help="Whose word counts: the policy file outside the home.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Check a model that was pulled, offline: ledger, record, statements, signature over its files. Needs no home."""
    from safehold.app import artifacts

    put(artifacts.verify(folder, policy), as_json=as_json)


@group.command(name="import")
def bring(
    file: Annotated[Path, typer.Argument(help="Weights as safetensors, or a tokenizer.")],
    *,
    purpose: Annotated[str, typer.Option(help="What it is for.")] = "train_ui_agent",
    canaries: Annotated[
        Path | None, typer.Option(help="Planted words to look for, one a line.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take a file in that was made elsewhere: it is read in a sandbox, and lies in quarantine."""
    from safehold.app.inspection import planted_words

    words = [] if canaries is None else planted_words(canaries)
    with keeper(home) as client, existing(file).open("rb") as handle:
        put(
            client.call(
                "artifact.import", descriptors=[handle.fileno()], purpose=purpose, canaries=words
            ),
            as_json=as_json,
        )


@group.command()
def quarantine(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show what lies in quarantine, why, and what it takes to release or to delete it."""
    with keeper(home) as client:
        put(client.call("artifact.quarantine"), as_json=as_json)


@group.command()
def decide(
    artifact: Annotated[str | None, typer.Argument(help="Id of the artifact.")] = None,
    *,
    what: Annotated[str, typer.Option(help="release or delete.")] = "release",
    reason: Annotated[str | None, typer.Option(help="Why, in a sentence.")] = None,
    paper: Annotated[
        Path | None,
        typer.Option(
            help="File of the order, which goes from seat to seat: drawn up with an artifact and --reason,"
            " signed with --seat and --key, handed in with neither."
        ),
    ] = None,
    seat: Annotated[str | None, typer.Option(help="Your seat on the board.")] = None,
    key: Annotated[Path | None, typer.Option(help="Your seat's key file.")] = None,
    seats: Annotated[
        Path | None,
        typer.Option(
            help="A folder of seat keys; signs as all of them. For trying things out only."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Release an artifact from quarantine, or delete it, by an order that seats sign: as many as widening, or one."""
    from safehold.app import artifacts
    from safehold.app.charters import keys_in
    from safehold.settings import Home
    from safehold.signing import SigningKey

    match (artifact, reason, paper, seat, key):
        case (str() as name, str() as why, file, None, None) if what in ("release", "delete"):
            with keeper(home) as client:
                listed = client.call("artifact.list")["artifacts"]
                known = [one for one in listed if one["id"] == name]
                shown = known[0] if known else {"id": name, "sha256": ""}
                told = artifacts.draw_up(Home.open(home).id, shown, what=what, reason=why)
                for one, held in ({} if seats is None else keys_in(seats)).items():
                    told = artifacts.sign(told, seat=one, key=held)
                if file is not None:
                    put(artifacts.put_paper(file, told), as_json=as_json)
                else:
                    put(client.call("artifact.decide", **told), as_json=as_json)
        case (None, None, Path() as file, str() as name, Path() as mine) if seats is None:
            told = artifacts.read_paper(file)
            signed = artifacts.sign(told, seat=name, key=SigningKey.read(existing(mine)))
            put(artifacts.put_paper(file, signed), as_json=as_json)
        case (None, None, Path() as file, None, None) if seats is None:
            with keeper(home) as client:
                put(client.call("artifact.decide", **artifacts.read_paper(file)), as_json=as_json)
        case _:
            raise InvalidError(
                "draw up, sign or hand in an order",
                rule="cli.options",
                fix="ARTIFACT with --reason; or --paper with --seat and --key; or --paper alone",
            )


@budget.command(name="show")
def budget_show(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show what each purpose may spend, has spent and has left."""
    with keeper(home) as client:
        put(client.call("budget.show"), as_json=as_json)


@budget.callback()
def _noun() -> None:
    """Keep the noun a group while it has one verb."""
