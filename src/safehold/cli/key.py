"""``safehold key``: which keys there are, and changing those of every level while the keeper serves."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    keeper,
    put,
    root_elsewhere,
    secret_of,
    unlocking,
)

group = typer.Typer(
    no_args_is_help=True, help="Keys: list their levels, rotate one. No command shows a key."
)


@group.command(name="list")
def list_(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show every level of keys: how it is kept, since when, and what changes it."""
    with keeper(home) as client:
        put(client.call("key.list"), as_json=as_json)


@group.command()
def rotate(
    *,
    segments: Annotated[
        bool, typer.Option("--segments", help="Every segment's key, in a new epoch.")
    ] = False,
    segment: Annotated[str | None, typer.Option(help="One segment's key.")] = None,
    mint: Annotated[
        bool, typer.Option("--mint", help="The key that capabilities are minted with.")
    ] = False,
    root: Annotated[
        str | None,
        typer.Option(
            help="The root: `passphrase`, k-of-n shares, or an address: pkcs11:..., aws-kms://..., hcvault://..."
        ),
    ] = None,
    unlock: Annotated[
        str | None,
        typer.Option(
            help="With --root: file with the new passphrase, PIN, token or credentials; - for standard input."
        ),
    ] = None,
    make_key: Annotated[
        bool, typer.Option("--make-key", help="With an address: make the key there.")
    ] = False,
    destroy_old: Annotated[
        bool,
        typer.Option(
            "--destroy-old",
            help="Destroy the old root in its token; older backups then open nothing.",
        ),
    ] = False,
    seats: Annotated[
        Path | None, typer.Option(help="With shares: folder to write them to, one file a seat.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Change the keys of one level; releases go on meanwhile, and two entries of the ledger say so.

    For the log's own key there is `safehold ledger rotate`. Another root takes what opens the present one.
    """
    from safehold.app.setup import write_shares
    from safehold.errors import InvalidError, UnavailableError
    from safehold.settings import Home

    chosen = [bool(segments), segment is not None, bool(mint), root is not None]
    if sum(chosen) != 1:
        raise InvalidError(
            "name one level", rule="cli.options", fix="--segments, --segment, --mint or --root"
        )
    arguments: dict[str, Any] = {"level": "mint" if mint else "segment"}
    if segment is not None:
        arguments["segment"] = segment
    if root is not None:
        present = secret_of(Home.open(home))
        if present is None:
            raise UnavailableError(
                "another root takes what opens the present one",
                rule="key.present",
                fix="set SAFEHOLD_PASSPHRASE_FILE, SAFEHOLD_SHARE_FILES or SAFEHOLD_UNLOCK_FILE",
            )
        new = _order(root, unlock, make=make_key)
        if "split" in new and seats is None:
            raise InvalidError("shares go to a folder", rule="cli.options", fix="--seats FOLDER")
        arguments = {"level": "root", "present": present, "new": new, "destroy": destroy_old}
    with keeper(home) as client:
        answer = client.call("key.rotate", **arguments)
    if shares := answer.pop("shares", []):
        answer["shares"] = write_shares(seats or Path(os.curdir), shares)
    put(answer, as_json=as_json)


def _order(root: str, unlock: str | None, *, make: bool) -> dict[str, Any]:
    from safehold.errors import InvalidError

    if found := re.fullmatch(r"(\d{1,2})-of-(\d{1,2})", root):
        return {"split": [int(found[1]), int(found[2])]}
    if unlock is None:
        raise InvalidError("nothing to unlock it with", rule="cli.options", fix="--unlock FILE")
    if root == "passphrase":
        return {"passphrase": unlocking(unlock)}
    return root_elsewhere(root, unlock, make=make) or {}
