"""A witness behind HTTP (C2SP tlog-witness): it answers logs, and whoever wants to read."""

from __future__ import annotations

import re

from safehold.errors import InvalidError
from safehold.ledger.web import Request, Response
from safehold.ledger.witness import Witness

_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}){0,8}")


class WitnessService:
    """Answer ``POST <prefix>/add-checkpoint`` and ``GET <prefix>/<sha256 of origin>/checkpoint``.

    Args:
        witness: Who cosigns; its memory is written before an answer leaves.
        prefix: What stands before both paths, empty or beginning with a slash.

    Raises:
        InvalidError: No such prefix.
    """

    def __init__(self, witness: Witness, *, prefix: str = "") -> None:
        if not _PREFIX.fullmatch(prefix):
            raise InvalidError("not a prefix of a path", rule="web.prefix", fix="--prefix /witness")
        self._witness = witness
        self._add = f"{prefix}/add-checkpoint"
        self._read = re.compile(re.escape(prefix) + r"/([0-9a-f]{64})/checkpoint")

    def __call__(self, request: Request) -> Response:
        """Return the answer to one request."""
        if request.path == self._add:
            if request.method != "POST":
                return Response(status=405, body=b"use POST\n", allow="POST")
            answer = self._witness.handle(request.body)
            return Response(status=answer.status, body=answer.body, kind=answer.kind)
        found = self._read.fullmatch(request.path)
        if found is None:
            return Response(status=404, body=b"not found\n")
        if request.method not in ("GET", "HEAD"):
            return Response(status=405, body=b"use GET\n", allow="GET, HEAD")
        note = self._witness.recall(found[1])
        if note is None:
            return Response(status=404, body=b"no checkpoint of this log was cosigned\n")
        return Response(status=200, body=note)
