"""A person's pages against a real keeper, by HTTP: joining, seeing, stopping; what they list against what was done."""

from __future__ import annotations

import json
import re
import zipfile
from io import BytesIO

import pytest
from tests.me_desk import (
    HERS,
    MINE,
    OTHERS,
    MyPortal,
    everything_listed,
    found_company,
    my_portal_of,
    settle,
)
from tests.portal_desk import csrf_of, post

from safehold.canonical import b64
from safehold.keeper.messages import state
from safehold.signing import SigningKey
from safehold_verify.choice import verify_choice
from safehold_verify.erasure import verify_erasure
from safehold_verify.package import verify_package
from safehold_verify.person import Person
from safehold_verify.proof import verify_proof

PAGES = ("/me", "/me/uses?sort=all", "/me/pictures", "/me/choices", "/me/receipts", "/me/copy",
         "/me/verify", "/me/keys")  # fmt: skip


@pytest.fixture(scope="module")
def made(apart):
    return found_company(apart / "made")


def served(made, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAFEHOLD_OUTSIDE", str(folder / "outside"))
        with my_portal_of(made, folder) as found:
            found.emil = found.join("emil", MINE)
            found.eva = found.join("evangeline", HERS)
            yield found


@pytest.fixture(scope="module")
def looking(made, tmp_path_factory):
    """For tests that change nothing that another one sees."""
    yield from served(made, tmp_path_factory.mktemp("me-looking"))


@pytest.fixture
def portal(made, tmp_path):
    yield from served(made, tmp_path)


def test_whoever_has_not_joined_is_led_to_joining_and_a_wrong_code_links_nobody(looking):
    client = looking.client("dana")
    assert str(client.get("/me/uses").url).endswith("/me/join")
    for person, code in ((MINE, "wrong"), ("nobody-of-this-name", looking.code(MINE))):
        answer = post(client, "/me/join", "/me/join", person=person, code=code)
        assert answer.status_code in {401, 403, 404, 422}
        assert 'id="wrong-code"' in answer.text
        assert person not in answer.text.replace(f'value="{person}"', "")
    assert str(client.get("/me").url).endswith("/me/join")


def test_the_list_is_what_was_done_none_missing_and_none_false(looking):
    truth = looking.truth
    for client, name in ((looking.emil, MINE), (looking.eva, HERS)):
        mine = {entry for entry, people in truth.used.items() if name in people}
        listed = everything_listed(client, sort="used")
        assert listed == sorted(mine, reverse=True)
        every = everything_listed(client, sort="all")
        assert len(set(every)) == len(every)
    assert truth.model in looking.emil.get("/me/uses").text
    assert truth.model not in looking.eva.get("/me/uses?sort=all").text


def test_no_page_holds_the_name_or_an_entry_of_somebody_else(looking):
    entries = everything_listed(looking.emil, sort="all")
    downloads = [f"/me/uses/{entry}{part}" for entry in entries for part in ("", "/proof", "/leaf")]
    receipts = re.findall(r'href="(/me/receipts/[0-9]+)"', looking.emil.get("/me/receipts").text)
    assert receipts
    for path in (*PAGES, *downloads, *receipts):
        answer = looking.emil.get(path)
        assert answer.status_code == 200, path
        for other in (HERS, *OTHERS, "evangeline"):  # long: three letters stand in a page by chance
            assert other.encode() not in answer.content, (path, other)
        # nor what the keeper calls anybody, nor who asked
        people = looking.bench.desk.people.everybody()
        for person in people:
            assert str(person).encode() not in answer.content, path
    for path in ("package", "receipt"):
        answer = post(looking.emil, f"/me/verify/{path}", "/me/verify")
        for other in (HERS, *OTHERS):
            assert other.encode() not in answer.content


def test_an_entry_of_somebody_else_is_not_there(looking):
    hers = set(everything_listed(looking.eva, sort="all"))
    mine = set(everything_listed(looking.emil, sort="all"))
    for entry in [*sorted(hers - mine), 2, 10**7]:
        for part in ("", "/proof", "/leaf"):
            assert looking.emil.get(f"/me/uses/{entry}{part}").status_code == 404
        assert looking.emil.get(f"/me/receipts/{entry}").status_code == 404
    assert looking.emil.get("/me/uses?before=x").status_code == 422
    assert looking.emil.get("/me/uses?since=nonsense").status_code == 422


@pytest.mark.parametrize("name", [None, "dana", "enno", "aude"])
def test_nobody_else_gets_any_of_it(looking, name):
    client = looking.client(name)
    for path in (*PAGES, "/me/uses/10", "/me/uses/10/proof", "/me/receipts/10"):
        answer = client.get(path)
        assert "/sign-in?to=" in str(answer.url) or str(answer.url).endswith("/me/join"), path
        assert MINE not in answer.text
    for path in ("/me/stop", "/me/withdraw", "/me/erase", "/me/verify/package", "/me/copy"):
        client.follow_redirects = False
        answer = client.post(path, data={"csrf": "0" * 64})
        assert answer.status_code in {303, 401, 403}, path
    assert "paused" not in looking.emil.get("/me").text


def test_the_proof_of_an_entry_and_the_package_hold_offline(looking, tmp_path):
    settle(looking)
    policy = looking.home.policy_file
    for entry in everything_listed(looking.emil, sort="used"):
        stem = tmp_path / f"entry-{entry:08}"
        proof, leaf = stem.with_suffix(".tlog-proof"), stem.with_suffix(".leaf")
        answer = looking.emil.get(f"/me/uses/{entry}/proof")
        assert proof.name in answer.headers["content-disposition"]
        proof.write_bytes(answer.content)
        leaf.write_bytes(looking.emil.get(f"/me/uses/{entry}/leaf").content)
        assert verify_proof(proof, policy).index == entry
    receipt = post(looking.emil, "/me/verify/receipt", "/me/verify").content
    file = tmp_path / "package.json"
    file.write_bytes(post(looking.emil, "/me/verify/package", "/me/verify").content)
    report = verify_package(file, policy, receipt=receipt)
    assert {use.index for use in report.uses} == set(everything_listed(looking.emil, sort="all"))


def test_one_press_stops_recording_and_another_leaves(portal: MyPortal):
    page = portal.emil.get("/me").text
    assert "You are being recorded" in page
    answer = post(portal.emil, "/me/stop", "/me")
    assert "You have paused" in answer.text
    held = portal.bench.desk.people
    assert held.standing(held.find(MINE)).paused(portal.clock.now_us())
    answer = post(portal.emil, "/me/withdraw", "/me")
    assert "You have left the study" in answer.text
    built = portal.bench.call("feature", purpose="train_ui_agent")
    used = int(built["dataset"].rpartition(":")[2])
    assert used not in everything_listed(portal.emil, sort="all")
    receipts = portal.emil.get("/me/receipts").text
    entries = re.findall(r'href="/me/receipts/([0-9]+)"', receipts)
    settle(portal)
    policy = portal.home.policy_file
    found = [
        verify_choice(portal.emil.get(f"/me/receipts/{entry}").content, policy) for entry in entries
    ]
    assert [one.choice for one in found] == ["withdraw", "pause", "link", "invite"]
    assert [one.by for one in found] == ["sign-in"] * 3 + ["operator"]


def test_pause_object_restrict_and_correct_need_no_script_and_no_key(portal: MyPortal):
    emil = portal.emil
    here = "/me/choices"
    for path, fields, said in (
        ("/me/pause", {"length": "half-hour"}, "You have paused"),
        ("/me/pause", {"start": "2031-05-04T08:00", "end": "2031-05-05T08:00"}, "2031-05-04 08:00"),
        ("/me/object", {"purposes": "train_ui_agent", "text": "my reasons"}, "Objection"),
        ("/me/correct", {"about": "attribution", "stream": "pointer", "first": "2026-11-02"}, "Correction"),
        ("/me/restrict", {"text": "until it is clear"}, "You have restricted all use"),
    ):  # fmt: skip
        answer = post(emil, path, here, **fields)
        assert answer.status_code == 200, (path, answer.text[-900:])
        assert said in answer.text, path
    for path, fields in (
        ("/me/pause", {"end": "2001-01-01T00:00"}),
        ("/me/pause", {"end": "yesterday"}),
        ("/me/object", {}),
        ("/me/correct", {"first": "2026-11-02"}),
        ("/me/correct", {"about": "attribution", "first": "the day before"}),
        ("/me/choices/agree", {}),
    ):
        answer = post(emil, path, here, **fields)
        assert answer.status_code == 422, path
        name = path.rpartition("/")[2]
        assert f'id="wrong-{name}"' in answer.text
        assert f'aria-describedby="wrong-{name}"' in answer.text
    # what widens is not had without a key, whatever is sent
    for path in ("/me/choices/resume", "/me/choices/lift"):
        assert "no key of your own" in post(emil, path, here).text
    assert post(emil, "/me/choices/sign", here).status_code == 422
    assert "restricted" in emil.get("/me").text


def key_of(portal: MyPortal, person: str) -> SigningKey:
    """Return a key that a person set for themselves with a code, on their own machine; it counts after a week."""
    key = SigningKey.generate()
    said = state(
        key, "key", home=portal.home.id, person=person, charter=portal.bench.desk.trust.digest().hex(),
        nonce=portal.bench.desk.nonces.issue(portal.clock.now_us()),
        new_key=key.public.text(), code=portal.code(person),
    )  # fmt: skip
    portal.bench.call("people.choose", **said)
    portal.wait(8)
    portal.sign_in(portal.emil, "emil")
    return key


def signed_paper(page: str, key: SigningKey) -> bytes:
    """Return what `safehold paper sign` writes for the draft on a page."""
    from html import unescape

    from safehold.app.signature import SIGNED, Draft

    draft = json.loads(unescape(re.search(r'name="draft" value="([^"]+)"', page)[1]))
    made = Draft.from_json(draft)
    value = b64(key.sign(made.domain, made.message))
    return json.dumps(
        {"v": SIGNED, "paper": draft, "key": key.public.text(), "value": value}
    ).encode()


def hand_in(portal: MyPortal, paper: bytes):
    data = {"csrf": csrf_of(portal.emil, "/me"), "signature": ""}
    return portal.emil.post(
        "/me/choices/sign", data=data, files={"paper": ("signed.json", paper, "application/json")}
    )


def test_what_widens_is_signed_on_paper_without_a_script(portal: MyPortal):
    key, stranger = key_of(portal, MINE), SigningKey.generate()
    post(portal.emil, "/me/withdraw", "/me")
    asked = {"streams": ["pointer"], "purposes": ["train_ui_agent"]}
    page = post(portal.emil, "/me/choices/agree", "/me/choices", **asked).text
    assert "pointer" in re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1]
    assert hand_in(portal, signed_paper(page, stranger)).status_code in {401, 403}
    assert "You have left the study" in portal.emil.get("/me").text
    page = post(portal.emil, "/me/choices/agree", "/me/choices", **asked).text
    portal.clock.by_us += 8 * 60 * 1_000_000  # the question waits for whoever reads first
    answer = hand_in(portal, signed_paper(page, key))
    assert answer.status_code == 200, answer.text[-1500:]
    assert "You have agreed, and your key has signed it." in answer.text
    assert "You are being recorded" in portal.emil.get("/me").text
    assert hand_in(portal, signed_paper(page, key)).status_code == 401  # it counts once


