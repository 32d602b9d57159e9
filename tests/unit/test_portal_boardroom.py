"""What the pages of the board, of approvers and of data scientists show, without a keeper."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.boardroom import charter, grant, price, roster
from tests.world import raised

from safehold.access import Agent, Human
from safehold.access.conflict import standing_of_seats
from safehold.access.grant import WAIT_US
from safehold.access.narrower import narrower, places_of
from safehold.app.signature import complete
from safehold.errors import InvalidError, TamperedError
from safehold.portal.boardroom.figure import Bar, bars
from safehold.portal.boardroom.passing import Passing, read
from safehold.portal.boardroom.proposal import DAY_US, left, standing, votes_of
from safehold.portal.boardroom.request import conflicts, reaches, words
from safehold.portal.boardroom.use import command, ways
from safehold.portal.words import translator
from safehold.signing import SigningKey

T = translator("en")
SEATS = [{"seat": name, "person": name} for name in ("privacy", "legal", "hr")]
OPEN = {
    "proposal": 12, "about": "charter", "direction": "widen", "version": 2, "digest": "00",
    "proposed_by": "legal", "signed": ["legal"], "refused": [], "needed": 2, "must_include": ["privacy"],
    "notice_s": 86_400, "enact_from_us": 3 * DAY_US, "lapses_us": 9 * DAY_US, "allows": [], "ends": [],
    "question": {},
}  # fmt: skip


def test_what_is_missing_is_said_and_nothing_else():
    found = standing(OPEN, SEATS, now_us=0, t=T)
    assert found.missing == (
        "one more person must agree",
        "among them: privacy",
        "its notice ends in 3 days",
    )
    assert not found.ready
    both = OPEN | {"signed": ["legal", "privacy"]}
    assert standing(both, SEATS, now_us=0, t=T).missing == ("its notice ends in 3 days",)
    assert standing(both, SEATS, now_us=3 * DAY_US, t=T).ready
    unseen = standing(both | {"enact_from_us": None}, SEATS, now_us=3 * DAY_US, t=T)
    assert "no quorum of witnesses" in unseen.missing[0]
    broken = standing({"proposal": 3, "about": "roster", "trouble": "gone"}, SEATS, now_us=0, t=T)
    assert (broken.ready, broken.direction) == (False, "gone")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "replace", "seat": "hr", "person": "eva", "key": "k"}, "eva hat den Sitz hr, mit einem neuen Schlüssel."),
        ({"kind": "renew", "expires_s": 1}, "Die Besetzung läuft später ab."),
        ({"kind": "witnesses", "pinned": {"quorum": 2, "witnesses": [{"name": "a"}, {"name": "b"}]}}, "Eine Frist zählt nach 2 dieser Zeugen: a, b."),
    ],
)  # fmt: skip
def test_a_change_of_the_roster_is_told_in_the_visitors_language(change, said):
    tree = OPEN | {"about": "roster", "change": change, "allows": ["in English"]}
    assert standing(tree, SEATS, now_us=0, t=translator("de")).allows == (said,)
    assert standing(tree, SEATS, now_us=0, t=T).allows != ("in English",)


def test_two_seats_of_one_person_count_once():
    one = [{"seat": "privacy", "person": "x"}, {"seat": "legal", "person": "x"}]
    found = standing(OPEN | {"signed": ["legal", "privacy"], "notice_s": 0}, one, now_us=0, t=T)
    assert found.tally == "1 of 2 people agree"
    assert not found.ready


def test_which_votes_are_left():
    assert votes_of(OPEN, ["privacy"], "privacy") == [("privacy", "sign"), ("privacy", "refuse")]
    assert votes_of(OPEN, ["legal"], "legal") == [("legal", "refuse")]
    assert votes_of(OPEN | {"refused": ["legal"]}, ["legal"], "legal") == []
    assert votes_of(OPEN, [], "eva") == []
    joining = OPEN | {"about": "roster", "newcomer_signed": False, "change": {"kind": "replace", "seat": "hr", "person": "eva"}}  # fmt: skip
    assert votes_of(joining, [], "eva") == [("hr", "sign")]


def test_a_time_is_said_in_days_or_hours():
    assert left(5 * DAY_US, 0, T) == "in 5 days"
    assert left(DAY_US // 2, 0, T) == "in 12 hours"
    assert left(0, DAY_US, T) == "in 0 hours"


def test_bars_carry_their_figures_as_text_and_escape_names():
    drawn = bars("T<", [Bar(name="<b>", value=3), Bar(name="y", value=0)])
    assert "<title>T&lt;</title>" in drawn
    assert "&lt;b&gt;" in drawn
    assert ">3<" in drawn
    assert 'width="0.0"' in drawn
    assert 'role="img"' in drawn
    assert bars("nothing", []).count("<rect") == 0


def test_less_of_a_request_is_less_in_every_way_and_never_more():
    asked = replace(grant(), segments=("us-ca.key", "us-wa.key"), streams=("key",), first_day=0, last_day=29, max_runs=4, max_per_hour=2, minutes=240)  # fmt: skip
    assert places_of(asked) == ("us-ca", "us-wa")
    found = narrower(asked, today=29)
    assert [kind for kind, _ in found] == ["days", "place", "place", "runs", "minutes", "all"]
    for _, less in found:
        assert set(less.segments) <= set(asked.segments)
        assert less.first_day >= asked.first_day
        assert less.last_day == asked.last_day
        assert less.max_runs <= asked.max_runs
        assert less.minutes <= asked.minutes
        assert less.epsilon_micro <= asked.epsilon_micro
        assert less.expires_us <= asked.expires_us
        assert less != asked
    least = found[-1][1]
    assert (least.last_day - least.first_day, least.segments, least.max_runs, least.minutes) == (6, ("us-ca.key",), 1, 60)  # fmt: skip
    assert least.expires_us <= asked.asked_us + WAIT_US + 3_600_000_000
    assert narrower(least, today=29) == []


def test_days_that_have_not_come_are_no_days_to_leave_out():
    asked = replace(grant(), segments=("us-ca.key",), streams=("key",), first_day=10, last_day=40, max_runs=1, minutes=60)  # fmt: skip
    assert narrower(asked, today=14) == []


def test_who_may_not_decide_and_why():
    board, asked = roster({"legal": "both", "hr": "both", "security": "ana"}), grant()
    asked = replace(asked, requester=Human(id="ana", role="data_scientist"))
    found = {one["seat"]: one["why"] for one in standing_of_seats(asked, board, charter(), {"legal": "approve"})}  # fmt: skip
    assert found["security"] == "asked"
    assert found["legal"] == "decided"
    assert found["hr"] == "person"
    assert found["privacy"] == ""
    assert found["ml_lead"] == ""
    through = replace(asked, requester=Agent(id="bot", role="agent", operator="ana"))
    assert {one["seat"]: one["why"] for one in standing_of_seats(through, board, charter(), {})}["security"] == "operates"  # fmt: skip
    denied = {one["seat"]: one["why"] for one in standing_of_seats(asked, board, charter(), {"legal": "deny"})}  # fmt: skip
    assert denied["hr"] == ""  # a denial is not counted for anybody else
    glass = replace(asked, break_glass=True)
    assert {one["why"] for one in standing_of_seats(glass, board, charter(), {})} == {"asked", "emergency"}  # fmt: skip
    assert len(conflicts(standing_of_seats(asked, board, charter(), {}), t=T)) == 6


def test_a_price_is_said_in_words_and_reaches_are_compared():
    asked = grant()
    told = words(asked, price(asked), t=T)
    assert told[0].startswith("It reaches at most")
    german = words(asked, price(asked), t=translator("de"))
    assert not set(told) & set(german)
    less = [{"leaves_out": "place", "places": ["us-ca"], "people": 5, "days": 2, "runs": 1, "minutes": 9, "reach": 25}]  # fmt: skip
    rows = reaches(100, less, t=T)
    assert [(one.bar.name, one.percent) for one in rows] == [("As it was asked", 100), ("Only one place: US-CA", 25)]  # fmt: skip
    assert reaches(0, [], t=T)[0].percent == 100


def test_why_not_is_translated_where_it_can_be_and_else_told_as_the_keeper_says_it():
    uses = [
        {"recipe": "pull", "may": False, "rule": "grant.new-rule", "why": "in the keeper's words"},
        {"recipe": "train", "may": True, "streams": ["feature"], "stage": "training"},
        {"recipe": "embed", "may": False, "rule": "grant.stage", "why": "x"},
    ]
    ((name, plain, found),) = ways([{"purpose": "p", "plain": "q", "uses": uses}], t=translator("de"))  # fmt: skip
    assert (name, plain) == ("p", "q")
    assert [one.recipe for one in found] == ["train", "pull", "embed"]
    assert found[1].why == "in the keeper's words"
    assert found[2].why.startswith("Die Charta lässt")


def test_the_command_names_the_file_and_the_key():
    assert command(replace(grant(), recipes=("train",), id="grt_1", purpose="p")) == "safehold enclave train --purpose p --grant grt_1.json --holder KEY"  # fmt: skip


# -- orders that several sign ------------------------------------------------------------------------------


@pytest.fixture
def keys():
    return {name: SigningKey.generate() for name in ("privacy", "legal")}


def order(**changes):
    return Passing(kind="resume", facts={"home": "h", "reason": "looked at", "at_us": 5, "cause": "dust"} | changes)  # fmt: skip


def signed(one, seat, key):
    draft = one.draft(seat)
    return one.add(complete(draft, key=key.public.text(), value=key.sign(draft.domain, draft.message)))  # fmt: skip


def publics(keys):
    return {name: key.public.text() for name, key in keys.items()}


def test_an_order_gathers_signatures_on_its_way(keys):
    one = order()
    for seat, key in keys.items():
        one = read(signed(one, seat, key).write(), home="h", keys=publics(keys))
    assert one.seats == ["privacy", "legal"]
    again = signed(one, "privacy", keys["privacy"])
    assert sorted(again.seats) == ["legal", "privacy"]
    call = one.call()
    assert call.verb == "resume"
    assert call.arguments["cause"] == "dust"
    assert len(call.arguments["signatures"]) == 2


def test_an_order_that_was_changed_or_is_of_elsewhere_is_not_taken(keys):
    text = signed(order(), "legal", keys["legal"]).write()
    forged = text.replace("dust", "rust")
    with pytest.raises(TamperedError):
        read(forged, home="h", keys=publics(keys))
    for spoilt, home in (
        (text, "elsewhere"),
        (text.replace('"legal"', '"nobody"'), "h"),
        (text.replace('"resume"', '"stop"'), "h"),
        ("{}", "h"),
    ):
        with pytest.raises(InvalidError):
            read(spoilt, home=home, keys=publics(keys))
    other = signed(order(reason="another"), "legal", keys["legal"])
    draft = other.draft("legal")
    value = keys["legal"].sign(draft.domain, draft.message)
    call = complete(draft, key=keys["legal"].public.text(), value=value)
    assert raised(lambda: order().add(call)).rule == "passing.order"
