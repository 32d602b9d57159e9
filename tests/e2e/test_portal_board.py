"""The board's pages against a real keeper: proposals, votes, stopping and resuming, keys; on paper, and by passkeys in Chromium."""

from __future__ import annotations

import html
import re
import subprocess

import pytest
from tests.board_desk import (
    draft_in,
    enrol_seats,
    give_passkeys,
    hand_in,
    propose,
    sign_here,
    to_sign,
)
from tests.command_line import command
from tests.keeper_desk import CROWD, PURPOSE
from tests.pages import check_pages, draw, listen, press_until
from tests.portal_desk import found_served, portal_of, post
from tests.seated import asked, say

from safehold.app.papers import signed_line
from safehold.signing import SigningKey, speaking_key


@pytest.fixture(scope="module")
def portal(apart):
    with portal_of(found_served(apart / "made"), apart) as found:
        enrol_seats(found)
        found.bench.call("milestones", measure=True)
        yield found


def longer(days):
    return lambda collect: [collect[0] | {"keep_days": days}, *collect[1:]]


def end(portal, question):
    """Refuse a proposal for good, so that the next test finds none."""
    if any(
        one["proposal"] == question.proposal
        for one in portal.bench.call("charter.proposals")["proposals"]
    ):
        say(portal.bench.call, question.to_json(), "employee_representative", portal.bench.seats["employee_representative"], "refuse")  # fmt: skip


def test_anybody_signed_in_reads_who_decides_and_only_seats_read_what_was_refused(portal):
    emil, privacy = portal.client("emil"), portal.client("privacy")
    size = portal.bench.call("status")["ledger"]["size"]
    mine, theirs = emil.get("/board").text, privacy.get("/board").text
    assert "employee_representative" in mine
    assert "You hold no seat" in mine
    for heading in ("Promises of the charter", "Refused at a red line", "Privacy budgets", "The drill"):  # fmt: skip
        assert heading not in mine
        assert heading in theirs
    for promise in portal.bench.charter().promises:
        assert promise.says in theirs
    # nobody is written down for opening a page
    assert "refusal" not in portal.bench.leaves(size)
    for path in ("/approve", "/approve/grt_x"):
        assert emil.get(path).status_code in (403, 404)
    signed_out = portal.client()
    for path in ("/board", "/board/log", "/board/stop", "/board/resume", "/board/key", "/board/proposals/1"):  # fmt: skip
        assert "/sign-in" in str(signed_out.get(path).url), path
    assert privacy.get("/board/log").status_code == 200
    assert privacy.get("/board/proposals/999999").status_code == 404


def test_a_proposal_is_voted_on_on_paper_and_put_in_force(portal):
    question = propose(portal, collect=longer(31))
    page = f"/board/proposals/{question.proposal}"
    emil = portal.client("emil")
    assert to_sign(emil.get(page).text) == {}
    german = emil.get(page, headers={"accept-language": "de"}).text
    assert "Was möglich wird" in german
    english = emil.get(page).text
    assert set(re.findall(r"<li>(.*?)</li>", english)) - set(re.findall(r"<li>(.*?)</li>", german))
    seats = ["privacy", "security", "legal", "hr", "employee_representative"]
    for done, seat in enumerate(seats):
        client = portal.client(seat)
        shown = client.get(page).text
        assert f"{done} of 5 people agree" in shown
        assert "Put it in force" not in shown
        answer = sign_here(portal, client, page, f"Agree as {seat}", seat)
        assert answer.status_code == 200, answer.text[:500]
        assert f"Agree as {seat}" not in to_sign(answer.text)
        assert f"Refuse as {seat}" in to_sign(answer.text)
    assert len(asked(portal.bench.call, question.proposal)["signed"]) == 5
    version = portal.bench.charter().version
    done = post(portal.client("hr"), f"{page}/enact", page, about="charter")
    assert done.status_code == 200
    assert portal.bench.charter().version == version + 1


