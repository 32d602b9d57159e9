"""Attempts to widen what was agreed to, before a whole keeper: each is refused by a named rule, and each is a leaf.

``docs/reference/access.md`` lists them; tests of tokens and approvals alone are in ``test_access_widening``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import biscuit_auth as biscuit
import pytest
from tests.access_desk import Office, found_office, scripted
from tests.keeper_desk import CROWD, PURPOSE
from tests.world import raised

from safehold.access import (
    Holder,
    Human,
    Nonces,
    PeopleFilter,
    approve,
    attenuate,
    mint,
    revocation_ids,
)
from safehold.access.review import Review, review
from safehold.canonical import b64
from safehold.clock import DAY_US, SECOND_US
from safehold.keeper.grants import _unpriced
from safehold.signing import SigningKey

HOUR = 3600 * SECOND_US
Attempt = Callable[[Office], Any]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    bench = found_office(tmp_path_factory.mktemp("office"))
    office = Office(scripted(bench.start()))
    office.wide = office.holder()
    yield office
    bench.stop()


def public(office: Office):
    return office.bench.verbs.grants.minting.public


def forged(office: Office, owner: Holder, **changes: Any) -> Holder:
    """Return what somebody with the minting key would make of a grant."""
    grants = office.bench.verbs.grants
    name = office.call("grant.list")["grants"][0]["id"]
    approved = grants._approve(grants.records.record(name))
    now = office.bench.clock.now_us()
    other = replace(approved, grant=replace(approved.grant, **changes))
    return Holder(mint(other, grants.minting.seed, begun_us=now, now_us=now), owner._key)


def appended(office: Office, holder: Holder, code: str) -> Holder:
    key = biscuit.PublicKey.from_bytes(public(office).raw, biscuit.Algorithm.Ed25519)
    token = biscuit.Biscuit.from_base64(holder.token, key).append(biscuit.BlockBuilder(code))
    return Holder(token.to_base64(), holder._key)


def narrowed(office: Office, holder: Holder, **caps: Any) -> Holder:
    return Holder(attenuate(holder.token, public(office), **caps), holder._key)


# what is tried: the rule that refuses it, what the grant has (None: one that was not narrowed), and the attempt
USES: dict[str, tuple[str, dict[str, Any] | None, Callable[[Office, Holder], Any]]] = {
    "a stolen token without its key": (
        "capability.holder",
        None,
        lambda o, h: o.train(Holder(h.token, SigningKey.generate())),
    ),
    "a proof over another message": (
        "capability.holder",
        None,
        lambda o, h: o.train(h, proof=b64(h.prove(b"n" * 32, b"something else"))),
    ),
    "a nonce of another keeper": (
        "capability.nonce",
        None,
        lambda o, h: o.train(h, nonce=b64(Nonces().issue(o.bench.clock.now_us()))),
    ),
    "a token that was minted elsewhere": (
        "capability.signature",
        None,
        lambda o, h: o.train(Holder(h.token[:-40] + "A" * 40, h._key)),
    ),
    "another purpose": (
        "capability.purpose",
        None,
        lambda o, h: o.train(h, purpose="secure_the_pipeline"),
    ),
    "a misspelt purpose": (
        "capability.purpose",
        None,
        lambda o, h: o.train(h, purpose=PURPOSE[:-1]),
    ),
    "an empty purpose": ("capability.purpose", None, lambda o, h: o.train(h, purpose="")),
    "another recipe": ("capability.segment", None, lambda o, h: o.attack(h)),
    "a later block that claims rights": (
        "capability.segment",
        None,
        lambda o, h: o.attack(
            appended(o, h, 'right_segment("us-ca.key"); claims("x"); want_recipe("reidentify");')
        ),
    ),
    "a token narrowed to other segments": (
        "capability.check",
        None,
        lambda o, h: o.train(narrowed(o, h, segments=["us-wa.key"])),
    ),
    "a narrowed token, widened again": (
        "capability.check",
        None,
        lambda o, h: o.train(
            narrowed(o, narrowed(o, h, stages=["feature"]), stages=["feature", "training"])
        ),
    ),
    "a token narrowed to fewer columns": (
        "capability.check",
        None,
        lambda o, h: o.train(narrowed(o, h, columns=["feature.app"])),
    ),
    "a token narrowed to fewer rows": (
        "capability.check",
        None,
        lambda o, h: o.train(narrowed(o, h, max_rows=1)),
    ),
    "a token narrowed to less epsilon": (
        "capability.check",
        None,
        lambda o, h: o.train(narrowed(o, h, epsilon_micro=1)),
    ),
    "a token narrowed to no run": (
        "capability.check",
        None,
        lambda o, h: o.train(narrowed(o, h, max_runs=0)),
    ),
    "another holder, with the minting key in hand": (
        "grant.mismatch",
        None,
        lambda o, h: _thief(o),
    ),
    "fewer columns than the recipe reads": (
        "grant.columns",
        {"columns": ("feature.app",)},
        lambda o, h: o.train(h),
    ),
    "more rows than agreed": ("grant.rows", {"max_rows": 1}, lambda o, h: o.train(h)),
    "more epsilon than agreed": ("grant.epsilon", {"epsilon_micro": 1}, lambda o, h: o.train(h)),
    "days outside": (
        "grant.days",
        {"first_day": 1, "last_day": 2},
        lambda o, h: o.train(h),
    ),
    "segments outside": (
        "charter.guard.grant-segment",
        {"segments": ("us-wa.feature",)},
        lambda o, h: o.train(h),
    ),
    "too few people of a filter": (
        "purpose.min_people",
        {"people": PeopleFilter(jurisdictions=("US-WA",))},
        lambda o, h: o.train(h),
    ),
}


def _thief(office: Office) -> Any:
    thief = SigningKey.generate()
    made = forged(office, office.wide, holder=thief.public)
    return office.train(Holder(made.token, thief))


@pytest.mark.parametrize("name", USES)
def test_a_use_beyond_what_was_agreed(office: Office, name: str) -> None:
    rule, changes, attempt = USES[name]
    holder = office.wide if changes is None else office.holder(**changes)
    office.refused(lambda: attempt(office, holder), rule)


def changed(**changes: Any) -> Attempt:
    return lambda office: office.ask(**changes)


ASKED: dict[str, tuple[str, Attempt]] = {
    "a purpose that the charter has not": ("charter.purpose", changed(purpose="hr_layoff")),
    "a misspelt purpose of the charter": ("charter.purpose", changed(purpose="train_ui_agnet")),
    "a role that gets no grant": (
        "grant.role",
        changed(requester=Human(id="e", role="engineer")),
    ),
    "a role that is none": ("charter.role", changed(requester=Human(id="e", role="king"))),
    "a stage beyond the role": ("grant.stage", changed(stages=("ingest",))),
    "a stream beyond the purpose": (
        "grant.stream",
        changed(streams=("metric",), columns=("metric.name",)),
    ),
    "longer than the role's grants": ("grant.length", changed(minutes=241)),
    "another charter": ("grant.charter", changed(charter="0" * 64)),
    "no reason": ("grant.reason", changed(reason="...")),
    "a filter of people that is another than the grant's": (
        "grant.people",
        changed(people=PeopleFilter(jurisdictions=("US-CA",))),
    ),
    "people of a place beyond the charter": (
        "grant.people",
        changed(people=PeopleFilter(jurisdictions=("DE",))),
    ),
    "a list of one person": (
        "grant.people_few",
        changed(people=PeopleFilter(people=("psn_" + "0" * 26,))),
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_request_beyond_the_charter(office: Office, name: str) -> None:
    rule, attempt = ASKED[name]
    if name.startswith("a filter of people"):
        grant, _ = office.draft(people=PeopleFilter(jurisdictions=("US-CA",)))
        other = PeopleFilter(jurisdictions=("US-WA",)).to_json()
        office.refused(
            lambda: office.call("request.new", grant=grant.to_json(), people=other), rule
        )
    else:
        office.refused(lambda: attempt(office), rule)


def test_decisions_that_do_not_count(office: Office) -> None:
    asked = office.ask(requester=Human(id="privacy", role="data_scientist"))
    now = office.bench.clock.now_us()
    stranger = SigningKey.generate()
    for rule, attempt in {
        "approval.requester": lambda: office.vote(asked, "privacy"),
        "approval.signature": lambda: office.vote(asked, "legal", key=stranger),
        "approval.seat": lambda: office.vote(asked, "king", key=stranger),
        "approval.grant": lambda: office.vote(
            asked, "legal", grant=replace(asked.grant, max_runs=99)
        ),
        "approval.price": lambda: office.vote(asked, "legal", price=replace(asked.price, people=1)),
        "approval.time": lambda: office.vote(asked, "legal", now_us=now + HOUR),
    }.items():
        office.refused(attempt, rule)
    office.vote(asked, "legal")
    office.vote(asked, "hr")  # the same person in another seat
    office.refused(lambda: office.enact(asked), "approval.quorum")
    other = replace(asked.grant, holder=stranger.public)
    office.refused(lambda: office.call("grant.enact", grant=other.to_json()), "approval.quorum")
    office.vote(asked, "security")
    assert office.enact(asked)


def test_a_denial_is_for_ever_and_cannot_be_left_out(office: Office) -> None:
    asked = office.ask()
    papers = [office_paper(office, asked, seat) for seat in ("privacy", "security")]
    office.vote(asked, "employee_representative", "deny")
    office.refused(lambda: office.vote(asked, "employee_representative"), "approval.denied")
    office.refused(lambda: office.vote(asked, "privacy"), "approval.denied")
    office.refused(lambda: office.enact(asked, approvals=papers), "approval.denied")
    office.bench.restart()
    scripted(office.bench)
    office.refused(lambda: office.enact(asked, approvals=papers), "approval.denied")


def office_paper(office: Office, asked: Any, seat: str) -> dict[str, Any]:
    now = office.bench.clock.now_us()
    return approve(asked.grant, asked.price, seat, office.bench.seats[seat], now_us=now).to_json()


def test_what_nobody_asked_here_is_not_granted(office: Office) -> None:
    grant, key = office.draft()
    asked = type(office.ask())(grant, _unpriced(grant), key)
    papers = [office_paper(office, asked, seat) for seat in ("privacy", "security")]
    office.refused(lambda: office.enact(asked, approvals=papers), "request.unknown")


def test_more_requests_than_one_may_have_open(office: Office) -> None:
    who = Human(id="impatient", role="data_scientist")
    for _ in range(5):
        office.ask(requester=who)
    office.refused(lambda: office.ask(requester=who), "request.open")
    assert office.ask(requester=Human(id="somebody else", role="data_scientist"))
    office.bench.clock.advance(DAY_US + 1)
    office.wide = office.holder()
    assert office.ask(requester=who)  # what nobody decided has ended


def test_a_request_that_nobody_approved_in_a_day(office: Office) -> None:
    asked = office.ask()
    office.bench.clock.advance(DAY_US + 1)
    office.wide = office.holder()
    office.refused(lambda: office.vote(asked, "privacy"), "request.expired")
    late = office_paper(office, asked, "privacy")
    office.refused(lambda: office.enact(asked, approvals=[late, late]), "approval.quorum")


def test_revoked_means_revoked(office: Office) -> None:
    asked = office.ask()
    papers = [office_paper(office, asked, seat) for seat in ("privacy", "security")]
    first = office.enact(asked, approvals=papers)
    second = office.enact(asked, approvals=papers)
    child = narrowed(office, first, max_rows=10_000_000)
    parent_id, child_id = revocation_ids(child.token, public(office))
    name = asked.grant.id
    office.call("grant.revoke", grant=name, block=child_id)
    office.refused(lambda: office.train(child), "capability.revoked")
    other = narrowed(office, first, max_rows=10_000_000)
    office.call("grant.revoke", grant=name, block=parent_id)
    office.refused(lambda: office.train(other), "capability.revoked")  # with its parent
    office.bench.restart()
    scripted(office.bench)
    office.refused(lambda: office.train(first), "capability.revoked")
    assert office.call("grant.show", grant=name)["state"] == "open"  # the second token still holds
    office.call("grant.revoke", grant=name)
    office.refused(lambda: office.train(second), "grant.revoked")
    office.refused(lambda: office.enact(asked, approvals=papers), "grant.revoked")


def test_a_proof_counts_once_and_for_a_minute(office: Office) -> None:
    holder = office.holder(max_rows=1)
    use = office.use(holder)
    office.refused(lambda: office.call("train", **use), "grant.rows")
    office.refused(lambda: office.call("train", **use), "capability.nonce")
    late = office.use(holder)
    office.bench.clock.advance(61 * SECOND_US)
    office.refused(lambda: office.call("train", **late), "capability.nonce")


def test_a_clock_that_is_moved(office: Office) -> None:
    holder = office.holder()
    office.bench.clock.advance(HOUR + 1)
    office.refused(lambda: office.train(holder), "capability.expired")
    office.wide = late = office.holder()
    office.bench.clock.advance(-HOUR)
    error = raised(lambda: office.train(late))
    assert error.rule == "clock.back"  # the ledger takes nothing that is dated so
    office.bench.clock.advance(HOUR)


def test_totals_are_a_fold_that_a_restored_database_does_not_refund(office: Office) -> None:
    holder = office.holder(recipe="reidentify", max_runs=2, max_per_hour=1)
    database = office.bench.home.control
    office.bench.stop()
    old = database.read_bytes()
    office.bench.start()
    scripted(office.bench)
    assert office.attack(holder)["people"] == len(CROWD)
    office.refused(lambda: office.attack(holder), "grant.rate")
    office.bench.stop()
    database.write_bytes(old)  # as it was before the run
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    office.bench.start()
    scripted(office.bench)
    office.refused(lambda: office.attack(holder), "grant.rate")
    office.bench.clock.advance(HOUR - 60 * SECOND_US)
    office.refused(lambda: office.attack(holder), "grant.rate")


def test_a_review_that_is_overdue_blocks_the_next_request(office: Office) -> None:
    who = Human(id="late reviewed", role="data_scientist")
    asked = office.ask(requester=who, recipe="reidentify")
    office.vote(asked, "privacy")
    office.vote(asked, "security")
    holder = office.enact(asked)
    name = asked.grant.id
    office.attack(holder)
    given = seen(office, name, "ml_lead")
    office.refused(lambda: office.call("grant.review", review=given.to_json()), "review.early")
    office.call("grant.revoke", grant=name)
    office.bench.clock.advance(6 * DAY_US)
    office.wide = office.holder()
    office.refused(lambda: office.ask(requester=who), "review.overdue")
    assert name in [one["grant"] for one in office.call("grant.due")["due"]]
    for rule, wrong in {
        "review.independent": seen(office, name, "privacy"),
        "review.seat": replace(seen(office, name, "ml_lead"), seat="king"),
        "review.signature": replace(seen(office, name, "ml_lead"), outcome="differs"),
        "review.record": seen(office, name, "ml_lead", record=b"x" * 32),
    }.items():
        office.refused(
            lambda wrong=wrong: office.call("grant.review", review=wrong.to_json()), rule
        )
    office.call("grant.review", review=seen(office, name, "ml_lead").to_json())
    assert office.call("grant.show", grant=name)["review"]["state"] == "reviewed"
    assert office.ask(requester=who)


def seen(office: Office, name: str, seat: str, record: bytes | None = None) -> Review:
    shown = office.call("grant.show", grant=name)
    return review(
        name,
        bytes.fromhex(shown["digest"]) if record is None else record,
        seat,
        office.bench.seats[seat],
        outcome="as_stated",
        now_us=office.bench.clock.now_us(),
    )


def test_an_attack_is_on_everybody(office: Office) -> None:
    """Whoever chose the people would choose what is found, and pass a gate with it."""
    desk = office.bench.desk
    listed = tuple(sorted(desk.people.find(one) for one in CROWD[:50]))
    holder = office.holder(recipe="reidentify", people=PeopleFilter(people=listed))
    office.refused(lambda: office.attack(holder), "attack.people")


def test_more_bytes_than_agreed_are_not_sent(office: Office) -> None:
    """The last of this file: it spends what the purpose has of epsilon."""
    desk = office.bench.desk
    listed = tuple(sorted(desk.people.find(one) for one in CROWD[:50]))
    holder = office.holder(max_bytes=1, people=PeopleFilter(people=listed))
    error = raised(lambda: office.train(holder))
    assert error.rule == "grant.bytes"
    assert office.call("artifact.list")["artifacts"] == []
    name = office.call("grant.list")["grants"][-1]["id"]
    shown = office.call("grant.show", grant=name)
    assert shown["done"]["bytes"] == 0
    assert shown["done"]["people"] == 50, "people outside the filter are left out"
    assert [one["outcome"] for one in shown["uses"]] == ["denied"]
