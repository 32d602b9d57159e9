"""Checks on candidates: they set the confidence of a span, or say that it is something else.

A failed checksum lowers the confidence and never rejects: a mistyped or badly transcribed number
is still somebody's. What rejects is evidence of another meaning: a version number, a date, prose.

Every check takes the buffer and the borders of the candidate, in bytes, and returns a confidence
in percent; 0 rejects.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Final

Check = Callable[[bytes, int, int], int]

# ISO 13616 registry: length of the account number by country
_IBAN_LENGTH: Final = dict(
    pair.split(":") for pair in [
        "AD:24", "AE:23", "AL:28", "AT:20", "AZ:28", "BA:20", "BE:16", "BG:22",
        "BH:22", "BR:29", "BY:28", "CH:21", "CR:22", "CY:28", "CZ:24", "DE:22",
        "DK:18", "DO:28", "EE:20", "EG:29", "ES:24", "FI:18", "FO:18", "FR:27",
        "GB:22", "GE:22", "GI:23", "GL:18", "GR:27", "GT:28", "HR:21", "HU:28",
        "IE:22", "IL:23", "IQ:23", "IS:26", "IT:27", "JO:30", "KW:30", "KZ:20",
        "LB:28", "LC:32", "LI:21", "LT:20", "LU:20", "LV:21", "LY:25", "MC:27",
        "MD:24", "ME:22", "MK:19", "MR:27", "MT:31", "MU:30", "NL:18", "NO:15",
        "PK:24", "PL:28", "PS:29", "PT:25", "QA:29", "RO:24", "RS:22", "SA:24",
        "SC:31", "SD:18", "SE:24", "SI:19", "SK:24", "SM:27", "ST:25", "SV:28",
        "TL:23", "TN:24", "TR:26", "UA:29", "VA:22", "VG:24", "XK:20",
    ]
)  # fmt: skip
# digits of a card number by its first one (ISO/IEC 7812-1)
_CARD_LENGTHS: Final = {
    b"2": (16,),
    b"3": (15, 14),
    b"4": (16, 19, 13),
    b"5": (16,),
    b"6": (16, 19),
}
_VERSION_CUES: Final = (b"version", b"ver", b"release", b"firmware", b"kernel", b"build", b"v")
_NOT_A_CODE: Final = frozenset(
    b"error exit status return zip postal area country source http city promo".split()
)
_MARKS: Final = frozenset(b"!#$%^&*+?~@")


def luhn_holds(digits: bytes) -> int:
    """Return 1 when the check digit fits (ISO/IEC 7812-1 annex B), else 0."""
    total = 0
    for place, byte in enumerate(reversed(digits)):
        number = (byte - 48) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return int(total % 10 == 0)


def mod97_of(account: str) -> int:
    """Return the remainder that is 1 for a valid account number (ISO 7064 MOD 97-10)."""
    turned = account[4:] + account[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97


def _digits(text: bytes) -> bytes:
    return bytes(byte for byte in text if 48 <= byte <= 57)


def _is_date(digits: bytes) -> int:
    """Return 1 when digits read as a calendar date, year first or last, or a timestamp."""
    for year, month, day in (
        (slice(0, 4), slice(4, 6), slice(6, 8)),
        (slice(4, 8), slice(2, 4), slice(0, 2)),
        (slice(4, 8), slice(0, 2), slice(2, 4)),
    ):
        if (
            len(digits) >= 8
            and b"1900" <= digits[year] <= b"2099"
            and b"01" <= digits[month] <= b"12"
            and b"01" <= digits[day] <= b"31"
        ):
            return 1
    return 0


def check_card(buffer: bytes, start: int, end: int) -> int:
    """Confidence of a card number by Luhn; 12 to 19 digits."""
    digits = _digits(buffer[start:end])
    if not 12 <= len(digits) <= 19 or len(set(digits)) == 1:
        return 0
    if len(digits) == 14 and _is_date(digits[:8]):
        return 0
    return 98 if luhn_holds(digits) else 70


def check_card_alone(buffer: bytes, start: int, end: int) -> int:
    """As a card number, but not a part of a longer row of digits."""
    if _is_digit(buffer, start - 1) or _is_digit(buffer, end):
        return 0
    return check_card(buffer, start, end)


def check_card_plain(buffer: bytes, start: int, end: int) -> int:
    """As a card number that stands alone; between letters only when the check digit fits."""
    confidence = check_card_alone(buffer, start, end)
    around = buffer[max(0, start - 1) : start] + buffer[end : end + 1]
    if any(chr(byte).isalpha() for byte in around if byte < 128) and confidence < 98:
        return 0
    return confidence


def check_card_loose(buffer: bytes, start: int, end: int) -> int:
    """Digits parted in any way: here nothing but length and check digit can tell a card number."""
    if _is_digit(buffer, start - 1) or _is_digit(buffer, end):
        return 0
    text = buffer[start:end]
    places = [at for at, byte in enumerate(text) if 48 <= byte <= 57]
    for count in _CARD_LENGTHS.get(text[:1], ()):
        if count > len(places) or (count < len(places) and places[count] == places[count - 1] + 1):
            continue  # the number would end inside a row of digits
        digits = _digits(text[: places[count - 1] + 1])
        if luhn_holds(digits) and len(set(digits)) > 1 and not _is_date(digits[:8]):
            return 75
    return 0


def _is_digit(buffer: bytes, at: int) -> int:
    return int(0 <= at < len(buffer) and 48 <= buffer[at] <= 57)


def check_iban(buffer: bytes, start: int, end: int) -> int:
    """Confidence of an account number by country, length and MOD 97-10."""
    text = buffer[start:end].translate(None, b" .-").decode("ascii").upper()
    if text[:2] not in _IBAN_LENGTH or not 14 <= len(text) <= 36:
        return 0
    if sum(char.isdigit() for char in text) * 2 < len(text):
        return 0
    if len(text) == int(_IBAN_LENGTH[text[:2]]):
        return 99 if mod97_of(text) == 1 else 80
    return 65


def check_ssn(buffer: bytes, start: int, end: int) -> int:
    """Confidence by the areas that are assigned."""
    digits = _digits(buffer[start:end])
    if len(digits) != 9:
        return 0
    if buffer[max(0, start - 1) : start].isdigit() or buffer[end : end + 1].isdigit():
        return 60  # a digit too many is still a typing error away from the number
    assigned = digits[:3] not in (b"000", b"666") and digits[0] != 57 and digits[5:] != b"0000"
    return 95 if assigned else 70


def check_phone(buffer: bytes, start: int, end: int) -> int:
    """Reject dates and what has too few or too many digits (ITU-T E.164: 15 at most)."""
    digits = _digits(buffer[start:end])
    if not 7 <= len(digits) <= 15 or len(set(digits)) == 1:
        return 0
    before = buffer[max(0, start - 1) : start]
    after = buffer[end : end + 2]
    if before in (b"-", b".", b"/", b":", b"#") or (
        after[:1] in (b"-", b".", b":") and after[1:].isdigit()
    ):
        return 0
    if len(digits) == 8 and _is_date(digits):
        return 0
    return 90 if len(digits) >= 10 else 75


def check_cued_phone(buffer: bytes, start: int, end: int) -> int:
    """As a phone number, but a short one will do, for the cue stands before it."""
    digits = _digits(buffer[start:end])
    if not 4 <= len(digits) <= 15 or (len(digits) == 8 and _is_date(digits)):
        return 0
    return 80


def check_ip(buffer: bytes, start: int, end: int) -> int:
    """Reject octets above 255 and version numbers."""
    text = buffer[start:end].decode("ascii", "replace")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 0
    if address.version == 6:
        return 90 if len(text) > 5 else 0
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


def entropy_of(text: bytes) -> float:
    """Return the Shannon entropy of the bytes, in bits a byte."""
    if not text:
        return 0.0
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def check_token(buffer: bytes, start: int, end: int) -> int:
    """Keep what looks drawn by a machine: letters and digits mixed, much entropy."""
    text = buffer[start:end]
    digits = sum(48 <= byte <= 57 for byte in text)
    letters = sum(chr(byte).isalpha() for byte in text if byte < 128)
    if not digits or not letters or entropy_of(text) < 3.0:
        return 0
    return 80


def check_capitals(buffer: bytes, start: int, end: int) -> int:
    """Keep capitals and digits as they are; in other spellings it must look drawn by a machine."""
    return 90 if buffer[start:end].isupper() else check_token(buffer, start, end)


def check_bare_token(buffer: bytes, start: int, end: int) -> int:
    """Keep a long word without a cue only when it holds both cases, digits and much entropy."""
    text = buffer[start:end]
    if buffer[max(0, start - 1) : start] in (b"/", b".", b"@", b"="):
        return 0
    mixed = text.lower() != text and text.upper() != text
    digits = sum(48 <= byte <= 57 for byte in text)
    if not mixed or digits < 4 or b"/" in text or entropy_of(text) < 4.2:
        return 0
    return 65


def _variety(text: bytes) -> int:
    return (
        any(48 <= byte <= 57 for byte in text)
        + any(97 <= byte <= 122 for byte in text)
        + any(65 <= byte <= 90 for byte in text)
        + any(byte in _MARKS for byte in text)
    )


def check_password(buffer: bytes, start: int, end: int) -> int:
    """Tell a password from prose about passwords."""
    text = buffer[start:end].rstrip(b".,;:)]>")
    if text[:1] in (b"[", b"<", b"(", b"/") or len(text) < 4:
        return 0
    core = text[:1].lower() + text[1:]
    if b"://" in text or b"/" in text[1:-1]:
        return 0
    explicit = buffer[max(0, start - 3) : start].strip()[-1:] in (b":", b"=")
    kinds = _variety(core.rstrip(b"!?"))
    if kinds >= 2 and any(48 <= byte <= 57 for byte in core) and not core.isdigit():
        return 95
    if kinds >= 3 or (kinds >= 2 and explicit and core.lower() != core):
        return 85
    if core.isdigit():
        return 80 if explicit or len(core) >= 6 else 0
    return 70 if core.isalpha() and len(core) >= 16 else 0


def check_told(buffer: bytes, start: int, end: int) -> int:
    """Keep what cannot be a word of the sentence: letters and digits mixed."""
    text = buffer[start:end].rstrip(b".,;:)]>!?")
    letters = any(chr(byte).isalpha() for byte in text if byte < 128)
    digits = any(48 <= byte <= 57 for byte in text)
    return check_password(buffer, start, end) if letters and digits and len(text) >= 6 else 0


def check_spelled(buffer: bytes, start: int, end: int) -> int:
    """Keep addresses that are spelled out or spaced; a plain one has its own rule."""
    text = buffer[start:end].lower()
    spaced = b" @" in text or b"@ " in text
    return 80 if spaced or re.search(rb"[(\[{<] ?at ?[)\]}>]", text) else 0


def check_shape(buffer: bytes, start: int, end: int) -> int:
    """Keep a word without a cue that only a password rule would make: four kinds of characters."""
    text = buffer[start:end].rstrip(b"!?")
    if not 8 <= len(text) <= 40 or _variety(text) < 4:
        return 0
    if sum(48 <= byte <= 57 for byte in text) < 2 or b"@" in text or b"&&" in text or b"++" in text:
        return 0
    border = buffer[max(0, start - 1) : start] + buffer[end : end + 1]
    if (
        any(byte in b"/=&.-_:\\<>{}()[]%" for byte in border)
        or b"?" in text
        or text.count(b"%") > 1
    ):
        return 0
    return 65


def check_code(buffer: bytes, start: int, end: int) -> int:
    """Reject error codes, postal codes and years."""
    words = buffer[max(0, start - 40) : start].lower().split()
    if any(word.strip(b":,.#") in _NOT_A_CODE for word in words[-4:]):
        return 0
    digits = _digits(buffer[start:end])
    if (
        len(digits) == 4
        and digits[:2] in (b"19", b"20")
        and b"pin" not in words
        and b"otp" not in words
    ):
        return 0
    return 85


def check_account(buffer: bytes, start: int, end: int) -> int:
    """Keep 6 to 17 digits (NACHA: 17 at most)."""
    digits = _digits(buffer[start:end])
    return 85 if 6 <= len(digits) <= 17 else 0


def check_user(buffer: bytes, start: int, end: int) -> int:
    """Keep account names that are not words: they hold a digit, a dot or an underscore inside."""
    text = buffer[start:end].rstrip(b".-_")
    if len(text) < 4 or text.isdigit():
        return 0
    if any(48 <= byte <= 57 for byte in text):
        return 70
    return 60 if b"_" in text[1:-1] else 0


def check_any(_buffer: bytes, _start: int, _end: int) -> int:
    """Take the candidate as it is."""
    return 90


CHECKS: Final[dict[str, Check]] = {
    "card": check_card,
    "card_alone": check_card_alone,
    "card_plain": check_card_plain,
    "card_loose": check_card_loose,
    "told": check_told,
    "spelled": check_spelled,
    "iban": check_iban,
    "ssn": check_ssn,
    "phone": check_phone,
    "cued_phone": check_cued_phone,
    "ip": check_ip,
    "mac": check_mac,
    "token": check_token,
    "capitals": check_capitals,
    "bare_token": check_bare_token,
    "password": check_password,
    "shape": check_shape,
    "code": check_code,
    "account": check_account,
    "user": check_user,
    "any": check_any,
}
