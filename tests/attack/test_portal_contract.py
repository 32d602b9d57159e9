"""Whatever is sent to the API, it keeps its own description, and nothing breaks: schemathesis, as several people."""

from __future__ import annotations

import time

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.api_desk import Program, program
from tests.portal_desk import found_served, portal_of

from safehold.portal.api.document import describe

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# a stream has no end that a generated test could wait for; test_portal_api reads it
ENDLESS = {"events"}
QUICK = settings(
    max_examples=3,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
LONG = settings(
    max_examples=60,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Bound(requests.auth.AuthBase):
    """Signs what schemathesis sends, as somebody's program does."""

    def __init__(self, who: Program) -> None:
        self.who = who

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        url = request.url.partition("?")[0].partition("#")[0]
        request.headers["DPoP"] = self.who.proof(request.method, url)
        request.headers["Authorization"] = f"DPoP {self.who.token}"
        return request


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("contract")
        patch.setenv("SAFEHOLD_OUTSIDE", str(folder / "outside"))
        with portal_of(found_served(folder / "made"), folder / "served") as portal:
            yield {
                "engineer": program(portal, "op", "engineer"),
                "auditor": program(portal, "aud", "auditor"),
                "data_scientist": program(portal, "sci", "data_scientist"),
                "employee": program(portal, "emp", "employee"),
                "nobody": None,
            }


def operations():
    schema = schemathesis.openapi.from_dict(describe())
    found = [one.ok() for one in schema.get_all_operations()]
    return [one for one in found if one.definition.raw["operationId"] not in ENDLESS]


def send(case, who: Program | None, url: str) -> None:
    auth = None if who is None else Bound(who)
    # a session that somebody ended on purpose is not what is looked for here
    if case.operation.definition.raw["operationId"] == "session.end":
        auth = None
    with requests.Session() as line:
        answer = case.call(base_url=url, session=line, auth=auth, timeout=60)
    try:
        case.validate_response(answer, checks=CHECKS)
    except BaseException as error:
        error.add_note(f"{answer.status_code} {answer.text[:600]}")
        raise


def probe_of(operation, who: Program | None, url: str, how):
    @how
    @given(case=operation.as_strategy())
    def probe(case):
        send(case, who, url)

    return probe


def explore(people, names, how) -> list[str]:
    url = people["engineer"].url
    broken = []
    for operation in operations():
        for name in names(operation):
            try:
                probe_of(operation, people[name], url, how)()
            except BaseExceptionGroup as group:
                error = group.exceptions[0]
            except Exception as one:
                error = one
            else:
                continue
            notes = " ".join(getattr(error, "__notes__", []))
            broken.append(f"{operation.label} as {name}: {error} {notes}"[:1500])
    return broken


def test_nothing_that_is_sent_breaks_the_api_or_its_description(people):
    """One of the people at each operation, in turn; all of them at all of it in the long form."""
    began, names, turn = time.process_time(), list(people), iter(range(10_000))
    broken = explore(people, lambda _one: ["engineer", names[next(turn) % len(names)]], QUICK)
    assert broken == [], "\n".join(broken)
    assert time.process_time() - began < 600


@pytest.mark.proof
@pytest.mark.parametrize("name", ["engineer", "auditor", "data_scientist", "employee", "nobody"])
def test_nothing_that_is_sent_breaks_the_api_long(people, name):
    assert explore(people, lambda _one: [name], LONG) == []
