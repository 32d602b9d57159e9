"""What stands in a text instead of what was found: nothing, a class, a pseudonym, something coarser.

A pseudonym lets two mentions of one thing stay one thing. It is keyed for a purpose and a person, so
that two purposes, or two people's texts, cannot be joined by it, and it is irreversible once the key
is gone. While the key lives whoever holds it can try values; so what has few possible values (codes,
numbers of digits alone) and what must not exist at all (passwords, keys) never becomes a pseudonym.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa

from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.overlap import replace_spans, unite
from safehold.dlp.scan import ALL, find_spans
from safehold.errors import InvalidError


class Change(StrEnum):
    """What becomes of a span."""

    DROP = "drop"
    CLASS = "class"
    PSEUDONYM = "pseudonym"
    GENERALISE = "generalise"


# classes whose values must not exist or can be tried out: never a pseudonym
NEVER_NAMED: Final = frozenset(
    {"PASSWORD", "SECRET", "OTP", "CARD", "SSN", "BANK", "IBAN", "MRN", "PHONE", "EMPID", "URL"}
)
_LONG: Final = 4  # letters from which a value is taken for a name rather than a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What becomes of each class.

    Args:
        changes: By class; a class that is not listed becomes its class.
        key: Key of one person and purpose, 32 bytes; needed for pseudonyms.
        groups: Groups of classes that are looked for.
    """

    changes: Mapping[str, Change] = field(default_factory=dict)
    key: bytes = field(default=b"", repr=False)
    groups: frozenset[str] = ALL

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.changes) - set(NAMES)):
            raise InvalidError(
                f"{len(unknown)} classes of the policy do not exist",
                rule="dlp.transform.class",
                fix="see the table of classes",
            )
        named = {name for name, change in self.changes.items() if change is Change.PSEUDONYM}
        if bad := sorted(named & NEVER_NAMED):
            raise InvalidError(
                f"{', '.join(bad)} can be tried out or must not exist, so no pseudonym is made of it",
                rule="dlp.transform.guessable",
                fix="drop it, or let it become its class",
            )
        if named and len(self.key) != 32:
            raise InvalidError(
                "a pseudonym needs a key of 32 bytes",
                rule="dlp.transform.key",
                fix="derive one for the person and the purpose",
            )
        coarse = {name for name, change in self.changes.items() if change is Change.GENERALISE}
        if bad := sorted(coarse - set(_COARSER)):
            raise InvalidError(
                f"nothing coarser is known for {', '.join(bad)}",
                rule="dlp.transform.coarser",
                fix=f"only {', '.join(sorted(_COARSER))} have something coarser",
            )


def derive_key(person_key: bytes, purpose: str) -> bytes:
    """Return the key of pseudonyms of one person for one purpose.

    Args:
        person_key: A key of that person, 32 bytes; pseudonyms die with it.
        purpose: Name of the purpose.

    Raises:
        InvalidError: The key has another length.
    """
    if len(person_key) != 32:
        raise InvalidError(
            "a person's key has 32 bytes", rule="dlp.transform.key", fix="take it from the vault"
        )
    message = b"safehold.pseudonym.text.v1\0" + purpose.encode()
    return hmac.digest(person_key, message, hashlib.sha256)


def name_value(key: bytes, kind: str, value: str) -> str:
    """Return the pseudonym of a value: 50 bits of HMAC-SHA-256 in base32.

    Case, look-alike letters, blanks and signs do not matter: two spellings of one value are one.
    """
    plain = unicodedata.normalize("NFKD", value).casefold()
    plain = "".join(sign for sign in plain if sign.isalnum())
    digest = hmac.digest(
        key, kind.encode() + b"\0" + plain.encode("utf-8", "replace"), hashlib.sha256
    )
    return f"[{kind}:{base64.b32encode(digest)[:10].decode().lower()}]"


def _coarser_ip(value: str) -> str | None:
    try:
        address = ipaddress.ip_address(value.strip())
    except ValueError:
        return None
    prefix = 16 if address.version == 4 else 32
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))


def _coarser_date(value: str) -> str | None:
    years = re.findall(r"(?<![0-9])(?:19|20)[0-9]{2}(?![0-9])", value)
    return years[0] if len(years) == 1 else None


def _coarser_email(value: str) -> str | None:
    domain = value.rpartition("@")[2].rpartition(".")[2].lower()
    return f"*.{domain}" if domain.isalpha() else None


_COARSER: Final[dict[str, Callable[[str], str | None]]] = {
    "IP": _coarser_ip,
    "DATE": _coarser_date,
    "EMAIL": _coarser_email,
}


def redact(
    batch: pa.RecordBatch | pa.Table, columns: Iterable[str], policy: Policy
) -> pa.RecordBatch | pa.Table:
    """Return the rows with what was found in some columns changed as the policy says.

    Args:
        batch: The rows.
        columns: Names of text columns.
        policy: What becomes of each class.

    Returns:
        Rows with the same schema. What overlaps becomes one change, that of the class of highest
        rank among those that overlap.

    Raises:
        InvalidError: There is no such column, or it holds no text.
    """
    for name in columns:
        place = batch.schema.get_field_index(name)
        if place < 0:
            raise InvalidError("there is no such column", field=name, rule="dlp.scan")
        kind = batch.schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InvalidError(
                "the column holds no text", field=name, rule="dlp.scan", fix="name a text column"
            )
        texts = batch.column(name)
        fresh = pa.array(_changed(texts, policy), kind)
        batch = batch.set_column(place, batch.schema.field(name), fresh)
    return batch


def _changed(texts: Any, policy: Policy) -> list[str | None]:
    spans = find_spans(texts, groups=policy.groups)
    found: dict[int, list[tuple[int, int, int]]] = {}
    for row, *span in zip(
        spans.row.tolist(),
        spans.start.tolist(),
        spans.end.tolist(),
        spans.kind.tolist(),
        strict=True,
    ):
        found.setdefault(row, []).append((span[0], span[1], span[2]))

    def say(value: str, kind: int) -> str:
        return _change(value, NAMES[kind], policy)

    values: list[str | None] = texts.to_pylist()
    for row, listed in found.items():
        values[row] = replace_spans(values[row] or "", unite(sorted(listed)), say)
    return values


def _change(value: str, kind: str, policy: Policy) -> str:
    change = policy.changes.get(kind, Change.CLASS)
    if change is Change.DROP:
        return ""
    if change is Change.PSEUDONYM and sum(map(str.isalpha, value)) >= _LONG:
        return name_value(policy.key, kind, value)
    if change is Change.GENERALISE and (coarse := _COARSER[kind](value)) is not None:
        return f"[{kind}:{coarse}]"
    return CLASSES[kind].token
