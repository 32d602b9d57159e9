"""From one roster to the next: what may change, who must sign, and why so many."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from tests.boardroom import HOME, KEYS, NOW, charter, roster
from tests.seated import DAY_S, changed, signed_roster, voted

from safehold.charter import Roster, Rosters, Signature
from safehold.charter.board import VETO, Threshold
from safehold.charter.pinned import Pinned, PinnedWitness
from safehold.charter.proposal import vote
from safehold.charter.succession import Terms
from safehold.charter.turnover import next_roster
from safehold.charter.vocabulary import SEATS
from safehold.errors import InvalidError, QuorumError, SafeholdError, TamperedError
from safehold.signing import SigningKey

FRESH = SigningKey(b"f" * 32)
YEAR_S = 365 * DAY_S


def chain(people=None) -> Rosters:
    return Rosters.found(roster(people).to_json())


def rotated(seat: str = "hr", key: SigningKey = FRESH, *, rosters: Rosters | None = None) -> Roster:
    old = (rosters or chain()).present
    new = next_roster(old, seat=seat, key=key.public)
    return signed_roster(new, {seat: KEYS[seat]}, (seat, key))


def agreed(new: Roster, *seats: str, newcomer: str = "", key: SigningKey = FRESH, **more) -> list:
    keys = [*((seat, KEYS[seat]) for seat in seats), *([(newcomer, key)] if newcomer else [])]
    return voted(more.pop("old", None) or roster(), new, *keys, **more)


def replaced(seat: str, person: str = "eve") -> Roster:
    return next_roster(roster(), seat=seat, person=person, key=FRESH.public)


def follow(new, votes=(), *, notice=False, rosters=None, **more):
    return (rosters or chain()).follow(new, votes, terms=Terms(notice=notice, **more))


def refused(new, votes=(), **more) -> SafeholdError:
    with pytest.raises(SafeholdError) as caught:
        follow(new, votes, **more)
    return caught.value


# -- rotation -------------------------------------------------------------------------------------


def test_a_holder_rotates_their_key_alone_and_the_old_one_is_dead():
    after, change = follow(rotated())
    assert (change.kind, change.seat) == ("rotate", "hr")
    message = b"anything"
    old_word = [Signature(seat="hr", value=KEYS["hr"].sign("d", message))]
    assert after.present.count("d", message, old_word)[0] == ()
    assert list(Rosters.open(after.to_json())) == list(after)


def test_a_rotation_takes_both_keys():
    new = next_roster(roster(), seat="hr", key=FRESH.public)
    assert refused(signed_roster(new, {"hr": KEYS["hr"]})).rule == "roster.newcomer"
    others = {seat: KEYS[seat] for seat in SEATS if seat != "hr"}
    assert refused(signed_roster(new, others, ("hr", FRESH)), notice=True).rule == "roster.rotate"


def test_a_key_that_was_replaced_never_comes_back():
    after, _ = follow(rotated())
    back = next_roster(after.present, seat="hr", key=KEYS["hr"].public)
    back = signed_roster(back, {"hr": FRESH}, ("hr", KEYS["hr"]))
    assert refused(back, rosters=after).rule == "roster.old_key"


def test_a_rotation_changes_nothing_that_is_voted_on():
    assert rotated().standing() == roster().standing()
    for changed_by_votes in (replaced("hr"), next_roster(roster(), expires_s=2**31)):
        assert changed_by_votes.standing() != roster().standing()


# -- replacement ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seat", SEATS)
def test_no_three_seats_replace_another(seat):
    others = [name for name in SEATS if name != seat]
    new = replaced(seat)
    for three in itertools.combinations(others, 3):
        for notice in (False, True):
            votes = agreed(new, *three, newcomer=seat)
            assert isinstance(refused(new, votes, notice=notice), QuorumError)


@pytest.mark.parametrize("seat", SEATS)
def test_which_four_replace_a_seat_after_its_notice(seat):
    others = [name for name in SEATS if name != seat]
    new = replaced(seat)
    for four in itertools.combinations(others, 4):
        votes = agreed(new, *four, newcomer=seat)
        assert isinstance(refused(new, votes), QuorumError)
        if set(VETO) - {seat} <= set(four):
            assert follow(new, votes, notice=True)[0].present.seat(seat).person == "eve"
        else:
            assert isinstance(refused(new, votes, notice=True), QuorumError)


@pytest.mark.parametrize("seat", SEATS)
def test_five_need_no_notice_but_for_a_seat_that_has_a_veto(seat):
    new = replaced(seat)
    votes = agreed(new, *(name for name in SEATS if name != seat), newcomer=seat)
    if seat in VETO:
        assert refused(new, votes).rule == "roster.notice"
    else:
        assert follow(new, votes)[1].kind == "replace"
    assert refused(new, votes, contested=True).rule == "roster.notice"


@pytest.mark.parametrize("seat", SEATS)
def test_a_holder_who_refuses_is_replaced_by_everybody_else_and_no_fewer(seat):
    others = [name for name in SEATS if name != seat]
    new = replaced(seat)
    assert follow(new, agreed(new, *others, newcomer=seat), notice=True, contested=True)
    for four in itertools.combinations(others, 4):
        votes = agreed(new, *four, newcomer=seat)
        assert isinstance(refused(new, votes, notice=True, contested=True), QuorumError)


def test_the_replaced_seat_does_not_count_for_its_own_replacement():
    new = replaced("hr")
    votes = agreed(new, "hr", "privacy", "employee_representative", "legal", newcomer="hr")
    assert isinstance(refused(new, votes, notice=True), QuorumError)


def test_a_newcomer_agrees_with_the_new_key():
    new = replaced("hr")
    others = [name for name in SEATS if name != "hr"]
    assert refused(new, agreed(new, *others), notice=True).rule == "roster.newcomer"
    strange = agreed(new, *others, newcomer="hr", key=SigningKey(b"g" * 32))
    assert refused(new, strange, notice=True).rule == "roster.newcomer"


def test_a_stricter_charter_makes_replacing_at_once_stricter():
    def all_of_them(tree):
        tree["widen"]["approve"] = 6
        return tree

    strict = (changed(charter(), oversight=all_of_them),)
    new = replaced("hr")
    votes = agreed(new, *(name for name in SEATS if name != "hr"), newcomer="hr")
    assert isinstance(refused(new, votes, charters=strict), QuorumError)
    assert follow(new, votes, notice=True, charters=strict)


def test_a_person_in_two_seats_counts_once_for_a_replacement():
    people = {"legal": "bob", "security": "bob"}
    old = roster(people)
    new = next_roster(old, seat="hr", person="eve", key=FRESH.public)
    four = ("privacy", "employee_representative", "legal", "security")
    votes = agreed(new, *four, newcomer="hr", old=old)
    assert "several seats" in refused(new, votes, notice=True, rosters=chain(people)).message


# -- what is said to one proposal ------------------------------------------------------------------


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"home": "home_of_others"},
        {"digest": "11" * 32},
        {"base": "11" * 32},
    ],
)
def test_votes_about_something_else_count_for_nothing(elsewhere):
    new = replaced("hr")
    votes = agreed(new, *(name for name in SEATS if name != "hr"), newcomer="hr")
    moved = [one for one in votes if one.seat != "privacy"]
    moved += agreed(new, "privacy", **elsewhere)
    assert isinstance(refused(new, moved, notice=True), QuorumError)
    assert follow(new, votes, notice=True)


@pytest.mark.parametrize("elsewhere", [{"proposal": 9}, {"leaf": "11" * 32}])
def test_votes_on_two_proposals_of_one_text_are_not_added_up(elsewhere):
    new = replaced("hr")
    votes = agreed(new, "privacy", "employee_representative", newcomer="hr")
    votes += agreed(new, "legal", "security", **elsewhere)
    assert refused(new, votes, notice=True).rule == "roster.proposal"


def test_a_refusal_takes_a_vote_back():
    new = replaced("hr")
    votes = agreed(new, "privacy", "employee_representative", "legal", "security", newcomer="hr")
    assert follow(new, votes, notice=True)
    back = vote(votes[2].question, "legal", KEYS["legal"], decision="refuse")
    assert isinstance(refused(new, [*votes, back], notice=True), QuorumError)


def test_signatures_over_a_roster_replace_nobody():
    new = signed_roster(replaced("hr"), dict(KEYS), ("hr", FRESH))
    assert refused(new, notice=True).rule == "roster.signed"
    assert isinstance(refused(replaced("hr"), notice=True), QuorumError)


# -- the witnesses that count a notice ---------------------------------------------------------------


def named(*names: str, quorum: int = 1) -> Pinned:
    return Pinned.of({name: ((f"key-of-{name}",), "") for name in names}, quorum=quorum)


@pytest.mark.parametrize("quorum", [1, 2, 3])
def test_witnesses_are_named_by_as_many_as_widen(quorum):
    """Also if it only gets stricter: one seat's own witness could let nothing pass."""
    new = next_roster(roster(), pinned=named("local", "council", "own", quorum=quorum))
    five = ("privacy", "employee_representative", "legal", "hr", "ml_lead")
    assert follow(new, agreed(new, *five))[1].kind == "witnesses"
    for four in itertools.combinations(five, 4):
        assert isinstance(refused(new, agreed(new, *four), notice=True), QuorumError)
    for veto in VETO:
        others = [seat for seat in SEATS if seat != veto]
        assert isinstance(refused(new, agreed(new, *others), notice=True), QuorumError)


