"""Attempts to get more than was agreed to; each is refused by a named rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import biscuit_auth as biscuit
import pytest
from tests import boardroom
from tests.boardroom import (
    HOUR,
    KEYS,
    MESSAGE,
    MINT,
    NONCE,
    NOW,
    approvals,
    demand,
    grant,
    present,
    token,
)

from safehold.access import (
    Agent,
    Grant,
    Holder,
    Human,
    Nonces,
    Workload,
    approve,
    attenuate,
    capability,
    mint,
    read_claims,
    revocation_ids,
    verify_approvals,
)
from safehold.access.approval import Approval
from safehold.access.principal import from_json, to_json
from safehold.access.proof import NONCE_LIFE_US
from safehold.errors import DeniedError, InvalidError, QuorumError, SafeholdError, SignInError
from safehold.signing import SigningKey


def refuse(rule: str, text: str, **changes) -> SafeholdError:
    with pytest.raises((DeniedError, SignInError)) as caught:
        present(text, **changes)
    assert caught.value.rule == rule
    return caught.value


def test_the_holder_gets_what_was_agreed():
    claims = present(token())
    assert claims.purpose == "train_ui_agent"
    assert claims.streams == {"key", "feature"}
    assert claims.approvals == 2
    assert claims.expires_us - NOW <= HOUR


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ("capability.purpose", {"purpose": "secure_the_pipeline"}),
        ("capability.segment", {"segment": "team-2"}),
        ("capability.stream", {"streams": ("chat",)}),
        ("capability.stream", {"streams": ("feature", "chat")}),
        ("capability.stream", {"streams": ()}),
        ("capability.stage", {"stage": "embedding"}),
        ("capability.recipe", {"recipe": "dump"}),
    ],
)
def test_more_than_the_grant(rule, asked):
    refuse(rule, token(), demand=demand(**asked))


def test_another_key():
    refuse("capability.holder", token(), key=SigningKey(b"x" * 32))


def test_a_proof_for_another_message_nonce_or_token():
    text = token()
    refuse("capability.holder", text, signed=b"something else")
    other = Holder(text, boardroom.HOLDER).prove(b"o" * 32, MESSAGE)
    refuse("capability.holder", text, proof=other)
    narrowed = attenuate(text, MINT.public, max_rows=1)
    wide = Holder(narrowed, boardroom.HOLDER).prove(NONCE, MESSAGE)
    refuse("capability.holder", text, proof=wide)
    refuse("capability.holder", text, proof=b"")


def test_a_nonce_counts_once_and_for_a_minute():
    nonces = Nonces()
    nonce = nonces.issue(NOW)
    assert nonces.spend(nonce, NOW + 1) == nonce
    for stale in (nonce, b"made up"):
        with pytest.raises(SignInError) as caught:
            nonces.spend(stale, NOW + 2)
        assert caught.value.rule == "capability.nonce"
    late = nonces.issue(NOW)
    with pytest.raises(SignInError):
        nonces.spend(late, NOW + NONCE_LIFE_US)


def test_expired():
    refuse("capability.expired", token(), now_us=NOW + HOUR + 2)


def test_the_token_itself_ends_even_where_the_claims_are_not_asked():
    short = attenuate(token(), MINT.public, expires_us=NOW + 60_000_000)
    assert present(short, now_us=NOW + 10)
    refuse("capability.check", short, now_us=NOW + 61_000_000)


def test_revoked_by_any_block():
    text = token()
    narrowed = attenuate(text, MINT.public, max_rows=5)
    first, second = revocation_ids(narrowed, MINT.public)
    refuse("capability.revoked", narrowed, revoked={first})
    refuse("capability.revoked", narrowed, revoked={second})
    refuse("capability.revoked", text, revoked={first})
    assert present(text, revoked={second})


def test_tampered_or_minted_by_somebody_else():
    text = token()
    place = len(text) // 2
    for changed in ("A", "B"):
        if text[place] != changed:
            refuse("capability.signature", text[:place] + changed + text[place + 1 :])
    agreed = decide(grant(), approvals(grant(), "privacy", "legal"))
    refuse("capability.signature", mint(agreed, b"e" * 32, begun_us=NOW, now_us=NOW + 2))
    refuse("capability.signature", "")
    refuse("capability.size", "A" * 20_000)


@pytest.mark.parametrize(
    "claim",
    [
        'right_stream("chat");',
        'right_segment("team-2"); right_stage("embedding"); right_recipe("dump");',
        'right_stream("chat"); claim_purpose("secure_the_pipeline");',
        'claims("x");',
    ],
)
def test_a_later_block_that_claims_rights_widens_nothing(claim):
    key = biscuit.PublicKey.from_bytes(MINT.public.raw, biscuit.Algorithm.Ed25519)
    forged = (
        biscuit.Biscuit.from_base64(token(), key).append(biscuit.BlockBuilder(claim)).to_base64()
    )
    claims = present(forged)
    assert (claims.streams, claims.segments) == ({"key", "feature"}, {"team-1"})
    refuse("capability.stream", forged, demand=demand(streams=("chat",)))
    refuse("capability.segment", forged, demand=demand(segment="team-2"))
    refuse("capability.purpose", forged, demand=demand(purpose="secure_the_pipeline"))


def test_a_later_block_cannot_lengthen_its_own_life():
    key = biscuit.PublicKey.from_bytes(MINT.public.raw, biscuit.Algorithm.Ed25519)
    parent = biscuit.Biscuit.from_base64(token(), key)
    longer = parent.append(
        biscuit.BlockBuilder("time(2026-01-01T00:00:00Z); claim_expires_us(99999999999999999);")
    )
    refuse("capability.expired", longer.to_base64(), now_us=NOW + 2 * HOUR)


def test_a_third_party_block_widens_nothing():
    key = biscuit.PublicKey.from_bytes(MINT.public.raw, biscuit.Algorithm.Ed25519)
    other = biscuit.KeyPair()
    parent = biscuit.Biscuit.from_base64(token(), key)
    block = parent.third_party_request().create_block(
        other.private_key, biscuit.BlockBuilder('right_stream("chat");')
    )
    forged = parent.append_third_party(other.public_key, block).to_base64()
    refuse("capability.stream", forged, demand=demand(streams=("chat",)))


def test_narrowed_means_narrowed():
    narrow = attenuate(token(), MINT.public, streams=["feature"], stages=["training"], max_rows=10)
    assert present(narrow, demand=demand(rows=10))
    for asked in (
        {"streams": ("key",)},
        {"streams": ("feature", "key")},
        {"stage": "feature"},
        {"rows": 11},
    ):
        refuse("capability.check", narrow, demand=demand(**asked))
    refuse("capability.check", narrow, demand=None)
    wider = attenuate(narrow, MINT.public, streams=["feature", "key"])
    refuse("capability.check", wider, demand=demand(streams=("key",)))
    nothing = attenuate(token(), MINT.public, streams=[])
    refuse("capability.check", nothing)
    deep = narrow
    for _ in range(4):
        deep = attenuate(deep, MINT.public, max_rows=9)
    refuse("capability.blocks", deep)
    with pytest.raises(InvalidError):
        attenuate(token(), MINT.public)


def decide(asked: Grant, given: list[Approval], people=None):
    return verify_approvals(
        asked, boardroom.price(asked), given, boardroom.roster(people), boardroom.charter()
    )


def test_approvals_that_do_not_count():
    asked = grant()
    one = approvals(asked, "privacy")
    cases = {
        "too few": one,
        "the same seat twice": [*one, *approvals(asked, "privacy", at_us=NOW + 2)],
        "forged": [
            *one,
            approve(asked, boardroom.price(asked), "legal", SigningKey(b"x" * 32), now_us=NOW + 1),
        ],
        "for another hash": [*one, *approvals(grant(purpose="secure_the_pipeline"), "legal")],
        "moved to this hash": [
            *one,
            replace(approvals(grant(max_runs=9), "legal")[0], grant=asked.digest()),
        ],
        "moved to another seat": [*one, replace(one[0], seat="legal")],
        "a seat that is none": [*one, replace(one[0], seat="king")],
        "before it was asked": [*one, *approvals(asked, "legal", at_us=NOW - 1)],
        "a day late": [*one, *approvals(asked, "legal", at_us=NOW + 25 * HOUR)],
        "time changed": [
            *one,
            replace(approvals(asked, "legal", at_us=NOW + 25 * HOUR)[0], at_us=NOW + 1),
        ],
        "a charter signature": [
            *one,
            replace(
                one[0],
                seat="legal",
                value=KEYS["legal"].sign("safehold.charter.v2", one[0].message()),
            ),
        ],
    }
    for name, given in cases.items():
        with pytest.raises(QuorumError) as caught:
            decide(asked, given)
        assert caught.value.rule == "approval.quorum", name


def test_one_person_in_two_seats_counts_once_and_the_requester_never():
    asked = grant()
    given = approvals(asked, "privacy", "legal")
    with pytest.raises(QuorumError):
        decide(asked, given, {"privacy": "bob", "legal": "bob"})
    with pytest.raises(QuorumError):
        decide(asked, given, {"legal": "ana"})
    assert decide(asked, [*given, *approvals(asked, "hr")], {"legal": "ana"}).approvals


def test_an_agents_operator_does_not_approve_for_it():
    charter = boardroom.charter("example")
    asked = grant(
        requester=Agent(id="bot", operator="ana"), stages=("training",), charter=charter.digest().hex(),
        expires_us=NOW + HOUR // 2, minutes=30,
    )  # fmt: skip
    given = approvals(asked, "privacy", "legal")
    with pytest.raises(QuorumError):
        verify_approvals(
            asked, boardroom.price(asked), given, boardroom.roster({"legal": "ana"}), charter
        )
    agreed = verify_approvals(asked, boardroom.price(asked), given, boardroom.roster(), charter)
    text = mint(agreed, MINT.seed(), begun_us=NOW, now_us=NOW + 2)
    claims = present(text)
    assert claims.principal == asked.requester
    assert claims.expires_us - NOW <= 15 * 60 * 1_000_000


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"requester": Human(id="bot", role="agent")}, "grant.kind"),
        ({"requester": Agent(id="bot", operator="ana", role="data_scientist")}, "grant.kind"),
        ({"max_runs": 1_000_000}, "grant.runs"),
    ],
)
def test_a_grant_beyond_what_an_agent_may_have(changes, rule):
    charter = boardroom.charter("example")
    asked = grant(
        requester=Agent(id="bot", operator="ana"), stages=("training",), charter=charter.digest().hex(),
        expires_us=NOW + HOUR // 2, minutes=30,
    )  # fmt: skip
    asked = replace(asked, **changes)
    with pytest.raises(DeniedError) as caught:
        verify_approvals(
            asked,
            boardroom.price(asked),
            approvals(asked, "privacy", "legal"),
            boardroom.roster(),
            charter,
        )
    assert caught.value.rule == rule


def test_one_denial_ends_it_and_a_forged_one_does_not():
    asked = grant()
    given = approvals(asked, "privacy", "legal")
    no = approve(asked, boardroom.price(asked), "hr", KEYS["hr"], now_us=NOW + 1, decision="deny")
    with pytest.raises(DeniedError) as caught:
        decide(asked, [*given, no])
    assert caught.value.rule == "approval.denied"
    assert decide(asked, [*given, replace(no, value=b"0" * 64)])
    with pytest.raises(QuorumError):
        decide(asked, [given[0], replace(no, decision="approve")])


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"stages": ("ingest",)}, "grant.stage"),
        ({"streams": ("metric",), "columns": ("metric.name",)}, "grant.stream"),
        ({"streams": ("speech",), "columns": ("speech.text",)}, "grant.stream"),
        ({"minutes": 241}, "grant.length"),
        ({"expires_us": NOW + 28 * HOUR + 1}, "grant.length"),
        ({"reason": "."}, "grant.reason"),
        ({"charter": "0" * 64}, "grant.charter"),
        ({"requester": Human(id="e", role="engineer")}, "grant.role"),
        ({"requester": Human(id="e", role="king")}, "charter.role"),
        ({"purpose": "hr_layoff"}, "charter.purpose"),
    ],
)
def test_a_grant_beyond_the_charter(changes, rule):
    asked = grant(**changes)
    with pytest.raises(DeniedError) as caught:
        decide(asked, approvals(asked, "privacy", "legal"))
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    "changes",
    [
        {"segments": ()}, {"streams": ("key", "key")}, {"streams": ("nonsense",)}, {"recipes": ('a"b',)}, {"id": ""},
        {"first_day": 2, "last_day": 1}, {"max_runs": 0}, {"expires_us": NOW}, {"people": "all"}, {"charter": "x"},
        {"reason": "x" * 501}, {"max_runs": True}, {"minutes": 0}, {"max_rows": 0}, {"max_per_hour": 0},
        {"max_bytes": -1}, {"epsilon_micro": 2**53}, {"depth": 3, "parent": "grt_0"}, {"depth": 1}, {"parent": "grt_0"},
        {"columns": ("key.key",)}, {"columns": ("key.key", "feature.token", "key.nothing")},
        {"columns": ("key.key", "feature.token", "chat.text")}, {"columns": ()},
    ],
)  # fmt: skip
def test_a_grant_that_is_none(changes):
    asked = grant(**changes)
    with pytest.raises(InvalidError):
        decide(asked, approvals(asked, "privacy", "legal"))


def test_records_are_read_back_and_nothing_else_is():
    asked = grant()
    assert Grant.from_json(asked.to_json()) == asked
    given = approvals(asked, "privacy")[0]
    assert Approval.from_json(given.to_json()) == given
    for who in (Human(id="a", role="b"), Workload(id="a", role="b"), Agent(id="a", operator="b")):
        assert from_json(to_json(who)) == who
    for tree in (
        {},
        [],
        asked.to_json() | {"extra": 1},
        asked.to_json() | {"streams": "key"},
        asked.to_json() | {"max_runs": "3"},
    ):
        with pytest.raises(InvalidError):
            Grant.from_json(tree)
    for tree in ({}, given.to_json() | {"decision": "maybe"}, given.to_json() | {"grant": "zz"}):
        with pytest.raises(InvalidError):
            Approval.from_json(tree)
    for tree in (
        {},
        {"kind": "agent", "id": "a", "role": "agent", "operator": ""},
        {"kind": "god", "id": "a", "role": "b", "operator": ""},
    ):
        with pytest.raises(InvalidError):
            from_json(tree)


def test_an_ended_grant_mints_nothing():
    agreed = decide(grant(), approvals(grant(), "privacy", "legal"))
    with pytest.raises(DeniedError):
        mint(agreed, MINT.seed(), begun_us=NOW, now_us=NOW + 5 * HOUR)
    with pytest.raises(DeniedError):
        mint(agreed, MINT.seed(), begun_us=NOW, now_us=NOW - 1)
    late = mint(agreed, MINT.seed(), begun_us=NOW, now_us=NOW + 4 * HOUR - 60_000_000)
    assert present(late, now_us=NOW + 4 * HOUR - 50_000_000).expires_us <= NOW + 4 * HOUR


def test_five_hundred_valid_uses_and_no_spurious_denial():
    nonces = Nonces()
    text = token()
    narrow = attenuate(text, MINT.public, max_rows=1000)
    for number in range(500):
        nonce = nonces.spend(nonces.issue(NOW + number), NOW + number)
        chosen = narrow if number % 2 else text
        assert (
            present(
                chosen,
                nonce=nonce,
                proof=Holder(chosen, boardroom.HOLDER).prove(nonce, MESSAGE),
                demand=demand(rows=number),
            ).grant
            == "grt_1"
        )


def test_a_valid_token_is_not_refused_because_the_machine_was_busy(monkeypatch):
    """The library's limit is of the clock on the wall, which runs on while others compute."""
    tries: list[int] = []

    class Hasty:
        def __init__(self, *given):
            self.inner = made(*given)

        def limits(self):
            return self.inner.limits()

        def set_limits(self, limits):
            limits.max_time = timedelta(0)
            self.inner.set_limits(limits)

        def build(self, opened):
            return self.inner.build(opened)

    def slow(*given):
        tries.append(1)
        return (
            Hasty(*given) if len(tries) % 3 else made(*given)
        )  # two of three are interrupted at once

    made = capability.biscuit.AuthorizerBuilder
    watched = SimpleNamespace(**{name: getattr(biscuit, name) for name in dir(biscuit)})
    watched.AuthorizerBuilder = slow
    monkeypatch.setattr(capability, "biscuit", watched)
    assert present(token()).grant == "grt_1"
    assert len(tries) == 6  # each question was put three times


