"""Checks on passwords, codes and keys: what was drawn by a machine or chosen as a secret, and what is prose."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise, repeat
from operator import ne
from typing import Final

import re2

from safehold.dlp.check_number import digits_of

_NOT_A_CODE: Final = frozenset(
    b"error exit status return zip postal area country source http city promo".split()
)
_MARKS: Final = frozenset(b"!#$%^&*+?~@")


def _search(pattern: bytes) -> Callable[[bytes], int]:
    """Return a search of an expression in some bytes, in linear time; it tells 1 where there is a match.

    Bytes are signs of their own here, and small letters stand for capitals too.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture, options.case_sensitive = True, False
    match, anywhere = re2.compile(pattern, options)._regexp.Match, re2._Anchor.UNANCHORED  # noqa: SLF001

    def search(text: bytes) -> int:
        return int(match(anywhere, text, 0, len(text))[0][0] >= 0)

    return search


def entropy_of(text: bytes) -> float:
    """Return the Shannon entropy of the bytes, in bits a byte."""
    if not text:
        return 0.0
    # a dictionary keeps the order in which bytes come; all of it runs in C
    counts = map(text.count, dict.fromkeys(text))
    if len(text) > _TABLED:
        return -sum(map(_term, counts, repeat(len(text))))
    return -sum(map(_terms(len(text)).__getitem__, counts))


_TABLED: Final = (
    400  # bytes of a text whose terms are kept: longer than the keys of all rules but a few
)


def _term(count: int, size: int) -> float:
    return count / size * math.log2(count / size) if count else 0.0


@lru_cache(_TABLED)
def _terms(size: int) -> tuple[float, ...]:
    """Return what a byte adds to the entropy of a text of so many bytes, by how often it stands there."""
    return tuple(_term(count, size) for count in range(size + 1))


def _digits_in(text: bytes) -> int:
    return len(text) - len(text.translate(None, b"0123456789"))


def check_token(buffer: bytes, start: int, end: int) -> int:
    """Keep what looks drawn by a machine: letters and digits mixed, much entropy."""
    text = buffer[start:end]
    digits = _digits_in(text)
    letters = sum(chr(byte).isalpha() for byte in text if byte < 128)
    if not digits or not letters or entropy_of(text) < 3.0:
        return 0
    return 80


def check_capitals(buffer: bytes, start: int, end: int) -> int:
    """Keep capitals and digits as they are; in other spellings it must look drawn by a machine."""
    if entropy_of(buffer[start:end]) < 2.5:  # a placeholder
        return 0
    return 90 if buffer[start:end].isupper() else check_token(buffer, start, end)


def check_bare_token(buffer: bytes, start: int, end: int) -> int:
    """Keep a long word without a cue only when it holds both cases, digits and much entropy."""
    text = buffer[start:end]
    if buffer[max(0, start - 1) : start] in (b"/", b".", b"@", b"="):
        return 0
    if buffer[max(0, start - 1) : start] == b"\n" and buffer[end : end + 1] == b"\n":
        return 0  # a line of an encoded file
    mixed = text.lower() != text and text.upper() != text
    digits = _digits_in(text)
    if not mixed or digits < 4 or b"/" in text or entropy_of(text) < 4.2:
        return 0
    if _PLACEHOLDER(text) or _OPEN_NAME(buffer[max(0, start - 48) : start]):
        return 0
    if changes_of(text) < 0.2 or hashlib.sha256(text).hexdigest()[:16] in _open_keys():
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
    core = text[:1].lower() + text[1:]
    no_word = text[:1] in (b"[", b"<", b"(", b"/") or text[:2] == b"--"
    if no_word or len(text) < 4 or b"/" in text[1:-1]:  # markup, an option, a path or a link
        return 0
    explicit = buffer[max(0, start - 4) : start].strip(b" \"'`")[-1:] in (b":", b"=")
    kinds = _variety(core.rstrip(b"!?"))
    if not explicit and re.match(rb"[a-z_]+=", core):
        return 0  # an option of a program
    if kinds >= 2 and any(48 <= byte <= 57 for byte in core) and not core.isdigit():
        return 95
    if kinds >= 3 or (kinds >= 2 and explicit and core.lower() != core):
        return 85
    if core.isdigit():
        return 80 * (explicit or len(core) >= 6)
    return 70 * (core.isalpha() and len(core) >= 16)


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
    if _digits_in(text) < 2 or b"@" in text or b"&&" in text or b"++" in text:
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
    digits = digits_of(buffer[start:end])
    if (
        len(digits) == 4
        and digits[:2] in (b"19", b"20")
        and b"pin" not in words
        and b"otp" not in words
    ):
        return 0
    return 85


