"""The gate at feature extraction: conclusions are judged by lineage, never by values."""

from __future__ import annotations

from importlib.resources import files

import pyarrow as pa
import pytest

from safehold.charter.parse import parse
from safehold.dlp.feature import Feature, admit_columns, admit_features, load_lineage, tags_of
from safehold.enclave.action import SCHEMA
from safehold.enclave.feature import declare
from safehold.errors import DeniedError, InvalidError
from safehold.keeper.terms import admit_recipe
from safehold.telemetry.schema import REST
from safehold.telemetry.stream import Level

WORK = {"key": frozenset({"work_inferences"}), "chat": frozenset({"private_communications"})}
L3 = {"key": Level.L3, "chat": Level.L3}


def feature(*sources, name="x", reductions=()):
    return Feature(name=name, sources=frozenset(sources), reductions=frozenset(reductions))


def test_every_column_of_every_stream_is_in_the_table():
    columns = load_lineage()["columns"]
    assert set(columns) == {f"{s}.{f}" for s, schema in REST.items() for f in schema.names}


@pytest.mark.parametrize(
    ("column", "tag"),
    [
        ("key.key", "errors"),
        ("key.mods", "text"),
        ("chat.participants", "contacts"),
        ("key.commit", "text"),
    ],
)
def test_a_column_that_tells_what_is_masked_is_refused(column, tag):
    with pytest.raises(DeniedError) as refused:
        admit_features([feature(column)], forbidden=WORK, levels=L3)
    assert refused.value.rule == f"dlp.lineage.{tag}"


def test_times_tell_the_pace_unless_the_level_has_none():
    timed = feature("key.mono", "key.t")
    with pytest.raises(DeniedError):
        admit_features([timed], forbidden=WORK, levels={"key": Level.L2})
    with pytest.raises(DeniedError):  # a stream whose level nobody names counts as raw
        admit_features([timed], forbidden=WORK, levels={})
    admit_features([timed], forbidden=WORK, levels=L3)


def test_a_column_made_of_two_tells_what_both_tell():
    both = feature("key.kind", "chat.participants")
    assert tags_of(both, L3) == {"contacts"}
    with pytest.raises(DeniedError):
        admit_features([both], forbidden=WORK, levels=L3)


def test_only_what_the_charter_masks_is_refused():
    admit_features([feature("key.key")], forbidden={"key": frozenset({"identifiers"})}, levels=L3)
    admit_features([feature("key.key")], forbidden={}, levels=L3)


def test_a_reduction_takes_away_its_own_tags_alone():
    admit_features([feature("key.key", reductions=["fold_corrections"])], forbidden=WORK, levels=L3)
    with pytest.raises(DeniedError):
        admit_features(
            [feature("key.mods", reductions=["fold_corrections"])], forbidden=WORK, levels=L3
        )


@pytest.mark.parametrize(
    "odd", [feature("key.nothing"), feature("nothing"), feature("key.kind", reductions=["magic"])]
)
def test_what_is_not_in_the_table_is_refused(odd):
    with pytest.raises(InvalidError):
        admit_features([odd], forbidden={}, levels={})


def test_the_name_of_a_feature_is_scanned():
    with pytest.raises(DeniedError) as refused:
        admit_features(
            [feature("key.kind", name="ada_lovelace@example.com")], forbidden={}, levels={}
        )
    assert refused.value.rule == "dlp.lineage.name"


def test_our_own_recipe_declares_every_column_it_makes():
    admit_columns(SCHEMA, declare({}))
    assert {each.name for each in declare({})} == set(SCHEMA.names)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.list_(pa.large_string()), pa.struct([("a", pa.int8())])]
)
def test_a_derived_column_of_free_text_is_refused(kind):
    with pytest.raises(DeniedError) as refused:
        admit_columns(pa.schema([("x", kind)]), [feature("key.kind")])
    assert refused.value.rule == "dlp.lineage.text"


def test_a_derived_column_without_lineage_is_refused():
    with pytest.raises(DeniedError) as refused:
        admit_columns(pa.schema([("y", pa.int8())]), [feature("key.kind")])
    assert refused.value.rule == "dlp.lineage.column"


@pytest.mark.parametrize("name", ["example.yaml", "demo.yaml"])
def test_corrections_are_folded_because_the_charter_masks_hints_on_performance(name):
    charter = parse(files("safehold.charter").joinpath(name).read_text(), name=name)
    admit_recipe(charter, declare({}))
    with pytest.raises(DeniedError) as refused:
        admit_recipe(charter, declare({"corrections": "keep"}))
    assert refused.value.rule == "dlp.lineage.errors"
