"""However often a typist errs, the corrections leave the text that was meant."""

from hypothesis import given
from hypothesis import strategies as st

from safehold.workforce.keyboard import BACKSPACE, DELETE, END, ERASE_WORD, LEFT, strike
from safehold.workforce.spec import Draw, generator

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)
WORDS = st.lists(st.sampled_from(["report", "the", "new", "list", "42"]), max_size=12).map(" ".join)


def _replay(ops):
    left, right = [], []
    for op in ops:
        if op == BACKSPACE:
            left.pop()
        elif op == DELETE:
            right.pop()
        elif op == LEFT:
            right.append(left.pop())
        elif op == END:
            left, right = left + right[::-1], []
        elif op == ERASE_WORD:
            while left and not chr(left[-1]).isalnum():
                left.pop()
            while left and chr(left[-1]).isalnum():
                left.pop()
        else:
            left.append(op)
    assert not right
    return bytes(left).decode()


@given(text=PRINTABLE | WORDS, seed=st.integers(0, 2**32), rate=st.floats(0.01, 0.6))
def test_corrections_leave_the_text(text, seed, rate):
    ops = strike(text, rate=rate, draw=Draw(generator(seed, 0)))
    assert _replay(ops) == text


def test_errors_happen():
    text = "the new report for the client " * 300
    ops = strike(text, rate=0.1, draw=Draw(generator(1, 0)))
    assert {BACKSPACE, DELETE, END, ERASE_WORD, LEFT} <= set(ops)
