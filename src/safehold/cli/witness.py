"""``safehold ledger witness``: keep a witness for others, and choose the witnesses of a home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, put

group = typer.Typer(
    no_args_is_help=True, help="Keep a witness for a log, or choose those of a home."
)
Directory = Annotated[Path, typer.Argument(help="Directory of the witness, outside every home.")]
VKeyArgument = Annotated[str, typer.Argument(help="Ed25519 verifier key of a log.")]
Bind = Annotated[str, typer.Option(help="Where to listen, host:port.")]
Certificate = Annotated[Path | None, typer.Option(help="Certificate chain for HTTPS, PEM.")]
TlsKey = Annotated[Path | None, typer.Option(help="Key of the certificate, PEM.")]
WitnessName = Annotated[str, typer.Argument(help="One word for it, in the policy.")]
AtOnce = Annotated[
    bool,
    typer.Option(
        "--at-once",
        help="Count before the board agrees; nothing is recorded and nothing widened until it has.",
    ),
]


@group.command()
def create(
    directory: Directory,
    *,
    name: Annotated[str, typer.Option(help="Its name, such as example.com/works-council.")],
    trust: Annotated[list[str], typer.Option(help="Verifier key of a log; may be repeated.")],
    as_json: JsonOption = False,
) -> None:
    """Make a witness with keys of its own; hand its verifier keys to whoever runs the log."""
    from safehold.app import witnesses

    put(witnesses.create(directory, name=name, logs=trust), as_json=as_json)


@group.command()
def run(
    directory: Directory,
    *,
    bind: Bind = "127.0.0.1:7380",
    prefix: Annotated[str, typer.Option(help="What stands before its paths.")] = "",
    tls_certificate: Certificate = None,
    tls_key: TlsKey = None,
) -> None:
    """Answer logs and readers over HTTP (C2SP tlog-witness) until interrupted."""
    from safehold.app import witnesses

    files = witnesses.tls_files(tls_certificate, tls_key)
    witnesses.run_witness(directory, bind=bind, prefix=prefix, tls=files)


@group.command()
def show(directory: Directory, *, as_json: JsonOption = False) -> None:
    """Show name, verifier keys, trusted logs and how much evidence a witness keeps."""
    from safehold.app import witnesses

    put(witnesses.show(directory), as_json=as_json)


@group.command()
def evidence(directory: Directory, *, as_json: JsonOption = False) -> None:
    """List the signed checkpoints that contradicted what the witness had cosigned."""
    from safehold.app import witnesses

    put({"evidence": witnesses.open_witness(directory).evidence()}, as_json=as_json)


@group.command()
def trust(directory: Directory, vkey: VKeyArgument, *, as_json: JsonOption = False) -> None:
    """Watch one more log, or a log's new key; counts at once, also while the witness runs."""
    from safehold.app import witnesses

    witness = witnesses.open_witness(directory)
    witness.trust(vkey)
    put(witnesses.describe(witness), as_json=as_json)


@group.command()
def distrust(directory: Directory, vkey: VKeyArgument, *, as_json: JsonOption = False) -> None:
    """Believe a log's key no longer: it was retired or stolen."""
    from safehold.app import witnesses

    witness = witnesses.open_witness(directory)
    witness.distrust(vkey)
    put(witnesses.describe(witness), as_json=as_json)


@group.command()
def add(
    name: WitnessName,
    *,
    url: Annotated[str, typer.Option(help="Its URL prefix, https.")],
    vkey: Annotated[list[str], typer.Option(help="Its verifier keys, the 0x06 key first.")],
    seat: Annotated[str, typer.Option(help="Seat of the board that keeps it.")] = "",
    authority: Annotated[
        Path | None, typer.Option(help="PEM file of whoever vouches for its certificate.")
    ] = None,
    at_once: AtOnce = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Draw up one witness more for a home; counts when the board has named it and the keeper starts."""
    from safehold.app import witnesses
    from safehold.ledger.panel import Remote
    from safehold.settings import Home

    known = "" if authority is None else str(authority.resolve())
    one = Remote(name=name, url=url, vkeys=tuple(vkey), seat=seat, authority=known)
    put(witnesses.add(Home.open(home), one, at_once=at_once), as_json=as_json)


@group.command()
def remove(
    name: WitnessName,
    *,
    at_once: AtOnce = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Draw up one witness less for a home; counts when the board has agreed and the keeper starts."""
    from safehold.app import witnesses
    from safehold.settings import Home

    put(witnesses.remove(Home.open(home), name, at_once=at_once), as_json=as_json)


@group.command()
def require(
    *,
    quorum: Annotated[
        int | None, typer.Option(help="How many witnesses must cosign, the local one included.")
    ] = None,
    strict: Annotated[
        bool | None, typer.Option(help="Whether a release waits until its intent is cosigned.")
    ] = None,
    at_once: AtOnce = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Set how many witnesses of a home must cosign, once the board agrees; or whether releases wait."""
    from safehold.app import witnesses
    from safehold.settings import Home

    put(
        witnesses.require(Home.open(home), quorum=quorum, strict=strict, at_once=at_once),
        as_json=as_json,
    )


@group.command("list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the witnesses of a home, and what its charter promises beyond them."""
    from safehold.app import witnesses
    from safehold.settings import Home

    put(witnesses.listing(Home.open(home)), as_json=as_json)