def test_a_copy_is_sealed_to_a_key_file_and_opens_with_it_alone(portal: MyPortal, tmp_path):
    emil = portal.emil
    file, other = tmp_path / "my.key", tmp_path / "other.key"
    SigningKey.generate().write(file)
    SigningKey.generate().write(other)

    def hand_in_request(name=MINE):
        request = Person.read(file).ask(
            home=portal.home.id, person=name, at_us=portal.clock.now_us()
        )
        data = {"csrf": csrf_of(emil, "/me/copy")}
        return emil.post("/me/copy", data=data, files={"request": ("request.json", request)})

    assert hand_in_request().status_code == 403  # the sign-in was linked a moment ago
    portal.wait(4)
    portal.sign_in(emil, "emil")
    assert hand_in_request(HERS).status_code == 422
    answer = hand_in_request()
    assert answer.status_code == 200, answer.text[-1000:]
    assert answer.headers["content-disposition"] == 'attachment; filename="my-copy.sealed"'
    opened = Person.read(file).open(answer.content)
    names = zipfile.ZipFile(BytesIO(opened)).namelist()
    assert {"index.html", "telemetry/us-ca.pointer.jsonl", "trail/package.json"} <= set(names)
    with pytest.raises(Exception, match="does not open"):
        Person.read(other).open(answer.content)
    listed = emil.get("/me/uses").text
    assert "Your own copy" in listed
    assert "You asked for a copy of your data." in listed


