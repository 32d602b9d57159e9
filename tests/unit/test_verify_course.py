"""What was told so far goes on from its state, and costs no more than what is open."""

from __future__ import annotations

import json

from safehold_verify.course import Course


def test_a_course_goes_on_from_its_state() -> None:
    leaves = [
        ("home", 1, -1, {}),
        ("grant", 2, -1, {"state": "approved"}),
        ("access.intent", 3, 1, {}),
        ("index.epoch", 4, -1, {"state": "begin", "epoch": 1}),
        ("key.rotate", 5, -1, {"vkey": "a+1+b"}),
        ("access.result", 6, 2, {"outcome": "ok"}),
        ("index.epoch", 7, 3, {"state": "root", "epoch": 0, "first": 0, "stop": 3, "root": "x"}),
        ("grant", 8, 1, {"state": "revoked"}),
        ("grant.closed", 9, 1, {"state": "revoked", "uses": 1, "first": 2, "last": 2}),
        ("key.rotate", 10, -1, {"vkey": "a+1+b", "state": "retired"}),
    ]
    for cut in range(len(leaves)):
        course = Course()
        for index, (kind, time, ref, facts) in enumerate(leaves):
            if index == cut:
                course = Course.resume(json.loads(json.dumps(course.state())))
            assert course.read(index, kind, time, ref, facts) == []
        assert not course.counts("a+1+b", 10, first=True)
        assert course.counts("a+1+b", 9, first=False)
        assert not course.counts("a+1+b", 4, first=False)
        assert course.counts("a+1+b", 4, first=True)


def test_nothing_closed_is_held() -> None:
    course = Course()
    before = len(json.dumps(course.state()))
    for index in range(0, 40_000, 4):
        course.read(index, "grant", index, -1, {"state": "approved"})
        course.read(index + 1, "access.intent", index, index, {})
        course.read(index + 2, "access.result", index, index + 1, {"outcome": "ok"})
        facts = {"state": "used", "uses": 1, "first": index + 1, "last": index + 1}
        assert course.read(index + 3, "grant.closed", index, index, facts) == []
    assert len(json.dumps(course.state())) < before + 20
    assert course.open_intents == ()


def test_of_stray_results_the_first_in_the_log_is_found() -> None:
    course = Course()
    assert course.pair([(0, 1), (1, 1)], [3, 2], [0, 1]) == []
    assert course.open_intents == ()
    # given in the order of layouts, not of the log
    assert [one.index for one in course.pair([], [9, 5], [0, 1])] == [5]
    assert [one.index for one in Course().pair([(0, 1)], [9, 5], [0, 0])] == [9]
