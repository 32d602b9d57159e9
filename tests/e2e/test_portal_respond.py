"""The responder's pages against a real keeper: an incident from its opening to something contained, in Chromium and without a script."""

from __future__ import annotations

import re

import pytest
from tests.pages import check_pages, draw, listen, press_until
from tests.portal_desk import found_served, portal_of, post

CANARY = "reason-canary-31f0"


@pytest.fixture(scope="module")
def portal(apart):
    with portal_of(found_served(apart / "made"), apart) as found:
        found.bench.call("milestones", measure=True)
        yield found


def open_incident(client, text="a laptop was lost") -> int:
    answer = post(client, "/respond/incidents", "/respond", text=text, severity="2")
    assert answer.status_code == 200, answer.text[:500]
    return int(str(answer.url).rsplit("/", 1)[1].split("?")[0])


def test_an_incident_is_opened_worked_on_and_something_is_contained(portal):
    client = portal.client("enno")
    number = open_incident(client)
    page = f"/respond/incidents/{number}"
    shown = client.get(page).text
    assert "72" in shown or "GDPR Art. 33(1)" in shown
    for step, fields in (
        ("note", {"text": CANARY, "segments": "us-ca.feature"}),
        ("severity", {"severity": "1", "text": "worse than it looked"}),
        ("move", {"state": "triaged", "text": "looked at"}),
        ("assign", {"role": "commander", "principal": "enno"}),
        ("action", {"text": "take the laptop out of the register"}),
        ("cause", {"text": "the disk was not sealed"}),
        ("uncontained", {"text": "nothing could be read"}),
        ("aware", {"since": "2026-11-01T09:00", "text": "a colleague said so"}),
    ):
        assert post(client, f"{page}/{step}", page, **fields).status_code == 200, step
    shown = client.get(page).text
    assert CANARY not in shown  # words are sealed
    preview = client.get("/respond/contain?what=segment&target=us-ca.feature").text
    assert "Containing segment us-ca.feature reaches" in preview
    done = post(client, "/respond/contain", page, what="purpose", target="train_ui_agent", reason="try", of=str(number))  # fmt: skip
    assert done.status_code == 200
    assert "purpose" in client.get(page).text
    held = portal.bench.call("containment.list")["containments"]
    assert [one["target"] for one in held] == ["train_ui_agent"]
    assert "late" in client.get("/respond").text  # it was known since the first of November
    for paper in ("notices/authority", "notices/people", "report"):
        assert client.get(f"{page}/{paper}").status_code == 200, paper


def test_reach_is_asked_by_a_form_and_recorded(portal):
    client = portal.client("aude")
    size = portal.bench.call("status")["ledger"]["size"]
    assert client.get("/respond/reach").status_code == 200
    assert portal.bench.call("status")["ledger"]["size"] == size
    asked = post(client, "/respond/reach", "/respond/reach", segment="us-ca.feature")
    assert asked.status_code == 200
    assert re.search(r'<svg class="drawn blast"', asked.text)
    assert portal.bench.call("status")["ledger"]["size"] > size


@pytest.mark.parametrize("name", [None, "dana", "emil"])
def test_nobody_else_sees_or_does_any_of_it(portal, name):
    insider = portal.client("enno")
    number = open_incident(insider)
    client = portal.client(name)
    for path in ("/respond", f"/respond/incidents/{number}", "/respond/alerts/1", "/respond/contain?what=purpose&target=x"):  # fmt: skip
        answer = client.get(path)
        refused = answer.status_code in {401, 403} or "/sign-in" in str(answer.url)
        assert refused, (path, answer.status_code)
    if name is not None:
        size = portal.bench.call("status")["ledger"]["size"]
        for path, fields in (
            ("/respond/contain", {"what": "purpose", "target": "train_ui_agent", "reason": "no"}),
            (f"/respond/incidents/{number}/note", {"text": "no"}),
            ("/respond/reach", {"segment": "us-ca.feature"}),
        ):
            assert post(client, path, "/", **fields).status_code == 403, path
        newer = [portal.bench.leaves(size)]
        assert all(kind in {"refusal", "session"} for kind in newer[0]), newer


