"""``safehold source``: devices and their recorders, which hold a lease, and the proof of their silence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put

group = typer.Typer(
    no_args_is_help=True, help="Sources: enrol devices, run a collector, prove a gap, list formats."
)


@group.command(name="list")
def listing(*, as_json: JsonOption = False) -> None:
    """List the formats that can be read, and their mappings."""
    from safehold.app.preview import formats

    put(formats(), as_json=as_json)


@group.command()
def preview(
    file: Annotated[Path, typer.Argument(help="A file, or a folder of JSON.")],
    *,
    mapping: Annotated[
        str | None, typer.Option(help="A mapping: a name or a file. Default: recognised.")
    ] = None,
    person: Annotated[
        str | None, typer.Option(help="Whose events these are, for formats that do not say.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what would become of a file, in counts and never in values; nothing is taken in."""
    from safehold.app.preview import preview as look

    put(look(existing(file), mapping=mapping, person=person), as_json=as_json)


@group.command()
def names(
    tier: Annotated[
        str | None,
        typer.Argument(help="roster: only people on the staff roster; ner: also by the tagger."),
    ] = None,
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show or choose which names are masked when data comes in; the ledger names the choice with each source."""
    from safehold.app.sources import names as choose

    put(choose(home, tier), as_json=as_json)


@group.command()
def add(
    *,
    person: Annotated[str, typer.Option(help="Whom this device records, and nobody else.")],
    device: Annotated[
        Path,
        typer.Option(
            help="The device's key file, made if it does not exist, or its public half (.pub)."
        ),
    ],
    evidence: Annotated[
        str | None, typer.Option(help="Where it is recorded that the device is theirs.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Enrol a device of a person; no other device gets a lease for them."""
    from safehold.app.sources import add_device

    with keeper(home) as client:
        put(add_device(client, person=person, device=device, evidence=evidence), as_json=as_json)


@group.command()
def devices(
    person: Annotated[
        str | None, typer.Argument(help="Whose; without a name they are counted.")
    ] = None,
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the devices of a person, also those that were removed."""
    with keeper(home) as client:
        put(client.call("source.list", person=person), as_json=as_json)


@group.command()
def remove(
    *,
    person: Annotated[str, typer.Option(help="Whose device it is.")],
    device: Annotated[
        str, typer.Option(help="Its key file, or its name as source devices lists it.")
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Remove a device for good: its leases end at once, and its key never counts again."""
    from safehold.app.sources import remove_device

    with keeper(home) as client:
        put(remove_device(client, person=person, device=device), as_json=as_json)


@group.command()
def run(
    *,
    person: Annotated[str, typer.Option(help="Whose device this is.")],
    device: Annotated[Path, typer.Option(help="The key file of a device that was added.")],
    events: Annotated[
        Path,
        typer.Option("--from", help="Events as JSON lines in wire form; - for standard input."),
    ] = Path("-"),
    to: Annotated[
        str | None,
        typer.Option(help="URL of safehold ingest serve; no home is needed here then."),
    ] = None,
    authority: Annotated[
        Path | None, typer.Option(help="Certificates that servers' must come from, PEM.")
    ] = None,
    keeper_key: Annotated[
        Path | None,
        typer.Option(
            help="The keeper's public key; else the first to answer is kept beside the device's."
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(help="Hand in through a queue: tls://host:port, or nats://127.0.0.1:port."),
    ] = None,
    queue_name: Annotated[str, typer.Option(help="Of the queue.")] = "safehold",
    queue_key: Annotated[
        Path | None, typer.Option(help="The .pub file of whoever takes from it.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Our certificate for the queue, PEM.")
    ] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Run the reference collector: no lease, no recording; it drops, scans and seals at the edge."""
    if to is not None:
        from safehold.app.network import Way, collect_from_afar
        from safehold.ingest.network.queue import Place

        place = (
            None
            if queue is None
            else Place(
                url=queue,
                name=queue_name,
                authority=authority,
                certificate=certificate,
                key=certificate_key,
            )
        )
        way = Way(
            front=to, authority=authority, keeper=keeper_key, queue=place, queue_key=queue_key
        )
        put(collect_from_afar(way, person=person, device=device, events=events), as_json=as_json)
        return
    if queue is not None:
        raise typer.BadParameter("leases are asked for at --to", param_hint="--queue")
    from safehold.app.collection import collect_here

    with keeper(home) as client:
        put(collect_here(client, person=person, device=device, events=events), as_json=as_json)


@group.command()
def gap(
    person: Annotated[str, typer.Argument(help="Whose silence is to be proved.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the signed record here.")] = None,
    stream: Annotated[
        str | None, typer.Option(help="Of one stream whose recording was contained.")
    ] = None,
    check: Annotated[Path | None, typer.Option(help="Verify a record instead.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Prove that nothing was recorded of a person between two moments, or verify such a proof."""
    from safehold.app.sources import check_gap, write_gap

    if check is not None:
        put(check_gap(home, existing(check)), as_json=as_json)
        return
    with keeper(home) as client:
        put(write_gap(client, person=person, out=out, stream=stream), as_json=as_json)
