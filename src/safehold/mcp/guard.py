"""Who calls: a token for this server alone, and a proof of the key it is bound to (RFC 8707, 9068, 9449).

The token is read here and ends here: it is never handed on, to the keeper or to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.access.identity import jose
from safehold.access.identity.dpop import SKEW_S, Proofs
from safehold.clock import SECOND_US, Clock
from safehold.errors import SignInError

LONGEST_S: Final = 900
SCHEME: Final = "DPoP "


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """An agent that proved itself to this server.

    Args:
        agent: Its id.
        operator: The person it acts for.
    """

    agent: str
    operator: str


class Guard:
    """Checks tokens and proofs.

    Args:
        resource: The address of this server, as tokens name it.
        issuer: Whose tokens count.
        key: With which they are signed, as a JWK.
        clock: Time.
    """

    def __init__(self, *, resource: str, issuer: str, key: Mapping[str, Any], clock: Clock) -> None:
        self._resource = resource
        self._issuer = issuer
        self._key = key
        self._clock = clock
        self._proofs = Proofs(clock, rule="mcp.proof")

    def admit(self, authorization: str | None, proof: str | None, *, method: str) -> Guest:
        """Return the agent that a request comes from.

        Args:
            authorization: The header of that name.
            proof: The header ``DPoP``.
            method: The method of the request.

        Raises:
            SignInError: No token, one for somebody else or of another time, or without its key.
        """
        if authorization is None:
            raise SignInError("a token is needed", rule="mcp.token")
        if not authorization.startswith(SCHEME):
            raise SignInError(
                "a token that is bound to a key comes with its proof", rule="mcp.scheme"
            )
        token = authorization.removeprefix(SCHEME)
        claims = jose.verify_with(token, self._key, rule="mcp", typ="at+jwt").claims
        now_s = self._clock.now_us() // SECOND_US
        if claims.get("iss") != self._issuer:
            raise SignInError("a token of another issuer", rule="mcp.issuer")
        if claims.get("aud") not in (self._resource, [self._resource]):
            raise SignInError("a token for another server", rule="mcp.audience")
        self._check_times(claims, now_s)
        match claims:
            case {
                "sub": str(operator),
                "act": {"sub": str(agent)},
                "client_id": str(client),
                "cnf": {"jkt": str(bound)},
            } if client == agent and len(claims["act"]) == 1:
                pass
            case _:
                raise SignInError("a token that names no agent", rule="mcp.actor")
        self._proofs.check(proof, method=method, url=self._resource, token=token, bound=bound)
        return Guest(agent=agent, operator=operator)

    def _check_times(self, claims: Mapping[str, Any], now_s: int) -> None:
        ends, since = claims.get("exp"), claims.get("iat")
        if type(ends) is not int or type(since) is not int or ends - since > LONGEST_S:
            raise SignInError("a token of another time", rule="mcp.time")
        if not since - SKEW_S <= now_s < ends:
            raise SignInError("this token has ended", rule="mcp.expired")