def test_what_is_public_is_shown_to_anybody(portal):
    client = portal.client()
    shown = client.get("/trust").text
    for promise in portal.bench.charter().promises:
        assert promise.says in shown
    assert portal.home.origin in shown
    assert client.get("/log/checkpoint").text == (portal.home.ledger / "checkpoint").read_text()
    assert client.get("/trust/policy").text == portal.home.policy_file.read_text()
    assert client.get("/log/journal.db").status_code == 404
    assert client.get("/log/../home.json").status_code == 404
    assert client.get("/log/%2e%2e/home.json").status_code == 404


def test_a_forged_head_is_not_shown(portal):
    portal.bench.desk.ledger.publish()  # what waits to be published would take its place
    file = portal.home.ledger / "checkpoint"
    good = file.read_bytes()
    try:
        file.write_bytes(good.replace(b"\n\n", b"\nforged\n\n", 1))
        import time

        time.sleep(2.1)
        assert "cannot be shown" in portal.client().get("/trust").text, file.read_bytes()[:300]
    finally:
        file.write_bytes(good)


def test_every_page_is_accessible_and_fits_a_phone(portal, browser):
    number = open_incident(portal.client("enno"))
    check_pages(browser, portal, "enno", ["/respond", f"/respond/incidents/{number}", "/respond/contain?what=purpose&target=train_ui_agent", "/respond/reach"])  # fmt: skip
    check_pages(
        browser,
        portal,
        None,
        ["/", "/trust", "/trust-in-pages", "/sign-in", "/sign-in/key", "/api", "/no-such-page"],
    )


@pytest.mark.parametrize("script", [True, False])
def test_a_responder_contains_something_by_keyboard_alone(portal, browser, script):
    context = browser.new_context(java_script_enabled=True)
    portal.visit(context, "enno")
    state = context.storage_state()
    context.close()
    context = browser.new_context(java_script_enabled=script, storage_state=state)
    page = context.new_page()
    said = listen(page)
    target = "us-ca.feature" if script else "us-wa.feature"
    page.goto(f"{portal.url}/respond/contain?what=segment&target={target}")
    if script:
        press_until(page, "Tab", "Why, in a sentence")
        page.keyboard.type("by keyboard")
        press_until(page, "Tab", "Contain it now")
        page.keyboard.press("Enter")
    else:
        page.get_by_label("Why, in a sentence").fill("by pointer")
        page.get_by_role("button", name="Contain it now").click()
    page.wait_for_url(re.compile(r"/respond\?done=contained$"))
    assert page.get_by_role("status").is_visible()
    assert target in page.locator("table").last.inner_text()
    if script:
        page.goto(f"{portal.url}/respond/incidents/{open_incident(portal.client('enno'))}")
        draw(page, "incident")
    assert said == []
    context.close()


def test_the_public_page_is_drawn(portal, browser):
    page = browser.new_page()
    page.goto(f"{portal.url}/trust")
    assert page.get_by_role("heading", level=1).inner_text() == "Public record"
    draw(page, "trust")
    page.close()


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("keys", [True, False])
def test_an_incident_is_opened_in_all_four_ways(portal, browser, script, keys):
    """By keyboard and by pointer, with a script and without."""
    context = browser.new_context()
    portal.visit(context, "enno")
    state = context.storage_state()
    context.close()
    context = browser.new_context(java_script_enabled=script, storage_state=state)
    page = context.new_page()
    said = listen(page)
    page.goto(f"{portal.url}/respond")
    if keys:
        page.get_by_text("Open an incident", exact=True).focus()
        page.keyboard.press("Enter")
        for _ in range(20):  # without a script nothing tells what has the focus but the page itself
            page.keyboard.press("Tab")
            if page.locator("textarea[name=text]:focus").count():
                break
        page.keyboard.type("opened by keyboard")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.locator("form[action='/respond/incidents'] button:focus").count():
                break
        page.keyboard.press("Enter")
    else:
        page.get_by_text("Open an incident", exact=True).click()
        page.get_by_label("What happened, in your words (sealed)").fill("opened by pointer")
        page.get_by_role("button", name="Open it: every clock runs from now").click()
    page.wait_for_url(re.compile(r"/respond/incidents/\d+\?done=saved$"))
    assert page.get_by_role("heading", name="Clocks").is_visible()
    assert said == []
    context.close()
