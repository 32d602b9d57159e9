"""Figures of a portal: counted by route and never by path, and about nobody."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.testclient import TestClient

from safehold.clock import SystemClock
from safehold.errors import UnavailableError
from safehold.portal.settings import PortalSettings
from safehold.portal.site import build
from safehold.settings import Home

STATUS = {
    "ledger": {"size": 12, "cosigned": 11, "signing": 1},
    "counts": {"blocks": 4, "rows": 8, "people": 3, "sources": 1},
    "requests": {"open": 1, "overdue": 0},
    "sentinel": {"alive": True, "behind_s": None, "alerts": {"open": 2, "of": 2}},
    "witnesses": {"unreachable": {}},
    "stopped": False,
    "contained": [{"what": "purpose", "count": 2, "names": ["train_ui_agent"]}],
    "drift": [],
    "owed": [],
    "incidents": [{"severity": 2, "name": "could be read", "count": 1}],
    "periodic": [{"task": "publish", "last_us": 1, "failures": 3}],
}


class Line:
    """A keeper that says one thing, or nothing."""

    def __init__(self, answer):
        self.answer = answer

    def call(self, verb, **_):
        if self.answer is None:
            raise UnavailableError("no keeper answers")
        if verb != "status":
            raise UnavailableError("no keeper answers")
        return self.answer

    def close(self):
        pass


@pytest.fixture
def figures(tmp_path):
    def read(answer, *paths: str) -> str:
        registry = CollectorRegistry()
        home = Home.create(tmp_path / "home", synthetic=True)
        settings = PortalSettings(home=home, origin="http://localhost:1", state=tmp_path / "state")
        app = build(settings, keeper=Line(answer), clock=SystemClock(), registry=registry)
        with TestClient(app) as client:
            for path in paths:
                client.get(path)
        return generate_latest(registry).decode()

    return read


def test_routes_are_counted_and_no_path_is_in_the_figures(figures):
    text = figures(STATUS, "/", "/trust-in-pages", "/canary-4411", "/respond/incidents/canary-4411")
    assert 'safehold_portal_requests_total{method="GET",route="/",status="200"} 1.0' in text
    assert "canary-4411" not in text
    assert "safehold_ledger_entries 12.0" in text
    assert "safehold_contained 2.0" in text
    assert 'safehold_incidents_open{severity="2"} 1.0' in text
    assert 'safehold_periodic_failures{task="publish"} 3.0' in text
    assert "train_ui_agent" not in text


def test_a_keeper_that_does_not_answer_is_down_and_nothing_else_is_said_of_it(figures):
    text = figures(None)
    assert "safehold_keeper_up 0.0" in text
    assert "safehold_ledger" not in text


def test_every_figure_is_in_the_reference(figures):
    import re
    from pathlib import Path

    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "figures.md").read_text()
    told = set(
        re.findall(r"^# TYPE (\w+?)(?:_created|_total)? ", figures(STATUS, "/"), re.MULTILINE)
    )
    assert {one for one in told if one not in page} == set()
