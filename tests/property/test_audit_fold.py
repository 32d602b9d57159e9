"""The fold of audits: whatever leaves come in whatever order, only what was signed and follows counts."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.canonical import b64, unb64
from safehold.keeper.audits import (
    DOMAIN,
    HOW,
    OPINIONS,
    SEVERITIES,
    Audits,
    Engagement,
    message_of,
)
from safehold.keeper.tightening import DAY_MS, GRACE_DAYS, STEPS, judge
from safehold.signing import SigningKey
from safehold_verify.assize import Assize, holds
from safehold_verify.assize import message_of as verifier_message

KEYS = [SigningKey(bytes([n + 1]) * 32) for n in range(3)]
START = 1_800_000_000_000
STATES = ("engaged", "counted", "begun", "finding", "finding.answered", "finding.closed", "opinion", "ended")  # fmt: skip

step = st.fixed_dictionaries(
    {
        "state": st.sampled_from(STATES),
        "engagement": st.integers(0, 3),  # which of those that there are
        "finding": st.integers(0, 3),
        "key": st.integers(0, 2),
        "own": st.booleans(),  # signed with the key that was engaged, else with any
        "spoilt": st.sampled_from(("", "", "", "fact", "ref", "sig")),
        "severity": st.sampled_from(SEVERITIES),
        "opinion": st.sampled_from(OPINIONS),
        "board": st.booleans(),
        "days": st.integers(0, 90),
    }
)
_PLAIN = {
    "engagement": 0,
    "finding": 0,
    "key": 0,
    "own": True,
    "spoilt": "",
    "board": False,
    "days": 1,
}
_BEGUN = [
    {"state": state, "severity": "critical", "opinion": "adverse", **_PLAIN}
    for state in ("engaged", "begun", "counted", "finding")
]
# half of them come so far that every later step can count
steps = st.one_of(
    st.lists(step, max_size=24), st.lists(step, max_size=20).map(lambda rest: [*_BEGUN, *rest])
)


def play(given: list[dict[str, Any]]) -> tuple[Audits, Assize, list[dict[str, Any]]]:
    """Write the steps as leaves; both folds read them, and agree on what counts."""
    audits, assize, leaves, at = Audits(), Assize(), [], START
    audits.note(0, {"k": "ingest", "t": at})
    leaves.append({"k": "ingest", "t": at})
    for one in given:
        at += one["days"] * DAY_MS
        index = len(leaves)
        leaf = written(audits, one, index, at)
        before = len(audits.all()), [each.opinion for each in audits.all()]
        wrong = audits.take(index, at, leaf.get("ref", -1), leaf["pub"])
        audits.read, audits.latest_ms = index + 1, at
        told = assize.read(index, leaf.get("ref", -1), leaf["pub"])
        if not wrong:
            assert not told, f"{leaf['pub']['state']}: {told}"
        else:
            assert before == (len(audits.all()), [each.opinion for each in audits.all()])
        if wrong and not told:  # the verifier knows less: there the comparison ends
            return audits, assize, leaves
        leaves.append(leaf)
    return audits, assize, leaves


def written(audits: Audits, one: dict[str, Any], index: int, at: int) -> dict[str, Any]:
    known = audits.all()
    about = known[one["engagement"] % len(known)] if known else None
    findings = audits.findings()
    found = findings[one["finding"] % len(findings)] if findings else None
    facts, ref = facts_of(one, about, found, index, at)
    state = str(facts["state"])
    if state != "engaged" and about is not None:
        signer = next(key for key in KEYS if b64(key.public.raw) == about.key)
        signer = signer if one["own"] else KEYS[one["key"]]
        rest = {name: value for name, value in facts.items() if name != "state"}
        text = message_of(about.sha256, ref, state, rest)
        assert text == verifier_message(about.sha256, ref, state, rest)
        facts["sig"] = b64(signer.sign(DOMAIN, text))
    if one["spoilt"] == "fact" and "at" in facts:
        facts["at"] += 1
    if one["spoilt"] == "sig":
        facts["sig"] = b64(bytes(64))
    leaf = {"k": "audit", "t": at, "pub": facts}
    if ref >= 0:
        leaf["ref"] = ref - (one["spoilt"] == "ref" and ref > 0)
    return leaf


def facts_of(
    one: dict[str, Any], about: Engagement | None, found: Any, index: int, at: int
) -> tuple[dict[str, Any], int]:
    state, day = one["state"], at // DAY_MS
    match state:
        case "engaged":
            key = b64(KEYS[one["key"]].public.raw)
            made = {"sha256": f"{index:064x}", "key": key, "org": "0" * 64, "seat": "privacy"}
            return {
                "state": state,
                **made,
                "first": 0,
                "last": 0,
                "starts": day,
                "ends": day + 59,
            }, -1
        case "finding.answered" | "finding.closed" if found is not None and about is not None:
            facts = {"state": state, "at": at}
            if state == "finding.closed":
                facts |= {"engagement": about.index, "how": HOW[0]}
                facts |= {"answer": found.answers[-1]} if found.answers else {}
            return facts, found.index
        case _:
            return about_of(one, about, index, at), -1 if about is None else about.index


def about_of(one: dict[str, Any], about: Engagement | None, index: int, at: int) -> dict[str, Any]:
    facts = {"state": one["state"], "at": at}
    count = 0 if about is None else len(about.findings)
    match one["state"]:
        case "finding":
            return facts | {
                "number": count + 1,
                "severity": one["severity"],
                "sha256": f"{index:064x}",
            }
        case "opinion":
            listed = "" if about is None else about.listed()
            said = {
                "opinion": one["opinion"],
                "size": index,
                "first": 0,
                "last": 0,
                "counters": "c",
            }
            return facts | said | {"findings": count, "listed": listed}
        case "counted":
            return facts | {"counters": "c", "size": index}
        case "ended" if one["board"]:
            return facts | {"by": "board"}
        case _:
            return facts


@given(steps)
@settings(max_examples=80)
def test_both_folds_agree_and_nothing_counts_that_was_not_signed_in_turn(given: Any) -> None:
    audits, assize, leaves = play(given)
    for one in audits.all():
        key = KEYS[[b64(each.public.raw) for each in KEYS].index(one.key)].public.raw
        for index in (one.begun, -1 if one.opinion is None else one.opinion.index):
            if index >= 0:
                assert holds(key, one.sha256, one.index, leaves[index]["pub"])
        if one.opinion is not None:
            assert one.index < one.begun < one.opinion.size <= one.opinion.index
            assert one.opinion.at_ms <= leaves[one.opinion.index]["t"]
        assert [each.number for each in one.findings.values()] == list(
            range(1, len(one.findings) + 1)
        )
        for each in one.findings.values():
            if not each.open:
                facts = leaves[each.closed]["pub"]
                by = audits.find(facts["engagement"])
                assert by is not None
                assert holds(unb64(by.key), by.sha256, each.index, facts)
    assert assize.open_findings() == sum(each.open for each in audits.findings())


@given(steps, st.integers(0, 24))
@settings(max_examples=40)
def test_it_is_the_same_however_it_is_read_and_the_verifier_goes_on_from_its_state(
    given: Any, cut: int
) -> None:
    audits, assize, leaves = play(given)
    again = Audits()
    for index, leaf in enumerate(leaves):
        again.note(index, leaf)
    assert (again.all(), again.findings()) == (audits.all(), audits.findings())
    parted = Assize()
    for index, leaf in enumerate(leaves):
        if index == cut:
            parted = Assize.resume(parted.state())
        if leaf["k"] == "audit":
            parted.read(index, leaf.get("ref", -1), leaf["pub"])
    assert parted.state() == assize.state() or len(leaves) <= len(given)


@given(steps, st.integers(1, 400), st.lists(st.integers(0, 800), min_size=2, max_size=6))
@settings(max_examples=60)
def test_time_alone_never_loosens_and_a_clock_that_stands_back_is_the_newest_leafs(
    given: Any, every: int, days: list[int]
) -> None:
    audits, _, _ = play(given)
    found = [judge(audits, every_days=every, now_ms=START + day * DAY_MS) for day in sorted(days)]
    steps_taken = [STEPS.index(one.step) for one in found]
    assert steps_taken == sorted(steps_taken)
    assert judge(audits, every_days=every, now_ms=0) == judge(
        audits, every_days=every, now_ms=audits.latest_ms
    )
    held = audits.counting()
    begun = START if held is None else held[1].at_ms
    late = judge(audits, every_days=every, now_ms=begun + (every + GRACE_DAYS) * DAY_MS)
    assert late.step == STEPS[2]
    if not late.adverse and audits.latest_ms < begun + every * DAY_MS:
        just = judge(audits, every_days=every, now_ms=begun + every * DAY_MS - 1)
        assert just.step == STEPS[0]
