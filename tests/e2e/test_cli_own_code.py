"""``safehold enclave run`` as somebody meets it: the how-to page as it stands, and scripts that try to get out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, EVIDENCE, World, company, write_people, write_sources
from tests.e2e.test_docs_commands import walk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "run-your-own-code.md"
SCRIPT = re.compile(r"^```python (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    for name, text in SCRIPT.findall(PAGE.read_text("utf-8")):
        (folder / name).write_text(text)
    return folder


def session_of(page: str, folder: Path) -> Path:
    """Write the commands of a page alone, those of its numbered steps as well."""
    session = folder / "page.md"
    session.write_text(re.sub(r"^   ", "", SCRIPT.sub("", page), flags=re.MULTILINE))
    return session


def test_a_file_of_ones_own_needs_no_home(scripts: Path) -> None:
    page = PAGE.read_text("utf-8").partition("\n## Cell by cell")[0]
    world = World(scripts)
    assert walk(session_of(page, scripts), scripts, world.environment) == 3
    assert not world.home.exists()


@pytest.mark.proof
def test_the_whole_page_works_as_it_stands(scripts: Path) -> None:
    charter = scripts / "charter.yaml"
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    wider = text.replace(
        "releases: [model_weights_dp]", "releases: [model_weights_dp, dp_aggregate]"
    )
    assert wider != text
    charter.write_text(wider)
    world = World(scripts).init(charter)
    spec = company(66, pace=200)
    people = write_people(spec, scripts / "people.csv")
    world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
    world.run("run", "--source", write_sources(spec, scripts / "sources")["pointer"])
    with world.kept():
        page = session_of(PAGE.read_text("utf-8"), scripts)
        assert walk(page, scripts, world.environment) == 9