@pytest.mark.parametrize(
    "wrong",
    [
        Pinned(quorum=1),
        Pinned(witnesses=named("a").witnesses, quorum=0),
        Pinned(witnesses=named("a").witnesses, quorum=2),
        Pinned(witnesses=named("a").witnesses * 2, quorum=1),
        Pinned(witnesses=(PinnedWitness(name="a", vkeys=()),), quorum=1),
        Pinned(
            witnesses=(
                PinnedWitness(name="a", vkeys=("one",)),
                PinnedWitness(name="b", vkeys=("two", "one")),
            ),
            quorum=2,
        ),
    ],
)
def test_a_list_of_witnesses_counts_nobody_twice(wrong):
    with pytest.raises(InvalidError):
        wrong.check()
    with pytest.raises(InvalidError):
        next_roster(roster(), pinned=wrong)


# -- what a version may be --------------------------------------------------------------------------


def test_nobody_holds_two_seats_unless_the_roster_says_so():
    seats = {seat: (f"p-{seat}", key.public) for seat, key in KEYS.items()}
    seats["hr"] = ("p-legal", KEYS["hr"].public)
    with pytest.raises(InvalidError) as caught:
        Roster.draft(seats, home=HOME, now_s=0)
    assert caught.value.rule == "roster.several"
    assert Roster.draft(seats, home=HOME, now_s=0, several=["p-legal"])
    with pytest.raises(InvalidError) as caught:  # nor through a replacement
        next_roster(roster(), seat="hr", person="person-legal", key=FRESH.public)
    assert caught.value.rule == "roster.several"


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda new: replace(new, version=3), "roster.version"),
        (lambda new: replace(new, version=1), "roster.version"),
        (lambda new: replace(new, previous="00" * 32), "roster.version"),
        (lambda new: replace(new, home="home_of_others"), "roster.version"),
        (lambda new: replace(new, several=("eve",)), "roster.thresholds"),
        (
            lambda new: replace(
                new, thresholds={**new.thresholds, "widen": Threshold(approve=6, must_include=VETO)}
            ),
            "roster.thresholds",
        ),
        (lambda new: replace(new, expires_s=new.expires_s + 1), "roster.change"),
        (lambda new: replace(new, seats=roster().seats), "roster.change"),
        (lambda new: replace(new, pinned=named("own")), "roster.change"),
    ],
)
def test_a_version_follows_and_changes_one_thing(spoil, rule):
    new = spoil(next_roster(roster(), seat="hr", person="eve", key=FRESH.public))
    assert refused(new, agreed(replaced("hr"), *SEATS, newcomer="hr"), notice=True).rule == rule


