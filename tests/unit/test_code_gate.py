"""The gate of a script: three kinds of message, each in one form, and nothing else."""

from __future__ import annotations

import pytest

from safehold.access.code import Plan
from safehold.enclave.code.gate import MOST_FRAMES, CodeGate
from safehold.errors import DeniedError, SafeholdError

COUNTS = Plan(recipe="code:", counters=("rows", "people"), words=("done", "failed"))
FIGURE = Plan(recipe="code:", out="figure", least=0.0, most=10.0, groups=10, epsilon_micro=1)


def test_what_is_listed_passes():
    gate = CodeGate(COUNTS)
    counts = {"people": 3, "rows": -(2**53) + 1}
    assert gate.admit({"type": "counts", "values": counts}, b"") == {"counts": counts}
    assert gate.admit({"type": "word", "word": "done"}, b"") == {"word": "done"}
    gate.close()


@pytest.mark.parametrize(("sent", "value"), [(3, 3.0), (-5.5, 0.0), (1e300, 10.0)])
def test_a_figure_is_clamped_here_and_not_by_the_script(sent, value):
    assert CodeGate(FIGURE).admit({"type": "figure", "value": sent}, b"") == {"figure": value}


@pytest.mark.parametrize(
    ("plan", "header", "body", "rule"),
    [
        (COUNTS, {"type": "counts", "values": {"rows": 1}}, b"row", "egress.body"),
        (COUNTS, {"type": "counts", "values": {"Anna": 1}}, b"", "egress.text"),
        (COUNTS, {"type": "counts", "values": {"rows": 1.5}}, b"", "egress.number"),
        (COUNTS, {"type": "counts", "values": {"rows": True}}, b"", "egress.number"),
        (COUNTS, {"type": "counts", "values": {"rows": 2**53}}, b"", "egress.number"),
        (COUNTS, {"type": "counts", "values": ["rows"]}, b"", "egress.number"),
        (COUNTS, {"type": "counts", "values": {}, "more": 1}, b"", "egress.header"),
        (COUNTS, {"type": "word", "word": "Anna"}, b"", "egress.text"),
        (COUNTS, {"type": "word", "word": ["done"]}, b"", "egress.text"),
        (COUNTS, {"type": "figure", "value": 1.0}, b"", "egress.type"),
        (COUNTS, {"type": "progress", "done": 1, "of": 2}, b"", "egress.type"),
        (COUNTS, {"type": "derived", "person": "p", "rows": 1}, b"", "egress.type"),
        (COUNTS, {"type": ["word"]}, b"", "egress.type"),
        (FIGURE, {"type": "counts", "values": {"rows": 1}}, b"", "egress.type"),
        (FIGURE, {"type": "figure", "value": "7"}, b"", "egress.number"),
        (FIGURE, {"type": "figure", "value": float("nan")}, b"", "egress.number"),
        (FIGURE, {"type": "figure", "value": True}, b"", "egress.number"),
    ],
)
def test_anything_else_ends_the_run(plan, header, body, rule):
    with pytest.raises(SafeholdError) as caught:
        CodeGate(plan).admit(header, body)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("plan", "header"),
    [
        (COUNTS, {"type": "counts", "values": {"rows": 1}}),
        (COUNTS, {"type": "word", "word": "done"}),
        (FIGURE, {"type": "figure", "value": 1.0}),
    ],
)
def test_each_is_said_once(plan, header):
    gate = CodeGate(plan)
    gate.admit(header, b"")
    with pytest.raises(SafeholdError):
        gate.admit(header, b"")


def test_a_script_that_talks_much_is_ended():
    words = tuple(f"w{number}" for number in range(MOST_FRAMES + 1))
    gate = CodeGate(Plan(recipe="code:", words=words))
    for word in words[:-1]:
        gate.admit({"type": "word", "word": word}, b"")
    with pytest.raises(DeniedError) as caught:
        gate.admit({"type": "word", "word": words[-1]}, b"")
    assert caught.value.rule == "egress.budget"
