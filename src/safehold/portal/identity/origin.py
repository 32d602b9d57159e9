"""Where a form came from: another site can send one, but not with our token and from our origin.

Three walls, each of which holds alone: cookies are ``SameSite=Lax``, so a form of another site brings no session; the
browser says where it came from (Fetch Metadata, ``Origin``); the form carries a token of the session.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request

from safehold.errors import DeniedError
from safehold.portal.identity.cookie import Visitor

FIELD = "csrf"


def check_origin_of(request: Request, origin: str) -> None:
    """Pass if a browser says that a request came from our own pages; what is no browser says nothing.

    Raises:
        DeniedError: It came from elsewhere.
    """
    site, said = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if (site is not None and site not in {"same-origin", "none"}) or (
        said is not None and said != origin
    ):
        raise DeniedError("this came from another site", rule="portal.origin")


def check_form(token: str, visitor: Visitor | None) -> None:
    """Pass if a form is of this session.

    Raises:
        DeniedError: It is not.
    """
    expected = visitor.csrf() if visitor is not None else ""
    if not expected or not hmac.compare_digest(expected.encode(), token.encode()):
        raise DeniedError(
            "this form is not of this session", rule="portal.form", fix="open the page again"
        )
