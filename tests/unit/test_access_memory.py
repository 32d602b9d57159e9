"""A decision that is recalled is the one that would be made."""

from __future__ import annotations

import copy
import random
import tracemalloc
from dataclasses import replace

import pytest
from tests.boardroom import HOUR, NOW, charter, claims, policy, request

from safehold.access import AccessRequest, Agent, Decision, Human
from safehold.access.memory import Memory, _key, bounds, nameless
from safehold.access.policy import _decide, _translate, authorise
from safehold.charter.compile import build
from safehold.charter.rule import Rule
from safehold.errors import ConsentError, DeniedError, RedLineError
from safehold.signing import SigningKey, VerifyKey

PEOPLE = ["ana", "ben", "cleo", "team-1"]
TEAMS = ["team-1", "team-2", "team-10", "ana"]
KEYS = [SigningKey(bytes([number]) * 32).public for number in range(1, 4)]


def outcome(act) -> tuple[object, ...]:
    try:
        found: Decision = act()
    except DeniedError as error:
        return type(error), error.message, error.rule, error.fix
    return found.rules, found.plain


def drawn(rng: random.Random) -> AccessRequest:
    """Return a use that may be allowed, under names drawn anew, with a few of its parts drawn as well."""
    who, team, key = rng.choice(PEOPLE), rng.choice(TEAMS), rng.choice(KEYS)
    asks = rng.choice([Human(id=who, role="data_scientist")] * 3 + [Agent(id=who, operator="ana")])
    given = replace(
        claims(),
        principal=asks,
        segments=frozenset([team, *rng.sample(TEAMS, rng.randint(0, 1))]),
        holder=key,
    )
    changes = {
        "now_us": [NOW + HOUR, NOW + 3 * HOUR, NOW + 5 * HOUR, NOW + 101 * HOUR],
        "expires_us": [NOW + 2 * HOUR],
        "stage": ["feature", "embedding"],
        "people": [49, 51, 70],
        "consent": [False],
        "claims": [None, replace(given, principal=Agent(id="ben", operator=who))],
        "streams": [("key",), ("metric",)],
        "purposes": [()],
        "action": ["see_own_trail"],
        "segment": TEAMS,
        "owner": ["", *PEOPLE],
        "holder": [one.text() for one in KEYS],
    }
    spoiled = {
        name: rng.choice(changes[name])
        for name in rng.sample(sorted(changes), rng.choice([0, 1, 1, 2]))
    }
    return request(
        **({"principal": asks, "claims": given, "segment": team, "holder": key.text()} | spoiled)
    )


def both(memory: Memory, asked: AccessRequest) -> tuple[object, object]:
    """Return what is recalled, and what is decided anew."""
    question, entities = _translate(policy(), asked)

    def fresh() -> Decision:
        return _decide(policy(), asked, question, entities)

    return outcome(lambda: memory.recall(policy(), question, entities, fresh)), outcome(fresh)


def test_what_is_recalled_is_what_would_be_decided() -> None:
    rng, memory, kinds = random.Random(7), Memory(), set()
    for _ in range(400):
        asked = drawn(rng)
        told, fresh = both(memory, asked)
        assert told == fresh
        kinds.add(told[0] if isinstance(told[0], type) else "allowed")
    assert {"allowed", DeniedError, ConsentError, RedLineError} <= kinds
    assert 0 < len(memory._known) < 200  # some came again