def check_user(buffer: bytes, start: int, end: int) -> int:
    """Keep account names that are not words: they hold a digit, a dot or an underscore inside."""
    text = buffer[start:end].rstrip(b".-_")
    if len(text) < 4 or text.isdigit():
        return 0
    if any(48 <= byte <= 57 for byte in text):
        return 70
    return 60 if b"_" in text[1:-1] else 0


_NO_LOGIN: Final = frozenset(
    b"user username root admin name none null true false string guest ubuntu you me login public shared the not my"
    b" your wrong incorrect invalid same case required empty optional correct that this a an set test field".split()
)
_PLACEHOLDER: Final = _search(
    rb"x{6}|\*{3}|your[_-]|redacted|placeholder|change_?me|_here\b|^(?:test|dummy|sample|example)"
    rb"|abcdefghijklm|^[$%{<]|(?:0{10}|1{10})"
)
# names of things that are no keys, though they are called so
_OPEN_NAME: Final = _search(
    rb"(?:access(?:or|ib)|author|rapid|capital|issuer|withcred|monkey|turkey|jsonwebtoken"
    rb"|(?:api|key|token|secret|credentials?|client|access|user|tenant|app|request|session|object|account)"
    rb"[_. -]?(?:id|ids|name|version|url|uri|length|size|file|path|type|alias|endpoint|audience)s?"
    rb"|pub(?:lic)?[_. -]?(?:key|token)|(?:primary|foreign|schema|sequence|bucket|sort|cache|partition|idx|hot"
    rb"|index|natural|api|kms|ssh)[_. -]?key[_. -]?id|(?:primary|foreign|schema|sequence|bucket|sort|cache"
    rb"|partition|index|natural)[_. -]?key|(?:csrf|xsrf)[_. -]?token|audience|reference|secretsid|vault_?name|selector"
    rb"|key[_. -]?(?:board|word|code|frame|press|press(?:ed)?|store|tab|ring|mesh|pair|up|down|left|right|signature"
    rb"|vault|stone)|keying|checksum|md5|sha1|commit|revision|rev)[\"'\s\v\])=:>]{0,8}\n?$"
)


