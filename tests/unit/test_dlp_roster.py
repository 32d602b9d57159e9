"""The staff roster is found in any spelling, and its common words only where they are names."""

import pyarrow as pa
import pytest
from tests.ingest_job import as_jsonl, chat_row, key_rows, rules_spec, run_bytes

from safehold.app.roster import read_names
from safehold.dlp.roster import Roster, mask_roster
from safehold.errors import InvalidError

PEOPLE = [
    {"given": "Will", "family": "Mark"},
    {"name": "Jörg Müller", "email": "j.mueller@northfield.example"},
    {"given": "Jane", "family": "O'Neil", "also": ["janie", "jj42"]},
    {"name": "May Li"},
    {"name": "Anna Maria Schmidt"},
]


@pytest.fixture(scope="module")
def roster():
    return Roster(PEOPLE)


def found(roster, text):
    spans = roster.find(pa.array([text]))
    return [text[a:b] for a, b in zip(spans.start.tolist(), spans.end.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ask jörg müller", ["jörg müller"]),
        ("JORG MULLER", ["JORG MULLER"]),
        ("Mueller, Joerg", ["Mueller, Joerg"]),
        ("J. Müller said", ["J. Müller"]),
        ("see /home/jmueller/x", ["jmueller"]),
        ("j_mueller_report.pdf", ["j_mueller"]),
        ("Jo\u0308rg is in", ["Jo\u0308rg"]),
        ("O\u2019Neil, Jane called", ["O\u2019Neil, Jane"]),
        ("Janie's laptop", ["Janie"]),
        ("the mullers list", ["muller"]),
        ("@jj42 ping", ["jj42"]),
        ("Anna M. Schmidt and schmidt-anna", ["Anna M. Schmidt", "schmidt-anna"]),
        ("annas", ["annas"]),
        ("SchmidtX annabel mullerei", []),
    ],
)
def test_any_spelling(roster, text, names):
    assert found(roster, text) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Will will come", ["Will"]),
        ("I saw Will there", ["Will"]),
        ("hi will, ok", ["will"]),
        ("ask May about it", ["May"]),
        ("Will Mark be there", ["Will Mark"]),
        ("Mark: yes", ["Mark"]),
        ("Will's desk", ["Will"]),
        ("will mark it", []),
        ("mark the date", []),
        ("May I go?", []),
        ("it ends in May", []),
        ("Will this do?", []),
        ("li", []),
    ],
)
def test_common_words_need_a_reason(roster, text, names):
    assert found(roster, text) == names


def test_places_in_bytes_and_code_points(roster):
    texts = ["\u65e5\u672c \U0001f600 Jörg!", None, "", "x Jo\u0308rg y"]
    spans = roster.find(pa.array(["Jörg", *texts]).slice(1))
    assert spans.row.tolist() == [0, 3]
    for row, start, end, low, high in zip(
        spans.row, spans.start, spans.end, spans.byte_start, spans.byte_end, strict=True
    ):
        text = texts[row]
        assert text[start:end] in {"Jörg", "Jo\u0308rg"}
        assert text.encode()[low:high].decode() == text[start:end]


def test_no_name_runs_over_a_border(roster):
    spans = roster.find(pa.chunked_array([["Anna Mar", "ia Schm", "idt"], ["schmidt", "anna"]]))
    assert spans.row.tolist() == [0, 3, 4]


def test_what_stands_for_an_address_stays():
    roster = Roster([{"name": "Email"}])
    masked = mask_roster(pa.array(["write to [EMAIL] or Email", "no [EMAIL]"]), roster)
    assert masked.text.to_pylist() == ["write to [EMAIL] or [PERSON]", "no [EMAIL]"]
    assert masked.rows.tolist() == [0]


def test_names_are_masked_when_a_source_comes_in(tmp_path):
    rows = [chat_row(0, text="did Janie call jmueller@northfield.example"), chat_row(1)]
    plain = run_bytes(as_jsonl(rows), "chat.jsonl", tmp_path)
    assert "Janie" in str(plain.tables("chat")[0].column("text").to_pylist())
    frames = run_bytes(as_jsonl(rows), "chat.jsonl", tmp_path, roster=PEOPLE)
    texts = frames.tables("chat")[0].column("text").to_pylist()
    assert texts == ["did [PERSON] call [EMAIL]", "the build is green"]
    assert frames.tally()["masked"]["PERSON"] == 1
    assert not any(b"anie" in body for _, body in frames.all)


def test_names_that_are_typed_are_masked(tmp_path):
    rows = as_jsonl(key_rows("tell jmueller now"))
    kept = run_bytes(rows, "key.jsonl", tmp_path, roster=PEOPLE)
    keys = [key for part in kept.tables("key") for key in part.column("key").to_pylist()]
    assert keys.count("<PERSON>") == len("jmueller")


def test_only_where_identifiers_are_masked(tmp_path):
    rules = {"chat": {**rules_spec("chat"), "groups": ["security_behaviour"]}}
    rules["chat"].pop("version")
    frames = run_bytes(
        as_jsonl([chat_row(0, text="ask Janie")]), "chat.jsonl", tmp_path,
        roster=PEOPLE, rules=rules,
    )  # fmt: skip
    assert frames.tables("chat")[0].column("text").to_pylist() == ["ask Janie"]


@pytest.mark.parametrize(
    "entry",
    [
        {"salary": "Geheimrat"},
        {"name": 7},
        {"name": "Geheimrat" * 20},
        {"also": "Geheimrat"},
        {"also": ["Geheimrat"] * 17},
        "Geheimrat",
    ],
)
def test_what_is_no_roster_is_refused_without_its_value(entry):
    with pytest.raises(InvalidError) as error:
        Roster([entry])
    assert error.value.rule == "roster.entry"
    assert "Geheimrat" not in str(error.value)


def test_its_digest_needs_the_key(roster):
    again = Roster(roster.to_spec())
    assert again.digest(b"k" * 32) == roster.digest(b"k" * 32)
    assert again.digest(b"l" * 32) != roster.digest(b"k" * 32)


def test_an_empty_roster_finds_nothing():
    assert len(Roster([]).find(pa.array(["anybody"]))) == 0


def test_names_come_from_a_list(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("person,given,family,also\nemp-1,Jane,Doe,janie; jd\n", "utf-8")
    assert read_names(path) == [{"given": "Jane", "family": "Doe", "also": ["janie", "jd"]}]
    path.write_text("person,jurisdiction\nemp-1,DE\n", "utf-8")
    with pytest.raises(InvalidError, match="columns"):
        read_names(path)
