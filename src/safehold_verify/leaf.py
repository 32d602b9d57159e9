"""The syntax of a leaf, checked on the stored bytes; nothing is ever encoded again.

One pattern is the whole canonical form: sorted keys, no spaces, one spelling of every number and
hash. It looks at every byte by itself, which is slow, so many leaves are first cut at the marks
between their fields: what comes again is remembered, and all hashes are checked at once. What this
accepts is made of the same parts as the pattern and thus accepted by it; whatever it does not
accept is left to the pattern, which has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from safehold_verify.errors import VerificationError

KINDS = frozenset(
    {
        "access.intent", "access.result", "ingest", "feature", "embed.export", "train.start",
        "train.end", "artifact.get", "grant", "charter", "erasure", "incident", "index.epoch",
        "key.rotate", "lease", "gap", "choice", "stop", "resume", "retention", "roster",
        "release", "refusal", "home", "grant.closed",
    }
)  # fmt: skip
RESULTS = {"access.result": "access.intent"}  # a leaf of the first kind completes one of the second

_HASH = rb"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
_FACT = rb'"([a-z0-9_]{1,32})":(?:0|[1-9][0-9]{0,15}|"[A-Za-z0-9._:/+=@-]{1,256}")'
_MIDDLE = (
    rb'(?:,"pub":\{('
    + _FACT
    + rb"(?:,"
    + _FACT
    + rb')*)\})?(?:,"ref":(0|[1-9][0-9]{0,15}))?,"seg":"[A-Za-z0-9._:/@-]{0,128}","sub":"'
)
_END = rb'","t":(0|[1-9][0-9]{0,15}),"v":"sh-audit/1"\}'
_LEAF = re.compile(
    rb'\{"act":"'
    + _HASH
    + rb'","chr":"(?:'
    + _HASH
    + rb')?","ct":"'
    + _HASH
    + rb'","det":"'
    + _HASH
    + rb'","k":"([a-z.]{1,32})","obj":"'
    + _HASH
    + rb'"'
    + _MIDDLE
    + _HASH
    + _END
)
_KEY = re.compile(_FACT)


# the same fields with any 44 bytes for a hash, any bytes up to sub, and any bytes after it
_CUT = re.compile(
    rb'\{"act":"(.{44})","chr":"((?:.{44})?)","ct":"(.{44})","det":"(.{44})","k":"([a-z.]{1,32})"'
    rb',"obj":"(.{44})(".*","sub":")(.{44})(.*)',
    re.DOTALL,
)
_AFTER_OBJ = re.compile(rb'"' + _MIDDLE)
_AFTER_SUB = re.compile(_END)
_B64 = 44  # characters of a hash
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LAST = b"AEIMQUYcgkosw048"  # what can stand before the sign that ends 32 bytes
_TOGETHER = 256  # leaves whose hashes are checked at once

_KIND_NAMES = {kind.encode(): kind for kind in KINDS}


# What a leaf says in the clear that a check needs: kind, time in milliseconds since 1970-01-01 UTC,
# and the index of the leaf it completes, -1 if none. Plain tuples: a log has millions of them.
Leaf = tuple[str, int, int]


def parse_leaf(data: bytes) -> Leaf:
    """Read a leaf.

    Raises:
        VerificationError: It is not in canonical form, or of an unknown kind.
    """
    found = _LEAF.fullmatch(data)
    if found is None:
        raise VerificationError("not a leaf in canonical form", where="leaf")
    name, facts, ref, time = found.group(1, 2, 5, 6)
    kind = _KIND_NAMES.get(name)
    if kind is None:
        raise VerificationError("a leaf of an unknown kind", where="leaf")
    if facts is not None and not _ordered(facts):
        raise VerificationError("public facts out of order", where="leaf")
    return kind, int(time), -1 if ref is None else int(ref)


def parse_leaves(entries: Sequence[bytes], into: list[Leaf]) -> None:
    """Read many leaves: append what ``parse_leaf`` returns for each, in less time.

    Args:
        entries: The leaves, in order.
        into: Where they go; on an error it holds those before the wrong one.

    Raises:
        VerificationError: One is not in canonical form, or of an unknown kind.
    """
    for first in range(0, len(entries), _TOGETHER):
        some = entries[first : first + _TOGETHER]
        found = _cut(some)
        if found is not None:
            into += found
            continue
        for data in some:
            into.append(parse_leaf(data))


def _cut(entries: Sequence[bytes]) -> list[Leaf] | None:
    """Read leaves by cutting them at their marks; nothing if one of them may be wrong."""
    leaves: list[Leaf] = []
    hashes: list[bytes] = []
    cut, kinds = _CUT.fullmatch, _KIND_NAMES
    for data in entries:
        found = cut(data)
        if found is None:
            return None
        act, charter, ct, det, name, obj, middle, sub, end = found.groups()
        kind, ref, time = kinds.get(name), _ref(middle), _time(end)
        if kind is None or ref is None or time is None:
            return None
        hashes += (act, ct, det, obj, sub)
        if charter:
            hashes.append(charter)
        leaves.append((kind, time, ref))
    return leaves if _are_hashes(hashes) else None


def _are_hashes(hashes: Sequence[bytes]) -> bool:
    """Tell whether each, of 44 bytes, is the one spelling of 32 bytes in base64."""
    joined = b"".join(hashes)
    ends = b"=" * len(hashes)
    return (
        joined[_B64 - 1 :: _B64] == ends
        and joined.translate(None, _ALPHABET) == ends  # no further sign, and nothing foreign
        and not joined[_B64 - 2 :: _B64].translate(None, _LAST)
    )


@lru_cache(4096)
def _ref(middle: bytes) -> int | None:
    """Return the reference in what stands between the hashes of obj and sub: -1 if it has none."""
    found = _AFTER_OBJ.fullmatch(middle)
    if found is None or (found[1] is not None and not _ordered(found[1])):
        return None
    return -1 if found[4] is None else int(found[4])


@lru_cache(1024)  # the leaves of a commit have one time
def _time(end: bytes) -> int | None:
    found = _AFTER_SUB.fullmatch(end)
    return None if found is None else int(found[1])


@lru_cache(4096)  # most leaves of a log carry the same few facts
def _ordered(facts: bytes) -> bool:
    return all(one < two for one, two in pairwise(_KEY.findall(facts)))