def test_the_same_use_by_somebody_else_is_decided_once() -> None:
    made, memory, calls = policy(), Memory(), []

    def known(asked: AccessRequest) -> bool:
        before = len(calls)
        question, entities = _translate(made, asked)
        memory.recall(made, question, entities, lambda: calls.append(1))
        return len(calls) == before

    def asked(team: str, key: VerifyKey, teams: frozenset[str]) -> AccessRequest:
        given = replace(claims(), holder=key, segments=teams)
        return request(claims=given, holder=key.text(), segment=team)

    assert not known(asked("a", KEYS[0], frozenset("ab")))
    assert known(asked("c", KEYS[1], frozenset("cd")))
    assert known(asked("z", KEYS[2], frozenset("az"))), "a set has no order"
    assert not known(asked("c", KEYS[1], frozenset("ab"))), "another team than the grant's"
    assert not known(replace(asked("a", KEYS[0], frozenset("ab")), holder=KEYS[1].text()))
    assert not known(replace(asked("a", KEYS[0], frozenset("ab")), holder=""))
    assert not known(replace(asked("a", KEYS[0], frozenset("ab")), owner="ana"))
    assert not known(replace(asked("a", KEYS[0], frozenset("ab")), purposes=())), "words are words"


@pytest.mark.parametrize(
    "more",
    [
        'context.holder == "x"',
        'principal.sub like "a*"',
        'resource.segment == "team-1"',
        'context.grant_segments.contains("x")',
        'principal == Human::"ana"',
        'resource in Dataset::"x"',
        'principal.operator != ""',
        'principal has "operator"',
        'context["holder"] == "x"',
        "resource == principal",
        'Human::"ana" == principal',
        'principal .sub == "ana"',
        'principal. sub == "ana"',
        '(principal).sub == "ana"',
        '(principal)["s\\u{75}b"] == "ana"',
        '(context)["holder"] == "x"',
        '[principal].contains(Human :: "ana")',
        '(if resource.owner == "" then "ana" else principal.sub) == "ana"',
        "[context].contains(context)",
    ],
)
def test_a_policy_that_asks_more_of_a_name_is_remembered_by_name(more: str) -> None:
    made = policy()
    assert nameless(made.cedar)
    odd = replace(
        made, cedar=made.cedar + f"forbid(principal, action, resource) when {{ {more} }};"
    )
    assert not nameless(odd.cedar)
    memory, calls = Memory(), []
    for team in ("a", "b", "a"):
        question, entities = _translate(odd, request(segment=team))
        memory.recall(odd, question, entities, lambda: calls.append(1))
    # what is looked up under a text could be the moment as well: that is not remembered at all
    assert len(calls) == (3 if '["' in more else 2)


def test_a_refusal_that_is_recalled_is_a_new_error() -> None:
    made, asked = policy(), request(consent=False)
    errors = []
    for _ in range(2):
        with pytest.raises(ConsentError) as caught:
            authorise(made, asked)
        errors.append(caught.value)
    errors[0].entry = 7
    assert errors[1].entry is None


def test_the_end_of_grant_and_data_is_seen_however_often_it_was_allowed() -> None:
    made, asked = policy(), request()
    for _ in range(3):
        assert authorise(made, asked)
    for late in (claims().expires_us, claims().grant_expires_us + 1):
        with pytest.raises(DeniedError) as caught:
            authorise(made, replace(asked, now_us=late))
        assert caught.value.rule == "charter.guard.grant-expired"
    with pytest.raises(DeniedError) as caught:
        authorise(made, replace(asked, expires_us=asked.now_us))
    assert caught.value.rule == "charter.guard.retention"


def test_another_policy_of_the_same_charter_is_asked_itself() -> None:
    made, asked = policy(), request()
    assert authorise(made, asked)
    closed = build(charter(), [rule for rule in made.rules if rule.kind != "permit"])
    with pytest.raises(DeniedError):
        authorise(closed, asked)
    assert authorise(made, asked)


