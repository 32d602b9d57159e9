"""The API as programs meet it, before a real keeper: signing in, proofs, pages, tags, one effect, jobs, live views."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import threading
import time

import httpx
import orjson
import pytest
from tests.api_desk import V1, Program, problem_of, program
from tests.portal_desk import found_served, portal_of
from tests.served import PURPOSE, REASON

from safehold.access import PeopleFilter
from safehold.app.draft import draft_grant
from safehold.errors import ConflictError, TamperedError, UnavailableError
from safehold.keeper import wire
from safehold.portal.api.document import describe
from safehold.portal.api.table import LINES
from safehold.portal.check import check_journal
from safehold.portal.heads import name_of, own_key
from safehold.portal.journal import FOLDER
from safehold.portal.settings import Limits
from safehold.signing import SigningKey


@pytest.fixture(scope="module")
def made(apart):
    return found_served(apart / "made")


@pytest.fixture(scope="module")
def portal(made, apart):
    with portal_of(made, apart) as found:
        yield found


@pytest.fixture(scope="module")
def operator(portal) -> Program:
    return program(portal, "op", "engineer")


@pytest.fixture(scope="module")
def scientist(portal) -> Program:
    return program(portal, "sci", "data_scientist")


def drafted(portal, key: SigningKey | None = None) -> dict[str, object]:
    charter = portal.bench.desk.trust.charter()
    grant = draft_grant(
        charter, requester="sci", purpose=PURPOSE, reason=REASON, minutes=60, holder=key or SigningKey.generate()
    )  # fmt: skip
    return {"grant": grant.to_json(), "people": PeopleFilter().to_json()}


# -- who asks


def test_the_document_is_for_everybody_and_nothing_else_is(portal):
    client = portal.client()
    told = client.get(f"{V1}/openapi.json")
    assert told.json()["openapi"].startswith("3.1")
    again = client.get(f"{V1}/openapi.json", headers={"if-none-match": told.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for path in ("/me", "/requests", "/jobs", "/events", "/people/emil"):
        answer = client.get(V1 + path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "DPoP"
        assert problem_of(answer)["code"] == "sign_in"


def test_a_token_counts_with_the_proof_of_its_key_alone(portal, scientist):
    bare, url = portal.client(), f"{portal.url}{V1}/me"
    token = {"authorization": f"DPoP {scientist.token}"}

    def rule(**headers):
        answer = bare.get(url, headers={**token, **headers})
        assert answer.status_code == 401
        return problem_of(answer)["rule"]

    thief = Program(portal, SigningKey.generate())
    thief.token = scientist.token
    proof = scientist.proof("GET", url)
    assert bare.get(url, headers={**token, "dpop": proof}).status_code == 200
    assert rule(dpop=proof) == "api.proof.replay"
    assert rule() == "api.proof"
    assert rule(dpop=thief.proof("GET", url)) == "api.proof.key"
    assert rule(dpop=scientist.proof("POST", url)) == "api.proof.request"
    assert rule(dpop=scientist.proof("GET", url + "/standing")) == "api.proof.request"
    assert rule(dpop=scientist.proof("GET", url, at_s=int(time.time()) - 300)) == "api.proof.time"
    assert (
        rule(authorization=f"Bearer {scientist.token}", dpop=scientist.proof("GET", url))
        == "api.scheme"
    )
    spoiled = f"DPoP {scientist.token[:-8]}AAAAAAAA"
    assert rule(authorization=spoiled, dpop=scientist.proof("GET", url)) == "api.token"


def test_a_token_is_no_cookie_and_a_cookie_no_token(portal, scientist):
    as_cookie = portal.client(cookies={"safehold": scientist.token})
    assert as_cookie.get(f"{V1}/me").status_code == 401
    browser = portal.client("emil")
    other = Program(portal, SigningKey.generate())
    other.token = browser.cookies["safehold"]
    assert problem_of(other.get("/me"))["rule"] == "api.token"


def test_a_session_that_ended_is_over(portal):
    who = program(portal, "short", "engineer")
    assert who.http.delete(f"{V1}/me/session").json()["ended"] is True
    assert problem_of(who.get("/me"))["rule"] == "session.ended"


def test_a_proof_of_nobody_opens_nothing(portal):
    stranger = Program(portal, SigningKey.generate())
    with pytest.raises(AssertionError, match="401"):
        stranger.sign_in()
    asked = stranger.http.post(f"{V1}/sessions/questions").json()
    missing = stranger.http.post(f"{V1}/sessions", json={"state": asked["state"], "method": "oidc"})
    assert problem_of(missing)["rule"] == "session.proof"
    assert problem_of(stranger.http.post(f"{V1}/sessions", json={"state": "x", "method": "key"}))["rule"] == (
        "session.state"
    )  # fmt: skip


def test_a_program_signs_in_with_an_id_token(portal):
    """By the code flow of RFC 6749 with the nonce that the portal names, as a program of a person's would."""
    who = Program(portal, SigningKey.generate())
    asked = who.http.post(f"{V1}/sessions/questions").json()
    (provider,) = asked["providers"]
    verifier = "v" * 64
    challenge = (
        base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    )
    portal.provider.person = "sub-dana"
    query = {
        "response_type": "code", "client_id": provider["client"], "redirect_uri": "http://127.0.0.1:1/back",
        "scope": "openid", "state": "s", "nonce": asked["nonce"], "code_challenge": challenge,
        "code_challenge_method": "S256",
    }  # fmt: skip
    back = httpx.get(provider["authorize"], params=query).headers["location"]
    form = {
        "grant_type": "authorization_code", "code": httpx.URL(back).params["code"],
        "redirect_uri": "http://127.0.0.1:1/back", "client_id": provider["client"], "code_verifier": verifier,
    }  # fmt: skip
    token = httpx.post(provider["token"], data=form).json()["id_token"]
    said = {"state": asked["state"], "method": "oidc", "token": token}
    opened = who.http.post(f"{V1}/sessions", json=said)
    assert opened.status_code == 201, opened.text
    who.token = opened.json()["access_token"]
    assert who.get("/me").json()["principal"] == "dana"
    # a question is answered once
    assert who.http.post(f"{V1}/sessions", json=said).status_code == 401


