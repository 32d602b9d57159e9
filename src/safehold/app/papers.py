"""Papers that are signed elsewhere, as files: prepared, signed, and read again before they are handed in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safehold import canonical
from safehold.app.paper import write_paper
from safehold.app.signature import SIGNED, Call, Draft, complete, value_of_browser
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError
from safehold.signing import SigningKey


def facts_from(texts: Iterable[str]) -> dict[str, Any]:
    """Return facts from texts such as ``seat=legal`` and ``proposal:=12``; after ``:=`` stands JSON.

    Raises:
        InvalidError: One is neither.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        wrong = InvalidError(
            "a fact is NAME=TEXT or NAME:=JSON", field="fact", rule="signature.facts"
        )
        if not mark or not name.rstrip(":"):
            raise wrong
        try:
            found[name.removesuffix(":")] = json.loads(value) if name.endswith(":") else value
        except ValueError as error:
            raise wrong from error
    return found


def write_draft(file: Path, draft: Draft) -> dict[str, Any]:
    """Write something to sign to a file, and return what is signed."""
    tree = draft.to_json()
    write_paper(file, canonical.encode(tree) + b"\n")
    return {
        "file": file.name,
        "kind": draft.kind,
        "domain": draft.domain,
        "message": draft.message.decode("utf-8", "replace"),
        "challenge": tree["challenge"],
    }


def read_draft(file: Path, seat: str | None = None) -> Draft:
    """Return what a file asks somebody to sign, as another seat if one is named.

    Raises:
        InvalidError: It is none, or its challenge is that of something else.
    """
    draft = Draft.from_json(_read(file))
    return draft if seat is None else draft.of_seat(seat)


def signed_line(draft: Draft, key: SigningKey) -> str:
    """Return a signed paper on one line: what a key file says to a draft, to be pasted where it was drawn up."""
    value = b64(key.sign(draft.domain, draft.message))
    record = {"v": SIGNED, "paper": draft.to_json(), "key": key.public.text(), "value": value}
    return canonical.encode(record).decode()


def write_signed(file: Path, draft: Draft, *, key: str, value: str) -> dict[str, Any]:
    """Verify a signature, and write it with what it signs.

    Raises:
        TamperedError: It does not hold.
    """
    complete(draft, key=key, value=unb64(value))
    record = {"v": SIGNED, "paper": draft.to_json(), "key": key, "value": value}
    write_paper(file, canonical.encode(record) + b"\n")
    return {"file": file.name, "kind": draft.kind, "key": key}


def read_signed(file: Path) -> Call:
    """Return what a signed paper asks of the keeper, verified.

    Raises:
        InvalidError: It is no such paper.
        TamperedError: Its signature does not hold.
    """
    match _read(file):
        case {"v": "safehold-signed/1", "paper": paper, "key": str(key), "value": str(value)}:
            return complete(Draft.from_json(paper), key=key, value=unb64(value))
        case _:
            raise InvalidError("not a signed paper", file=file.name, rule="signature.paper")


def read_answer(file: Path) -> bytes:
    """Return the signature in a browser's answer: the ``response`` of its credential, or the credential with it.

    Raises:
        InvalidError: It is no such answer.
    """
    try:
        told = json.loads(file.read_bytes())
    except ValueError as error:
        raise InvalidError(
            "not the answer of a passkey", file=file.name, rule="passkey.answer"
        ) from error
    inner = told.get("response", told) if isinstance(told, Mapping) else {}
    return value_of_browser(inner if isinstance(inner, Mapping) else {})


def _read(file: Path) -> Any:
    return canonical.decode(file.read_bytes().strip())
