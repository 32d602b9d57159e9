"""``safehold ledger``: the record of every use, and its verification without any key or server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from safehold.cli import witness
from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, keeper, put

group = typer.Typer(no_args_is_help=True, help="The ledger: verify, tail, show, serve, witness.")
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
