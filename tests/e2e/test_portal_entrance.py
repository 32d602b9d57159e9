"""Signing in and out, where forms come from, what every answer tells the browser; in HTTP and in Chromium."""

from __future__ import annotations

import pytest
from tests.portal_desk import csrf_of, found_served, portal_of, post

from safehold.portal.headers import CSP


@pytest.fixture(scope="module")
def made(apart):
    return found_served(apart / "made")


@pytest.fixture(scope="module")
def portal(made, apart):
    with portal_of(made, apart) as found:
        yield found


def test_signed_out_there_is_a_front_page_with_every_header(portal):
    answer = portal.client().get("/")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == CSP
    assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in CSP


def test_a_person_signs_in_and_out(portal):
    client = portal.client("emil")
    assert "emil" in client.get("/").text
    kept = dict(client.cookies)
    assert post(client, "/sign-out", "/").status_code == 200
    assert "emil" not in client.get("/").text
    # the cookie of before is worth nothing any more: the keeper ended the session
    again = portal.client(cookies=kept)
    assert again.post("/sign-out", data={"csrf": csrf_of(again, "/")}).status_code == 401
    # nor for what rests with the portal itself
    told = again.get("/api/v1/events?topics=jobs", timeout=10).text
    assert "signed out" in told
    assert "event: over" in told


def test_somebody_who_is_not_enrolled_does_not_get_in(portal):
    portal.provider.person = "sub-stranger"
    client = portal.client()
    assert client.get("/sign-in/begin").status_code == 401
    assert client.cookies.get("safehold") is None


def test_an_answer_to_another_attempt_opens_nothing(portal):
    client = portal.client()
    portal.provider.spoil["state"] = "another"
    try:
        assert client.get("/sign-in/begin").status_code == 401
    finally:
        portal.provider.spoil.clear()
    # nor does a good answer in a browser that did not begin
    begun = portal.client()
    begun.follow_redirects = False
    there = begun.get(begun.get("/sign-in/begin").headers["location"]).headers["location"]
    assert portal.client().get(there).status_code == 401


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"origin": "https://elsewhere.example"}, {}),
        ({"sec-fetch-site": "cross-site"}, {}),
        ({}, {"csrf": "0" * 64}),
        ({}, {"csrf": ""}),
    ],
)
def test_a_form_from_elsewhere_does_nothing(portal, headers, fields):
    client = portal.client("evangeline")
    form = {"csrf": csrf_of(client, "/")} | fields
    assert client.post("/sign-out", data=form, headers=headers).status_code == 403
    assert "evangeline" in client.get("/").text


def test_in_chromium_the_pages_break_no_rule_of_theirs(portal, browser):
    context = browser.new_context()
    portal.visit(context, "emil")
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    for path in ("/", "/trust-in-pages", "/sign-in"):
        page.goto(portal.url + path)
    assert page.get_by_text("emil").count() == 1
    assert said == []
    context.close()
