"""Agents that try to get more than people gave them: each is refused by a named rule, with an entry of the ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.agency import Agency, with_agents
from tests.identities import POLICY, Somebody, workload
from tests.keeper_desk import CROWD, Bench, copy_bench, found_bench, script_training

from safehold.access import Agent, Holder, Human
from safehold.access.identity import jose
from safehold.clock import SECOND_US
from safehold.errors import SafeholdError
from safehold.signing import SigningKey

RESOURCE = "http://127.0.0.1:7400/mcp"


class House(Agency):
    """Ana has a grant, and an agent with a grant under it; bo has a grant of his own."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.ana, self.bo = self.person("ana"), self.person("bo")
        self.helper = self.agent("helper", "ana")
        self.second = self.agent("second", "ana")
        self.third = self.agent("third", "ana")
        self.other = self.agent("other", "bo")
        self.grant, self.holder = self.operator(self.ana)
        self.bos, _ = self.operator(self.bo)
        self.below_ana = self.below(self.helper, self.grant.id)
        self.token = self.give(self.helper, self.below_ana)


@pytest.fixture(scope="module")
def founded(tmp_path_factory) -> Bench:
    bench = found_bench(
        tmp_path_factory.mktemp("agents"), people=CROWD, charter=with_agents()
    ).start()
    bench.take(*CROWD)
    bench.call("feature", purpose="train_ui_agent")
    bench.stop()
    return bench


@pytest.fixture(scope="module")
def house(founded, tmp_path_factory) -> House:
    """For attempts that change nothing."""
    bench = copy_bench(founded, tmp_path_factory.mktemp("house")).start()
    script_training(bench)
    yield House(bench)
    bench.stop()


@pytest.fixture
def fresh(founded, tmp_path) -> House:
    """For what changes something."""
    bench = copy_bench(founded, tmp_path).start()
    script_training(bench)
    yield House(bench)
    bench.stop()


def refuse(house: Agency, rule: str, function, /, *arguments, **named) -> SafeholdError:
    """Pass if it is refused by a rule, and the ledger says so."""
    with pytest.raises(SafeholdError) as caught:
        function(*arguments, **named)
    assert caught.value.rule == rule, caught.value.message
    assert caught.value.entry is not None
    (leaf,) = house.bench.desk.ledger.leaves(caught.value.entry, caught.value.entry + 1)
    assert leaf[1]["k"] == "refusal"
    assert house.bench.desk.ledger.detail(caught.value.entry)["detail"]["rule"] == rule
    return caught.value


def ask(house: Agency, who: Somebody, grant) -> None:
    who.ask("request.new", grant=grant.to_json())


def test_an_agent_trains_under_its_operators_grant(fresh):
    assert fresh.train(fresh.helper, fresh.token)["artifact"]
    (mine,) = fresh.helper.ask("counter.show")["grants"]
    assert (mine["runs"], mine["depth"], mine["parent"]) == (1, 1, fresh.grant.id)
    # what an agent used is used above it, and one run spends all the epsilon of this grant
    refuse(fresh, "grant.epsilon", fresh.train, fresh.ana, fresh.holder)


def test_features_are_built_whole_or_not_at_all(house):
    """There is one set of features for each purpose; an agent must not leave people or columns out of it."""
    builder = house.agent("builder", "ana", recipes=["feature"], rows=1 << 40, bytes=1 << 40)
    grant, _ = house.operator(house.ana, recipe="feature", id="grant_features")
    part = house.below(builder, grant.id, recipe="feature")
    columns = sorted(set(grant.columns) - {grant.columns[0]})
    part = replace(part, id="grant_part", columns=tuple(columns))
    token = house.give(builder, part)
    use = house.use(token, "feature.granted")
    refuse(house, "feature.whole", builder.ask, "feature.granted", **use)
    token = house.give(builder, house.below(builder, grant.id, recipe="feature"))
    made = builder.ask("feature.granted", **house.use(token, "feature.granted"))
    assert made["people"] == len(CROWD)
    refuse(house, "door.agent", builder.ask, "feature", purpose="train_ui_agent")


def test_two_steps_and_no_further(fresh):
    second = fresh.below(fresh.second, fresh.below_ana.id)
    assert second.depth == 2
    fresh.give(fresh.second, second)
    said = fresh.bench.desk.ledger
    chain = [
        leaf["pub"]["parent"] for _, leaf in said.leaves() if leaf.get("pub", {}).get("parent")
    ]
    assert len(chain) == 2
    with pytest.raises(SafeholdError) as caught:
        fresh.below(fresh.third, second.id)
    assert caught.value.rule == "grant.shape"
    # a third step that says it is the second
    third = replace(second, id="grant_x", parent=second.id, depth=2)
    third = replace(
        third, requester=Agent(id="third", operator="ana"), holder=fresh.third.key.public
    )
    refuse(fresh, "agent.depth", ask, fresh, fresh.third, third)
    # or the first
    refuse(fresh, "agent.depth", ask, fresh, fresh.third, replace(third, depth=1))


