"""Checks on candidates, by the names that rules use.

Every check takes the buffer and the borders of the candidate, in bytes, and returns a confidence
in percent; 0 rejects.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final

from safehold.dlp import check_number as number
from safehold.dlp import check_secret as secret
from safehold.dlp.check_number import luhn_holds, mod97_of

Check = Callable[[bytes, int, int], int]
__all__ = ["CHECKS", "Check", "luhn_holds", "mod97_of"]

_VERSION_CUES: Final = (b"version", b"ver", b"release", b"firmware", b"kernel", b"build", b"v")


def check_ip(buffer: bytes, start: int, end: int) -> int:
    """Reject octets above 255 and version numbers."""
    text = buffer[start:end].decode("ascii", "replace")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 0
    if address.version == 6:
        joined = buffer[max(0, start - 1) : start] == b":" or buffer[end : end + 1] == b":"
        pairs = "::" not in text and max(map(len, text.split(":"))) < 3  # a fingerprint
        return 90 if len(text) > 5 and not joined and not pairs else 0
    if buffer[max(0, start - 1) : start] in (b".", b"-", b"_") or buffer[end : end + 1] in (
        b"-",
        b"_",
    ):
        return 0
    if buffer[end : end + 1] == b"." and buffer[end + 1 : end + 2].isdigit():
        return 0
    words = buffer[max(0, start - 16) : start].lower().split()
    if words and words[-1].strip(b":=(") in _VERSION_CUES:
        return 0
    return 90


def check_mac(buffer: bytes, start: int, end: int) -> int:
    """Reject dotted numbers without a letter and parts of longer hexadecimal strings."""
    text = buffer[start:end]
    if b"." in text and not any(byte > 57 for byte in text):
        return 0
    if buffer[end : end + 1] in (b":", b"-") and buffer[end + 1 : end + 2].isalnum():
        return 0
    return 95


_LINK_ENDS: Final = frozenset(b".@/-_=")


def check_link(buffer: bytes, start: int, end: int) -> int:
    """Reject a host that is a part of something longer: an address, a path, a file name."""
    before = buffer[start - 1] if start else 0
    after = buffer[end : end + 2]
    if before in _LINK_ENDS or after[:1] in (b"@", b"_", b"(") or after[:1].isalnum():
        return 0
    return 0 if after[:1] == b"." and after[1:].isalnum() else 70


_TOOLS: Final = re.compile(
    rb"(?i)\b(?:package|window|file|network|device|session|display|boot|task|volume|update|resource|source|memory"
    rb"|process|desktop|partition|disk|download|context|event|power|print|job|thread|connection|login|load|text"
    rb"|hex|video|sound|system|access|package|version|cluster|queue|backup)"
    rb"\s(?:manager|editor|player|viewer|driver|installer|writer|designer|inspector|analyst)$"
)


def check_work(buffer: bytes, start: int, end: int) -> int:
    """Reject programs that are called like people at work: a file manager, a text editor."""
    return 0 if _TOOLS.search(buffer[start:end]) else 65


def check_any(_buffer: bytes, _start: int, _end: int) -> int:
    """Take the candidate as it is."""
    return 90


def check_bare(_buffer: bytes, _start: int, _end: int) -> int:
    """Take the candidate, with less confidence: it is a word without a cue."""
    return 60


_NUMBER: Final[dict[str, Check]] = {
    "card": number.check_card,
    "card_alone": number.check_card_alone,
    "card_plain": number.check_card_plain,
    "card_loose": number.check_card_loose,
    "iban": number.check_iban,
    "ssn": number.check_ssn,
    "phone": number.check_phone,
    "cued_phone": number.check_cued_phone,
    "named_phone": number.check_named_phone,
    "account": number.check_account,
    "age": number.check_age,
    "date": number.check_date,
    "year": number.check_year,
    "clock": number.check_clock,
    "plate": number.check_plate,
    "house": number.check_house,
}
_SECRET: Final[dict[str, Check]] = {
    "told": secret.check_told,
    "spelled": secret.check_spelled,
    "token": secret.check_token,
    "capitals": secret.check_capitals,
    "bare_token": secret.check_bare_token,
    "password": secret.check_password,
    "shape": secret.check_shape,
    "code": secret.check_code,
    "user": secret.check_user,
    "keyed": secret.check_keyed,
    "quoted": secret.check_quoted,
    "pair": secret.check_pair,
    "pem": secret.check_pem,
    "numbered": secret.check_numbered,
    "login": secret.check_login,
}
# keys of known makers: drawn30w is 3.0 bits a byte at least, and nothing of its kind follows
_DRAWN: Final[dict[str, Check]] = {
    f"drawn{tenths}{mark}": secret.drawn(tenths / 10, closed=bool(mark))
    for tenths in range(10, 60)
    for mark in ("", "w")
}
CHECKS: Final[dict[str, Check]] = (
    {
        "ip": check_ip,
        "mac": check_mac,
        "link": check_link,
        "work": check_work,
        "any": check_any,
        "bare": check_bare,
    }
    | _NUMBER
    | _SECRET
    | _DRAWN
)