def test_a_policy_that_asks_more_of_the_moment_is_never_remembered() -> None:
    made = policy()
    assert bounds(made.cedar) == (50,)
    for more in (
        "now < 5",
        "now > resource.expires",
        "people > 3",
        "people < 3 + 1, context.people",
        "people < 3 * 30",
        "people < 3 + resource.assurance",
        "now < resource.expires - 5",
        "now < 5 || context .people < 3",
        'now < 5 || context["people"] < 3',
        'gates.isEmpty() || (context)["people"] < 3',
        'gates.isEmpty() || context["\\u{6e}ow"] > 5',
        "gates.isEmpty() || context . now > 5",
        "gates.isEmpty() || 3 * context.people < 60",
        'gates.isEmpty() || // "\n context .now > 5 || resource.owner == "',
    ):
        assert (
            bounds(f"{made.cedar} forbid(principal, action, resource) when {{ context.{more} }};")
            is None
        )
    asked, memory, calls = request(), Memory(), []
    question, entities = _translate(made, asked)
    odd = replace(made, cedar=made.cedar + " // context.now > 1")
    for _ in range(2):
        memory.recall(odd, question, entities, lambda: calls.append(1))
    assert len(calls) == 2


def test_a_policy_that_reckons_with_the_number_of_people_decides_each_time() -> None:
    made = policy()
    odd = build(
        charter(),
        [
            *made.rules,
            Rule(
                id="guard.odd",
                kind="guard",
                plain="odd",
                head="forbid(principal, action, resource)",
                terms=("context.people < 30 * 2",),
            ),
        ],
    )
    memory = Memory()
    for people, allowed in ((70, True), (55, False), (70, True)):
        asked = request(people=people)
        question, entities = _translate(odd, asked)
        told = outcome(
            lambda q=question, e=entities, a=asked: memory.recall(
                odd, q, e, lambda: _decide(odd, a, q, e)
            )
        )
        assert (told[0] is not DeniedError) == allowed


def test_no_more_is_kept_than_there_is_room_for() -> None:
    made, memory = policy(), Memory(most=3)
    for number in range(10):
        question, entities = _translate(made, request(silos=(f"silo-{number}",)))
        memory.recall(made, question, entities, lambda: "allowed")
    assert len(memory._known) == 3


def test_a_decision_that_is_kept_takes_less_than_a_kilobyte() -> None:
    made, memory = policy(), Memory()
    asked = [_translate(made, request(silos=(f"silo-{number}",))) for number in range(500)]
    tracemalloc.start()
    try:
        for question, entities in asked:
            memory.recall(made, question, entities, lambda: "allowed")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000 * len(asked)
    assert len(memory._known) == len(asked)


@pytest.mark.parametrize("rename", [True, False])
def test_each_part_of_what_is_asked_is_part_of_what_is_compared(rename: bool) -> None:
    question, entities = _translate(policy(), request())

    def key_of(change) -> bytes:
        asked, things = copy.deepcopy(question), copy.deepcopy(entities)
        change(asked, things)
        return _key((50,), asked, things, rename=rename)

    plain = key_of(lambda _asked, _things: None)
    changes = [
        lambda _asked, things: things[0]["uid"].update(type="Safehold::Other"),
        lambda _asked, things: things[0]["attrs"].update(role="other"),
        lambda asked, _things: asked["action"].update(id="other"),
        lambda _asked, things: things[1]["uid"].update(type="Safehold::Other"),
        lambda _asked, things: things[1]["attrs"].update(stage="other"),
        lambda asked, _things: asked["context"].update(consent="other"),
        lambda asked, _things: asked["principal"].update(id="other"),
        lambda asked, _things: asked["context"].update(people=49),
    ]
    assert len({plain, *map(key_of, changes)}) == len(changes) + 1
    assert key_of(lambda asked, _things: asked["context"].update(people=1_000)) == plain


def test_what_one_policy_decided_is_nothing_to_another_and_both_are_kept() -> None:
    one, memory, calls = policy(), Memory(), []
    other = build(charter(), list(one.rules))
    question, entities = _translate(one, request())

    def decide(name: str) -> str:
        calls.append(name)
        return name

    for _ in range(2):
        for made, name in ((one, "one"), (other, "other")):
            assert memory.recall(made, question, entities, lambda n=name: decide(n)) == name
    assert calls == ["one", "other"]
    # a place in memory that another policy had before
    (first, (_, said)), *_ = memory._known.items()
    memory._known[first] = (object(), said)
    assert memory.recall(one, question, entities, lambda: "anew") == "anew"