def test_a_charter_may_forbid_to_delegate(house, monkeypatch):
    trust = house.bench.desk.trust
    below = house.below(house.second, house.below_ana.id)
    real = type(trust).charter
    # the charter in force is the one the grant was given under, but for this word
    monkeypatch.setattr(type(trust), "charter", lambda self: _Strict(real(self)))
    refuse(house, "agent.delegate", ask, house, house.second, below)


class _Strict:
    """A charter whose agents may not delegate."""

    def __init__(self, charter) -> None:
        self._charter = charter

    def __getattr__(self, name):
        return getattr(self._charter, name)

    def role(self, name):
        role = self._charter.role(name)
        return replace(role, may_delegate=False) if name == "agent" else role


WIDER = {
    "segments": {"segments": ("us-ca.feature", "us-wa.feature", "de.feature")},
    "stages": {"stages": ("training", "feature")},
    "first_day": {"first_day": 1},
    "last_day": {"last_day": 1 << 20},
    "people": {"people": "ab" * 32},
    "charter": {"charter": "ab" * 32},
    "rows": {"max_rows": None},
    "rate": {"max_per_hour": None},
    "epsilon": {"epsilon_micro": None},
}


@pytest.mark.parametrize("what", sorted(WIDER))
def test_wider_than_the_grant_above(house, what):
    wide = house.below(house.helper, house.grant.id)
    changes = {
        name: value if value is not None else getattr(house.grant, name) + 1
        for name, value in WIDER[what].items()
    }
    # what its own policy bounds lower is refused by that
    rule = (
        "agent.rows" if what == "rows" and house.grant.max_rows >= POLICY["rows"] else "agent.wider"
    )
    refuse(house, rule, ask, house, house.helper, replace(wide, **changes))


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("agent.runs", {"max_runs": POLICY["runs"] + 1}),
        ("agent.bytes", {"max_bytes": POLICY["bytes"] + 1}),
        ("agent.recipe", {"recipes": ("train", "reidentify")}),
        ("agent.purpose", {"purpose": "another"}),
        ("agent.parent", {"parent": "grant_nobody"}),
    ],
)
def test_beyond_its_own_policy(house, rule, changes):
    refuse(house, rule, ask, house, house.helper,
           replace(house.below(house.helper, house.grant.id), **changes))  # fmt: skip


def test_under_another_operators_grant(house):
    mine = house.below(house.helper, house.grant.id)
    refuse(house, "agent.operator", ask, house, house.helper, replace(mine, parent=house.bos.id))
    # or in the name of another operator: a forged chain
    forged = replace(mine, parent=house.bos.id, requester=Agent(id="helper", operator="bo"))
    refuse(house, "principal.claimed", ask, house, house.helper, forged)
    # or in the name of another agent
    forged = replace(mine, requester=Agent(id="other", operator="bo"))
    refuse(house, "principal.claimed", ask, house, house.helper, forged)


def test_an_agent_as_its_operator(house):
    own = house.draft(house.ana, id="grant_own")
    refuse(house, "principal.claimed", ask, house, house.helper, own)
    refuse(house, "principal.claimed", house.bench.call, "request.new", grant=own.to_json())
    refuse(house, "principal.claimed", house.train, house.helper, house.holder)
    refuse(house, "principal.claimed", house.bench.call, "train", **house.use(house.holder))
    person = replace(own, id="grant_p", requester=Human(id="helper", role="data_scientist"))
    refuse(house, "principal.claimed", ask, house, house.helper, person)


def test_the_operators_token_with_the_agents_key(house):
    stolen = Holder(house.holder.token, house.helper.key)
    refuse(house, "capability.holder", house.train, house.helper, stolen)
    refuse(house, "capability.holder", house.train, house.ana, stolen)


def test_the_agents_token_in_a_persons_hands(house):
    refuse(house, "principal.claimed", house.train, house.ana, house.token)
    refuse(house, "principal.claimed", house.train, house.second, house.token)
    refuse(house, "principal.claimed", house.bench.call, "train", **house.use(house.token))
    stolen = Holder(house.token.token, house.ana.key)
    refuse(house, "capability.holder", house.train, house.ana, stolen)


