"""Asking, deciding and using: a data scientist's and an approver's pages against a real keeper."""

from __future__ import annotations

import html
import json
import re

import pytest
from tests.board_desk import draft_in, enrol_seats, give_passkeys, sign_here, to_sign
from tests.identities import Somebody
from tests.keeper_desk import CROWD, PURPOSE
from tests.pages import check_pages, draw, press_until
from tests.portal_desk import csrf_of, found_served, portal_of, post
from tests.served import TOP1

from safehold.access import Holder
from safehold.app.papers import signed_line
from safehold.app.requests import read_paper
from safehold.app.signable import prepare
from safehold.canonical import b64, unb64
from safehold.errors import RedLineError
from safehold.keeper.messages import use_message
from safehold.signing import SigningKey

REASON = "ticket ML-40: canary-5b1e"
ASKED = {"purpose": PURPOSE, "recipe": "train", "days": "30", "minutes": "120", "runs": "2", "reason": REASON}  # fmt: skip


@pytest.fixture(scope="module")
def portal(apart):
    with portal_of(found_served(apart / "made"), apart) as found:
        enrol_seats(found, ml_lead="data_scientist")
        found.bench.call("feature", purpose=PURPOSE)
        yield found


@pytest.fixture(scope="module")
def bo(portal):
    """A data scientist who signs in to the portal, and at the keeper with a key of their own."""
    made = Somebody(portal.bench.call, "bo")
    names = [made.name, f"oidc:{portal.provider.issuer}#sub-bo"]
    portal.bench.call("principal.enrol", principal="bo", kind="human", role="data_scientist", names=names)  # fmt: skip
    return made.sign_in()


def ask_for(portal, key, *, who="bo", **changes):
    """Ask at the portal, and return the id of the request."""
    client = portal.client(who)
    query = "&".join(f"{name}={value}" for name, value in (ASKED | {"reason": "ML-41"} | changes).items())  # fmt: skip
    page = f"/work/ask?{query}&holder={key.public.text().replace('+', '%2B')}"
    found = re.search(r'name="request" value="([^"]*)"', client.get(page).text)
    assert found, client.get(page).text[-2000:]
    answer = post(client, "/work/ask", page, request=html.unescape(found[1]))
    assert answer.status_code == 200, answer.text[:500]
    return str(answer.url).rsplit("/", 1)[1].split("?")[0]


def use(portal, bo, holder, verb="train"):
    nonce = unb64(portal.bench.call("nonce")["nonce"])
    proof = b64(holder.prove(nonce, use_message(verb, PURPOSE)))
    return bo.ask(verb, purpose=PURPOSE, token=holder.token, nonce=b64(nonce), proof=proof)


def test_what_i_may_use_and_why_not(portal, bo):
    del bo
    shown = portal.client("bo").get("/work").text
    assert "train a model on features" in shown
    assert "This purpose takes in nothing that could be used so." in shown  # secure_the_pipeline
    assert "It takes 2 people of the board, and lasts at most 240 minutes." in shown
    german = portal.client("bo").get("/work", headers={"accept-language": "de"}).text
    assert "ein Modell auf Merkmalen trainieren" in german
    # somebody else's role has none of it
    assert portal.client("emil").get("/work").status_code == 403
    assert "The charter gives your role no grants." in portal.client("enno").get("/work").text
    assert "/sign-in" in str(portal.client().get("/work").url)


def test_the_price_is_shown_before_anything_is_asked_for(portal, bo):
    del bo
    client, key = portal.client("bo"), SigningKey.generate()
    before = len(portal.bench.call("request.list")["requests"])
    size = portal.bench.call("status")["ledger"]["size"]
    holder = key.public.text().replace("+", "%2B")
    query = "&".join(f"{name}={value}" for name, value in ASKED.items())
    shown = client.get(f"/work/ask?{query}&holder={holder}").text
    assert f"It reaches at most {len(CROWD)} people." in shown
    assert "It may spend epsilon 8.00 of 4.00 that the purpose has left." in shown
    assert "The purpose has less left than you ask for." in shown
    assert "Only one run" in shown
    assert portal.bench.leaves(size) == []
    assert len(portal.bench.call("request.list")["requests"]) == before
    # what nobody can grant is said, with its rule, and cannot be sent
    for spoilt, said in (
        ({"purpose": "secure_the_pipeline"}, "grant"),
        ({"minutes": "9999"}, "grant.length"),
        ({"runs": "many"}, "portal.field"),
        ({"recipe": "read_rows"}, "request.recipe"),
    ):
        query = "&".join(f"{name}={value}" for name, value in (ASKED | spoilt).items())
        answer = client.get(f"/work/ask?{query}&holder={holder}")
        assert answer.status_code == 200, (spoilt, answer.text[:300])
        assert said in answer.text
        assert 'name="request"' not in answer.text


