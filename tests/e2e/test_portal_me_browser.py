"""A person's pages in Chromium: by keyboard and by pointer, with and without JavaScript, with a passkey, and a copy opened there."""

from __future__ import annotations

import json
import zipfile

import pytest
from tests.me_desk import HERS, MINE, OTHERS, MyPortal, entries_on, found_company, my_portal_of
from tests.pages import check_pages, draw, listen, press_until

PAGES = ("/me", "/me/uses?sort=all", "/me/pictures", "/me/choices", "/me/receipts", "/me/copy",
         "/me/verify", "/me/keys")  # fmt: skip
DRAWN = {"/me": "me", "/me/uses": "me-uses", "/me/pictures": "me-pictures", "/me/choices": "me-choices",
         "/me/verify": "me-verify"}  # fmt: skip


@pytest.fixture(scope="module")
def portal(apart):
    with my_portal_of(found_company(apart / "made"), apart) as found:
        found.join("emil", MINE)
        found.join("evangeline", HERS)
        yield found


@pytest.fixture
def context(portal, browser):
    """A browser in which he is signed in, with scripts."""
    made = browser.new_context(accept_downloads=True)
    portal.visit(made, "emil")
    yield made
    made.close()


@pytest.fixture
def bare(portal, browser):
    """A browser in which he is signed in, without scripts."""
    made = browser.new_context(java_script_enabled=False, accept_downloads=True)
    portal.visit(made, "emil")
    yield made
    made.close()


def test_every_page_is_accessible_fits_a_phone_and_keeps_to_its_policy(portal, browser):
    client = portal.client("emil")
    entries = entries_on(client.get("/me/uses?sort=all").text)
    check_pages(browser, portal, "emil", (*PAGES, f"/me/uses/{entries[0]}", "/me/uses?since=never"))
    check_pages(browser, portal, "dana", ("/me/join",))


def test_pictures_of_the_pages_are_kept_if_asked_for(portal, context):
    page = context.new_page()
    for path, name in DRAWN.items():
        page.goto(portal.url + path)
        if page.locator("svg.journey").count():
            page.locator("svg.journey").scroll_into_view_if_needed()
        draw(page, name)
    page.goto(portal.url + "/me/pictures")
    assert page.locator("svg[role=img] > title").count() == 3
    assert page.locator("svg.journey .model").count() == 1
    assert page.get_by_text("The same as a table").count() == 2


def test_with_a_pointer_one_press_stops_and_the_list_leads_to_a_proof(portal, context):
    page = context.new_page()
    said = listen(page)
    page.goto(portal.url + "/me")
    page.get_by_role("link", name="All uses, and everything else").click()
    page.locator("select[name=sort]").select_option("used")
    page.locator("select[name=made]").select_option(portal.truth.model)
    page.get_by_role("button", name="Show these").click()
    assert page.locator("tbody tr").count() == 1
    page.locator("tbody").get_by_role("link", name="Entry").click()
    assert page.get_by_text("Data scientist").count() == 1
    with page.expect_download() as coming:
        page.get_by_role("link", name="The proof", exact=True).click()
    assert coming.value.suggested_filename.endswith(".tlog-proof")
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Stop recording").click()
    assert page.get_by_role("heading", name="You have paused").count() == 1
    assert said == []


def test_by_keyboard_alone_and_without_a_script_somebody_pauses_and_leaves(portal, browser):
    context = browser.new_context(java_script_enabled=False)
    portal.visit(context, "evangeline")
    page = context.new_page()
    page.goto(portal.url + "/me/choices")
    # without scripts the page cannot be asked where the focus is: tab to the button and press it
    page.get_by_label("For how long").focus()
    page.keyboard.press("ArrowDown")
    for _ in range(2):  # past the later moments, to the button
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/me/choices?done=paused")
    assert page.get_by_text("You have paused: nothing of you").count() == 1
    page.goto(portal.url + "/me")
    page.get_by_role("button", name="Leave the study").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/me?done=withdrawn")
    assert page.get_by_role("heading", name="You have left the study").count() == 1
    context.close()


def test_by_keyboard_with_scripts_the_first_thing_reached_on_the_page_stops_it(portal, context):
    page = context.new_page()
    page.goto(portal.url + "/me")
    page.get_by_role("link", name="Sign-in and keys").focus()
    press_until(page, "Tab", "Leave the study", most=3)
    page.goto(portal.url + "/me/verify")
    press_until(page, "Tab", "Download the package")
    with page.expect_download() as coming:
        page.keyboard.press("Enter")
    package = json.loads(coming.value.path().read_bytes())
    assert package["v"] == "safehold.package/1"
    told = json.dumps(package)
    assert not any(other in told for other in (HERS, *OTHERS))


