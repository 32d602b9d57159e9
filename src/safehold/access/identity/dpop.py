"""The proof that whoever shows a token holds the key it is bound to (RFC 9449 section 4.3).

Holds: a proof counts for one method and address, for one token, within a minute of its time, and once. What was seen
is kept in memory, so a proof from before this process began counts for nothing: nobody knows whether it was used.
Where several processes take proofs, something that they share has to be told of each (``spend``).
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from safehold.access.identity import jose
from safehold.clock import SECOND_US, Clock
from safehold.errors import SignInError
from safehold.ids import random_bytes
from safehold.signing import SigningKey

SKEW_S: Final = 60
MOST_SEEN: Final = 200_000
TYP: Final = "dpop+jwt"


class Proofs:
    """Checks proofs, each of which counts once.

    Args:
        clock: Time.
        rule: Name of the rule that a refusal states; what failed is put behind it.
        spend: Called with what names a proof, and its time, once it held here: where several processes take proofs, it
            raises if another one saw it before.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        rule: str,
        spend: Callable[[str, int], None] | None = None,
    ) -> None:
        self._elsewhere = spend
        self._clock = clock
        self._rule = rule
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._began_s = self._now_s()

    def check(
        self, proof: str | None, *, method: str, url: str, token: str | None, bound: str | None
    ) -> str:
        """Return the thumbprint of the key that a proof is of.

        Args:
            proof: The header ``DPoP``.
            method: The method of the request.
            url: Its address, without query.
            token: The token that comes with it; none where one is asked for.
            bound: Thumbprint of the key that the token is bound to; any key where none is named.

        Raises:
            SignInError: There is none, or it is of another key, request, token or time, or was seen before.
        """
        rule, now_s = self._rule, self._now_s()
        if proof is None:
            raise SignInError("a token without the proof of its key", rule=rule)
        key = jose.read_header(proof, rule=rule).get("jwk")
        if not isinstance(key, Mapping):
            raise SignInError("the proof of another key", rule=f"{rule}.key")
        mark = jose.thumbprint(key)
        if bound is not None and mark != bound:
            raise SignInError("the proof of another key", rule=f"{rule}.key")
        said = jose.verify_with(proof, key, rule=rule, typ=TYP).claims
        if said.get("htm") != method or said.get("htu") != url:
            raise SignInError("a proof for another request", rule=f"{rule}.request")
        if token is not None and said.get("ath") != token_hash(token):
            raise SignInError("a proof for another token", rule=f"{rule}.token")
        at_s, number = said.get("iat"), said.get("jti")
        if (
            type(at_s) is not int
            or not max(now_s - SKEW_S, self._began_s) <= at_s <= now_s + SKEW_S
        ):
            raise SignInError("a proof of another time", rule=f"{rule}.time")
        if not isinstance(number, str) or not 0 < len(number) <= 128:
            raise SignInError("a proof without an id", rule=f"{rule}.replay")
        self._spend(f"{mark}/{number}", now_s)
        if self._elsewhere is not None:
            self._elsewhere(f"{mark}/{number}", at_s)
        return mark

    def _spend(self, one: str, now_s: int) -> None:
        with self._lock:
            while self._seen and next(iter(self._seen.values())) < now_s:
                self._seen.popitem(last=False)
            if one in self._seen:
                raise SignInError("a proof seen before", rule=f"{self._rule}.replay")
            if len(self._seen) >= MOST_SEEN:
                raise SignInError("too many proofs at once", rule=f"{self._rule}.replay")
            self._seen[one] = now_s + 2 * SKEW_S + 1

    def _now_s(self) -> int:
        return self._clock.now_us() // SECOND_US


def prove(key: SigningKey, *, method: str, url: str, now_s: int, token: str | None = None) -> str:
    """Return the proof for one request.

    Args:
        key: The client's key.
        method: The method of the request.
        url: Its address, without query.
        now_s: The time, seconds since 1970.
        token: The token that goes with it, if it has one already.
    """
    said: dict[str, str | int] = {
        "htm": method,
        "htu": url,
        "iat": now_s,
        "jti": jose.b64url(random_bytes(16)),
    }
    if token is not None:
        said["ath"] = token_hash(token)
    return jose.sign(said, key, typ=TYP, jwk=jose.public_jwk(key.public.raw))


def token_hash(token: str) -> str:
    """Return what a proof names its token by (``ath``)."""
    made = hashlib.sha256(token.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
