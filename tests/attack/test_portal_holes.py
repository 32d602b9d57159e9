"""What somebody without a session tries at a portal: memory, limits, forms, and what a browser brings back."""

from __future__ import annotations

import asyncio
import json
import threading

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.requests import Request

from safehold.app.signable import KINDS
from safehold.app.signature import SIGNED, Draft
from safehold.canonical import b64
from safehold.errors import InvalidError, UnavailableError
from safehold.keeper.door import KINDS_OF
from safehold.keeper.signed import Session
from safehold.portal.api.route import PREFIX
from safehold.portal.identity.cookie import SESSION, START, START_S, Visitor
from safehold.portal.line import KeptClient
from safehold.portal.settings import Limits, PortalSettings
from safehold.portal.signing import SIGNED_HERE, take
from safehold.portal.site import build
from safehold.portal.visit import Sent, address_of, path_of_ours, sent
from safehold.settings import Home
from safehold.signing import SigningKey

ORIGIN = "http://localhost:8000"
# they make the session that a form would belong to, and check where they come from themselves
ENTRANCES = {"/sign-in/as", "/sign-in/key"}


class SlowKeeper(KeptClient):
    """A keeper that takes its time, and says then that it is not there."""

    patience_s = 0.5

    def __init__(self, path) -> None:
        super().__init__(path)
        self.asked, self.let, self.held = threading.Event(), threading.Event(), True

    def call(self, verb, **_more):
        self.asked.set()
        self.held = not self.let.wait(self.patience_s)
        raise UnavailableError("no keeper answers", rule="keeper.gone")


@pytest.fixture
def portal(tmp_path):
    """A portal whose keeper is not there: what it answers it answers without one."""
    settings = PortalSettings(
        home=Home(tmp_path / "home", "made-up", tmp_path / "outside", synthetic=True),
        origin=ORIGIN,
        state=tmp_path / "portal",
        limits=Limits(reads=5, writes=5, body=20_000, upload=40_000),
    )
    keeper = SlowKeeper(tmp_path / "none")
    app = build(settings, keeper=keeper)
    app.state.slow = keeper
    yield app
    app.state.site.shelf["journal"].close()


def ask(app, method, path, *, cookies=None, **more):
    async def go():
        link = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=link, base_url=ORIGIN, cookies=cookies) as client:
            return await client.request(method, path, **more)

    return asyncio.run(go())


def routes(found):
    """Yield every route, also those of routers that were taken in whole."""
    for one in found:
        inner = getattr(one, "original_router", None)
        if inner is None:
            yield one
        else:
            yield from routes(inner.routes)


def visitor(app) -> Visitor:
    until_s = app.state.site.clock.now_us() // 1_000_000 + 600
    session = Session("t" * 64, SigningKey.generate())
    return Visitor(session=session, principal="eva", kind="human", role="employee", until_s=until_s)


def test_of_nobody_no_file_is_read(portal):
    read = []

    async def pieces():
        for _ in range(10):
            read.append(1)
            yield b"x" * 3_000

    headers = {"content-type": "application/octet-stream"}
    uploads = [
        one.path
        for one in portal.routes
        if isinstance(one, APIRoute) and one.path == f"{PREFIX}/sources" and "POST" in one.methods
    ]
    assert uploads
    answer = ask(
        portal,
        "POST",
        uploads[0],
        content=pieces(),
        headers=headers,
        params={"name": "n", "format": "f"},
    )
    assert answer.status_code == 401
    assert read == []


def test_wrong_tokens_are_counted(portal):
    said = [
        ask(portal, "GET", f"{PREFIX}/jobs", headers={"authorization": "DPoP none"}).status_code
        for _ in range(8)
    ]
    assert said == [401] * 5 + [429] * 3


