"""Everybody tries every route and every id they can know of others: nobody gets what is not theirs.

Made from the OpenAPI document and the routes of the application, so a new line is tried as well. What is expected of
each role is read out of the door's own tables. What nobody may have is searched for in every answer.
"""

from __future__ import annotations

import json
import re

import pytest
from tests.agency import with_agents
from tests.api_desk import V1, Program, program
from tests.keeper_desk import CROWD, found_bench
from tests.portal_desk import portal_of
from tests.served import PURPOSE, REASON

from safehold import canonical
from safehold.access import PeopleFilter
from safehold.app.draft import draft_grant
from safehold.charter import Charter
from safehold.keeper.door import ACTIONS_OF, KINDS_OF, OPEN_TO_OWN, OWN
from safehold.portal.api.document import describe
from safehold.portal.api.table import LINES
from safehold.portal.line import FOR_NOBODY
from safehold.portal.pages import GROUPS
from safehold.signing import SigningKey

HER = "person-canary-71ad"  # somebody's name at the company
OBJECTION = "objection-canary-5b0c: I do not want this"
EVIDENCE = "evidence-canary-e911"
DEVICE_NOTE = "device-canary-03fd"
INCIDENT = "incident-canary-88aa"
ASKED = "reason-canary-77aa"
# nobody but she herself, and the seats that answer her, may ever read these
HERS = (OBJECTION.partition(":")[0], DEVICE_NOTE)
# what an operator noted of an enrolment, without a name: whoever operates or checks may look it up
NOTED = {"op", "aud"}
ROLES = {
    "evi": "employee",
    "mana": "manager",
    "sci": "data_scientist",
    "op": "engineer",
    "aud": "auditor",
}


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("matrix")
        patch.setenv("SAFEHOLD_OUTSIDE", str(folder / "outside"))
        with portal_of(found(folder / "made"), folder / "served") as portal:
            yield portal


def found(path):
    """Make a home whose charter knows agents, and managers, who have an employee's rights over their own."""
    tree = canonical.decode(canonical.encode(with_agents().to_json()))
    tree["who_may"]["manager"] = tree["who_may"]["employee"]
    bench = found_bench(path, people=CROWD, charter=Charter.from_json(tree)).start()
    bench.take(*CROWD)
    bench.stop()
    return bench


@pytest.fixture(scope="module")
def cast(portal) -> dict[str, Program | None]:
    """Everybody who tries; a role that this charter does not know is tried as somebody without any right."""
    known = set(portal.bench.desk.trust.charter().who_may)
    made = {
        name: program(portal, name, role if role in known else "employee")
        for name, role in ROLES.items()
    }

    def enrol(name: str, key: SigningKey) -> None:
        policy = {
            "purposes": [PURPOSE],
            "recipes": ["train"],
            "rows": 10,
            "bytes": 10,
            "runs": 1,
            "calls": 100,
        }
        names = [f"key:{key.public.text()}"]
        portal.bench.call(
            "agent.enrol", principal=name, operator="sci", names=names, via="", policy=policy
        )

    key = SigningKey.generate()
    enrol("helper", key)
    made["helper"] = Program(portal, key).sign_in()
    # whom others may suspend and remove while they try
    program(portal, "bystander", "employee")
    enrol("helper-2", SigningKey.generate())
    return {**made, "nobody": None}


@pytest.fixture(scope="module")
def hers(portal, cast) -> dict[str, object]:
    """What there is of others: a person with a choice, a device and an opinion; a request; an incident; an alert."""
    call = portal.bench.call
    call(
        "people.enrol",
        people=[{"person": HER, "jurisdiction": "US-CA", "streams": ["pointer"]}],
        evidence=EVIDENCE,
    )
    call("source.add", person=HER, device=SigningKey.generate().public.text(), evidence=DEVICE_NOTE)
    she = program(portal, "her.signed", "employee")
    code = call("people.invite", person=HER)["code"]
    linked = she.post("/me/choices", {"choice": "link", "person": HER, "code": code})
    assert linked.status_code == 200, linked.text
    said = {"choice": "object", "purposes": [PURPOSE], "text": OBJECTION}
    assert she.post("/me/choices", said).status_code == 200
    case = call("rights.list")["requests"][0]["case"]
    charter = portal.bench.desk.trust.charter()
    grant = draft_grant(charter, requester="other", purpose=PURPOSE, reason=REASON, minutes=60,
                        holder=SigningKey.generate())  # fmt: skip
    call("request.new", grant=grant.to_json(), people=PeopleFilter().to_json())
    portal.served.agree(grant.id)
    call("grant.enact", grant=grant.to_json())
    attempt = cast["sci"].get("/alerts").json()["entry"]  # a refusal
    incident = call("incident.open", text=INCIDENT)["incident"]
    alert = call("alert.raise", principal="caller", signal="denied_burst", severity=2, sentence="a test",
                 events=[attempt], t_us=portal.bench.clock.now_us(), answers=["review"])["alert"]  # fmt: skip
    job = (
        cast["op"]
        .post("/datasets/features", {"purpose": PURPOSE}, headers={"prefer": "respond-async"})
        .json()["job"]
    )
    return {
        "person": HER, "principal": "bystander", "agent": "helper-2", "request": grant.id, "grant": grant.id,
        "artifact": "art_none", "case": case, "incident": incident, "alert": alert, "entry": 3, "epoch": 0,
        "engagement": 0,
        "job": job, "she": she,
    }  # fmt: skip


