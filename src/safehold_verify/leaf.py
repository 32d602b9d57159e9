"""The syntax of a leaf, checked on the stored bytes; nothing is ever encoded again.

One pattern is the whole canonical form: sorted keys, no spaces, one spelling of every number and
hash.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from safehold_verify.errors import VerificationError

KINDS = frozenset(
    {
        "access.intent", "access.result", "ingest", "feature", "embed.export", "train.start",
        "train.end", "artifact.get", "grant", "charter", "erasure", "incident", "index.epoch",
        "key.rotate", "lease", "gap", "choice", "stop", "resume", "retention", "roster",
        "release", "refusal", "home",
    }
)  # fmt: skip
RESULTS = {"access.result": "access.intent"}  # a leaf of the first kind completes one of the second

_HASH = rb"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
_FACT = rb'"([a-z0-9_]{1,32})":(?:0|[1-9][0-9]{0,15}|"[A-Za-z0-9._:/+=@-]{1,256}")'
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
    + rb'(?:,"pub":\{('
    + _FACT
    + rb"(?:,"
    + _FACT
    + rb')*)\})?(?:,"ref":(0|[1-9][0-9]{0,15}))?'
    + rb',"seg":"([A-Za-z0-9._:/@-]{0,128})","sub":"'
    + _HASH
    + rb'","t":(0|[1-9][0-9]{0,15}),"v":"sh-audit/1"\}'
)
_KEY = re.compile(_FACT)


_KIND_NAMES = {kind.encode(): kind for kind in KINDS}


class Leaf(NamedTuple):
    """What a leaf says in the clear that a check needs.

    Args:
        kind: What happened.
        time: Milliseconds since 1970-01-01 UTC.
        ref: Index of the leaf it completes, -1 if none.
    """

    kind: str
    time: int
    ref: int


def parse_leaf(data: bytes) -> Leaf:
    """Read a leaf.

    Raises:
        VerificationError: It is not in canonical form, or of an unknown kind.
    """
    found = _LEAF.fullmatch(data)
    if found is None:
        raise VerificationError("not a leaf in canonical form", where="leaf")
    name, facts, ref, time = found.group(1, 2, 5, 7)
    kind = _KIND_NAMES.get(name)
    if kind is None:
        raise VerificationError("a leaf of an unknown kind", where="leaf")
    if facts is not None and not _ordered(facts):
        raise VerificationError("public facts out of order", where="leaf")
    return Leaf(kind, int(time), -1 if ref is None else int(ref))


@lru_cache(4096)  # most leaves of a log carry the same few facts
def _ordered(facts: bytes) -> bool:
    return all(one < two for one, two in pairwise(_KEY.findall(facts)))