def test_wrong_forms_of_the_api_are_counted_for_the_session(portal):
    cookies = {SESSION: portal.state.site.cookies.write(visitor(portal))}
    said = [ask(portal, "POST", f"{PREFIX}/sources", cookies=cookies).status_code for _ in range(8)]
    assert said == [403] * 5 + [429] * 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::a:b:c:d", "2001:db8::1", True),
        ("2001:db8::5", "2001:db8:0:0:ffff::5", True),
        ("2001:db8:0:1::5", "2001:db8::5", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_one_network_is_one_caller(one, other, same):
    first, second = (
        address_of(Request({"type": "http", "client": (host, 1), "headers": []}))
        for host in (one, other)
    )
    assert (first == second) is same


@pytest.mark.parametrize(
    "to",
    [
        "//[",
        "/\\evil.example",
        "//evil.example",
        "https://evil.example",
        "/\tx",
        "//\u2100",
        "http://[",
        "x",
    ],
)
def test_an_address_that_is_none_of_ours_leads_to_the_front_page(to):
    assert path_of_ours(to) == "/"


def test_only_what_began_here_goes_on_here(portal):
    site, who = portal.state.site, visitor(portal)
    key = b64(SigningKey.generate().seed())
    others = [
        site.cookies.write(who),
        site.cookies.seal({"v": "safehold.portal-question/1", "question": "q", "key": key}),
    ]
    for other in others:
        cookies = {START: other}
        answer = ask(portal, "POST", "/sign-in/key", data={"answer": "a.b"}, cookies=cookies)
        assert answer.status_code == 401
    begun = ask(portal, "GET", "/sign-in/return?state=", cookies={START: others[1]})
    assert begun.status_code == 401


def test_who_began_with_a_key_does_not_come_back_from_a_provider(portal):
    waiting = {"v": "safehold.portal-start/1", "question": "q", "key": "k", "to": "/"}
    cookies = {START: portal.state.site.cookies.seal(waiting)}
    assert portal.state.site.cookies.open(cookies[START], longest_s=START_S)
    assert ask(portal, "GET", "/sign-in/return?state=x", cookies=cookies).status_code == 401


def test_a_form_that_grows_on_its_way_is_too_large(portal):
    async def pieces():
        for _ in range(10):
            yield b"x" * 5_000

    headers = {"content-type": "application/x-www-form-urlencoded"}
    for path in ("/sign-in/key", "/sign-out"):
        answer = ask(portal, "POST", path, content=pieces(), headers=headers)
        assert answer.status_code == 413, path


def test_signing_in_holds_nobody_else_up(portal):
    keeper = portal.state.slow
    keeper.patience_s = 60.0
    waiting = {
        "v": "safehold.portal-start/1",
        "question": "q",
        "key": b64(SigningKey.generate().seed()),
        "to": "/",
    }
    cookies = {START: portal.state.site.cookies.seal(waiting)}

    async def go():
        link = httpx.ASGITransport(app=portal, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=link, base_url=ORIGIN, cookies=cookies) as client:
            first = asyncio.create_task(client.post("/sign-in/key", data={"answer": "a.b"}))
            await asyncio.to_thread(keeper.asked.wait, 30)
            assert (await client.get("/trust-in-pages")).status_code == 200
            keeper.let.set()
            return await first

    assert asyncio.run(go()).status_code == 503
    assert not keeper.held, "the portal stood still while a keeper was asked"


def handed_in(kind, verb, arguments, place):
    """Return the form of somebody who hands in a file that another one signed for them."""
    key = SigningKey.generate()
    draft = Draft(
        kind=kind, domain="d", message=b"m", verb=verb, arguments=arguments, place=place
    ).to_json()
    value = b64(key.sign("d", b"m"))
    line = {"v": SIGNED, "paper": draft, "key": key.public.text(), "value": value}
    return Sent(FormData({"line": json.dumps(line)}))


@pytest.mark.parametrize(
    ("kind", "verb", "arguments", "place"),
    [
        ("stop", "grant.revoke", {"grant": "g", "reason": ""}, ("reason",)),
        ("vote", "principal.enrol", {"principal": "x", "kind": ""}, ("kind",)),
        ("choice", "people.choose", {"as_self": True, "person": "p", "choice": ""}, ("choice",)),
        (
            "choice",
            "people.choose",
            {"statement": "", "signature": "", "as_self": True},
            ("signature",),
        ),
    ],
)
def test_a_paper_of_somebody_else_does_nothing_but_what_is_signed_here(
    kind, verb, arguments, place
):
    with pytest.raises(InvalidError) as refused:
        take(handed_in(kind, verb, arguments, place), kind, [])
    assert refused.value.rule == "portal.signature"


@pytest.mark.parametrize(
    "place", [(), ("order", "x"), ("nowhere", "value"), ("signatures", 4, "value")]
)
def test_a_paper_without_a_place_for_the_signature_is_refused(place):
    arguments = {"order": "o", "signatures": [{"seat": "s", "value": ""}]}
    with pytest.raises(InvalidError):
        take(handed_in("stop", "stop", arguments, place), "stop", [])


@pytest.mark.parametrize("kind", sorted(SIGNED_HERE))
def test_what_is_signed_here_is_a_kind_that_is_signed(kind):
    assert kind in KINDS
    assert set(SIGNED_HERE[kind][0]) <= set(KINDS_OF)


def test_every_page_that_changes_something_takes_a_form_of_the_session(portal):
    unsafe = [
        one
        for one in routes(portal.routes)
        if isinstance(one, APIRoute)
        and not one.path.startswith(PREFIX)
        and one.methods - {"GET", "HEAD"}
    ]
    assert len(unsafe) > 20

    def calls(dependant):
        yield dependant.call
        for inner in dependant.dependencies:
            yield from calls(inner)

    without = {one.path for one in unsafe if sent not in set(calls(one.dependant))}
    assert without == ENTRANCES