def test_a_vote_of_another_key_seat_or_proposal_counts_for_nothing(portal):
    question = propose(portal, collect=longer(35))
    page = f"/board/proposals/{question.proposal}"
    client = portal.client("privacy")
    form = to_sign(client.get(page).text)["Agree as privacy"]
    assert hand_in(portal, client, form, "legal").status_code >= 400  # another seat's key
    assert client.post(form["action"], data=form["fields"]).status_code == 422  # nothing signed
    forged = form["fields"]["draft"].replace('"sign"', '"refuse"')
    assert hand_in(portal, client, form, "privacy", line="", draft=forged).status_code == 422
    assert hand_in(portal, client, form, "privacy", csrf="0" * 64).status_code == 403
    assert asked(portal.bench.call, question.proposal)["signed"] == []
    end(portal, question)


def test_one_seat_stops_and_six_resume(portal):
    client = portal.client("hr")
    page = "/board/stop?seat=hr&reason=something+smells"
    assert "hr" in client.get("/board/stop").text
    assert not portal.bench.desk.trust.stopped  # looking stops nothing
    assert sign_here(portal, client, page, "Stop everything now", "hr").status_code == 200
    assert portal.bench.desk.trust.stopped
    assert "Everything is stopped." in client.get("/board").text
    shown = post(client, "/board/resume", "/board/resume", reason="it was a fan", cause="dust")
    assert "nobody yet" in shown.text
    order = order_in(shown.text)
    for seat in portal.bench.seats:
        holder = portal.client(seat)
        opened = post(holder, "/board/papers/read", "/board/resume", order=order)
        answer = hand_in(portal, holder, to_sign(opened.text)[f"Sign as {seat}"], seat)
        assert answer.status_code == 200, answer.text[:400]
        early = post(holder, "/board/papers", "/board/resume", order=order)
        assert early.status_code == 403  # not with fewer than six
        order = order_in(answer.text)
    forged = order.replace("dust", "rust")
    for path in ("/board/papers/read", "/board/papers"):
        assert "passkey.value" not in post(client, path, "/board/resume", order=forged).text
        assert post(client, path, "/board/resume", order=forged).status_code >= 400
    assert portal.bench.desk.trust.stopped
    assert post(client, "/board/papers", "/board/resume", order=order).status_code == 200
    assert not portal.bench.desk.trust.stopped


def order_in(text: str) -> str:
    return html.unescape(re.findall(r'name="order" value="([^"]*)"', text)[-1])


def test_five_seats_let_somebody_be_told_who_used_their_data(portal):
    """The order goes from seat to seat; with four of them nobody is told anything."""
    bench = portal.bench
    bench.call("feature", purpose=PURPOSE)
    use = next(index for index, leaf in bench.desk.ledger.leaves() if leaf["k"] == "access.intent")
    asked = {"what": "identity", "person": CROWD[0], "entries": str(use), "days": "7", "reason": "asked for"}  # fmt: skip
    client = portal.client("legal")
    page = "/board/disclose"
    assert post(client, page, page, **asked | {"entries": "all"}).status_code == 422
    order = order_in(post(client, page, page, **asked).text)
    for seat in ("legal", "privacy", "hr", "ml_lead", "employee_representative"):
        holder = portal.client(seat)
        assert post(holder, "/board/papers", page, order=order).status_code == 403
        opened = post(holder, "/board/papers/read", page, order=order)
        order = order_in(
            hand_in(portal, holder, to_sign(opened.text)[f"Sign as {seat}"], seat).text
        )
    assert post(client, "/board/papers", page, order=order).status_code == 200
    assert bench.leaves()[-1] == "disclosure"


def test_a_passkey_made_here_becomes_a_seats_key_and_votes(portal, browser):
    """The seat makes a passkey, both keys sign the roster, and the passkey votes: by pointer, then by keyboard."""
    context = browser.new_context()
    portal.visit(context, "security")
    page = context.new_page()
    said = listen(page)
    give_passkeys(context, page)
    page.goto(portal.url + "/passkey/new")
    page.get_by_role("button", name="Make a passkey").click()
    key = page.locator("textarea[name=key]")
    key.wait_for(state="visible")
    text = key.input_value()
    assert speaking_key(text).text() == text
    draw(page, "passkey")
    # the present key signs on paper, the new one in the browser
    page.goto(portal.url + "/board/key")
    page.get_by_label("Public text of the new key").fill(text)
    page.get_by_role("button", name="Go on").click()
    form = to_sign(page.content())["Sign with the present key"]
    _sign_on_paper(page, portal, form, "security")
    page.get_by_role("button", name="Sign with the new key").click()
    page.wait_for_url("**/board?done=saved")
    assert portal.bench.desk.trust.roster.seat("security").key.text() == text
    # and now it speaks for the seat
    question = propose(portal, collect=longer(40))
    page.goto(f"{portal.url}/board/proposals/{question.proposal}")
    draw(page, "proposal")
    press_until(page, "Tab", "Agree as security")
    page.keyboard.press("Enter")
    page.wait_for_url("**done=saved")
    assert asked(portal.bench.call, question.proposal)["signed"] == ["security"]
    page.get_by_role("button", name="Refuse as security").click()
    page.get_by_text("You have voted.").wait_for()
    assert asked(portal.bench.call, question.proposal)["refused"] == ["security"]
    # Chromium would like RSA as well, which no key of a person is here
    assert [one for one in said if "pubKeyCredParams" not in one] == []
    end(portal, question)
    context.close()


