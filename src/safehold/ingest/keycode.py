"""Windows virtual-key codes as W3C UI Events names.

Sources: UI Events KeyboardEvent key and code values (W3C), and the virtual-key numbers that
browsers put in ``keyCode`` (UI Events, annex on legacy key attributes).
"""

from __future__ import annotations

from typing import Final

_NAMED: Final[dict[int, tuple[str, str]]] = {
    # a number has its code and its key
    8: ("Backspace", "Backspace"),
    9: ("Tab", "Tab"),
    13: ("Enter", "Enter"),
    16: ("ShiftLeft", "Shift"),
    17: ("ControlLeft", "Control"),
    18: ("AltLeft", "Alt"),
    19: ("Pause", "Pause"),
    20: ("CapsLock", "CapsLock"),
    27: ("Escape", "Escape"),
    32: ("Space", " "),
    33: ("PageUp", "PageUp"),
    34: ("PageDown", "PageDown"),
    35: ("End", "End"),
    36: ("Home", "Home"),
    37: ("ArrowLeft", "ArrowLeft"),
    38: ("ArrowUp", "ArrowUp"),
    39: ("ArrowRight", "ArrowRight"),
    40: ("ArrowDown", "ArrowDown"),
    45: ("Insert", "Insert"),
    46: ("Delete", "Delete"),
    91: ("MetaLeft", "Meta"),
    92: ("MetaRight", "Meta"),
    93: ("ContextMenu", "ContextMenu"),
    106: ("NumpadMultiply", "*"),
    107: ("NumpadAdd", "+"),
    109: ("NumpadSubtract", "-"),
    110: ("NumpadDecimal", "."),
    111: ("NumpadDivide", "/"),
    144: ("NumLock", "NumLock"),
    145: ("ScrollLock", "ScrollLock"),
    226: ("IntlBackslash", "Unidentified"),
}
_PUNCTUATION: Final[dict[int, tuple[str, str, str]]] = {
    # code, then key without and with Shift, US layout
    186: ("Semicolon", ";", ":"),
    59: ("Semicolon", ";", ":"),
    187: ("Equal", "=", "+"),
    61: ("Equal", "=", "+"),
    188: ("Comma", ",", "<"),
    189: ("Minus", "-", "_"),
    173: ("Minus", "-", "_"),
    190: ("Period", ".", ">"),
    191: ("Slash", "/", "?"),
    192: ("Backquote", "`", "~"),
    219: ("BracketLeft", "[", "{"),
    220: ("Backslash", "\\", "|"),
    221: ("BracketRight", "]", "}"),
    222: ("Quote", "'", '"'),
}
_SHIFTED_DIGITS: Final = ")!@#$%^&*("
SHIFT: Final = 16
CONTROL: Final = 17
ALT: Final = 18


def code_name(number: int) -> str:
    """Return the W3C ``code`` of a virtual-key number, ``""`` when it has none."""
    if 65 <= number <= 90:
        return f"Key{chr(number)}"
    if 48 <= number <= 57:
        return f"Digit{number - 48}"
    if 96 <= number <= 105:
        return f"Numpad{number - 96}"
    if 112 <= number <= 135:
        return f"F{number - 111}"
    if number in _PUNCTUATION:
        return _PUNCTUATION[number][0]
    return _NAMED.get(number, ("", ""))[0]


def key_name(number: int, *, shift: bool) -> str:
    """Return the W3C ``key`` of a virtual-key number on a US layout.

    Args:
        number: The virtual-key number.
        shift: Whether Shift is held when the key goes down.
    """
    if 65 <= number <= 90:
        return chr(number) if shift else chr(number + 32)
    if 48 <= number <= 57:
        return _SHIFTED_DIGITS[number - 48] if shift else str(number - 48)
    if 96 <= number <= 105:
        return str(number - 96)
    if 112 <= number <= 135:
        return f"F{number - 111}"
    if number in _PUNCTUATION:
        return _PUNCTUATION[number][2 if shift else 1]
    return _NAMED.get(number, ("", "Unidentified"))[1]
