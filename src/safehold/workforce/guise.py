"""The same value in another guise: said aloud, inside a link, or as an input method brings it."""

from __future__ import annotations

from typing import Final

from safehold.workforce.secret import Secret, make_secret
from safehold.workforce.spec import Draw

_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPOKEN: Final = ("CARD", "SSN", "PHONE", "IBAN", "BANK", "OTP", "EMAIL")  # said digit by digit
SAID: Final = (*SPOKEN, "HEALTH", "FINANCE", "LEGAL", "PERFORMANCE", "MRN", "EMPID", "PASSWORD")
_MARKS: Final = {".": "dot", "@": "at", "-": "", "(": "", ")": "", "+": "plus", " ": ""}

# what a link carries: class, and the text before and after the value
_LINKS: Final = (
    ("SECRET", "https://api.northfield.example/export?format=csv&api_key=", "&page=2"),
    ("SECRET", "https://build.northfield.example/hook?access_token=", ""),
    ("PASSWORD", "https://deploy:", "@files.northfield.example/nightly"),
    ("PASSWORD", "https://portal.northfield.example/login?user=temp&password=", "&next=home"),
    ("EMAIL", "https://portal.northfield.example/unsubscribe?email=", "&list=weekly"),
    ("EMAIL", "mailto:", "?subject=visit"),
    ("SSN", "https://benefits.northfield.example/search?ssn=", "&year=2026"),
    ("CARD", "https://pay.northfield.example/refund?card=", "&amount=40"),
    ("IBAN", "https://pay.northfield.example/transfer?iban=", ""),
    ("OTP", "https://login.northfield.example/confirm?otp=", ""),
    ("IP", "http://", "/admin/status"),
)
LINKED: Final = tuple(dict.fromkeys(kind for kind, _, _ in _LINKS))
WIDE: Final = ("CARD", "SSN", "PHONE", "BANK", "OTP")  # digits an input method may widen
COMPOSED: Final = (*WIDE, "EMAIL", "IBAN")


def say(value: str) -> str:
    """Return a value as somebody reads it out: signs by name, letters by themselves."""
    words: list[str] = []
    run = ""
    for mark in value:
        if mark.isalpha():
            run += mark.lower()
            continue
        if run:
            words.append(run)
            run = ""
        words.append(_DIGITS[int(mark)] if mark.isdigit() else _MARKS.get(mark, mark))
    return " ".join(word for word in (*words, run) if word)


def make_said(kind: str, draw: Draw) -> Secret:
    """Return a value as a transcript has it: read out sign by sign, or written as usual."""
    secret = make_secret(kind, draw)
    if kind not in SPOKEN or draw.unit() < 0.4:
        return secret
    return Secret(
        kind=kind,
        value=say(secret.value),
        before=secret.before.replace(":", " is").replace("  ", " "),
        after=secret.after,
    )


def make_link(kind: str, draw: Draw) -> Secret:
    """Return a value with the link around it."""
    _, before, after = draw.pick([link for link in _LINKS if link[0] == kind])
    value = make_secret(kind, draw).value.replace(" ", "")
    if kind == "PASSWORD":  # what a link cannot hold as it is
        value = value.translate({ord("#"): "_", ord("%"): "_", ord("!"): "_", ord("+"): "_"})
    return Secret(kind=kind, value=value, before=before, after=after)


def make_composed(kind: str, draw: Draw) -> Secret:
    """Return a value as an input method commits it: every second one in full-width signs."""
    secret = make_secret(kind, draw)
    if kind not in WIDE or draw.unit() < 0.5:
        return secret
    return Secret(kind=kind, value=widen(secret.value), before=secret.before, after=secret.after)


def widen(text: str) -> str:
    """Return printable ASCII in full-width forms (Unicode block U+FF00)."""
    return "".join("\u3000" if mark == " " else chr(ord(mark) + 0xFEE0) for mark in text)


def narrow(text: str) -> str:
    """Return what has to be typed for full-width text."""
    return "".join(
        " "
        if mark == "\u3000"
        else chr(ord(mark) - 0xFEE0)
        if "\uff01" <= mark <= "\uff5e"
        else mark
        for mark in text
    )
