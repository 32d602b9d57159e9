"""From key events to editing operations.

Names of keys and codes follow W3C UI Events; the names of some older recorders are taken as well.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from typing import Final

SHIFT: Final = 1  # bits of ``mods``
CONTROL: Final = 2
ALT: Final = 4
META: Final = 8
MODIFIERS: Final = {"Shift": SHIFT, "Control": CONTROL, "Alt": ALT, "Meta": META}
OPAQUE: Final = "\ufffc"  # stands for text that was inserted but not recorded


class Op(IntEnum):
    """What a key press does to the text."""

    NOP = 0
    INS = 1
    PASTE = 2
    BKSP = 3
    DEL = 4
    WBKSP = 5
    WDEL = 6
    LBKSP = 7
    CUT = 8
    LEFT = 9
    RIGHT = 10
    HOME = 11
    END = 12
    WLEFT = 13
    WRIGHT = 14
    SLEFT = 15
    SRIGHT = 16
    SHOME = 17
    SEND = 18
    SWLEFT = 19
    SWRIGHT = 20
    SELALL = 21
    UNDO = 22
    SEG = 23


_ALIASES: Final = {
    "BKSP": "Backspace", "BACKSPACE": "Backspace", "DELETE": "Delete", "DEL": "Delete",
    "HOME": "Home",
    "END": "End", "ARW_LEFT": "ArrowLeft", "ARW_RIGHT": "ArrowRight", "ARW_UP": "ArrowUp",
    "ARW_DOWN": "ArrowDown", "LEFT": "ArrowLeft", "RIGHT": "ArrowRight", "UP": "ArrowUp",
    "DOWN": "ArrowDown", "ENTER": "Enter", "RETURN": "Enter", "TAB": "Tab", "SHIFT": "Shift",
    "CTRL": "Control", "CONTROL": "Control", "ALT": "Alt", "ALTGRAPH": "Alt",
    "WIN": "Meta", "META": "Meta",
    "CAPS_LOCK": "CapsLock", "CAPSLOCK": "CapsLock", "SPACE": " ", "SPACEBAR": " ", "OS": "Meta",
}  # fmt: skip
_CONTROLS: Final = {
    "\b": "Backspace",
    "\t": "Tab",
    "\r": "Enter",
    "\n": "Enter",
    "\x7f": "Delete",
    "\x1b": "Escape",
}
_CODES: Final = {
    "8": "Backspace", "9": "Tab", "13": "Enter", "16": "Shift", "17": "Control", "18": "Alt",
    "20": "CapsLock", "32": " ", "35": "End", "36": "Home", "37": "ArrowLeft", "38": "ArrowUp",
    "39": "ArrowRight", "40": "ArrowDown", "46": "Delete", "91": "Meta", "Space": " ",
    "ShiftLeft": "Shift", "ShiftRight": "Shift",
    "ControlLeft": "Control", "ControlRight": "Control",
    "AltLeft": "Alt", "AltRight": "Alt", "MetaLeft": "Meta", "MetaRight": "Meta",
    "NumpadEnter": "Enter",
}  # fmt: skip
_PAIRS: Final = {
    "Semicolon": ";:", "Equal": "=+", "Comma": ",<", "Minus": "-_", "Period": ".>", "Slash": "/?",
    "Backquote": "`~", "BracketLeft": "[{", "Backslash": "\\|", "BracketRight": "]}",
    "Quote": "'\"",
    "186": ";:", "59": ";:", "187": "=+", "61": "=+", "188": ",<", "189": "-_",
    "173": "-_", "190": ".>",
    "191": "/?", "192": "`~", "219": "[{", "220": "\\|", "221": "]}", "222": "'\"",
    "NumpadAdd": "++", "NumpadSubtract": "--", "NumpadMultiply": "**", "NumpadDivide": "//",
    "NumpadDecimal": "..",
}  # fmt: skip
_DIGITS: Final = ")!@#$%^&*("
_MOVES: Final = {
    "ArrowLeft": (Op.LEFT, Op.WLEFT, Op.SLEFT, Op.SWLEFT),
    "ArrowRight": (Op.RIGHT, Op.WRIGHT, Op.SRIGHT, Op.SWRIGHT),
    "Home": (Op.HOME, Op.HOME, Op.SHOME, Op.SHOME),
    "End": (Op.END, Op.END, Op.SEND, Op.SEND),
}
_RESETS: Final = frozenset({"Enter", "Tab", "ArrowUp", "ArrowDown", "PageUp", "PageDown"})
_NAMED: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@lru_cache(maxsize=65536)
def resolve(  # noqa: PLR0911 - one line a rule reads best
    key: str | None, code: str | None, *, shift: int = 0, caps: int = 0
) -> str:
    """Return the key as W3C names it: one character, or a name.

    Args:
        key: What the recorder says; empty or ``Unidentified`` when it does not know.
        code: Physical key, a W3C name or a virtual-key number as text.
        shift: 1 when Shift is held at the press.
        caps: 1 when CapsLock is on.
    """
    if key and key != "Unidentified":
        if len(key) == 1:
            return _CONTROLS.get(key, key)
        return _ALIASES.get(key.upper(), key)
    if not code:
        return ""
    if code in _CODES:
        return _CODES[code]
    number = int(code) if code.isascii() and code.isdigit() and len(code) < 4 else 0
    letter = chr(number) if 65 <= number <= 90 else code[3:] if code.startswith("Key") else ""
    if len(letter) == 1 and letter.isalpha():
        return letter.upper() if shift != caps else letter.lower()
    if 48 <= number <= 57:
        digit = number - 48
    elif code.startswith("Digit") and code[5:].isdigit() and len(code) == 6:
        digit = int(code[5:])
    elif 96 <= number <= 105:
        return str(number - 96)
    elif code.startswith("Numpad") and code[6:].isdigit() and len(code) == 7:
        return code[6:]
    else:
        pair = _PAIRS.get(code, "")
        return pair[shift] if pair else _ALIASES.get(code.upper(), code)
    return _DIGITS[digit] if shift else str(digit)


@lru_cache(maxsize=65536)
def operate(name: str, mods: int) -> tuple[Op, str]:  # noqa: PLR0911 - as above
    """Return the operation of a key press and the text it inserts.

    Args:
        name: The key as ``resolve`` returns it.
        mods: Modifiers held.
    """
    command = mods & (CONTROL | META)
    if len(name) == 1:
        letter = name.lower()
        # Control with Alt is AltGr on some systems: it types letters that are not ASCII, and signs
        if command and not (
            mods & CONTROL and mods & ALT and not (letter.isascii() and letter.isalnum())
        ):
            return _COMMANDS.get(letter, Op.NOP), ""
        return Op.INS, name
    word = mods & (CONTROL | ALT)
    if name == "Backspace":
        return (Op.LBKSP if mods & META else Op.WBKSP if word else Op.BKSP), ""
    if name == "Delete":
        return (Op.CUT if mods & SHIFT else Op.WDEL if word else Op.DEL), ""
    if name in _MOVES:
        plain, by_word, select, select_word = _MOVES[name]
        if mods & SHIFT:
            return (select_word if word else select), ""
        return (by_word if word else plain), ""
    if name == "Insert" and mods & SHIFT:
        return Op.PASTE, OPAQUE
    if name == "Enter" and mods & SHIFT:
        return Op.INS, "\n"
    if name in _RESETS:
        return Op.SEG, ""
    # a composed character of more than one code point is text; a name is not
    return (Op.NOP, "") if not name or _NAMED.match(name) else (Op.INS, name)


_COMMANDS: Final = {"a": Op.SELALL, "v": Op.PASTE, "x": Op.CUT, "z": Op.UNDO, "y": Op.UNDO}
_ZONES: Final = {
    **dict.fromkeys("QWERT", "left_top"), **dict.fromkeys("YUIOP", "right_top"),
    **dict.fromkeys("ASDFG", "left_home"), **dict.fromkeys("HJKL", "right_home"),
    **dict.fromkeys("ZXCVB", "left_bottom"), **dict.fromkeys("NM", "right_bottom"),
}  # fmt: skip
_TOKENS: Final = {
    " ": "space", "Backspace": "backspace", "Delete": "delete", "Enter": "enter", "Tab": "tab",
    "Shift": "shift", "ArrowLeft": "arrow", "ArrowRight": "arrow",
    "ArrowUp": "arrow", "ArrowDown": "arrow",
}  # fmt: skip


def token_of(name: str) -> str:
    """Return the class of a key at levels L2 and L3."""
    if name in _TOKENS:
        return _TOKENS[name]
    if len(name) != 1:
        return "other" if not name or _NAMED.match(name) else "letter"
    if name.isalpha():
        return "letter"
    if name.isdigit():
        return "digit"
    return "punct"


def zone_of(name: str) -> str:
    """Return the zone of a key at level L1: hand and row, or space, backspace, shift, other."""
    if len(name) == 1 and name.upper() in _ZONES:
        return _ZONES[name.upper()]
    token = token_of(name)
    return token if token in {"space", "backspace", "shift"} else "other"


TOKENS: Final = (
    "letter", "digit", "space", "backspace", "delete", "enter", "tab", "shift", "arrow",
    "punct", "other",
)  # fmt: skip
ZONES: Final = (*dict.fromkeys(_ZONES.values()), "space", "backspace", "shift", "other")
