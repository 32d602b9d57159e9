"""Two portals and two keepers behind HAProxy: they behave as one, and go on when any of them is killed."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.fleet_desk import (
    CONFIGURATION,
    MISSING,
    PORTALS,
    Crowd,
    Fleet,
    effects,
    eventually,
    fleet_at,
)

from safehold.access.identity.dpop import prove
from safehold.app.signing_in import answer_question

SECONDS = float(os.environ.get("SAFEHOLD_BALANCER_SECONDS", "300"))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("fleet")
    patch.setenv("SAFEHOLD_OUTSIDE", str(folder / "outside"))
    with fleet_at(folder, drain=4.0) as made:
        yield made
    patch.undo()


def test_the_configuration_is_taken_by_the_balancer() -> None:
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip(MISSING)
    where = {"SAFEHOLD_FRONT": "127.0.0.1:1", "PORTAL_A": "127.0.0.1:2", "PORTAL_B": "127.0.0.1:3"}
    done = subprocess.run(
        [program, "-c", "-f", str(CONFIGURATION)],
        env=where,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()


def asked(
    fleet: Fleet, which: str, program, method: str, path: str, *, proof: str | None = None, **more
):
    """Ask one portal behind the balancer, under the address that people know."""
    proof = proof or prove(
        program.bound,
        method=method,
        url=fleet.url + path,
        now_s=int(time.time()),
        token=program.token,
    )
    headers = {"dpop": proof, "authorization": f"DPoP {program.token}", **more.pop("headers", {})}
    with fleet.direct(which) as client:
        return client.request(method, path, headers=headers, **more)


def test_a_proof_that_one_portal_took_the_other_refuses(fleet: Fleet) -> None:
    program, path = fleet.program("p00"), "/api/v1/me"
    for first, second in (PORTALS, PORTALS[::-1]):
        proof = prove(
            program.bound,
            method="GET",
            url=fleet.url + path,
            now_s=int(time.time()),
            token=program.token,
        )
        assert asked(fleet, first, program, "GET", path, proof=proof).status_code == 200
        again = asked(fleet, second, program, "GET", path, proof=proof)
        assert (again.status_code, again.json()["rule"]) == (401, "api.proof.replay")
    # a client whose clock runs ahead has its proofs refused across portals too
    ahead = prove(
        program.bound,
        method="GET",
        url=fleet.url + path,
        now_s=int(time.time()) + 40,
        token=program.token,
    )
    assert asked(fleet, "portal", program, "GET", path, proof=ahead).status_code == 200
    assert asked(fleet, "portal-b", program, "GET", path, proof=ahead).status_code == 401


def test_the_same_request_at_both_portals_has_one_effect_and_one_answer(fleet: Fleet) -> None:
    program = fleet.program("p01")
    more = {
        "json": {"text": "at-both-portals", "severity": 4},
        "headers": {"idempotency-key": "both-1"},
    }
    first = asked(fleet, "portal", program, "POST", "/api/v1/incidents", **dict(more))
    again = asked(fleet, "portal-b", program, "POST", "/api/v1/incidents", **dict(more))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    other = {**more, "json": {"text": "at-the-other", "severity": 4}}
    reused = asked(fleet, "portal-b", program, "POST", "/api/v1/incidents", **other)
    assert reused.json()["rule"] == "idempotency.reused"
    assert effects(fleet)["at-both-portals"] == 1


def test_a_job_begun_at_one_portal_is_found_at_the_other_by_its_owner_alone(fleet: Fleet) -> None:
    program, stranger = fleet.program("p02"), fleet.program("p03")
    begun = asked(
        fleet,
        "portal",
        program,
        "POST",
        "/api/v1/milestones/measurements",
        json={},
        headers={"prefer": "respond-async"},
    )
    assert begun.status_code == 202, begun.text
    path = begun.headers["location"]
    eventually(lambda: asked(fleet, "portal-b", program, "GET", path).json()["state"] != "running")
    told = [asked(fleet, which, program, "GET", path).json() for which in PORTALS]
    assert told[0] == told[1]
    listed = asked(fleet, "portal-b", program, "GET", "/api/v1/jobs").json()["jobs"]
    assert [one["job"] for one in listed] == [told[0]["job"]]
    assert asked(fleet, "portal-b", stranger, "GET", path).status_code == 404
    assert asked(fleet, "portal-b", stranger, "GET", "/api/v1/jobs").json() == {"jobs": []}


def test_a_sign_in_begun_at_one_portal_ends_at_the_other(fleet: Fleet) -> None:
    with fleet.direct("portal") as one, fleet.direct("portal-b") as other:
        page = one.get("/sign-in/key")
        code = re.search(r"[A-Za-z0-9+/=_-]{43,44}\.[A-Za-z0-9+/=_-]{43,44}", page.text)
        assert code is not None
        for cookie in one.cookies.jar:
            other.cookies.set(cookie.name, str(cookie.value))
        other.post("/sign-in/key", data={"answer": answer_question(code[0], fleet.keys["p00"])})
        one.cookies.set("safehold", other.cookies["safehold"])
        assert one.get("/api/v1/me").status_code == other.get("/api/v1/me").status_code == 200


def test_a_live_view_goes_on_at_the_other_portal(fleet: Fleet) -> None:
    program, path = fleet.program("p04"), "/api/v1/events"

    def first(which: str, last: str = "") -> dict[str, str]:
        proof = prove(
            program.bound,
            method="GET",
            url=fleet.url + path,
            now_s=int(time.time()),
            token=program.token,
        )
        headers = {"dpop": proof, "authorization": f"DPoP {program.token}", "last-event-id": last}
        event: dict[str, str] = {}
        with (
            fleet.direct(which) as client,
            client.stream("GET", f"{path}?topics=incidents", headers=headers) as lines,
        ):
            for line in lines.iter_lines():
                name, _, value = line.partition(": ")
                if name in {"id", "event", "data"}:
                    event[name] = value
                elif not line and "data" in event:
                    return event
        raise AssertionError("nothing came")

    seen = first("portal")
    made = {"json": {"text": "between-two-portals", "severity": 4}}
    assert asked(fleet, "portal", program, "POST", "/api/v1/incidents", **made).status_code == 201
    following = first("portal-b", seen["id"])
    assert (
        len(json.loads(following["data"])["incidents"])
        == len(json.loads(seen["data"])["incidents"]) + 1
    )


def test_how_often_an_address_signs_in_is_counted_at_both_together(fleet: Fleet) -> None:
    # nobody else comes from this address: the portals take the balancer's word on where clients are
    where = {"x-forwarded-for": "203.0.113.77"}
    statuses, began = [], time.monotonic()
    for number in range(26):
        with fleet.direct(PORTALS[number % 2]) as client:
            statuses.append(
                client.post("/api/v1/sessions/questions", json={}, headers=where).status_code
            )
    # twenty a minute: one more every three seconds, however long a busy machine takes
    assert statuses.count(200) <= 20 + 1 + (time.monotonic() - began) / 3
    assert 429 in statuses


def test_how_a_portal_is_says_nothing_of_anybody_and_nothing_outside(fleet: Fleet) -> None:
    with fleet.direct("portal") as client:
        assert client.get("/health/live").text == "alive\n"
        assert client.get("/health/ready").text == "ready\n"
    assert httpx.get(fleet.url + "/health/ready").status_code == 404


def test_a_portal_that_is_asked_to_end_says_so_first_and_answers_meanwhile(fleet: Fleet) -> None:
    process = fleet.running["portal-b"]
    process.send_signal(signal.SIGTERM)
    eventually(lambda: fleet.ready("portal-b") == 503, patience_s=30)
    with fleet.direct("portal-b") as client:
        assert client.get("/trust-in-pages").status_code == 200
    assert process.wait(30) in {0, -signal.SIGTERM}
    fleet.running.pop("portal-b")
    fleet.start("portal-b")


def check(fleet: Fleet, crowd: Crowd) -> None:
    heard, found = crowd.heard, effects(fleet)
    lost = [text for text in heard.acknowledged if not found[text]]
    twice = {
        text: count for text, count in found.items() if text.startswith("written-") and count > 1
    }
    print(
        f"reads {dict(heard.reads)}, longest {heard.longest_s:.1f} s; writes {len(heard.asked)}, acknowledged "
        f"{len(heard.acknowledged)}, unknown {len(heard.unknown)} (of these done "
        f"{sum(found[text] for text in heard.unknown)}), slowest {heard.slowest_s:.1f} s, lost {len(lost)}, twice {len(twice)}"
    )
    assert not lost
    assert not twice
    assert not heard.signed_out, "a session did not survive"
    assert not heard.odd
    assert heard.acknowledged
    # what a killed process was carrying out is not known, and nothing else: a few at most for each kill
    assert len(heard.unknown) <= 0.2 * len(heard.asked) + 6


def test_kills_of_a_portal_and_of_the_leading_keeper_lose_nothing(fleet: Fleet) -> None:
    with Crowd(fleet) as crowd:
        for which in ("portal", "leader"):
            time.sleep(1.5)
            name = fleet.leader() if which == "leader" else which
            fleet.kill(name)
            time.sleep(2.0)
            fleet.start(name)
        time.sleep(2.0)
    check(fleet, crowd)


@pytest.mark.proof
def test_many_kills_under_load_lose_nothing(fleet: Fleet) -> None:
    """Minutes of random kills; SAFEHOLD_BALANCER_SECONDS says how many."""
    chance, kills, end = random.Random(4), 0, time.monotonic() + SECONDS
    with Crowd(fleet) as crowd:
        while time.monotonic() < end:
            time.sleep(chance.uniform(1.0, 4.0))
            which = chance.choice(("portal", "portal-b", "leader"))
            name = fleet.leader() if which == "leader" else which
            fleet.kill(name, chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
            kills += 1
            time.sleep(chance.uniform(0.5, 3.0))
            fleet.start(name)
    print(f"{kills} kills in {SECONDS:.0f} s")
    check(fleet, crowd)