def test_a_browser_reads_and_writes_with_its_token_beside(portal):
    browser = portal.client("dana")
    me = browser.get(f"{V1}/me")
    assert me.json()["principal"] == "dana"
    token = {"x-csrf-token": me.headers["x-csrf-token"]}
    asked = f"{V1}/nonces"
    assert problem_of(browser.post(asked, json={}))["rule"] == "portal.form"
    assert browser.post(asked, json={}, headers=token).status_code == 200
    elsewhere = {**token, "sec-fetch-site": "cross-site"}
    assert problem_of(browser.post(asked, json={}, headers=elsewhere))["rule"] == "portal.origin"
    assert (
        browser.get(f"{V1}/me", headers={"origin": "https://elsewhere.example"}).status_code == 403
    )


# -- what is asked


@pytest.mark.parametrize(
    ("status", "ask"),
    [
        (404, lambda one: one.get("/nothing")),
        (405, lambda one: one.http.put(f"{V1}/me")),
        (415, lambda one: one.http.post(f"{V1}/nonces", content=b"count=1", headers={"content-type": "text/plain"})),
        (422, lambda one: one.post("/nonces", {"count": "1"})),
        (422, lambda one: one.post("/nonces", {"another": 1})),
        (422, lambda one: one.http.post(f"{V1}/nonces", content=b"{", headers={"content-type": "application/json"})),
        (422, lambda one: one.get("/requests?limit=0")),
        (422, lambda one: one.get("/requests?cursor=x")),
        (422, lambda one: one.get("/alerts?open=perhaps")),
        (422, lambda one: one.get("/me?other=1")),
        (422, lambda one: one.get("/ledger/entries/x")),
        (413, lambda one: one.post("/nonces", {"count": "1" * 300_000})),
        (404, lambda one: one.get("/requests/none")),
        (422, lambda one: one.post("/incidents", {"text": "\ud800"}) if False else one.http.post(
            f"{V1}/incidents", content=rb'{"text": "\ud800"}', headers={"content-type": "application/json"})),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_told_as_a_problem(operator, status, ask):
    answer = ask(operator)
    assert answer.status_code == status, answer.text
    said = problem_of(answer)
    assert (said["status"], bool(said["title"]), bool(said["detail"])) == (status, True, True)


def test_a_body_without_a_length_is_cut_too(operator):
    def pieces():
        for _ in range(40):
            yield b" " * 10_000

    kind = {"content-type": "application/json"}
    answer = operator.http.post(f"{V1}/nonces", content=pieces(), headers=kind)
    assert answer.status_code == 413
    assert problem_of(answer)["rule"] == "portal.body"


def test_too_many_requests_are_told_as_that(made, tmp_path, monkeypatch):
    monkeypatch.setenv("SAFEHOLD_OUTSIDE", str(tmp_path / "outside"))
    with portal_of(made, tmp_path, limits=Limits(reads=5)) as few:
        client = few.client()
        answers = [client.get(f"{V1}/me").status_code for _ in range(7)]
        assert answers == [401] * 5 + [429] * 2


def test_lists_come_in_pages_and_a_page_follows_its_row(operator):
    whole = operator.get("/principals").json()["principals"]
    rows, path = [], "/principals?limit=2"
    while path:
        answer = operator.get(path)
        page = answer.json()["principals"]
        assert len(page) <= 2
        rows += page
        link = answer.headers.get("link", "")
        path = link.partition(f"<{V1}")[2].partition(">")[0]
    assert [one["id"] for one in rows] == [one["id"] for one in whole]
    assert len(rows) > 4


def test_what_is_known_already_is_not_sent_again_and_what_changed_is_not_decided_on(operator):
    first = operator.get("/charter")
    again = operator.get("/charter", headers={"if-none-match": f'W/{first.headers["etag"]}, "x"'})
    assert (again.status_code, again.content) == (304, b"")
    opened = operator.post("/incidents", {"text": "somebody saw something"}).json()["incident"]
    seen = operator.get(f"/incidents/{opened}").headers["etag"]
    noted = operator.post(f"/incidents/{opened}/notes", {"text": "one"}, headers={"if-match": seen})
    late = operator.post(f"/incidents/{opened}/notes", {"text": "two"}, headers={"if-match": seen})
    assert noted.status_code == 200
    assert (late.status_code, problem_of(late)["rule"]) == (412, "api.match")


# -- one effect


def test_the_same_request_has_one_effect_and_one_answer(portal, operator):
    key = {"idempotency-key": "first-0001"}
    size = portal.bench.desk.ledger.size
    first = operator.post("/incidents", {"text": "seen twice"}, headers=key)
    again = operator.post("/incidents", {"text": "seen twice"}, headers=key)
    assert first.status_code == again.status_code == 201
    assert (first.content, again.headers["idempotency-replayed"]) == (again.content, "true")
    other = operator.post("/incidents", {"text": "seen otherwise"}, headers=key)
    assert (other.status_code, problem_of(other)["rule"]) == (422, "idempotency.reused")
    kinds = [leaf["k"] for _, leaf in portal.bench.desk.ledger.leaves(size)]
    assert kinds.count("incident") == 1
    # a refusal is an answer as well
    bad = {"idempotency-key": "second-0001"}
    refusals = [operator.post("/grants/none/revocations", headers=bad) for _ in range(2)]
    assert [one.status_code for one in refusals] == [404, 404]
    assert refusals[0].json() == refusals[1].json()


def test_somebody_else_under_the_same_key_is_somebody_else(operator, portal):
    key = {"idempotency-key": "shared-0001"}
    another = program(portal, "op2", "engineer")
    made = [one.post("/incidents", {"text": "by key"}, headers=key) for one in (operator, another)]
    assert "idempotency-replayed" not in made[1].headers


def test_two_at_once_are_one(portal, operator):
    key, answers = {"idempotency-key": "at-once-0001"}, []
    body = {"text": "at once"}
    size = portal.bench.desk.ledger.size

    def ask():
        answers.append(operator.post("/incidents", body, headers=key))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {one.status_code for one in answers} <= {201, 409}
    kinds = [leaf["k"] for _, leaf in portal.bench.desk.ledger.leaves(size)]
    assert kinds.count("incident") == 1
    assert operator.post("/incidents", body, headers=key).status_code == 201


@pytest.mark.parametrize("arrives", [0, 2, 9])
def test_an_answer_that_breaks_off_is_no_leave_to_do_it_again(
    portal, operator, monkeypatch, arrives
):
    """The keeper carried it out, and so many bytes of its answer came; it is asked again under the same key."""
    key = {"idempotency-key": f"torn-{arrives}"}
    sent, torn = wire.send, []

    def tear(link, message, descriptors=()):
        if torn or "incident" not in message.get("answer", {}):
            sent(link, message, descriptors)
            return
        torn.append(1)
        body = orjson.dumps(message)
        link.sendall((len(body).to_bytes(4, "big") + body)[:arrives])
        raise BrokenPipeError

    monkeypatch.setattr(wire, "send", tear)
    before = portal.bench.desk.ledger.size
    first = operator.post("/incidents", {"text": "torn"}, headers=key)
    assert (first.status_code, problem_of(first)["rule"]) == (503, "keeper.reachable")
    assert "is not known" in first.text
    again = operator.post("/incidents", {"text": "torn"}, headers=key)
    assert (again.status_code, problem_of(again)["rule"]) == (409, "idempotency.unknown")
    kinds = [leaf["k"] for _, leaf in portal.bench.desk.ledger.leaves(before)]
    assert (torn, kinds.count("incident")) == ([1], 1)


def test_what_gives_out_behind_a_commit_is_no_leave_to_do_it_again(portal, operator, monkeypatch):
    """The entry is there, and then what it lies in cannot be reached: by the error alone nobody can tell when that was."""
    key, ledger = {"idempotency-key": "behind-0001"}, portal.bench.desk.ledger
    appended, failed = ledger.append, []

    def append(entries, **more):
        receipts = appended(entries, **more)
        if not failed:
            failed.append(1)
            raise UnavailableError("the database does not answer", rule="db.unavailable")
        return receipts

    monkeypatch.setattr(ledger, "append", append)
    before = ledger.size
    answers = [operator.post("/incidents", {"text": "behind"}, headers=key) for _ in range(2)]
    assert [(one.status_code, problem_of(one)["rule"]) for one in answers] == [
        (503, "db.unavailable"),
        (409, "idempotency.unknown"),
    ]
    kinds = [leaf["k"] for _, leaf in ledger.leaves(before)]
    assert (failed, kinds.count("incident")) == ([1], 1)


def test_answers_survive_a_restart_and_rest_sealed(portal, operator):
    port, key = int(portal.url.rsplit(":", 1)[1]), {"idempotency-key": "restart-0001"}
    canary = "canary-of-a-reason-5512"
    first = operator.post("/incidents", {"text": canary}, headers=key)
    before = portal.bench.desk.ledger.size
    portal.close()
    for file in portal.state.rglob("*"):
        if file.is_file():
            assert canary.encode() not in file.read_bytes(), file
            assert b"restart-0001" not in file.read_bytes(), file
    portal.listen(port)
    again = operator.post("/incidents", {"text": canary}, headers=key)
    assert again.content == first.content
    kinds = [leaf["k"] for _, leaf in portal.bench.desk.ledger.leaves(before)]
    assert "incident" not in kinds


# -- work that takes long


def test_long_work_goes_on_as_a_job(portal, operator, scientist):
    begun = operator.post(
        "/datasets/features", {"purpose": PURPOSE}, headers={"prefer": "respond-async"}
    )
    assert (begun.status_code, begun.headers["preference-applied"]) == (202, "respond-async")
    path = begun.headers["location"].removeprefix(V1)
    for _ in range(600):
        told = operator.get(path).json()
        if told["state"] != "running":
            break
        time.sleep(0.05)
    assert (told["state"], told["problem"]) == ("done", None)
    assert told["answer"]["people"] == 53
    assert operator.get("/jobs").json()["jobs"][0]["answer"] is None
    # nobody else's
    assert scientist.get(path).status_code == 404
    assert scientist.get("/jobs").json() == {"jobs": []}
    # a refusal is told in the job
    refused = scientist.post(
        "/datasets/features", {"purpose": PURPOSE}, headers={"prefer": "respond-async"}
    )
    for _ in range(600):
        told = scientist.get(refused.headers["location"].removeprefix(V1)).json()
        if told["state"] != "running":
            break
        time.sleep(0.05)
    assert (told["state"], told["problem"]["rule"]) == ("failed", "door.role")


def test_a_request_is_asked_for_and_seen(portal, scientist):
    asked = scientist.post("/requests", drafted(portal))
    assert asked.status_code == 201, asked.text
    name = asked.json()["request"]
    shown = scientist.get(f"/requests/{name}").json()
    assert (shown["state"], shown["reason"]) == ("open", REASON)


def test_a_file_comes_in_by_upload_and_lies_on_no_disk(portal, operator, scientist):
    body = b"not a source \x00" * 100
    kind = {"content-type": "application/octet-stream"}
    refused = scientist.http.post(f"{V1}/sources?name=a.bin", content=body, headers=kind)
    assert refused.status_code == 403
    taken = operator.http.post(f"{V1}/sources?name=a.bin", content=body, headers=kind)
    assert taken.status_code in {200, 422}, taken.text
    assert problem_of(operator.http.post(f"{V1}/sources?name=a.bin", json={}))["status"] == 415
    for file in portal.state.rglob("*"):
        assert not file.is_file() or b"not a source" not in file.read_bytes()


def events_of(answer, count):
    """Return so many events of a stream, each as its fields."""
    found, fields = [], {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            found.append(fields)
            fields = {}
            if len(found) == count:
                return found
        else:
            fields = {}
    return found


def test_live_views_tell_what_changed_and_go_on_where_they_were(operator, scientist):
    with operator.http.stream("GET", f"{V1}/events?topics=incidents,head") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        first = events_of(answer, 2)
    assert [one["event"] for one in first] == ["head", "incidents"]
    json.loads(first[1]["data"])
    operator.post("/incidents", {"text": "while nobody looked"})
    last = {"last-event-id": first[1]["id"]}
    with operator.http.stream("GET", f"{V1}/events?topics=incidents", headers=last) as answer:
        (following,) = events_of(answer, 1)
    assert following["event"] == "incidents"
    assert len(json.loads(following["data"])["incidents"]) > len(
        json.loads(first[1]["data"])["incidents"]
    )
    # of what somebody may not see they are told that, once
    with scientist.http.stream("GET", f"{V1}/events?topics=alerts") as answer:
        (refused,) = events_of(answer, 1)
    assert json.loads(refused["data"]) == {"refused": "door.role"}
    assert operator.get("/events?topics=everything").status_code == 422


# -- the journal


def test_the_journal_names_who_and_which_route_and_nothing_else(portal, operator, scientist):
    scientist.get("/requests/of-a-canary-4471")
    portal.client().get("/nowhere-canary-4472?x=canary-4473")
    lines: list[dict] = []
    for _ in range(300):  # it reaches the disk a moment later
        lines = [
            orjson.loads(line)
            for file in sorted((portal.state / FOLDER).glob("*.jsonl"))
            for line in file.read_bytes().splitlines()
        ]
        if lines and lines[-1]["route"] == "(none)":
            break
        time.sleep(0.1)
    text = orjson.dumps(lines)
    assert b"canary" not in text
    (shown,) = [one for one in lines if one["route"].endswith("/requests/{request}") and one["status"] == 404
                and one["who"] == "sci"]  # fmt: skip
    assert (shown["method"], len(shown["session"])) == ("GET", 16)
    assert lines[-1]["route"] == "(none)"


def test_the_journal_cannot_be_written_anew(portal, operator, tmp_path):
    port = int(portal.url.rsplit(":", 1)[1])
    portal.close()  # its head goes into the ledger
    told = [{"index": n, "leaf": leaf} for n, leaf in portal.bench.desk.ledger.leaves()]
    found = check_journal(portal.state, told)
    assert found["lines"] >= found["vouched"] > 10
    assert found["heads"] >= 1
    copy = tmp_path / "copy"
    shutil.copytree(portal.state, copy)
    file = next((copy / FOLDER).glob("*.jsonl"))
    whole = file.read_bytes().splitlines(keepends=True)
    for spoiled in (whole[:3] + whole[4:], [*whole[:3], whole[3].replace(b"GET", b"PUT").replace(b"POST", b"GET"),
                                            *whole[4:]], whole[: found["vouched"] - 2]):  # fmt: skip
        file.write_bytes(b"".join(spoiled))
        with pytest.raises(TamperedError):
            check_journal(copy, told)
    with pytest.raises(ConflictError):
        portal.bench.call(
            "portal.head", portal=name_of(own_key(portal.state)), size=1, head="0" * 64
        )
    portal.listen(port)
    assert operator.get("/status").status_code == 200


def test_the_page_for_programs_lists_every_line(portal):
    page = portal.client().get("/api").text
    for route in LINES.values():
        assert f"{route.method} {V1}{route.path}" in page
    german = portal.client(headers={"accept-language": "de"}).get("/api").text
    assert "Für Programme" in german


def test_every_line_is_mounted(portal):
    client = portal.client()
    paths = describe()["paths"]
    for path, methods in paths.items():
        for method in methods:
            place = path
            for name in (
                "person",
                "principal",
                "agent",
                "request",
                "grant",
                "artifact",
                "case",
                "job",
            ):
                place = place.replace(f"{{{name}}}", "x")
            for name in ("entry", "epoch", "incident", "alert", "engagement"):
                place = place.replace(f"{{{name}}}", "1")
            answer = client.request(method.upper(), portal.url + place)
            assert answer.status_code not in {404, 405}, (method, path)
