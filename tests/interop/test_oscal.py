"""What we write as OSCAL, judged by NIST's own schema, and whether every reference in it leads somewhere."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests import evidence_desk as desk

from safehold.app.evidence import bundle as building

FILE = Path(__file__).parent / "oscal" / "oscal_complete_schema.json"
SHA256 = "384324105c7a817af0f65b120a963146caa0e0d55d969cf0daf60e063b87a206"
NAMES = ("catalog", "profile", "component-definition", "assessment-plan", "assessment-results")


@pytest.fixture(scope="module")
def validator() -> Any:
    """The schema; the two classes of characters that Python's patterns do not know are written in theirs."""
    data = FILE.read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHA256
    text = data.decode().replace("\\\\p{L}", "[^\\\\W\\\\d_]").replace("\\\\p{N}", "\\\\d")
    schema = json.loads(text)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    bench = desk.begin(desk.sound(tmp_path_factory.mktemp("oscal")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "installed", lambda: False)
        made = desk.build(bench)
    bench.stop()
    return made


def _tree(files: dict[str, bytes], name: str) -> Any:
    return json.loads(files[f"oscal/{name}.json"])


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_oscal(validator: Any, files: dict[str, bytes], name: str) -> None:
    tree = _tree(files, name)
    assert [error.message for error in validator.iter_errors(tree)] == []
    assert tree[name]["metadata"]["oscal-version"] == "1.2.1"


def _spoiled(tree: Any) -> Iterator[Any]:
    (result,) = tree["assessment-results"]["results"]
    for change in (
        lambda one: one["assessment-results"].pop("import-ap"),
        lambda one: one["assessment-results"]["results"][0]["findings"][0]["target"]["status"].update(state="maybe"),
        lambda one: one["assessment-results"]["results"][0]["observations"][0].update(uuid="7"),
        lambda one: one["assessment-results"]["results"][0]["observations"][0].update(own="x"),
        lambda one: one["assessment-results"]["results"][0]["findings"][0]["target"].update({"target-id": "1 2"}),
        lambda one: one["assessment-results"]["results"][0].update(start="yesterday"),
    ):  # fmt: skip
        other = copy.deepcopy(tree)
        change(other)
        yield other
    assert result


def test_the_schema_refuses_what_is_not_oscal(validator: Any, files: dict[str, bytes]) -> None:
    for other in _spoiled(_tree(files, "assessment-results")):
        assert list(validator.iter_errors(other))


def test_every_reference_leads_somewhere(files: dict[str, bytes]) -> None:
    trees = {name: _tree(files, name)[name] for name in NAMES}
    controls = [one for group in trees["catalog"]["groups"] for one in group["controls"]]
    ids = {one["id"] for one in controls}
    objectives = {part["id"] for one in controls for part in one["parts"]}
    assert len(ids) == len(controls)
    assert trees["profile"]["imports"][0]["href"] == "catalog.json"
    (component,) = trees["component-definition"]["components"]
    (made,) = component["control-implementations"]
    assert f"oscal/{made['source']}" in files
    assert {one["control-id"] for one in made["implemented-requirements"]} == ids
    plan, results = trees["assessment-plan"], trees["assessment-results"]
    resource = plan["back-matter"]["resources"][0]
    assert plan["import-ssp"]["href"] == f"#{resource['uuid']}"
    assert resource["rlinks"][0]["href"] == "../charter.json"
    assert f"oscal/{results['import-ap']['href']}" in files
    (result,) = results["results"]
    for tree in (plan, result):
        (selection,) = tree["reviewed-controls"]["control-selections"]
        assert {one["control-id"] for one in selection["include-controls"]} == ids
    observed = {one["uuid"] for one in result["observations"]}
    assert {one["target"]["target-id"] for one in result["findings"]} <= objectives
    for finding in result["findings"]:
        assert {one["observation-uuid"] for one in finding["related-observations"]} <= observed


def test_every_link_to_evidence_is_an_inclusion_proof_in_the_bundle(files: dict[str, bytes]) -> None:  # fmt: skip
    (result,) = _tree(files, "assessment-results")["assessment-results"]["results"]
    links = [
        one["href"] for seen in result["observations"] for one in seen.get("relevant-evidence", ())
    ]
    assert len(links) > 60
    for link in links:
        name = link.removeprefix("../")
        assert files[name].startswith(b"c2sp.org/tlog-proof@v1\n")
        assert name.replace(".tlog-proof", ".leaf") in files


def test_what_was_not_measured_is_not_satisfied_and_says_so(files: dict[str, bytes]) -> None:
    (result,) = _tree(files, "assessment-results")["assessment-results"]["results"]
    claims = json.loads(files["claims.json"])
    states = {row["id"]: row["state"] for row in claims["rows"]}
    for finding in result["findings"]:
        row = finding["target"]["target-id"].removesuffix("_obj")
        status = finding["target"]["status"]
        (said,) = (one["value"] for one in finding["props"] if one["name"] == "state")
        assert said == states[row]
        assert (status["state"] == "satisfied") == (said == "satisfied")
        assert status["reason"] == {"satisfied": "pass", "not-measured": "other"}.get(said, "fail")
    for line in claims["limits"]:
        assert line in result["remarks"]


def test_the_same_evidence_gives_the_same_identifiers(files: dict[str, bytes]) -> None:
    from safehold.assurance.evidence import oscal

    claims = json.loads(files["claims.json"])
    assert oscal.write(claims) == oscal.write(claims)
    assert oscal.write(claims)["catalog"] == _tree(files, "catalog")
