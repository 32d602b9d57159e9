"""Values that must never be stored, made so that they never occur by chance.

Every value is at least eight characters long and holds enough random digits to be searched for
byte by byte. Numbers of people, cards and accounts are invented; domains end in ``.example`` (RFC
2606).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from safehold.workforce.spec import Draw

_LOWER: Final = "abcdefghijkmnpqrstuvwxyz"
_UPPER: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_MIXED: Final = _LOWER + _UPPER + "23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A planted value with the words around it.

    Args:
        kind: Class name, as in the class table of the scanner.
        value: What must not be found anywhere.
        before: Text typed or written before it.
        after: Text after it.
        decoy: It only looks like its class.
    """

    kind: str
    value: str
    before: str = ""
    after: str = ""
    decoy: bool = False


def luhn_digit(digits: str) -> str:
    """Return the check digit of a card number (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 == 0 else 1)
        total += number - 9 if number > 9 else number
    return str(-total % 10)


def _letters(draw: Draw, alphabet: str, count: int) -> str:
    return "".join(draw.pick(alphabet) for _ in range(count))


def _group(digits: str, mark: str) -> str:
    return mark.join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _email(draw: Draw) -> str:
    return (
        f"{_letters(draw, _LOWER, 5)}.{_letters(draw, _LOWER, 6)}{draw.digits(4)}@mailbox.example"
    )


def _phone(draw: Draw) -> str:
    area, line = draw.pick(("415", "628", "206", "253", "425", "510")), draw.digits(4)
    return draw.pick((f"+1 {area}-555-{line}", f"({area}) 555-{line}", f"{area}-555-{line}"))


def _ssn(draw: Draw) -> str:
    return f"{draw.whole(101, 665)}-{draw.whole(11, 99)}-{draw.digits(4)}"


def _card(draw: Draw) -> str:
    digits = draw.pick(("4", "51", "53", "4")) + draw.digits(14)
    digits = digits[:15]
    return _group(digits + luhn_digit(digits), draw.pick((" ", "-", "")))


def _iban(draw: Draw) -> str:
    account = draw.digits(18)
    check = 98 - int(account + "131400") % 97  # D = 13, E = 14, then 00 (ISO 13616)
    return _group(f"DE{check:02d}{account}", draw.pick((" ", "")))


def _bank(draw: Draw) -> str:
    return draw.digits(12)


def _address(draw: Draw) -> str:
    return f"10.{draw.whole(100, 255)}.{draw.whole(100, 255)}.{draw.whole(100, 255)}"


def _mac(draw: Draw) -> str:
    return ":".join(f"{draw.whole(0, 255):02x}" for _ in range(6))


def _token(draw: Draw) -> str:
    at = draw.unit()
    if at < 0.34:
        return "AKIA" + _letters(draw, _UPPER + "234567", 16)
    if at < 0.67:
        return "ghp_" + _letters(draw, _MIXED, 36)
    return "sk_live_" + _letters(draw, _MIXED, 24)


def password(draw: Draw) -> str:
    """Return a password nobody else has, 12 characters."""
    mark = draw.pick("!#%+")
    return f"{_letters(draw, _UPPER, 2)}{_letters(draw, _LOWER, 4)}{mark}{draw.digits(5)}"


def _user(draw: Draw) -> str:
    return f"{_letters(draw, _LOWER, 6)}_{draw.digits(4)}"


def _staff(draw: Draw) -> str:
    return f"NF-{draw.digits(7)}"


def _record(draw: Draw) -> str:
    return f"MRN-{draw.digits(8)}"


def _health(draw: Draw) -> str:
    what = draw.pick(
        ("type 2 diabetes", "severe migraine", "asthma", "a slipped disc", "depression")
    )
    return f"diagnosed with {what}, chart {draw.digits(6)}"


def _finance(draw: Draw) -> str:
    return f"salary of {draw.digits(3)},{draw.digits(3)} dollars plus {draw.digits(5)} bonus"


def _legal(draw: Draw) -> str:
    return f"settlement in case {draw.whole(2, 9)}:26-cv-{draw.digits(5)}"


def _remark(draw: Draw) -> str:
    return f"rated {draw.whole(1, 3)} of 5, improvement plan {draw.digits(6)}"


def _private(draw: Draw) -> str:
    what = draw.pick(
        ("do not tell anybody but i am leaving", "my marriage is over", "i am in debt")
    )
    return f"{what}, call me on extension {draw.digits(6)}"


MAKERS: Final[dict[str, tuple[Callable[[Draw], str], tuple[str, ...]]]] = {
    "EMAIL": (_email, ("mail it to ", "the address is ", "write to ")),
    "PHONE": (_phone, ("call ", "my phone number is ", "reach me at ")),
    "SSN": (_ssn, ("ssn ", "social security number ", "my ssn is ")),
    "CARD": (_card, ("card ", "card number ", "charge it to ")),
    "IBAN": (_iban, ("iban ", "transfer it to ", "pay to iban ")),
    "BANK": (_bank, ("account number ", "bank account ", "acct ")),
    "IP": (_address, ("the server is ", "host ", "connect to ")),
    "MAC": (_mac, ("device ", "mac address ", "adapter ")),
    "SECRET": (_token, ("api key ", "the token is ", "key: ")),
    "PASSWORD": (password, ("password: ", "the password is ", "pw: ")),
    "OTP": (lambda draw: draw.digits(8), ("verification code ", "one-time code ", "otp ")),
    "USERNAME": (_user, ("username ", "log in as ", "user: ")),
    "EMPID": (_staff, ("employee id ", "staff number ", "badge ")),
    "MRN": (_record, ("patient record ", "medical record ", "file ")),
    "HEALTH": (_health, ("she was ", "he was ", "they were ")),
    "FINANCE": (_finance, ("he gets a ", "she asked for a ", "offer a ")),
    "LEGAL": (_legal, ("counsel wants a ", "privileged: ", "the ")),
    "PERFORMANCE": (_remark, ("she was ", "he was ", "for the file: ")),
    "PRIVATE": (_private, ("please ", "hey ", "honestly ")),
}
IDENTIFIERS: Final = (
    "EMAIL", "PHONE", "SSN", "CARD", "IBAN", "BANK", "IP", "MAC", "USERNAME", "EMPID",
)  # fmt: skip


def make_secret(kind: str, draw: Draw) -> Secret:
    """Return a new value of a class, with words before and after it."""
    maker, cues = MAKERS[kind]
    after = draw.pick(("", "", " thanks", " as agreed"))
    return Secret(kind=kind, value=maker(draw), before=draw.pick(cues), after=after)


def make_decoy(draw: Draw) -> Secret:
    """Return something that looks like a secret and is none.

    Order numbers, card-like numbers that fail the Luhn check, version numbers, prose about
    passwords.
    """
    at = draw.whole(0, 3)
    if at == 0:
        return Secret(kind="BANK", value=f"ORD-{draw.digits(9)}", before="order ", decoy=True)
    if at == 1:
        digits = "4" + draw.digits(14)
        wrong = str((int(luhn_digit(digits)) + 1 + draw.whole(0, 7)) % 10)
        return Secret(kind="CARD", value=digits + wrong, before="parcel ", decoy=True)
    if at == 2:
        value = f"{draw.whole(2, 9)}.{draw.whole(100, 999)}.{draw.whole(1000, 9999)}"
        return Secret(kind="IP", value=value, before="fixed in version ", decoy=True)
    value = f"password page moved to room {draw.digits(5)}"
    return Secret(kind="PASSWORD", value=value, before="the ", decoy=True)