def body_for(schema, defs, depth=0):
    """Return a small value of a schema: whatever is asked for, it is there."""
    if "$ref" in schema:
        return body_for(defs[schema["$ref"].rpartition("/")[2]], defs, depth + 1)
    if "anyOf" in schema:
        return body_for(schema["anyOf"][0], defs, depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            needed = schema.get("required", [])
            return {name: body_for(schema["properties"][name], defs, depth + 1) for name in needed}
        case "array":
            return [body_for(schema["items"], defs, depth + 1)] if schema.get("minItems") else []
        case "integer":
            return max(schema.get("minimum", 0), 1)
        case "boolean":
            return True
        case _:
            return (
                "0" * 64
                if "64" in schema.get("pattern", "")
                else "A" * max(8, schema.get("minLength", 0))
            )


def shut(verb: str, role: str, kind: str, charter) -> bool:
    """Tell whether the door's tables let somebody of this role and kind ask for a verb at all."""
    if kind == "nobody":
        return verb not in FOR_NOBODY
    if kind not in KINDS_OF[verb]:
        return True
    may, needed = charter.who_may.get(role), ACTIONS_OF.get(verb)
    do = set() if may is None else set(may.do)
    if may is not None and OWN.issuperset(do) and do - {"verify"} and verb not in OPEN_TO_OWN:
        return True
    return needed is not None and needed.isdisjoint(do)


def send(who: Program | None, portal, method: str, path: str, body):
    kind = {"content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    if who is None:
        return portal.client().request(method, path, content=data, headers=kind)
    return who.http.request(method, path, content=data, headers=kind if data else {})


def test_nobody_gets_what_is_not_theirs(portal, cast, hers):
    document, charter = describe(), portal.bench.desk.trust.charter()
    defs, wrong, tried = document["components"]["schemas"], [], 0
    # whoever ends the session, or lets nobody unknown operate, would end the test
    left_out = {"session.end", "principal.identify", "events"}
    for template, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["operationId"] in left_out:
                continue
            path = re.sub(r"\{(\w+)\}", lambda found: str(hers[found[1]]), template)
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            body = None if schema is None else body_for(schema, defs)
            query = {
                one["name"]: body_for(one["schema"], defs)
                for one in operation.get("parameters", ())
                if one["in"] == "query" and one["required"]
            }
            place = path + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
            for name, who in cast.items():
                answer = send(who, portal, method.upper(), place, body)
                tried += 1
                text = answer.text
                route = LINES.get(operation["operationId"])
                kind = {"nobody": "nobody", "helper": "agent"}.get(name, "human")
                role = "agent" if name == "helper" else ROLES.get(name, "")
                if any(canary in text for canary in HERS) or (HER in text and HER not in place):
                    wrong.append((name, method, place, "something of hers", text[:200]))
                if EVIDENCE in text and name not in NOTED:
                    wrong.append((name, method, place, "what an operator noted", text[:200]))
                if route is not None and shut(route.verb, role, kind, charter) and not route.fixed:
                    if answer.status_code < 400:
                        wrong.append(
                            (name, method, place, f"open: {answer.status_code}", text[:200])
                        )
                    if INCIDENT in text or ASKED in text:
                        wrong.append((name, method, place, "words of others", text[:200]))
                if answer.status_code >= 500:
                    wrong.append((name, method, place, answer.status_code, text[:200]))
    assert wrong == [], "\n".join(map(str, wrong))
    assert tried > 1_000


def test_whose_it_is_still_gets_it(portal, hers):
    """What is hers is there: or its absence elsewhere would show nothing."""
    she: Program = hers["she"]
    told = she.get("/me/standing")
    assert HER in told.text
    assert told.json()["cases"]
    assert she.get("/me/receipts").json()["receipts"]
    package = she.get("/me/trail").json()["package"]
    assert len(package) > 100


def test_every_entry_of_the_ledger_is_silent_about_her(portal, cast, hers):
    size = portal.bench.desk.ledger.size
    wrong = []
    for name in ("op", "aud"):
        for entry in range(size):
            answer = cast[name].get(f"/ledger/entries/{entry}")
            told = [one for one in (*HERS, HER) if one in answer.text]
            if answer.status_code >= 500 or told:
                wrong.append((name, entry, answer.status_code, told, answer.text))
    assert wrong == [], str(wrong)


def paths_of(router):
    """Return the paths of every page of a router, also of routers within it."""
    for route in router.routes:
        if hasattr(route, "original_router"):
            yield from paths_of(route.original_router)
        elif "GET" in route.methods:
            yield route.path


def test_every_page_is_silent_about_her(portal, cast, hers):
    """Pages too: signed out, and as another employee in a browser."""
    pages = [path for group in GROUPS for path in paths_of(group.router)]
    assert "/" in pages
    for client in (
        portal.client(),
        portal.client("evangeline"),
        portal.client("enno"),
        portal.client("dana"),
    ):
        client.follow_redirects = False
        for template in pages:
            if template.startswith(("/sign-in", "/static")):
                continue
            path = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: str(hers.get(found[1], "x")), template)
            answer = client.get(path)
            assert answer.status_code < 500, path
            assert not any(canary in answer.text for canary in (*HERS, INCIDENT)), path
            assert HER not in answer.text or HER in path, path


def test_ids_of_others_are_told_apart_from_none_by_nobody(portal, cast, hers):
    """A job of somebody else's, and whether somebody is enrolled: the same answer as for what is not there."""
    for name in ("evi", "sci", "aud", "helper"):
        who = cast[name]
        for there, nowhere in (
            (f"/jobs/{hers['job']}", "/jobs/job_AAAAAAAAAAAAAAAAAAAAAA"),
            (f"/people/{HER}", "/people/nobody-at-all"),
        ):
            one, other = who.get(there), who.get(nowhere)
            assert one.status_code == other.status_code, (name, there)
            said = [{k: v for k, v in a.json().items() if k != "entry"} for a in (one, other)]
            assert said[0] == said[1], (name, there)
    assert portal.client().get(f"{V1}/people/{HER}").status_code == 401
