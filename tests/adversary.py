"""Text made against a rule: what it nearly matches, again and again, from the rule itself."""

from __future__ import annotations

from safehold.dlp.engine.syntax import Edge, Either, Node, Repeat, Row, Sign, read_expression

_LIKED = "a1 -.:/=@A0_~"


def _sign(mask: int, turn: int) -> str:
    signs = [sign for sign in _LIKED if mask >> ord(sign) & 1] or [
        chr(code) for code in range(32, 127) if mask >> code & 1
    ]
    return signs[turn % len(signs)] if signs else "é"


def sample(node: Node, *, most: bool, turn: int = 0) -> str:
    """A text the expression matches, but for its borders: the shortest, or the longest."""
    if isinstance(node, Sign):
        return _sign(node.mask, turn)
    if isinstance(node, Edge):
        return ""
    if isinstance(node, Row):
        return "".join(sample(part, most=most, turn=turn) for part in node.parts)
    if isinstance(node, Either):
        return sample(node.parts[turn % len(node.parts)], most=most, turn=turn)
    assert isinstance(node, Repeat)
    times = node.least if not most else node.most if node.most is not None else node.least + 40
    return sample(node.part, most=most, turn=turn) * times


def against(pattern: str, size: int) -> dict[str, str]:
    """Texts of about so many bytes that make a matcher work in vain."""
    node = read_expression(pattern)
    whole = [sample(node, most=most, turn=turn) for most in (False, True) for turn in (0, 1)]
    long = max(whole, key=len)
    nested = "".join(long[:at] for at in range(1, len(long) + 1)) or "x"
    units = {
        "matches end to end": "".join(whole) or "x",
        "nearly, again and again": "".join(each[:-1] for each in whole) or "x",
        "its first sign only": (long[:1] or "x"),
        "prefixes, each longer": nested,
        "its longest run": max(long.split() or ["x"], key=len)[:-1] or "x",
    }
    return {name: (unit * (size // len(unit.encode()) + 1))[:size] for name, unit in units.items()}
