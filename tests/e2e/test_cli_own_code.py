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


def test_the_page_works_as_it_stands(scripts: Path) -> None:
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
    session = scripts / "page.md"  # the commands alone, those of the numbered steps as well
    session.write_text(
        re.sub(r"^   ", "", SCRIPT.sub("", PAGE.read_text("utf-8")), flags=re.MULTILINE)
    )
    with world.kept():
        assert walk(session, scripts, world.environment) == 9
        leaves = world.ask("ledger", "tail", "-n", "40")
    print(leaves)
