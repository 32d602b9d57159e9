"""How far an incident reaches, as a picture; and orders of two seats for the people in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.app.paper import add_signature, get_order, put_order
from safehold.app.trail import write_private
from safehold.canonical import b64, unb64
from safehold.clock import SystemClock
from safehold.errors import ConflictError, InvalidError, TamperedError
from safehold.incident.blast_picture import draw_blast
from safehold.incident.responder import DOMAIN, write_order
from safehold.signing import SigningKey
from safehold_verify import VerificationError
from safehold_verify.person import Person

PAPER: Final = "safehold-reached-paper/1"


def write_picture(file: Path, answer: Mapping[str, Any]) -> None:
    """Write the picture of an answer."""
    write_private(file, draw_blast(answer).encode())


def draw_up(home: str, target: Mapping[str, Any], *, reason: str, opener: Path) -> dict[str, Any]:
    """Return an order for the people that an incident reached, which nobody has signed yet.

    Args:
        home: Id of the home.
        target: What it is about.
        reason: Why they must be known, in a sentence.
        opener: Key file of whoever will open the list.
    """
    order = write_order(
        home=home,
        target=target,
        open_to=b64(_person(opener).opening()),
        reason=reason,
        at_us=SystemClock().now_us(),
    )
    return {"order": order.decode(), "signatures": []}


def sign(told: Mapping[str, Any], *, seat: str, key: SigningKey) -> dict[str, Any]:
    """Return an order with a seat's signature added."""
    return add_signature(told, DOMAIN, seat=seat, key=key)


def put_paper(file: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """Write an order to a file that goes from seat to seat, and return what it says."""
    order = canonical.decode(str(told["order"]).encode())
    return {
        "target": order["target"],
        "reason": order["reason"],
        "signed": put_order(file, PAPER, told),
        "file": file.name,
    }


def read_paper(file: Path) -> dict[str, Any]:
    """Return the order in a file.

    Raises:
        MissingError: There is no such file.
        InvalidError: It is no order.
    """
    return get_order(file, PAPER, rule="blast.paper")


def keep_list(answer: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Write the sealed list to a new file, and return the rest of the answer.

    Raises:
        ConflictError: There is a file.
    """
    if file.exists():
        raise ConflictError("there is such a file already", rule="blast.out", fix="--out")
    write_private(file, unb64(answer["sealed"]))
    return {"entry": answer["entry"], "sha256": answer["sha256"], "file": str(file)}


def open_list(file: Path, key: Path) -> dict[str, Any]:
    """Return the list in a sealed file.

    Raises:
        TamperedError: It was sealed to another key, or changed.
    """
    try:
        found: dict[str, Any] = canonical.decode(_person(key).open(file.read_bytes()))
    except VerificationError as error:
        raise TamperedError(str(error), rule="blast.list") from error
    return found


def _person(file: Path) -> Person:
    try:
        return Person.read(file)
    except VerificationError as error:
        raise InvalidError(str(error), field="key", rule="blast.key-file") from error