def test_a_grant_held_by_somebody_elses_key(house):
    mine = house.below(house.helper, house.grant.id)
    for key in (house.ana.key, house.second.key, SigningKey.generate()):
        held = replace(mine, holder=key.public)
        refuse(house, "agent.holder", ask, house, house.helper, held)


@pytest.mark.parametrize(
    "verb",
    ["agent.enrol", "principal.enrol", "principal.restore", "grant.revoke", "request.decide", "charter.propose",
     "charter.vote", "board.rotate", "resume", "stop", "people.choose", "feature", "ledger.rotate"],
)  # fmt: skip
def test_what_an_agent_never_does(house, verb):
    refuse(house, "door.agent", house.helper.ask, verb, principal="helper", operator="ana")


def test_an_agent_approves_with_a_seats_signature_in_its_hands(house):
    mine = house.below(house.helper, house.grant.id)
    price = house.helper.ask("request.new", grant=mine.to_json())["price"]
    signed = house.approvals(mine, price, "privacy")[0]
    refuse(
        house, "door.agent", house.helper.ask, "request.decide", request=mine.id, approval=signed
    )
    # nor does the operator count, whichever seat they hold: see test_access_widening


def test_nothing_without_approval(house):
    mine = house.below(house.helper, house.grant.id)
    price = house.helper.ask("request.new", grant=mine.to_json())["price"]
    for seats in ((), ("privacy",), ("privacy", "privacy")):
        approvals = house.approvals(mine, price, *seats) if seats else []
        refuse(house, "approval.quorum", house.helper.ask, "grant.enact",
               grant=mine.to_json(), approvals=approvals)  # fmt: skip


def test_an_agent_sees_its_own_requests_only(house):
    own = house.draft(house.ana, id="grant_seen")
    ask(house, house.ana, own)
    refuse(house, "principal.claimed", house.helper.ask, "request.show", request=own.id)
    refuse(house, "door.agent", house.helper.ask, "request.list")
    refuse(house, "agent.via", house.helper.ask, "agent.show", agent="other")


ENDS = {
    "revoked": ("agent.parent-ended", lambda house: house.bench.call("grant.revoke", grant=house.grant.id)),
    "operator suspended": ("agent.operator-ended", lambda house: house.bench.call("principal.suspend", principal="ana")),
    "operator gone": ("agent.operator-ended", lambda house: house.bench.call("principal.remove", principal="ana")),
    "operator signed off": ("agent.operator-off", lambda house: house.ana.ask("session.end", off=True)),
    "review overdue": ("agent.review", lambda house: setattr(house.bench.verbs.descent, "_overdue", lambda who: ["grant_old"])),
    "agent suspended": ("principal.suspended", lambda house: house.bench.call("agent.suspend", agent="helper")),
    "own revoked": ("grant.revoked", lambda house: house.bench.call("grant.revoke", grant=house.below_ana.id)),
}  # fmt: skip


@pytest.mark.parametrize("why", sorted(ENDS))
def test_an_agent_ends_with_what_stands_above_it(fresh, why):
    rule, end = ENDS[why]
    end(fresh)
    refuse(fresh, rule, fresh.train, fresh.helper, fresh.token)


def test_an_agent_drafts_nothing_under_a_strangers_grant(fresh):
    grant, _ = fresh.operator(fresh.person("bea"), id="grant_bea")
    refuse(fresh, "agent.operator", fresh.below, fresh.helper, grant.id)


def test_an_agent_is_back_when_its_operator_is(fresh):
    fresh.ana.ask("session.end", off=True)
    refuse(fresh, "agent.operator-off", fresh.train, fresh.helper, fresh.token)
    fresh.ana.sign_in()
    assert fresh.train(fresh.helper, fresh.token)["artifact"]


def test_an_agent_ends_when_the_grant_above_is_over(fresh):
    # the operator's grant ends after 10 minutes; the agent's token would live for 15
    grant, _ = fresh.operator(fresh.ana, id="grant_short", minutes=10)
    below = fresh.below(fresh.helper, grant.id, minutes=30)
    token = fresh.give(fresh.helper, below)
    fresh.bench.clock.advance(601 * SECOND_US)
    refuse(fresh, "agent.parent-ended", fresh.train, fresh.helper, token)


def test_an_agents_token_lives_a_quarter_of_an_hour(fresh):
    fresh.bench.clock.advance(901 * SECOND_US)
    fresh.helper.sign_in()
    refuse(fresh, "capability.expired", fresh.train, fresh.helper, fresh.token)