def test_a_request_is_approved_used_and_followed_to_its_run(portal, bo):
    key = SigningKey.generate()
    name = ask_for(portal, key, runs="1", minutes="60", days="7")
    client = portal.client("bo")
    assert name in client.get("/work").text
    assert "It waits for the board." in client.get(f"/work/requests/{name}").text
    for done, seat in enumerate(("privacy", "legal")):
        approver = portal.client(seat)
        assert name in approver.get("/approve").text
        shown = approver.get(f"/approve/{name}").text
        assert f"It reaches at most {len(CROWD)} people." in shown
        assert f"{done} / 2" in shown
        answer = sign_here(portal, approver, f"/approve/{name}", f"Approve as {seat}", seat)
        assert answer.status_code == 200, answer.text[:500]
    (portal.state / "request.json").write_bytes(client.get(f"/work/requests/{name}/file").content)
    grant = read_paper(portal.state / "request.json").grant
    token = bo.ask("grant.enact", grant=grant.to_json())["token"]
    shown = client.get("/work").text
    assert re.search(r'role="timer" data-until="\d{13}"', shown)
    held = client.get(f"/work/grants/{name}").text
    assert f"safehold enclave train --purpose {PURPOSE} --grant {name}.json --holder KEY" in held
    use(portal, bo, Holder(token, key))
    held = client.get(f"/work/grants/{name}").text
    assert "No run yet." not in held
    assert "ok" in held
    assert str(TOP1) not in held
    # another data scientist finds nothing of it among their own
    dana = portal.client("dana")
    assert name not in dana.get("/work").text
    # it is reviewed by a seat that neither asked nor approved
    post(client, f"/work/grants/{name}/end", f"/work/grants/{name}")
    page = f"/approve/grants/{name}"
    label = "As security: it was done as stated"
    assert name in portal.client("security").get("/approve").text
    assert sign_here(portal, portal.client("security"), page, label, "security").status_code == 200
    assert portal.bench.call("grant.show", grant=name)["review"]["state"] == "reviewed"


def test_whoever_asked_cannot_decide_and_the_page_says_why(portal):
    """The holder of a seat who is a data scientist as well finds no button, and a forged decision is refused."""
    name = ask_for(portal, SigningKey.generate(), who="ml_lead", reason="ML-45")
    client = portal.client("ml_lead")
    shown = client.get(f"/approve/{name}").text
    assert "may not: its holder asked for this" in shown
    assert to_sign(shown) == {}
    # the words of another seat's page, said by this one
    form = to_sign(portal.client("hr").get(f"/approve/{name}").text)["Approve as hr"]
    form["fields"] |= {"csrf": csrf_of(client, f"/approve/{name}")}
    told = portal.bench.call("request.show", request=name)
    facts = {"grant": told["grant"], "price": told["price"], "decision": "approve", "at_us": portal.bench.clock.now_us()}  # fmt: skip
    forged = prepare("decision", facts | {"seat": "ml_lead"})
    line = signed_line(forged, portal.bench.seats["ml_lead"])
    answer = client.post(form["action"], data=form["fields"] | {"line": line})
    assert answer.status_code == 403
    assert "approval.requester" in answer.text
    assert portal.bench.call("request.show", request=name)["decisions"] == {}