def sign_at_a_desk(folder, paper: str, key: SigningKey) -> tuple[str, str]:
    """Sign a page's text with the command line, as on another machine; return its line and what it showed."""
    file, key_file = folder / "paper", folder / "seat.key"
    file.write_text(paper)
    key.write(key_file)
    done = subprocess.run(
        command(("portal", "sign", file, "--key", key_file)),
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    file.write_text(paper.replace("vote", "veto"))
    other = subprocess.run(
        command(("portal", "sign", file, "--key", key_file)), capture_output=True, check=False, timeout=120
    )  # fmt: skip
    assert other.returncode == 2
    return done.stdout.strip(), done.stderr


def _sign_on_paper(page, portal, form, seat):
    page.get_by_text("Sign on paper instead").first.click()
    page.get_by_label("Hand in what it printed:").first.fill(
        signed_line(draft_in(form), portal.bench.seats[seat])
    )
    page.get_by_role("button", name="Hand in").first.click()


def test_without_a_script_a_seat_votes_on_paper(portal, browser, tmp_path):
    question = propose(portal, "legal", collect=longer(45))
    context = browser.new_context(java_script_enabled=False)
    portal.visit(context, "legal")
    page = context.new_page()
    page.goto(f"{portal.url}/board")
    page.locator(f'a[href="/board/proposals/{question.proposal}"]').click()
    assert page.get_by_role("button", name="Agree as legal").count() == 0
    form = to_sign(page.content())["Agree as legal"]
    line, shown = sign_at_a_desk(tmp_path, form["fields"]["draft"], portal.bench.seats["legal"])
    assert f'"proposal":{question.proposal}' in shown  # what is signed is shown
    page.get_by_text("Sign on paper instead").first.click()
    page.get_by_label("Hand in what it printed:").first.fill(line)
    page.get_by_role("button", name="Hand in").first.click()
    page.wait_for_url("**done=saved")
    assert asked(portal.bench.call, question.proposal)["signed"] == ["legal"]
    page.goto(f"{portal.url}/passkey/new")
    assert "safehold board key" in page.content()
    end(portal, question)
    context.close()


def test_the_board_finds_nothing_wrong_with_its_pages(portal, browser):
    question = propose(portal, "hr", collect=longer(50))
    paths = (
        "/board", f"/board/proposals/{question.proposal}", "/board/log", "/board/stop", "/board/resume",
        "/board/stop?seat=hr&reason=try", "/board/key", "/board/disclose", "/passkey/new", "/approve",
    )  # fmt: skip
    check_pages(browser, portal, "hr", paths)
    context = browser.new_context()
    portal.visit(context, "hr")
    page = context.new_page()
    page.goto(portal.url + "/board")
    draw(page, "board")
    end(portal, question)
    context.close()


def test_a_key_is_not_given_by_one_of_two_signatures(portal):
    """Neither the old key alone nor the new one alone gives a seat another key."""
    client, fresh = portal.client("ml_lead"), SigningKey.generate()
    page = f"/board/key?seat=ml_lead&key={fresh.public.text().replace('+', '%2B')}"
    before = portal.bench.desk.trust.roster.digest()
    form = to_sign(client.get(page).text)["Sign with the present key"]
    second = to_sign(hand_in(portal, client, form, "ml_lead").text)["Sign with the new key"]
    assert hand_in(portal, client, second, "ml_lead").status_code >= 400
    assert portal.bench.desk.trust.roster.digest() == before