def test_an_erasure_is_said_twice_and_ends_everything(portal: MyPortal, tmp_path):
    emil = portal.emil
    first = post(emil, "/me/erase/look", "/me/choices")
    assert portal.truth.model in first.text
    confirm = re.search(r'name="confirm" value="([^"]+)"', first.text)[1]
    csrf = csrf_of(emil, "/me")
    again = emil.post("/me/erase", data={"csrf": csrf, "confirm": confirm})
    assert again.status_code == 422
    assert 'id="wrong-understood"' in again.text
    wrong = emil.post("/me/erase", data={"csrf": csrf, "confirm": confirm[:-6] + "AAAAA=", "understood": "yes"})  # fmt: skip
    assert wrong.status_code in {403, 422}
    assert "You are being recorded" in emil.get("/me").text
    confirm = re.search(r'name="confirm" value="([^"]+)"', again.text)[1]
    done = emil.post("/me/erase", data={"csrf": csrf, "confirm": confirm, "understood": "yes"})
    assert done.status_code == 200, done.text[-1500:]
    from html import unescape

    receipt = unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", done.text, re.DOTALL)[1])
    file = tmp_path / "receipt.json"
    file.write_text(receipt)
    assert verify_erasure(file.read_bytes(), portal.home.policy_file)
    assert str(emil.get("/me").url).endswith("/me/join")
    assert not portal.bench.desk.people.knows(MINE)
    # the others are as before
    assert everything_listed(portal.eva, sort="used")


