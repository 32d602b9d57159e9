"""What a script is called, what its block may say, and who must agree to it."""

from __future__ import annotations

from hashlib import sha256

import pytest

from safehold.access.code import (
    COUNTERS,
    LARGEST,
    WORDS,
    approvers_of,
    is_code,
    name_code,
    read_plan,
)
from safehold.errors import InvalidError

FIGURE = """# /// safehold
# streams = ["pointer"]
# out = "figure"
# least = 0.0
# most = 500
# groups = 20
# epsilon = 0.5
# seconds = 30
# ///
import safehold_enclave
"""


def block(*lines: str) -> bytes:
    return "\n".join(["# /// safehold", *(f"# {line}" for line in lines), "# ///", ""]).encode()


def test_a_script_is_named_by_its_bytes():
    name = name_code(b"print()")
    assert name == f"code:{sha256(b'print()').hexdigest()}"
    assert is_code(name)
    assert name_code(b"print() ") != name
    assert not is_code("train")


def test_a_figure_is_read_as_it_is_written():
    plan = read_plan(FIGURE.encode())
    assert (plan.out, plan.streams) == ("figure", ("pointer",))
    assert (plan.least, plan.most, plan.groups) == (0.0, 500.0, 20)
    assert (plan.epsilon_micro, plan.seconds) == (500_000, 30)
    assert plan.recipe == name_code(FIGURE.encode())


def test_a_script_without_a_block_sends_counts_under_common_names():
    plan = read_plan(b"import safehold_enclave\n")
    assert (plan.out, plan.streams, plan.epsilon_micro) == ("counts", (), 0)
    assert (plan.counters, plan.words) == (COUNTERS, WORDS)


def test_line_ends_of_another_system_are_no_difference():
    assert read_plan(FIGURE.replace("\n", "\r\n").encode()).out == "figure"


def test_epsilon_is_never_rounded_up():
    plan = read_plan(block('out = "figure"', "least = 0", "most = 1", "epsilon = 0.4999999"))
    assert plan.epsilon_micro == 499_999


@pytest.mark.parametrize(
    "script",
    [
        b"\xff",
        b"#" * (LARGEST + 1),
        FIGURE.encode() * 2,
        block("streams = [1]"),
        block('streams = ["nothing"]'),
        block('streams = ["key", "key"]'),
        block("= 1"),
        block("a = " + "[" * 5_000),
        block("x" * 17_000 + " = 1"),
        block('color = "red"'),
        block('out = "rows"'),
        block('out = "figure"'),
        block('out = "figure"', "least = 1", "most = 1", "epsilon = 1"),
        block('out = "figure"', "least = 0", "most = 1", "epsilon = 0"),
        block('out = "figure"', "least = 0", "most = 1", "epsilon = nan"),
        block('out = "figure"', "least = 0", "most = inf", "epsilon = 1"),
        block('out = "figure"', "least = true", "most = 2", "epsilon = 1"),
        block('out = "figure"', "least = 0", "most = 1", "epsilon = 1", "groups = 9"),
        block('out = "figure"', "least = 0", "most = 1", "epsilon = 1", 'words = ["a"]'),
        block("epsilon = 1.0"),
        block("seconds = 0"),
        block('counters = ["A row of somebody"]'),
        block(f"counters = {[f'c{n}' for n in range(33)]}"),
    ],
)
def test_anything_else_is_refused(script):
    with pytest.raises(InvalidError) as caught:
        read_plan(script)
    assert caught.value.rule in {"code.block", "code.text", "code.size"}


def test_code_of_ones_own_needs_one_more_person():
    assert approvers_of(["train"], 2) == 2
    assert approvers_of([name_code(b"")], 2) == 3
    assert approvers_of(["sql"], 2) == 3, "any query at all"
    assert approvers_of(["sql:" + "0" * 64], 2) == 2, "one that was reviewed"
