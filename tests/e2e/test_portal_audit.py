"""The auditor's pages: live controls, an engagement with a finding, and a bundle that checks offline without Safehold."""

from __future__ import annotations

import json
import re
import zipfile

import pytest
from tests.audit_desk import Audited
from tests.pages import check_pages, draw, listen
from tests.portal_desk import csrf_of, found_served, portal_of, post

from safehold_verify import VerificationError, verify_evidence


@pytest.fixture(scope="module")
def portal(apart):
    with portal_of(found_served(apart / "made"), apart) as found:
        found.bench.call("milestones", measure=True)
        yield found


@pytest.fixture(scope="module")
def engaged(portal):
    """An engagement that has begun."""
    desk = Audited(portal.bench)
    number = desk.engage()
    desk.begin(number)
    return desk, number


def test_controls_are_live_and_a_broken_one_turns_red_with_its_reason(portal):
    client = portal.client("aude")
    overview = client.get("/audit").text
    assert "/audit/controls/gdpr" in overview
    assert "Art. 5(1)(b)" in client.get("/audit/controls/gdpr").text
    assert client.get("/audit/controls/nonsense").status_code == 404
    frameworks = re.findall(r"/audit/controls/([a-z0-9-]+)", overview)

    def shown() -> list[str]:
        pages = "".join(client.get(f"/audit/controls/{one}").text for one in frameworks)
        return re.findall(
            r"<code>charter\.drift</code>: <span class=\"(\w+)\">[^<]+</span>\. ([^<]+)", pages
        )

    before = shown()
    assert before
    assert {state for state, _ in before} == {"good"}
    file = portal.home.charter_file
    good = file.read_bytes()
    try:
        file.write_bytes(good.replace(b'"min_people":50', b'"min_people":5', 1))
        assert file.read_bytes() != good
        after = shown()
    finally:
        file.write_bytes(good)
    assert {state for state, _ in after} == {"bad"}
    assert {why for _, why in after} != {why for _, why in before}


def test_a_finding_is_heard_shown_and_answered(portal, engaged):
    desk, number = engaged
    client = portal.client("aude")
    word = json.dumps(desk.found(number)).encode()
    sent = {"csrf": csrf_of(client, "/audit")}
    heard = client.post("/audit/words", data=sent, files={"word": ("finding.json", word)})
    assert heard.status_code == 200, heard.text[:600]
    page = f"/audit/engagements/{number}"
    assert "something was found: 1" in client.get(page).text
    finding = portal.bench.call("audit.show", engagement=number)["texts"][0]["finding"]
    told = post(client, f"{page}/answers", page, finding=str(finding), text="it was mended", evidence="3, 4")  # fmt: skip
    assert told.status_code == 403  # who checks does not answer
    told = post(portal.client("enno"), f"{page}/answers", page, finding=str(finding), text="it was mended", evidence="3, 4")  # fmt: skip
    assert "it was mended" in told.text
    spoilt = json.dumps(desk.found(number, number=2) | {"sig": "AAAA"}).encode()
    refused = client.post("/audit/words", data=sent, files={"word": ("x.json", spoilt)})
    assert refused.status_code in {403, 409, 422}
    assert (
        client.post("/audit/words", data=sent, files={"word": ("x.json", b"{")}).status_code == 422
    )


def test_the_bundle_is_checked_offline_and_a_tampered_one_is_not(portal, tmp_path):
    client = portal.client("aude")
    answer = client.post("/audit/evidence", data={"csrf": csrf_of(client, "/audit")}, timeout=300)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"] == "application/zip"
    file = tmp_path / "safehold-evidence.zip"
    file.write_bytes(answer.content)
    policy = tmp_path / "policy"
    policy.write_bytes(portal.home.policy_file.read_bytes())
    assert verify_evidence(file, policy)
    spoilt = bytearray(answer.content)
    with zipfile.ZipFile(file) as packed:  # in what a file holds: not all bytes of heads count
        largest = max(packed.infolist(), key=lambda one: one.compress_size)
    spoilt[largest.header_offset + 30 + len(largest.filename) + largest.compress_size // 2] ^= 1
    file.write_bytes(spoilt)
    with pytest.raises(VerificationError):
        verify_evidence(file, policy)
    assert not list(portal.state.glob("evidence-*"))  # nothing of it stays here


@pytest.mark.parametrize("name", [None, "dana", "emil"])
def test_nobody_else_sees_any_of_it(portal, engaged, name):
    client = portal.client(name)
    for path in ("/audit", "/audit/controls/gdpr", f"/audit/engagements/{engaged[1]}"):
        answer = client.get(path)
        refused = answer.status_code in {401, 403} or "/sign-in" in str(answer.url)
        assert refused, (path, answer.status_code)
    if name is not None:
        assert post(client, "/audit/evidence", "/").status_code == 403


def test_the_pages_are_accessible_and_fit_a_phone(portal, engaged, browser):
    check_pages(browser, portal, "aude", ["/audit", "/audit/controls/gdpr", f"/audit/engagements/{engaged[1]}"])  # fmt: skip


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("keys", [True, False])
def test_an_auditor_takes_the_evidence_along(portal, browser, script, keys):
    context = browser.new_context()
    portal.visit(context, "aude")
    state = context.storage_state()
    context.close()
    context = browser.new_context(java_script_enabled=script, storage_state=state)
    page = context.new_page()
    said = listen(page)
    page.goto(f"{portal.url}/audit")
    if script:
        draw(page, "audit")
    with page.expect_download(timeout=300_000) as coming:
        button = page.get_by_role("button", name="Build the evidence and download it")
        if keys:
            button.focus()
            page.keyboard.press("Enter")
        else:
            button.click()
    assert coming.value.suggested_filename == "safehold-evidence.zip"
    assert said == []
    context.close()