def test_a_new_holder_brings_a_key_of_their_own():
    with pytest.raises(InvalidError) as caught:
        next_roster(roster(), seat="hr", person="eve")
    assert caught.value.rule == "roster.old_key"


def test_a_renewal_takes_four_with_both_vetoes():
    new = next_roster(roster(), expires_s=NOW // 1_000_000 + 2 * YEAR_S)
    four = ("privacy", "employee_representative", "legal", "hr")
    assert follow(new, agreed(new, *four))[1].kind == "renew"
    for three in itertools.combinations(four, 3):
        assert isinstance(refused(new, agreed(new, *three), notice=True), QuorumError)
    without = ("privacy", "security", "legal", "hr", "ml_lead")
    assert isinstance(refused(new, agreed(new, *without), notice=True), QuorumError)
    with pytest.raises(InvalidError):
        next_roster(roster(), expires_s=roster().expires_s - 1)


# -- the chain ------------------------------------------------------------------------------------


def long_chain() -> Rosters:
    rosters, _ = follow(rotated())
    fresh = SigningKey(b"l" * 32)
    second = next_roster(rosters.present, seat="legal", person="lea", key=fresh.public)
    three = [(s, KEYS[s]) for s in ("privacy", "employee_representative", "security")]
    votes = voted(rosters.present, second, *three, ("hr", FRESH), ("legal", fresh))
    return follow(second, votes, notice=True, rosters=rosters)[0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tree: tree["rosters"].pop(1),
        lambda tree: tree["rosters"].pop(0),
        lambda tree: tree["rosters"].reverse(),
        lambda tree: tree["rosters"][1]["roster"]["signatures"].pop(),
        lambda tree: tree["rosters"][2]["votes"].pop(0),
        lambda tree: tree["rosters"][2].pop("votes"),
        lambda tree: tree["rosters"][0].update(votes=tree["rosters"][2]["votes"]),
        lambda tree: tree["rosters"][1]["roster"]["seats"][0].update(person="mallory"),
        lambda tree: tree["rosters"][2]["roster"].update(expires_s=2**40),
        lambda tree: tree["rosters"][2]["roster"]["pinned"].update(quorum=1),
        lambda tree: tree["rosters"].append(tree["rosters"][2]),
        lambda tree: tree["rosters"].append(tree["rosters"][0]),
        lambda tree: tree["rosters"].clear(),
        lambda tree: tree.update(v="safehold-rosters/1"),
    ],
)
def test_a_chain_that_breaks_does_not_open(spoil):
    tree = long_chain().to_json()
    assert len(Rosters.open(tree)) == 3
    spoil(tree)
    with pytest.raises((TamperedError, InvalidError)):
        Rosters.open(tree)
