"""Seats before the portal: enrolled, with what a page asks them to sign, and how they sign it on paper or by a passkey."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from tests.portal_desk import Portal
from tests.seated import changed, stated

from safehold.app.papers import signed_line
from safehold.app.signature import Draft
from safehold.charter.proposal import Question
from safehold.charter.vocabulary import SEATS

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import BrowserContext, Page

# a seat's holder is a colleague like any other; of a role that may look at next to nothing by itself
ROLE = "employee"


def enrol_seats(portal: Portal, **roles: str) -> None:
    """Let whoever holds a seat sign in: each is called like the seat, and has another role only where that is said."""
    for name in SEATS:
        names = [f"oidc:{portal.provider.issuer}#sub-{name}"]
        portal.bench.call("principal.enrol", principal=name, kind="human", role=roles.get(name, ROLE), names=names)  # fmt: skip


def propose(portal: Portal, seat: str = "privacy", **changes: Any) -> Question:
    """Propose another charter as a seat, and return what the seats are asked."""
    bench = portal.bench
    trust = bench.desk.trust
    answer = bench.call(
        "charter.propose",
        **stated(
            changed(bench.charter(), **changes),
            home=bench.home.id,
            base=trust.digest(),
            roster=trust.roster,
            seat=seat,
            key=bench.seats[seat],
            at_us=bench.clock.now_us(),
        ),
    )
    return Question.from_json(answer["question"])


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self._in_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append({"action": given.get("action"), "fields": {}, "label": ""})
        elif tag == "input" and given.get("type") == "hidden" and self.forms:
            self.forms[-1]["fields"][given["name"]] = given.get("value") or ""
        elif tag == "button" and "data-passkey" in given:
            self._in_button = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._in_button = False

    def handle_data(self, data: str) -> None:
        if self._in_button:
            self.forms[-1]["label"] += data


def to_sign(text: str) -> dict[str, dict[str, Any]]:
    """Return what a page asks to be signed, by the text of its button."""
    reader = _Forms()
    reader.feed(text)
    return {one["label"]: one for one in reader.forms if "draft" in one["fields"]}


def draft_in(form: dict[str, Any]) -> Draft:
    """Return what a form asks to be signed."""
    return Draft.from_json(json.loads(form["fields"]["draft"]))


def sign_here(
    portal: Portal, client: httpx.Client, page: str, label: str, seat: str, **spoilt: Any
) -> httpx.Response:
    """Sign with a seat's key file what a page asks, and hand the line in."""
    text = client.get(page).text
    return hand_in(portal, client, to_sign(text)[label], seat, **spoilt)


def hand_in(
    portal: Portal, client: httpx.Client, form: dict[str, Any], seat: str, **spoilt: Any
) -> httpx.Response:
    """Sign a form with a seat's key file, and send it."""
    line = signed_line(draft_in(form), portal.bench.seats[seat])
    return client.post(form["action"], data=form["fields"] | {"line": line} | spoilt)


def give_passkeys(context: BrowserContext, page: Page) -> None:
    """Put an authenticator into a page that makes and uses passkeys, as a laptop has one."""
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )


__all__ = [
    "ROLE", "draft_in", "enrol_seats", "give_passkeys", "hand_in", "propose", "sign_here", "to_sign",
]  # fmt: skip
