"""What leaves a sandbox that looked into a file or attacked a model: one message, from closed lists, within bounds."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save

from safehold.assurance.canary.plant import CANDIDATES
from safehold.assurance.figures import FigureAllowance, FigureGate
from safehold.enclave import inspection
from safehold.enclave.inspection import InspectionGate
from safehold.errors import DeniedError, InvalidError, SafeholdError, TamperedError
from safehold.sandbox.parts import pack_parts

CANARY = "QUIET-HERON-4471"
WEIGHTS = np.random.default_rng(2).normal(size=(40, 4)).astype(np.float32)


def look(body: bytes, *canaries: str) -> dict[str, Any]:
    """Run the recipe over a file, and admit what it sends."""
    table = pa.table({"body": pa.array([body], pa.large_binary())})
    memory, sent = pack_parts([({"file": True}, table)]), []
    try:
        inspection.main({"canaries": list(canaries)}, [memory], sent.append)
    finally:
        os.close(memory)
    gate = InspectionGate()
    (found,) = [gate.admit(one) for one in sent]
    gate.close()
    return found


def tokenizer(*tokens: str) -> bytes:
    vocabulary = {one: at for at, one in enumerate(("a", "b", *tokens))}
    return json.dumps(
        {"version": "1.0", "model": {"type": "BPE", "vocab": vocabulary, "merges": []}}
    ).encode()


def test_ordinary_weights_and_tokenizers_show_nothing():
    for body, kind in ((save({"w": WEIGHTS}), "safetensors"), (tokenizer("the"), "tokenizer")):
        found = look(body, CANARY)
        assert (found["kind"], found["findings"], found["classes"], found["notes"]) == (
            kind, 0, {}, [],
        )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        save({"w": WEIGHTS}, metadata={"note": CANARY}),
        save({CANARY: WEIGHTS}),
        save({"w": np.frombuffer(CANARY.encode(), np.uint8)}),
        save({"w": WEIGHTS, "t": np.array([ord(one) for one in CANARY], np.float32)}),
        tokenizer(CANARY),
        tokenizer("quiet_heron_4471"),
    ],
)
def test_a_canary_is_found_wherever_it_was_planted(body: bytes):
    assert look(body, CANARY)["classes"]["CANARY"] >= 1
    assert "CANARY" not in look(body)["classes"]


def test_the_state_of_an_optimizer_is_told_with_a_canary_in_it():
    body = save({"w": WEIGHTS, "opt.exp_avg": WEIGHTS}, metadata={"run": CANARY})
    found = look(body, CANARY)
    assert found["notes"] == ["optimizer_state"]
    assert found["classes"] == {"CANARY": found["classes"]["CANARY"]}


def test_a_pickle_and_a_cut_file_are_refused_unread():
    for body, kind in (
        (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.", DeniedError),
        (save({"w": WEIGHTS})[:-3], InvalidError),
    ):
        with pytest.raises(kind):
            look(body)


SAID = {
    "type": "inspection", "kind": "safetensors", "notes": [], "findings": 1,
    "classes": {"EMAIL": 1},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "jane.roe@example.com"}, {"notes": ["jane"]}, {"notes": ["image", "image"]},
        {"classes": {"jane.roe": 1}}, {"classes": {}}, {"classes": {"EMAIL": -1}},
        {"classes": {"EMAIL": True}}, {"findings": 2.5}, {"findings": 0}, {"more": "x"},
        {"type": "metrics"},
    ],
)  # fmt: skip
def test_a_look_into_a_file_says_nothing_of_its_own(change: dict[str, Any]):
    assert InspectionGate().admit(SAID)["findings"] == 1
    with pytest.raises(SafeholdError):
        InspectionGate().admit(SAID | change)
    with pytest.raises(TamperedError):
        InspectionGate().admit(SAID, b"rows")
    with pytest.raises(TamperedError):
        InspectionGate().close()
    gate = InspectionGate()
    gate.admit(SAID)
    with pytest.raises(TamperedError):
        gate.admit(SAID)


MEMBERS = {
    "type": "figures", "attack": "membership", "members": 80, "others": 60, "hits": 4, "false": 3,
    "even_hits": 40, "even_false": 30,
}  # fmt: skip
PLANTED = {
    "type": "figures", "attack": "canary", "planted": 8, "candidates": CANDIDATES, "exposed": 0,
    "deepest": 5_000, "mean": 1_400,
}  # fmt: skip


def members(**changes: int) -> FigureGate:
    told = {"members": 80, "others": 60, "min_people": 50} | changes
    return FigureGate(FigureAllowance(attack="membership", **told))


def planted() -> FigureGate:
    return FigureGate(FigureAllowance(attack="canary", planted=8))


@pytest.mark.parametrize(
    "change",
    [
        {"members": 81}, {"others": 59}, {"hits": 81}, {"false": 61}, {"even_hits": 81},
        {"even_false": 61}, {"hits": -1}, {"hits": 4.0}, {"hits": True}, {"who": "jane"},
        {"attack": "canary"}, {"type": "risk"},
    ],
)  # fmt: skip
def test_figures_of_membership_are_counts_of_those_who_were_handed_in(change: dict[str, Any]):
    assert members().admit(MEMBERS)["hits"] == 4
    with pytest.raises(SafeholdError):
        members().admit(MEMBERS | change)


@pytest.mark.parametrize(
    "change",
    [
        {"planted": 9}, {"candidates": 10}, {"exposed": 9}, {"mean": 5_001}, {"deepest": 14_001},
        {"exposed": 1}, {"deepest": 14_000}, {"attack": "membership"}, {"which": 3},
    ],
)  # fmt: skip
def test_figures_of_canaries_are_about_what_was_planted(change: dict[str, Any]):
    assert planted().admit(PLANTED)["mean"] == 1_400
    with pytest.raises(SafeholdError):
        planted().admit(PLANTED | change)


def test_nothing_is_said_about_too_few_twice_or_with_rows_beside():
    with pytest.raises(DeniedError) as caught:
        members(others=60, min_people=61).admit(MEMBERS)
    assert caught.value.rule == "charter.min_people"
    gate = members()
    gate.admit(MEMBERS)
    with pytest.raises(TamperedError):
        gate.admit(MEMBERS)
    with pytest.raises(TamperedError):
        members().admit(MEMBERS, b"rows")
    with pytest.raises(TamperedError):
        members().close()
    told = {"type": "error", "code": "invalid", "rule": "jane.roe", "message": "jane"}
    with pytest.raises(SafeholdError) as caught:
        members().admit(told)
    assert "jane" not in str(caught.value)
