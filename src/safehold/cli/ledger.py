"""``safehold ledger``: the record of every use, and its verification without any key or server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safehold.cli import witness
from safehold.cli.surface import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    existing,
    keeper,
    put,
    say,
)

if TYPE_CHECKING:
    from safehold.ledger.monitor import Verdict

group = typer.Typer(
    no_args_is_help=True,
    help="The ledger: verify, watch, witness, anchor, epochs, serve, tail, show.",
)
group.add_typer(witness.group, name="witness")


@group.command()
def verify(
    directory: Annotated[
        Path | None, typer.Argument(help="A home, or an exported ledger directory.")
    ] = None,
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Verify the whole ledger offline against the witness outside the home; exit 5 if it does not hold."""
    from safehold.app.verification import verify_home

    put(verify_home(directory or home), as_json=as_json)


@group.command()
def monitor(
    log: Annotated[
        str | None, typer.Argument(help="URL or directory of a log; this home's own if left out.")
    ] = None,
    *,
    policy: Annotated[
        Path | None, typer.Option(help="Whose signatures count; not from where the log is.")
    ] = None,
    state: Annotated[Path | None, typer.Option(help="Where the monitor keeps what it saw.")] = None,
    head: Annotated[
        list[Path] | None, typer.Option(help="A head of this log that somebody kept; repeatable.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain-http", help="Let http:// reach a log on another machine.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until it does not hold.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two turns.")] = 60.0,
    skew: Annotated[
        int, typer.Option(min=0, help="Seconds a leaf's time may lie outside its cosignatures.")
    ] = 60,
    late: Annotated[
        float, typer.Option(min=0.0, help="Hours that an intent may go without its result.")
    ] = 24.0,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Watch a log from outside, without any key. Exit 1 with findings, 5 if it does not hold."""
    from functools import partial

    from safehold.app.watch import follow as take_turns
    from safehold.app.watch import settled, watch_home, watch_log
    from safehold.errors import InvalidError
    from safehold.ledger.monitor import Limits
    from safehold.settings import Home

    if log is None:
        turn = partial(watch_home, Home.open(home))
    elif policy is None or state is None:
        raise InvalidError(
            "a log elsewhere needs a policy and a directory of its own",
            rule="monitor.policy",
            fix="add --policy FILE --state DIR",
        )
    else:
        limits = Limits(skew_ms=skew * 1000, late_ms=round(late * 3_600_000))
        turn = partial(
            watch_log,
            log,
            policy=policy,
            directory=state,
            heads=head or [],
            limits=limits,
            plain=plain,
        )

    def show(verdict: Verdict) -> None:
        for words in [verdict.payload()] if as_json else verdict.words():
            put(words, as_json=as_json)

    if follow:
        verdict = take_turns(turn, every=every, show=show, trouble=say)
    else:
        verdict = settled(turn)
        show(verdict)
    if verdict.exit_code:
        raise typer.Exit(verdict.exit_code)


@group.command()
def anchor(
    *,
    now: Annotated[
        bool, typer.Option("--now", help="Anchor the newest head, with every anchor.")
    ] = False,
    add: Annotated[
        str | None, typer.Option(help="Add a time-stamp authority (RFC 3161) of this name.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Where its requests are posted.")] = None,
    roots: Annotated[
        Path | None, typer.Option(help="Certificates that its own must lead to, PEM.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the receipts of heads attested outside, each checked again; exit 5 if one does not hold."""
    from safehold.app.anchors import add_authority, anchor_now, listing
    from safehold.clock import SystemClock
    from safehold.errors import InvalidError
    from safehold.settings import Home

    place = Home.open(home)
    if add is not None:
        if url is None or roots is None:
            raise InvalidError(
                "an authority has a URL and roots", rule="anchor.url", fix="add --url and --roots"
            )
        add_authority(place, add, url=url, roots=roots)
    made = anchor_now(place, clock=SystemClock()) if now else []
    found = listing(place)
    put({"anchored": made, "receipts": found}, as_json=as_json)
    if not all(one["holds"] for one in found):
        raise typer.Exit(5)


@group.command()
def tail(
    *,
    count: Annotated[int, typer.Option("-n", help="How many entries.")] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the newest entries; what they say about people stays committed and closed."""
    from safehold.app.verification import leaves

    entries = leaves(home, count)
    if as_json:
        put({"entries": entries}, as_json=True)
        return
    for entry in entries:
        at = datetime.fromtimestamp(entry["leaf"]["t"] / 1000, UTC)
        public = entry["leaf"].get("pub", {})
        words = " ".join(f"{key}={value}" for key, value in public.items())
        ref = f" of {entry['leaf']['ref']}" if "ref" in entry["leaf"] else ""
        put(
            f"{entry['index']:>7} {at:%Y-%m-%d %H:%M:%S} {entry['leaf']['k']:<15}{ref} {words}",
            as_json=False,
        )


@group.command()
def show(
    index: Annotated[int, typer.Argument(help="Index of the entry.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one entry with its side-car opened by the keeper, commitments checked."""
    with keeper(home) as client:
        put(client.call("ledger.show", index=index), as_json=as_json)


@group.command(name="close-epoch")
def close_epoch(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Close the present epoch of the ledger: everybody's list of entries up to now gets its root.

    `safehold serve` does it every day, and every trail and erasure before it.
    """
    with keeper(home) as client:
        put(client.call("ledger.close-epoch"), as_json=as_json)


@group.command()
def audit(
    epoch: Annotated[int, typer.Argument(help="Number of a closed epoch.")],
    *,
    auditor: Annotated[
        Path, typer.Option(help="Public file of the auditor, made by `safehold-verify auditor`.")
    ],
    out: Annotated[Path, typer.Option(help="Where to write the sealed bundle.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write what an auditor needs to compute an epoch's index again, sealed to them; no names are in it."""
    from safehold.app.trail import auditor_key, write_private
    from safehold.canonical import unb64

    key = auditor_key(existing(auditor))
    with keeper(home) as client:
        answer = client.call("ledger.audit", epoch=epoch, auditor=key)
    write_private(out, unb64(answer.pop("bundle")))
    put({**answer, "bundle": str(out)}, as_json=as_json)


@group.command()
def serve(
    directory: Annotated[
        Path | None, typer.Argument(help="A home, or an exported ledger directory.")
    ] = None,
    *,
    bind: witness.Bind = "127.0.0.1:7381",
    tls_certificate: witness.Certificate = None,
    tls_key: witness.TlsKey = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Serve checkpoint, tiles and entry bundles over HTTP (C2SP tlog-tiles) until interrupted; nothing else."""
    from safehold.app import witnesses

    files = witnesses.tls_files(tls_certificate, tls_key)
    witnesses.run_log(directory or home, bind=bind, tls=files)


@group.command()
def rotate(
    *,
    retire: Annotated[
        bool, typer.Option("--retire", help="End a change: only the new key signs from now on.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Let a new log key sign beside the old one; with --retire, let it sign alone."""
    with keeper(home) as client:
        step = "retire" if retire else "begin"
        put(client.call("ledger.rotate", step=step), as_json=as_json)
