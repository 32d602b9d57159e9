"""The API does what the command line does, and nothing of the keeper has slipped its mind."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path

from openapi_spec_validator import validate
from typer.main import get_command

from safehold.cli import build
from safehold.keeper.door import KINDS_OF
from safehold.portal.api.commands import BY_COMMAND, WITHOUT_COMMAND
from safehold.portal.api.document import describe
from safehold.portal.api.exchange import PAGED
from safehold.portal.api.route import PREFIX
from safehold.portal.api.table import LINES, ROUTES, WITHOUT

BY_HAND = {"session.ask", "session.open", "job.list", "job.show", "events", "openapi"}


def commands(command, path=()):
    for name, one in sorted(getattr(command, "commands", {}).items()):
        if hasattr(one, "commands"):
            yield from commands(one, (*path, name))
        else:
            yield " ".join((*path, name))


def test_every_verb_has_a_line_or_a_reason():
    asked = {route.verb for route in ROUTES}
    assert asked | set(WITHOUT) == set(KINDS_OF)
    assert not asked & set(WITHOUT)


def test_every_command_has_an_operation_or_a_reason():
    known = set(commands(get_command(build())))
    # some commands come with other parts of the work; what is listed and gone shows here
    listed = set(BY_COMMAND) | set(WITHOUT_COMMAND)
    assert sorted(known - listed) == []
    assert sorted(listed - known) == []
    assert not set(BY_COMMAND) & set(WITHOUT_COMMAND)
    for names in BY_COMMAND.values():
        assert set(names) <= set(LINES) | BY_HAND


def test_lines_are_told_apart():
    assert [one for one, n in Counter((r.method, r.path) for r in ROUTES).items() if n > 1] == []
    assert len(LINES) == len(ROUTES)
    for route in ROUTES:
        assert route.under in {"", *LINES}, route.id
        assert not PAGED & set(route.given.model_fields) or not route.listed, route.id
        if route.under:
            seen = LINES[route.under]
            assert seen.method == "GET"
            assert set(seen.names) <= set(route.names), route.id


def test_what_is_listed_is_a_list_of_the_answer():
    for route in ROUTES:
        if route.listed:
            assert "list[" in str(route.answer.__annotations__[route.listed]), route.id


def test_the_document_is_openapi():
    document = describe()
    validate(json.loads(json.dumps(document)))
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len(operations) == len(ROUTES) + len(BY_HAND)
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert all(path.startswith(PREFIX) for path in document["paths"])
    # who may call without being signed in is said in three places and nowhere else
    open_to_all = {one["operationId"] for one in operations if one.get("security") == []}
    assert open_to_all == {"session.ask", "session.open", "openapi"}
    assert "Any" not in json.dumps(sorted(document["components"]["schemas"]))


def test_the_reference_page_is_what_the_table_makes():
    place = Path(__file__).parents[2] / "docs" / "generate_api.py"
    spec = importlib.util.spec_from_file_location("generate_api", place)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.PAGE.read_text("utf-8") == made.render(), "run docs/generate_api.py"