def test_a_code_in_other_hands_pushes_out_no_sign_in_and_shows_nothing(portal):
    """Of somebody without a key, who could neither see nor end another sign-in."""
    thief = portal.client("dana")
    answer = post(thief, "/me/join", "/me/join", person=MINE, code=portal.code(MINE))
    assert answer.status_code == 409
    for path in PAGES:
        shown = thief.get(path).text
        assert portal.truth.model not in shown
    assert portal.emil.get("/me").status_code == 200


def test_unlinking_ends_what_a_sign_in_sees(portal):
    answer = post(portal.emil, "/me/keys/unlink", "/me/keys")
    assert "speaks for you no more" in answer.text
    assert str(portal.emil.get("/me").url).endswith("/me/join")
    assert post(portal.eva, "/me/keys/disown", "/me/keys").status_code == 200


def test_a_passkey_of_another_page_and_one_that_signed_nothing_set_nothing(portal):
    fields = {"code": portal.code(MINE)}
    for key in ("passkey:elsewhere.example:AAAA", "not a passkey", ""):
        answer = post(portal.emil, "/me/keys/new", "/me/keys", key=key, **fields)
        assert answer.status_code == 422
    point = b64(SigningKey.generate().public.raw)
    shown = post(portal.emil, "/me/keys/new", "/me/keys", key=f"passkey:elsewhere.example:{point}", **fields)  # fmt: skip
    assert shown.status_code == 422
    key = f"passkey:localhost:{point}"
    assert post(portal.emil, "/me/keys/new", "/me/keys", key=key, **fields).status_code == 200
    answer = post(portal.emil, "/me/keys/set", "/me/keys", passkey=key, signature="{}", draft="{}")
    assert answer.status_code == 422
    assert "passkey:localhost" not in portal.emil.get("/me/keys").text


def test_in_german_no_english_is_left_on_the_first_page(looking):
    client = looking.client("emil", headers={"accept-language": "de"})
    text = client.get("/me").text
    assert "Sie werden aufgezeichnet" in text
    assert "Aufzeichnung anhalten" in text
    assert "Stop recording" not in text
