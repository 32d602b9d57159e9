"""Checks on numbers: cards, accounts, telephones, social security.

A failed checksum lowers the confidence and never rejects: a mistyped or badly transcribed number
is still somebody's. What rejects is evidence of another meaning: a version number, a date, prose.
"""

from __future__ import annotations

import re
from typing import Final

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


_TWICE: Final = bytes.maketrans(
    b"0123456789", b"0246813579"
)  # a digit doubled, and its digits added
_NO_DIGITS: Final = bytes(byte for byte in range(256) if not 48 <= byte <= 57)


def luhn_holds(digits: bytes) -> int:
    """Return 1 when the check digit fits (ISO/IEC 7812-1 annex B), else 0."""
    turned = digits[::-1]
    total = sum(turned[0::2]) + sum(turned[1::2].translate(_TWICE)) - 48 * len(digits)
    return int(total % 10 == 0)


def mod97_of(account: str) -> int:
    """Return the remainder that is 1 for a valid account number (ISO 7064 MOD 97-10)."""
    turned = account[4:] + account[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97


def digits_of(text: bytes) -> bytes:
    """Return the digits of a text."""
    return text.translate(None, _NO_DIGITS)


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
    digits = digits_of(buffer[start:end])
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
    if re.fullmatch(rb"[0-9]+\.[0-9]+", text):
        return 0  # a decimal number
    places = [at for at, byte in enumerate(text) if 48 <= byte <= 57]
    for count in _CARD_LENGTHS.get(text[:1], ()):
        if count > len(places) or (count < len(places) and places[count] == places[count - 1] + 1):
            continue  # the number would end inside a row of digits
        digits = digits_of(text[: places[count - 1] + 1])
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
    digits = digits_of(buffer[start:end])
    before = buffer[max(0, start - 2) : start]
    if len(digits) != 9 or len({byte for byte in buffer[start:end] if byte in b"./-"}) > 1:
        return 0
    if before[-1:] in (b".", b"-") and before[:1].isdigit():
        return 0  # a part of the name of a host
    if buffer[max(0, start - 1) : start].isdigit() or buffer[end : end + 1].isdigit():
        if any(byte in b"./" for byte in buffer[start:end]):
            return 0  # a part of a path or a decimal number
        return 60  # a digit too many is still a typing error away from the number
    assigned = digits[:3] not in (b"000", b"666") and digits[0] != 57 and digits[5:] != b"0000"
    return 95 if assigned else 70


_LINE: Final = re.compile(
    rb"(?i)[ ,(-]{0,3}(?:office|fax|mobile|cell|home|work|desk|direct|phone|tel)\b"
)
_EXTENSION: Final = re.compile(rb"(?i) ?(?:x|ext)[^0-9]{0,8}[0-9]{1,6}$")


def check_phone(buffer: bytes, start: int, end: int) -> int:
    """Reject dates and what has too few or too many digits (ITU-T E.164: 15 at most)."""
    digits = digits_of(_EXTENSION.sub(b"", buffer[start:end]))
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
    if buffer[start : start + 2] == b"00" and len(digits) < 10:
        return 0
    return 90 if len(digits) >= 10 else 75


def check_named_phone(buffer: bytes, start: int, end: int) -> int:
    """As a phone number that is called one: six digits will do when they are parted."""
    text = buffer[start:end]
    digits = digits_of(text)
    called = any(byte in b":#" for byte in buffer[max(0, start - 3) : start])
    called |= _LINE.match(buffer, end) is not None
    if len(digits) == 6 and len(set(digits)) > 1 and any(byte in b" -/" for byte in text):
        return 70 if called else 0
    return check_phone(buffer, start, end)


def check_cued_phone(buffer: bytes, start: int, end: int) -> int:
    """As a phone number, but a short one will do, for the cue stands before it."""
    digits = digits_of(buffer[start:end])
    if not 4 <= len(digits) <= 15 or (len(digits) == 8 and _is_date(digits)):
        return 0
    return 80


def check_account(buffer: bytes, start: int, end: int) -> int:
    """Keep 6 to 28 digits (NACHA: 17 at most; the longest national account number has 28)."""
    digits = digits_of(buffer[start:end])
    return 85 if 6 <= len(digits) <= 28 else 0


def check_age(buffer: bytes, start: int, end: int) -> int:
    """Keep 1 to 119 years."""
    digits = digits_of(buffer[start:end])
    return 85 if digits and 1 <= int(digits) <= 119 else 0


def _is_part(buffer: bytes, start: int, end: int) -> int:
    before, after = buffer[max(0, start - 2) : start], buffer[end : end + 2]
    joined = before[-1:] in (b".", b"/", b"-", b"_") and len(before) > 1 and before[:1].isalnum()
    return int(joined or (after[:1] in (b".", b"/", b"-", b"_") and after[1:].isalnum()))


def check_date(buffer: bytes, start: int, end: int) -> int:
    """Keep days of the calendar; reject parts of longer numbers, such as versions and paths."""
    parts = [int(part) for part in re.findall(rb"[0-9]+", buffer[start:end])[:3]]
    if len(parts) < 3 or _is_part(buffer, start, end) or _is_digit(buffer, end):
        return 0
    year_first = parts[0] > 31
    first, second = (parts[1], parts[2]) if year_first else (parts[0], parts[1])
    if not (1 <= min(first, second) <= 12 and 1 <= max(first, second) <= 31):
        return 0
    return 90


def check_year(buffer: bytes, start: int, end: int) -> int:
    """Keep a year that stands alone."""
    after = buffer[end : end + 2]
    if after[:1] in (b"x", b"p", b"k", b"m", b"M", b"K") or (
        after[:1] in b".:," and after[1:].isdigit()
    ):
        return 0
    return 0 if _is_part(buffer, start, end) else 70


def check_clock(buffer: bytes, start: int, end: int) -> int:
    """Keep a time of day; reject parts of addresses, ratios and longer numbers."""
    before, after = buffer[max(0, start - 1) : start], buffer[end : end + 2]
    if before in (b":", b".", b"-", b"/") or (after[:1] in (b":", b".") and after[1:].isalnum()):
        return 0
    return 75


def check_house(buffer: bytes, start: int, end: int) -> int:
    """Keep a street with its number."""
    text = buffer[start:end]
    return 75 if any(48 <= byte <= 57 for byte in text) else 0


def check_plate(buffer: bytes, start: int, end: int) -> int:
    """Keep what a plate can hold: letters or digits, a digit among them."""
    text = buffer[start:end]
    return 80 if digits_of(text) and sum(chr(byte).isalnum() for byte in text) >= 4 else 0
