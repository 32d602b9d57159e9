"""The syntax of a leaf, checked on the stored bytes; nothing is ever encoded again.

One pattern is the whole canonical form: sorted keys, no spaces, one spelling of every number and
hash. It looks at every byte by itself, which is slow; ``shape`` reads many leaves at once, and
leaves to the pattern whatever it does not accept.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from safehold_verify.errors import VerificationError

KINDS = frozenset(
    {
        "access.intent", "access.result", "ingest", "feature", "embed.export", "train.start",
        "train.end", "artifact.get", "grant", "charter", "erasure", "incident", "index.epoch",
        "key.rotate", "lease", "gap", "choice", "stop", "resume", "retention", "roster",
        "release", "refusal", "home", "grant.closed", "document", "drift", "milestone", "proposal",
        "gate", "artifact", "attack", "principal", "session", "tool", "request", "review", "key.change",
        "alert", "audit", "blast", "containment", "derived", "disclosure", "drill", "drill.begin",
        "compaction", "evidence", "federation", "join", "portal",
    }
)  # fmt: skip
RESULTS = {"access.result": "access.intent"}  # a leaf of the first kind completes one of the second
MARK = b'"v":"sh-audit/1"}'  # how every leaf ends

_HASH = rb"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
_FACT = rb'"([a-z0-9_]{1,32})":(?:(0|[1-9][0-9]{0,15})|"[A-Za-z0-9._:/+=@-]{1,256}")'
_PLAIN = _FACT.replace(rb"(0|", rb"(?:0|").replace(rb"([a-z", rb"(?:[a-z")
LEAF = re.compile(
    rb'\{"act":"(?P<act>'
    + _HASH
    + rb')","chr":"(?P<chr>'
    + _HASH
    + rb')?","ct":"(?P<ct>'
    + _HASH
    + rb')","det":"(?P<det>'
    + _HASH
    + rb')","k":"(?P<k>[a-z.]{1,32})","obj":"(?P<obj>'
    + _HASH
    + rb')"(?:,"pub":\{(?P<pub>'
    + _PLAIN
    + rb"(?:,"
    + _PLAIN
    + rb')*)\})?(?:,"ref":(?P<ref>0|[1-9][0-9]{0,15}))?,"seg":"(?P<seg>[A-Za-z0-9._:/@-]{0,128})'
    rb'","sub":"(?P<sub>' + _HASH + rb')","t":(?P<t>0|[1-9][0-9]{0,15}),' + MARK
)
FACT = re.compile(_FACT)  # its key, and its value if that is a number
HASHES = ("act", "chr", "ct", "det", "obj", "sub")

_KIND_NAMES = {kind.encode(): kind for kind in KINDS}


# What a leaf says in the clear that a check needs: kind, time in milliseconds since 1970-01-01 UTC,
# and the index of the leaf it completes, -1 if none.
Leaf = tuple[str, int, int]


def parse_leaf(data: bytes) -> Leaf:
    """Read a leaf.

    Raises:
        VerificationError: It is not in canonical form, or of an unknown kind.
    """
    kind, found = match_leaf(data)
    ref = found["ref"]
    return kind, int(found["t"]), -1 if ref is None else int(ref)


def match_leaf(data: bytes) -> tuple[str, re.Match[bytes]]:
    """Return the kind of a leaf and where its fields stand.

    Raises:
        VerificationError: It is not in canonical form, or of an unknown kind.
    """
    found = LEAF.fullmatch(data)
    if found is None:
        raise VerificationError("not a leaf in canonical form", where="leaf")
    kind = _KIND_NAMES.get(found["k"])
    if kind is None:
        raise VerificationError("a leaf of an unknown kind", where="leaf")
    if found["pub"] is not None and not _ordered(found["pub"]):
        raise VerificationError("public facts out of order", where="leaf")
    return kind, found


@lru_cache(1024)  # most leaves of a log carry the same few facts
def _ordered(facts: bytes) -> bool:
    names = [found[1] for found in FACT.finditer(facts)]
    return all(one < two for one, two in pairwise(names))
