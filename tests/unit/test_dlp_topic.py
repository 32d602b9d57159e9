"""A message on health, money, law, performance, union or leave is one unit and goes whole; ordinary work stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.ingest_job import chat_row, key_rows, wire_table
from tests.topics import ON_HEALTH

from safehold.cli import build
from safehold.dlp import Rules, minimise
from safehold.dlp.classes import CLASSES, GROUPS, NAMES
from safehold.dlp.message import mask_messages, message_units
from safehold.dlp.topic import find_units
from safehold.dlp.topic.composer import Composer, read_phrases
from safehold.dlp.topic.judge import TOPICS, load_model, pack_model, read_model
from safehold.dlp.topic.lexicon import load_lexicon, parse_terms, rows_to_judge
from safehold.dlp.topic.train import Recipe, chat_lines, train_file
from safehold.errors import InvalidError
from safehold.telemetry.stream import Level

ALL = frozenset(GROUPS)
ON = [
    ("my daughter has leukemia, I have to be at the hospital all week", "HEALTH"),
    ("the psychiatrist put me on lithium, please cover for me", "HEALTH"),
    ("I am so behind on my mortgage, the bank wants the house", "FINANCE"),
    ("her salary is $140k and I get 95k for the same job", "FINANCE"),
    ("our lawyer thinks the harassment complaint against him will end in court", "LEGAL"),
    ("Priya is on a performance improvement plan, final warning is next", "PERFORMANCE"),
    ("who else signed a union card? management must not know", "UNION"),
    ("he is on bereavement leave until march", "LEAVE"),
]
WORK = [
    "kill the process and restart the importer",
    "the patient job queue is stuck again",
    "sue me, I like tabs",
    "this will tax the CPU",
    "the pod is unhealthy, its health check fails",
    "UNION ALL is faster than UNION here",
    "performance of the query plan is reviewed on the wiki",
    "leave the channel open, I will leave at six",
    "kernel panic after the upgrade",
    "the bank conflict costs us half of the memory bandwidth",
    "charge the card twice and the settlement batch fails",
    "the doctor command says everything is fine",
    "case sensitive names, illegal character in the path",
    "fire the event and promote the replica",
    "pay down the technical debt this sprint",
]


def said(text: str | None, **more: Any) -> tuple[str | None, int, dict[str, int]]:
    rules = Rules(stream="chat", **more)
    out = minimise("chat", wire_table("chat", [chat_row(text=text)]), rules,
                   consented=frozenset({"ann", "bob"}))  # fmt: skip
    return out.table["text"][0].as_py(), out.table["sens"][0].as_py(), out.masked


@pytest.mark.parametrize(("text", "topic"), ON)
def test_the_whole_message_goes(text: str, topic: str) -> None:
    left, sens, masked = said(text)
    assert left == f"[{topic}]"
    assert sens & CLASSES[topic].bit
    assert masked[topic] == 1


@pytest.mark.parametrize("text", WORK)
def test_ordinary_work_is_on_no_topic(text: str) -> None:
    assert message_units([text]) == [[]]


def test_only_the_groups_of_the_charter_are_looked_for() -> None:
    texts = pa.array([ON[0][0], ON[6][0]])

    def found(*groups: str) -> list[int]:
        rows: list[int] = find_units(texts, groups=frozenset(groups)).row.tolist()
        return rows

    assert found("health_financial_legal") == [0]
    assert found("work_inferences") == [1]
    assert found("identifiers", "security_behaviour") == []


def test_what_the_message_held_besides_is_still_told() -> None:
    left, sens, masked = said("my son has leukemia, write to eve@example.org")
    assert left == "[HEALTH]"
    assert sens & CLASSES["EMAIL"].bit
    assert masked["EMAIL"] == masked["HEALTH"] == 1


def test_of_a_long_text_the_paragraph_goes_and_the_rest_stays_masked() -> None:
    work = "the scheduler drops every tenth event when the queue is full\n" * 12
    text = f"{work}my father has lung cancer and chemo starts on monday\nmail eve@example.org\n"
    (left,) = mask_messages(pa.array([text])).text.to_pylist()
    assert left == f"{work}[HEALTH]\nmail [EMAIL]\n"


@pytest.mark.parametrize(
    "text",
    [
        "my wife has \u201cbreast cancer\u201d",
        "my wife has cancer\u2026 I am scared",
        "my wife has cancer\U0001f622",
        "\u00abmy wife has cancer\u00bb",
        "\u2022cancer of my wife\u2022chemo",
        "my wife\u2028has\u2028cancer",
        "my\0wife\0has\0cancer\0",
        "_my wife has cancer_.",
        "my wife has **_cancer_**",
        "~my wife has cancer~",
        "I got the result.\nIt is cancer.",
        "I got the result...\n\n--\nIt is cancer?!",
    ],
)
def test_signs_beside_a_word_do_not_hide_it(text: str) -> None:
    assert mask_messages(pa.array(["x", text])).text.to_pylist() == ["x", "[HEALTH]"]


@pytest.mark.parametrize("text", ["my wife set x_cancer", "my wife set ~cancer/x", "cancer_ left"])
def test_a_part_of_an_identifier_a_path_or_a_nickname_is_no_word(text: str) -> None:
    assert message_units([text, "_private field_"]) == [[], []]


@pytest.mark.parametrize(
    ("broken", "left"),
    [
        ("my wife has\ncancer", "[HEALTH]\n[HEALTH]"),
        ("I got the result.\n\nIt is cancer.", "[HEALTH]\n\n[HEALTH]"),
        ("my wife has cancer\nthe queue is full", "[HEALTH]\nthe queue is full"),
    ],
)
def test_of_a_long_text_a_topic_told_over_two_lines_goes(broken: str, left: str) -> None:
    work = "the scheduler drops every tenth event when the queue is full\n" * 12
    masked = mask_messages(pa.array(["", f"{work}{broken}\n{work}"]))
    assert masked.text.to_pylist() == ["", f"{work}{left}\n{work}"]
    assert masked.sens[1] & CLASSES["HEALTH"].bit


def test_what_a_rule_found_speaks_for_the_lines_of_a_long_text_too() -> None:
    work = "the scheduler drops every tenth event when the queue is full\n" * 12
    told = (np.array([0]), np.array([NAMES.index("HEALTH")]))
    for line in ("the clinic called", "my wife was at the clinic"):
        short = find_units(pa.array([line]), groups=ALL, told=told)
        long = find_units(pa.array([f"{work}{line}\n{work}"]), groups=ALL, told=told)
        assert len(short) == len(long)


def test_assistants_and_speech_are_read_too() -> None:
    row = {"person": "ann", "device": "d", "session": "s", "seq": 0, "t": 1, "mono": 1, "turn": 0,
           "conversation": "c", "role": "user", "text": ON[0][0]}  # fmt: skip
    out = minimise("ai", wire_table("ai", [row]), Rules(stream="ai"))
    assert out.table["text"].to_pylist() == ["[HEALTH]"]
    row = {"person": "ann", "device": "d", "session": "s", "seq": 0, "t": 1, "mono": 1,
           "meeting": "m", "speaker": "ann", "start": 0, "end": 9, "text": ON[4][0]}  # fmt: skip
    rules = Rules(stream="speech")
    spoken = minimise("speech", wire_table("speech", [row]), rules, consented=frozenset({"ann"}))
    assert spoken.table["text"].to_pylist() == ["[LEGAL]"]


def test_every_press_of_a_typed_message_is_masked() -> None:
    text = ON[0][0]
    rules = Rules(stream="key", level=Level.L2)
    out = minimise("key", wire_table("key", key_rows(text)), rules)
    assert set(out.table["key"].to_pylist()) == {"<HEALTH>"}
    plain = minimise("key", wire_table("key", key_rows(WORK[0])), rules)
    assert "<HEALTH>" not in plain.table["key"].to_pylist()


def test_a_word_a_rule_found_speaks_for_its_topic() -> None:
    text = pa.array(["anything about vertigo?"])
    row, kind = np.zeros(1, np.int64), np.array([NAMES.index("HEALTH")])
    assert not len(find_units(text, groups=ALL))
    assert len(find_units(text, groups=ALL, told=(row, kind))) == 1


def test_a_part_of_an_address_is_no_word() -> None:
    hits = message_units(
        ["=== vtg [vertigo@route6.example.org] joined", "mail to cancer@x.example"]
    )
    assert hits == [[], []]


def test_the_version_of_the_rules_knows_terms_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from safehold.dlp import pattern

    before, read = pattern.data_version(), pattern.read_data
    for name in (*pattern.TOPIC_FILES, "engine/chosen.json", "names.txt"):
        monkeypatch.setattr(
            pattern, "read_data", lambda one, name=name: read(one) + b" " * (one == name)
        )
        assert pattern.data_version.__wrapped__() != before


# the model


def test_the_shipped_model_fits_its_terms_and_is_whole_numbers() -> None:
    lexicon = load_lexicon()
    data = pack_model(load_model(), lexicon)
    assert np.array_equal(read_model(data, lexicon).weights, load_model().weights)
    other = parse_terms(b"one a sick\ntwo c me\n")
    with pytest.raises(InvalidError, match="other terms"):
        read_model(data, other)
    with pytest.raises(InvalidError, match="not a model"):
        read_model(b"{}", lexicon)


def test_the_same_seed_gives_the_same_bytes_and_a_model_that_works(tmp_path: Path) -> None:
    recipe = Recipe(each=2, rounds=30)
    made = [train_file(tmp_path / name, folder=None, recipe=recipe) for name in ("a", "b")]
    assert made[0]["sha256"] == made[1]["sha256"]
    model = read_model((tmp_path / "a").read_bytes(), load_lexicon())
    texts = pa.array([text for text, _ in ON])
    assert len(find_units(texts, groups=ALL, model=model)) >= 4


def test_a_broken_corpus_or_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "irc_train_unlabelled.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(InvalidError):
        list(chat_lines(tmp_path / "irc_train_unlabelled.jsonl", even=True))
    with pytest.raises(InvalidError):
        train_file(tmp_path / "m", folder=tmp_path / "none", recipe=Recipe())
    with pytest.raises(InvalidError):
        parse_terms(b"name x sick\n")


def test_every_phrase_has_its_slots_and_every_topic_its_phrases() -> None:
    messages = Composer(load_lexicon(), seed=3).messages(1)
    assert not [one.text for one in messages if "{" in one.text]
    assert {topic for topic, _ in read_phrases()} == {-1, *range(len(TOPICS))}


# measured on text nobody wrote for it


def test_recall_and_alarms_on_tweets_of_others(shared_data: Path) -> None:
    lines = (shared_data / "dlp" / "wnut17_train.jsonl").read_text("utf-8").splitlines()
    units = message_units([json.loads(line)["text"] for line in lines])
    on = {row for row, found in enumerate(units) if any(one[2] == "HEALTH" for one in found)}
    assert len(on & ON_HEALTH) >= 15
    assert len(on) <= 60


def test_few_messages_of_technical_chat_are_taken(shared_data: Path) -> None:
    path = shared_data / "dlp" / "irc_train_unlabelled.jsonl"
    lines = list(chat_lines(path, even=False))  # the half the model was not trained on
    size = sum(len(line.encode()) for line in lines) / 1e6
    taken = [row for row, found in enumerate(message_units(lines)) if found]
    assert size > 2
    assert len(taken) <= 12
    gated = rows_to_judge(pa.array(lines, pa.large_string()), load_lexicon())
    assert len(gated) < 0.02 * len(lines)  # so it costs little


def test_the_command_counts_topics_and_names_no_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "docs.jsonl", tmp_path / "units.jsonl"
    rows = [
        {"id": "a", "text": ON[0][0], "spans": [[16, 24, "HEALTH_CONDITION"]]},
        {"text": WORK[0]},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    build()(["dlp", "topics", str(file), "--out", str(out), "--json"], standalone_mode=False)
    told = capsys.readouterr().out
    assert json.loads(told)["topics"]["HEALTH"] | {"per_megabyte": 0} == {
        "taken": 1, "per_megabyte": 0, "gold": 1, "found": 1,
    }  # fmt: skip
    assert "leukemia" not in told + out.read_text()
    first, second = map(json.loads, out.read_text().splitlines())
    assert first["units"][0][:3] == [0, len(ON[0][0]), "HEALTH"]
    assert second["units"] == []
