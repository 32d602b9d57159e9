"""A home that chose the tagger masks names that are on no list; one that did not masks the roster's alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ingest_job import chat_row, key_rows, rules_spec, wire_table

import safehold
from safehold.dlp import Rules, minimise
from safehold.dlp.classes import CLASSES
from safehold.dlp.named import admit_names, mask_named
from safehold.errors import InvalidError
from safehold.telemetry.stream import Level

TEXT = "ask Katarzyna Nowakowska about the importer, she is back in Wroclaw"
FRIENDS = frozenset({"ann", "bob"})


def said(text: str, **more: Any) -> Any:
    rules = Rules(stream="chat", **more)
    return minimise("chat", wire_table("chat", [chat_row(text=text)]), rules, consented=FRIENDS)


def test_a_name_on_no_list_is_masked_with_the_tagger_and_not_without() -> None:
    assert said(TEXT).table["text"].to_pylist() == [TEXT]
    out = said(TEXT, names="ner")
    assert "Nowakowska" not in out.table["text"][0].as_py()
    assert "[PERSON]" in out.table["text"][0].as_py()
    assert out.table["sens"][0].as_py() & CLASSES["PERSON"].bit
    assert out.masked["PERSON"] == 1


def test_names_stay_where_the_charter_masks_no_identifiers() -> None:
    groups = frozenset({"health_financial_legal"})
    assert said(TEXT, names="ner", groups=groups).table["text"].to_pylist() == [TEXT]


def test_typed_names_are_masked_press_by_press() -> None:
    rules = Rules(stream="key", level=Level.L2, names="ner")
    out = minimise("key", wire_table("key", key_rows("tell Katarzyna Nowakowska")), rules)
    assert out.table["key"].to_pylist()[5:].count("<PERSON>") == len("Katarzyna Nowakowska")
    without = minimise("key", wire_table("key", key_rows("tell Katarzyna Nowakowska")),
                       Rules(stream="key", level=Level.L2))  # fmt: skip
    assert "<PERSON>" not in without.table["key"].to_pylist()


@given(
    st.lists(
        st.sampled_from(
            ["[EMAIL]", "[PERSON]", "Anna", "Kowalska", "met", "in", "Paris", "[x]", ","]
        )
    )
)
@settings(max_examples=60)
def test_what_stands_for_something_masked_stays(words: list[str]) -> None:
    text = " ".join(words)
    (left,) = mask_named(pa.array([text])).text.to_pylist()
    for token in ("[EMAIL]", "[PERSON]"):
        assert left.count(token) >= text.count(token)
    assert "[[" not in left


def test_the_choice_is_in_the_version_of_the_rules() -> None:
    roster, tagger = Rules(stream="chat"), Rules(stream="chat", names="ner")
    assert roster.version != tagger.version
    assert Rules.from_spec(tagger.to_spec()) == tagger
    with pytest.raises(InvalidError, match="another version"):
        Rules.from_spec(tagger.to_spec() | {"names": "roster"})
    with pytest.raises(InvalidError, match="no such tier"):
        admit_names("best")


def test_another_model_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [Rules(stream="chat", names=tier).version for tier in ("roster", "ner")]
    monkeypatch.setattr("safehold.dlp.named.model_version", lambda: "00" * 32)
    after = [Rules(stream="chat", names=tier).version for tier in ("roster", "ner")]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_program_without_the_model_refuses_and_does_not_fall_back(tmp_path: Path) -> None:
    """The real program without the file of the model; every other file is there."""
    copy = tmp_path / "safehold"
    shutil.copytree(Path(safehold.__file__).parent, copy)
    (copy / "dlp" / "tagger" / "model.bin").unlink()
    code = (
        "import json, sys\n"
        "from safehold.dlp import Rules\n"
        "from safehold.errors import UnavailableError\n"
        "spec = json.loads(sys.argv[1])\n"
        "print(Rules.from_spec(spec).names)\n"
        "try: Rules.from_spec(spec | {'names': 'ner'})\n"
        "except UnavailableError as error: print(error.rule)\n"
    )
    spec = {key: value for key, value in rules_spec("chat").items() if key != "version"}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(spec)],
        capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}, text=True,
    )  # fmt: skip
    assert done.stdout.split() == ["roster", "dlp.names"]