def test_denying_with_a_passkey_ends_a_request(portal, bo, browser):
    """By keyboard, in Chromium: a seat reads the price and denies."""
    del bo
    name = ask_for(portal, SigningKey.generate(), reason="ML-42")
    context = browser.new_context()
    portal.visit(context, "security")
    page = context.new_page()
    give_passkeys(context, page)
    page.goto(portal.url + "/passkey/new")
    press_until(page, "Tab", "Make a passkey")
    page.keyboard.press("Enter")
    key = page.locator("textarea[name=key]")
    key.wait_for(state="visible")
    text = key.input_value()
    page.goto(portal.url + "/board/key")
    page.get_by_label("Public text of the new key").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/board/key?**")
    form = to_sign(page.content())["Sign with the present key"]
    page.get_by_text("Sign on paper instead").click()
    line = signed_line(draft_in(form), portal.bench.seats["security"])
    page.get_by_label("Hand in what it printed:").fill(line)
    page.get_by_role("button", name="Hand in").click()
    page.get_by_role("button", name="Sign with the new key").click()
    page.wait_for_url("**/board?done=saved")
    page.goto(f"{portal.url}/approve/{name}")
    draw(page, "request")
    press_until(page, "Tab", "Deny as security")
    page.keyboard.press("Enter")
    page.wait_for_url("**done=saved")
    assert portal.bench.call("request.show", request=name)["state"] == "denied"
    context.close()


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("keys", [True, False])
def test_asking_in_a_browser(portal, bo, browser, script, keys):
    """With and without a script, by pointer and by keyboard: fill in, look at the price, send."""
    del bo
    context = browser.new_context(java_script_enabled=script)
    portal.visit(context, "bo")
    page = context.new_page()
    page.goto(portal.url + "/work")
    page.get_by_role("link", name="Ask for access").click()
    page.get_by_label("Purpose").select_option(PURPOSE)
    page.get_by_label("What runs").select_option("train")
    page.get_by_label("Why?").fill("ML-43")
    page.get_by_label("Public text of the key").fill(SigningKey.generate().public.text())
    if keys and script:
        press_until(page, "Tab", "Show what it would come to")
        page.keyboard.press("Enter")
    elif keys:  # without scripts the page cannot be asked where the focus is
        page.get_by_role("button", name="Show what it would come to").focus()
        page.keyboard.press("Enter")
    else:
        page.get_by_role("button", name="Show what it would come to").click()
    page.get_by_role("heading", name="What it would come to").wait_for()
    if script:
        draw(page, "ask")
    send = page.get_by_role("button", name="Send it to the board")
    if keys:
        send.focus()
        page.keyboard.press("Enter")
    else:
        send.click()
    page.wait_for_url("**done=sent")
    assert "open" in page.content()
    context.close()


def test_nothing_is_wrong_with_these_pages(portal, bo, browser):
    del bo
    name = portal.bench.call("request.list")["requests"][0]["request"]
    grant = portal.bench.call("grant.list")["grants"][0]["id"]
    query = "&".join(f"{one}={value}" for one, value in ASKED.items())
    holder = SigningKey.generate().public.text().replace("+", "%2B")
    check_pages(
        browser, portal, "bo",
        ("/work", "/work/ask", f"/work/ask?{query}&holder={holder}", f"/work/requests/{name}", f"/work/grants/{grant}"),
    )  # fmt: skip
    check_pages(
        browser, portal, "legal", ("/approve", f"/approve/{name}", f"/approve/grants/{grant}")
    )


def test_a_use_refused_at_a_red_line_is_shown_to_the_board_without_a_name(portal, bo):
    """With fewer than fifty people left, training crosses a red line; the board reads which, and not who."""
    bench, key = portal.bench, SigningKey.generate()
    name = ask_for(portal, key, runs="1", reason="ML-44")
    portal.served.agree(name)
    grant = bench.call("request.show", request=name)["grant"]
    token = bo.ask("grant.enact", grant=grant)["token"]
    for person in CROWD[:8]:
        bench.call("people.choose", person=person, choice="pause", evidence="a test")
    with pytest.raises(RedLineError):
        use(portal, bo, Holder(token, key))
    shown = portal.client("privacy").get("/board").text
    part = shown.split('id="refusals"')[1].split("</section>")[0]
    assert "No answer and no model is about fewer than 50 people." in part
    assert "data_scientist" in part
    assert not re.search(r"\bbo\b", part)
    told = portal.client("privacy").get("/board", headers={"accept-language": "de"}).text
    assert "An einer roten Linie verweigert" in told
    assert '"bo"' not in json.dumps(portal.bench.call("refusal.list"))