def test_without_a_script_the_package_and_a_receipt_are_downloaded(portal, bare):
    page = bare.new_page()
    page.goto(portal.url + "/me/verify")
    for button, name in (("package", "package.json"), ("receipt", "receipt.json")):
        with page.expect_download() as coming:
            page.get_by_role("button", name=f"Download the {button}").click()
        assert coming.value.suggested_filename == name
    page.goto(portal.url + "/me/receipts")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download the receipt").first.click()
    assert coming.value.suggested_filename.endswith(".receipt")
    page.goto(portal.url + "/me/copy")
    assert not page.get_by_role("button", name="Make my copy").is_visible()


def test_a_copy_is_opened_in_the_browser_and_the_portal_saw_it_sealed(portal: MyPortal, browser):
    portal.wait(4)
    context = browser.new_context(accept_downloads=True)
    portal.visit(context, "emil")
    page = context.new_page()
    said, seen = listen(page), []
    page.on("response", lambda answer: seen.append(answer))  # noqa: PLW0108 - marked by playwright
    page.goto(portal.url + "/me/copy")
    with page.expect_download() as coming:
        page.get_by_role("button", name="Make my copy").click()
    packed = zipfile.ZipFile(coming.value.path())
    assert coming.value.suggested_filename == "my-copy.zip"
    assert {"index.html", "telemetry/us-ca.pointer.jsonl"} <= set(packed.namelist())
    assert MINE in packed.read("choices.json").decode()
    (answer,) = [one for one in seen if one.request.method == "POST"]
    assert answer.headers["content-disposition"] == 'attachment; filename="my-copy.sealed"'
    page.get_by_text("Your copy was opened here").wait_for()
    assert said == []
    context.close()


def test_with_a_passkey_somebody_agrees_again_and_a_script_signs_nothing_else(portal, browser):
    context = browser.new_context()
    portal.visit(context, "emil")
    page = context.new_page()
    said = listen(page)
    if not portal.bench.desk.people.standing(portal.bench.desk.people.find(MINE)).pauses:
        page.goto(portal.url + "/me")  # no other test did it in this process
        page.get_by_role("button", name="Stop recording").click()
        page.get_by_role("heading", name="You have paused").wait_for()
    _passkeys(context, page)
    page.goto(portal.url + "/me/keys")
    page.get_by_label("A new one-time code").fill(portal.code(MINE))
    page.get_by_role("button", name="Make a passkey").click()
    page.wait_for_url("**/me/keys/new")
    page.get_by_role("button", name="Set this passkey").click()
    page.wait_for_url("**/me/keys?done=key-set")
    assert page.get_by_text("passkey:localhost:").count() == 1
    # beside the sign-in that spoke already it widens nothing for a week
    page.goto(portal.url + "/me/choices")
    page.get_by_role("button", name="Next: read and sign").click()
    page.get_by_role("button", name="Agree", exact=True).click()
    page.get_by_role("heading", name="Not allowed").wait_for()
    portal.wait(8)
    portal.visit(context, "emil")
    page.goto(portal.url + "/me/choices")
    page.locator("input[name=streams][value=focus]").check()
    page.get_by_role("button", name="Next: read and sign").click()
    press_until(page, "Tab", "Agree")
    page.keyboard.press("Enter")
    page.wait_for_url("**/me/choices?done=agreed")
    held = portal.bench.desk.people.standing(portal.bench.desk.people.find(MINE))
    assert held.signed
    assert "focus" in held.streams
    page.get_by_role("button", name="End the pause").click()
    page.get_by_role("button", name="End the pause").click()
    page.wait_for_url("**/me/choices?done=unpaused")
    # the browser would like RSA too, which nobody here verifies
    assert [one for one in said if "pubKeyCredParams" not in one] == []
    context.close()


def _passkeys(context, page) -> None:
    """Give a page an authenticator of its own, whose owner is always there."""
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
            "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
        }},
    )  # fmt: skip


def test_joining_takes_a_name_and_a_code_without_a_script(portal, browser):
    context = browser.new_context(java_script_enabled=False)
    portal.visit(context, "enno")
    page = context.new_page()
    page.goto(portal.url + "/me")
    page.get_by_label("The company's name for you").fill(OTHERS[5])
    page.get_by_label("Your one-time code").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    page.get_by_label("Your one-time code").fill(portal.code(OTHERS[5]))
    page.keyboard.press("Enter")
    page.wait_for_url("**/me?done=linked")
    assert page.get_by_role("heading", name="You are being recorded").count() == 1
    context.close()