_UUID: Final = re.compile(rb"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SECRET_NAME: Final = re.compile(rb"(?i)api|token|secret|auth|cred|access|private|pass|pwd")


_KIND_OF: Final = bytes(
    0 if 48 <= byte <= 57 else 1 if 97 <= byte <= 122 else 2 if 65 <= byte <= 90 else 3
    for byte in range(256)
)


def changes_of(text: bytes) -> float:
    """Return how often the kind of sign changes from one to the next: in words seldom, in drawn keys often.

    A capital before a small letter is the begin of a word and does not count.
    """
    kinds = text.translate(_KIND_OF, b"-_=./+~")
    turns: int = sum(map(ne, kinds, kinds[1:])) - kinds.count(b"\2\1")
    return turns / max(1, len(kinds) - 1)


def drawn(bits: float, *, closed: bool) -> Callable[[bytes, int, int], int]:
    """Make a check that keeps keys of a known shape: enough entropy, no placeholder.

    Args:
        bits: Least entropy, in bits a byte.
        closed: Whether a sign of the same kind after it tells that it is something longer.
    """

    def check(buffer: bytes, start: int, end: int) -> int:
        text = buffer[start:end]
        after = buffer[end : end + 2]
        if closed and (
            after[:1].isalnum()
            or after[:1] in (b"_", b"-", b"/")
            or (after[:1] == b"." and after[1:].isalnum())
        ):
            return 0
        if entropy_of(text) < bits or _PLACEHOLDER(text):
            return 0
        return 0 if hashlib.sha256(text).hexdigest()[:16] in _open_keys() else 95

    return check


@cache
def _open_keys() -> frozenset[str]:
    """Return marks of keys that are printed in public examples and open nothing."""
    data = files("safehold.dlp").joinpath("patterns/open_keys.json").read_bytes()
    return frozenset(json.loads(data)["sha256_64"])


def check_keyed(buffer: bytes, start: int, end: int) -> int:
    """Keep what an assignment calls a key and a machine has drawn; not ids, names, versions, paths."""
    text = buffer[start:end].rstrip(b".=,;")
    before = buffer[max(0, start - 48) : start]
    line = before[max(before.rfind(b"\n"), before.rfind(b"\0")) + 1 :]
    if _OPEN_NAME(line) or _PLACEHOLDER(text):
        return 0
    digits = _digits_in(text)
    if not digits or digits == len(text) or text.count(b".") > 2 or b"//" in text:
        return 0
    if buffer[end : end + 1] in (b"(", b"[") or text[:1] in (b"/", b".", b"-"):
        return 0
    if _UUID.fullmatch(text) and not _SECRET_NAME.search(line):
        return 0
    mixed = text.lower() != text
    if buffer[start:end].endswith(b"..") or changes_of(text) < (0.22 if mixed else 0.15):
        return 0
    return 85 if entropy_of(text) >= (3.0 if len(text) < 20 else 3.2) else 0


def check_quoted(buffer: bytes, start: int, end: int) -> int:
    """Keep a quoted value that is called a password; no placeholder, no name of a variable."""
    text = buffer[start:end]
    if len(text) < 4 or _PLACEHOLDER(text) or text[:1] in (b"$", b"{", b"<", b"%", b"["):
        return 0
    lower = text.lower()
    if lower in (b"true", b"false", b"null", b"none", b"password", b"passwd", b"string", b"text"):
        return 0
    kinds = _variety(text)
    return (90 if kinds >= 3 else 80) if kinds >= 2 else 60


def check_pair(buffer: bytes, start: int, end: int) -> int:
    """Keep a name and a password written as one; not variables and the words of a manual."""
    text = buffer[start:end].strip(b"'\"")
    name, _, word = text.partition(b":")
    name, word = name.strip(b"'\""), word.strip(b"'\"")
    if not (name or word) or name[:1] in (b"$", b"<", b"[") or word[:1] in (b"$", b"<", b"["):
        return 0
    if b"$(" in text or b"${" in text or b"{{" in text:
        return 0
    plain = (b"password", b"pass", b"passwd", b"pwd", b"test", b"token", b"secret", b"changeme")
    if word.lower() in plain or (set(word) <= set(b"*x") and name) or set(word) == set(b"y"):
        return 0
    return 85 if len(word or name) >= 4 else 0


def check_pem(buffer: bytes, start: int, end: int) -> int:
    """Keep a private key that has a body, or is cut off within it."""
    parts = buffer[start:end].split(b"-----")
    # a header may stand twice, or before another key: what follows any of them may be the body
    bodies = (body for head, body in pairwise(parts) if head.startswith(b"BEGIN"))
    closed = len(parts) > 4
    return 0 if closed and all(len(body.strip()) < 24 for body in bodies) else 95


def check_numbered(buffer: bytes, start: int, end: int) -> int:
    """Keep a number or code of a person that follows its name: it holds three digits at least."""
    text = buffer[start:end]
    digits = digits_of(text)
    if re.search(rb"\.[A-Za-z]{2}", text):
        return 0  # the name of a host
    return 85 if len(digits) >= 3 and len(set(digits)) > 1 else 0


def check_login(buffer: bytes, start: int, end: int) -> int:
    """Keep a quoted or assigned account name that is no word of a manual."""
    text = buffer[start:end].strip(b".-_")
    return 75 if len(text) >= 3 and text.lower() not in _NO_LOGIN else 0