@pytest.mark.parametrize(
    "body",
    [
        "check if n($a), n($b), n($c), n($d), n($e), $a + $b + $c + $d + $e > 100000;",
        "m($a) <- n($a), n($b), n($c), n($d), n($e);",
        'check if n("a\\""), n($a), n($b), n($c), n($d), n($e), n("\\"z");',
        'check if n("a;"), n($a), n($b), n($c), n("or");',
        "check if n(0) or n($a), n($b);",
        "check all n($a), n($b);",
        "reject if n($a), n($b);",
    ],
)
def test_a_block_that_would_compute_for_hours_is_not_evaluated(body):
    """Anybody can append one, without the holder's key: so before the holder is proved, and before anything is read."""
    facts = "".join(f"n({number});" for number in range(60))
    key = biscuit.PublicKey.from_bytes(MINT.public.raw, biscuit.Algorithm.Ed25519)
    heavy = biscuit.Biscuit.from_base64(token(), key).append(biscuit.BlockBuilder(facts + body))
    refuse("capability.block", heavy.to_base64())
    with pytest.raises(DeniedError):
        read_claims(heavy.to_base64(), MINT.public)


def test_every_way_to_narrow_is_evaluated():
    words = ["key", "feature"]
    narrow = attenuate(
        token(), MINT.public, segments=["team-1"], streams=words, columns=["key.key", "feature.token"], stages=["training"],
        recipes=["train"], max_runs=3, max_rows=9, max_bytes=9, max_per_hour=2, epsilon_micro=9, expires_us=NOW + HOUR,
    )  # fmt: skip
    assert present(narrow, demand=demand(columns=("feature.token",), rows=9, runs=3, out_bytes=9))
    refuse("capability.check", narrow, demand=demand(out_bytes=10))
    refuse("capability.check", narrow, demand=demand(hourly=3))