def test_the_operators_grant_revoked_while_it_is_decided(fresh):
    """The check at the door has passed; the leaf of the use is appended only if all above it still holds."""
    bench = fresh.bench
    admit = bench.verbs.grants.admit

    def late(arguments, use):
        admitted = admit(arguments, use)
        bench.call("grant.revoke", grant=fresh.grant.id)
        return admitted

    bench.verbs.grants.admit = late
    refuse(fresh, "agent.parent-ended", fresh.train, fresh.helper, fresh.token)
    assert bench.leaves().count("access.intent") == 1  # that of the features


def test_a_restart_forgets_none_of_it(fresh):
    fresh.train(fresh.helper, fresh.token)
    fresh.bench.restart()
    script_training(fresh.bench)
    trust, grants = fresh.bench.desk.trust, fresh.bench.verbs.grants
    entry, above = grants.records.find(fresh.below_ana.id), grants.records.find(fresh.grant.id)
    assert trust.above(entry) == [above]
    refuse(fresh, "grant.epsilon", fresh.train, fresh.ana, fresh.holder)


# -- tools, and tokens for a server ----------------------------------------------------------------


DIGEST = "ab" * 32


def test_every_call_of_a_tool_is_a_leaf(house):
    entry = house.helper.ask("tool.call", agent="helper", tool="show_budget", digest=DIGEST)[
        "entry"
    ]
    said = house.bench.desk.ledger.detail(entry)
    assert (said["actor"], said["object"]) == ("helper", "show_budget")
    assert said["detail"]["operator"] == "ana"
    refuse(
        house,
        "tool.unknown",
        house.helper.ask,
        "tool.call",
        agent="helper",
        tool="approve",
        digest=DIGEST,
    )
    refuse(
        house,
        "agent.via",
        house.helper.ask,
        "tool.call",
        agent="other",
        tool="train",
        digest=DIGEST,
    )
    refuse(
        house,
        "agent.via",
        house.bench.call,
        "tool.call",
        agent="helper",
        tool="train",
        digest=DIGEST,
    )


def test_an_agent_that_calls_without_end(house):
    runaway = house.agent("runaway", "ana", calls=3)
    call = {"agent": "runaway", "tool": "show_budget", "digest": DIGEST}
    for _ in range(3):
        runaway.ask("tool.call", **call)
    refuse(house, "tool.rate", runaway.ask, "tool.call", **call)
    house.bench.clock.advance(61 * SECOND_US)
    runaway.ask("tool.call", **call)


def assertion(who: Somebody, now_us: int, /, **changes) -> str:
    now = now_us // SECOND_US
    claims = {
        "iss": who.id,
        "sub": who.id,
        "aud": RESOURCE,
        "iat": now,
        "exp": now + 60,
        "jti": "one",
    }
    return jose.sign(claims | changes, changes.pop("key", who.key), typ="JWT")


def test_a_token_comes_through_the_workload_that_was_named(house):
    gate, other = workload(house.bench.call, "gate"), workload(house.bench.call, "gate2")
    from tests.identities import agent

    robot = agent(house.bench.call, "robot", "ana", via="gate")
    now = house.bench.clock.now_us()
    asked = {"agent": "robot", "resource": RESOURCE}
    made = gate.ask("agent.token", **asked, assertion=assertion(robot, now))
    issuer = robot.ask("agent.show")
    said = jose.verify_with(
        made["access_token"], issuer["token_key"], rule="mcp", typ="at+jwt"
    ).claims
    assert (said["aud"], said["sub"], said["act"]) == (RESOURCE, "ana", {"sub": "robot"})
    assert said["exp"] - said["iat"] <= 900
    for rule, text in (
        ("agent.assertion.replay", assertion(robot, now)),
        ("agent.assertion.audience", assertion(robot, now, aud="http://127.0.0.1:1/mcp")),
        ("agent.assertion.audience", assertion(robot, now, sub="ana")),
        ("agent.assertion.time", assertion(robot, now, exp=now // SECOND_US)),
        ("agent.assertion.time", assertion(robot, now, exp=now // SECOND_US + 61)),
        ("agent.assertion.replay", assertion(robot, now, jti="")),
        ("agent.assertion.signature", assertion(replace(robot, key=house.ana.key), now, jti="x")),
        ("agent.assertion.shape", "no.assertion"),
    ):
        refuse(house, rule, gate.ask, "agent.token", **asked, assertion=text)
    refuse(
        house,
        "agent.via",
        other.ask,
        "agent.token",
        **asked,
        assertion=assertion(robot, now, jti="y"),
    )
    refuse(house, "agent.via", house.ana.ask, "agent.token", **asked)
    refuse(house, "agent.via", house.bench.call, "agent.token", **asked)
