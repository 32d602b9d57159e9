"""Who asks the API: a program with an access token and the proof of its key, or a page of ours in a browser.

A token counts with a DPoP proof for this very request alone, so a stolen one is worth nothing. A browser's cookie
counts for what a page of ours asks: looking is same-origin, and whatever changes something shows the token of the
session beside it, which no other site can read.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from starlette.concurrency import run_in_threadpool

from safehold.access.identity.dpop import Proofs
from safehold.clock import SECOND_US
from safehold.errors import SafeholdError, SignInError
from safehold.portal.identity.cookie import SESSION, Visitor
from safehold.portal.identity.origin import check_form, check_origin_of
from safehold.portal.visit import Visit, address_of, cookie_name

SCHEME: Final = "dpop "
CSRF: Final = "X-CSRF-Token"
LOOKS: Final = frozenset({"GET", "HEAD"})
PROOFS: Final = "api.proofs"  # on the shelf of a site


class ApiVisit(Visit):
    """One request of the API.

    Args:
        request: The request.
    """

    @property
    def url(self) -> str:
        """The address of the request as people know it, without query: what a proof names."""
        return self.site.settings.origin + self.request.url.path

    @property
    def proofs(self) -> Proofs:
        """Checks proofs."""
        found: Proofs = self.site.shelf[PROOFS]
        return found

    @property
    def by_token(self) -> bool:
        """Whether a program asks, with a token."""
        return "authorization" in self.request.headers

    @cached_property
    def visitor(self) -> Visitor | None:
        """Who asks, if somebody is signed in.

        Raises:
            SignInError: A token that is over, or comes without its proof.
        """
        if self.by_token:
            return self._by_token(self.request.headers["authorization"])
        if self.request.cookies.get(cookie_name(SESSION, self.site.settings)) is None:
            return None
        check_origin_of(self.request, self.site.settings.origin)
        return super().visitor

    async def arrive(self) -> None:
        """Admit the request; see ``admit``. While the keeper is asked about its proof, other requests go on."""
        if self.by_token:
            await run_in_threadpool(self.admit)
        else:
            self.admit()

    def admit(self) -> None:
        """Count the request, and pass if whoever asks may change something that way.

        Raises:
            DeniedError: A browser asks for a change without the token of its session.
            TooManyError: They ask too often.
        """
        limits, looks = self.site.settings.limits, self.request.method in LOOKS
        what, most = ("read", limits.reads) if looks else ("write", limits.writes)
        try:
            visitor = self.visitor
        except SafeholdError:
            # wrong tokens cost something too: they count for the address
            self.site.rates.take(what, address_of(self.request), a_minute=most)
            raise
        who = address_of(self.request) if visitor is None else visitor.session.ticket[-32:]
        self.site.rates.take(what, who, a_minute=most)
        if visitor is not None and not looks and not self.by_token:
            check_form(self.request.headers.get(CSRF, ""), visitor)

    def _by_token(self, header: str) -> Visitor:
        if header[: len(SCHEME)].lower() != SCHEME:
            raise SignInError(
                "a token that is bound to a key comes with its proof", rule="api.scheme"
            )
        token, settings = header[len(SCHEME) :].strip(), self.site.settings
        found = self.site.cookies.read_token(
            token,
            now_s=self.site.clock.now_us() // SECOND_US,
            longest_s=settings.limits.session_s,
        )
        if found is None:
            raise SignInError(
                "this token is over, or was not given out here",
                rule="api.token",
                fix="sign in again",
            )
        visitor, bound = found
        self.proofs.check(
            self.request.headers.get("dpop"),
            method=self.request.method,
            url=self.url,
            token=token,
            bound=bound,
        )
        return visitor


__all__ = ["CSRF", "LOOKS", "PROOFS", "ApiVisit"]
