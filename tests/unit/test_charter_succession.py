"""From one roster to the next: what may change, who must sign, and why so many."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from tests.boardroom import HOME, KEYS, NOW, charter, roster
from tests.seated import DAY_S, changed, signed_roster

from safehold.charter import Roster, Rosters
from safehold.charter.board import VETO, Threshold
from safehold.charter.succession import next_roster
from safehold.charter.vocabulary import SEATS
from safehold.errors import InvalidError, QuorumError, SafeholdError, TamperedError
from safehold.signing import SigningKey

FRESH = SigningKey(b"f" * 32)
YEAR_S = 365 * DAY_S


def chain(people=None) -> Rosters:
    return Rosters.found(roster(people).to_json())


def by(new: Roster, *seats: str, newcomer: str = "", key: SigningKey = FRESH) -> Roster:
    return signed_roster(
        new, {seat: KEYS[seat] for seat in seats}, *([(newcomer, key)] if newcomer else [])
    )


def replaced(seat: str, *seats: str, person: str = "eve") -> Roster:
    new = next_roster(roster(), seat=seat, person=person, key=FRESH.public)
    return by(new, *seats, newcomer=seat)


def refused(new: Roster, *, notice: bool, rosters: Rosters | None = None, **more) -> SafeholdError:
    with pytest.raises(SafeholdError) as caught:
        (rosters or chain()).follow(new, notice=notice, **more)
    return caught.value


# -- rotation -------------------------------------------------------------------------------------


def test_a_holder_rotates_their_key_alone_and_the_old_one_is_dead():
    new = by(next_roster(roster(), seat="hr", key=FRESH.public), "hr", newcomer="hr")
    after, change = chain().follow(new, notice=False)
    assert (change.kind, change.seat) == ("rotate", "hr")
    message = b"anything"
    old_word = [type(new.signatures[0])(seat="hr", value=KEYS["hr"].sign("d", message))]
    assert after.present.count("d", message, old_word)[0] == ()
    assert list(Rosters.open(after.to_json())) == list(after)


def test_a_rotation_takes_both_keys():
    new = next_roster(roster(), seat="hr", key=FRESH.public)
    assert refused(by(new, "hr"), notice=False).rule == "roster.newcomer"
    others = [seat for seat in SEATS if seat != "hr"]
    assert refused(by(new, *others, newcomer="hr"), notice=True).rule == "roster.rotate"


def test_a_key_that_was_replaced_never_comes_back():
    new = by(next_roster(roster(), seat="hr", key=FRESH.public), "hr", newcomer="hr")
    after, _ = chain().follow(new, notice=False)
    back = next_roster(after.present, seat="hr", key=KEYS["hr"].public)
    back = signed_roster(back, {"hr": FRESH}, ("hr", KEYS["hr"]))
    assert refused(back, notice=False, rosters=after).rule == "roster.old_key"


# -- replacement ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seat", SEATS)
def test_no_three_seats_replace_another(seat):
    others = [name for name in SEATS if name != seat]
    for three in itertools.combinations(others, 3):
        for notice in (False, True):
            assert isinstance(refused(replaced(seat, *three), notice=notice), QuorumError)


@pytest.mark.parametrize("seat", SEATS)
def test_which_four_replace_a_seat_after_its_notice(seat):
    others = [name for name in SEATS if name != seat]
    for four in itertools.combinations(others, 4):
        new = replaced(seat, *four)
        assert isinstance(refused(new, notice=False), QuorumError)
        if set(VETO) - {seat} <= set(four):
            assert chain().follow(new, notice=True)[0].present.seat(seat).person == "eve"
        else:
            assert isinstance(refused(new, notice=True), QuorumError)


@pytest.mark.parametrize("seat", SEATS)
def test_five_need_no_notice_but_for_a_seat_that_has_a_veto(seat):
    new = replaced(seat, *(name for name in SEATS if name != seat))
    if seat in VETO:
        assert refused(new, notice=False).rule == "roster.notice"
    else:
        assert chain().follow(new, notice=False)[1].kind == "replace"


def test_the_replaced_seat_does_not_count_for_its_own_replacement():
    new = replaced("hr", "hr", "privacy", "employee_representative", "legal")
    assert isinstance(refused(new, notice=True), QuorumError)


def test_a_newcomer_signs_for_themselves():
    new = next_roster(roster(), seat="hr", person="eve", key=FRESH.public)
    unsigned = by(new, *(name for name in SEATS if name != "hr"))
    assert refused(unsigned, notice=True).rule == "roster.newcomer"
    strange = by(new, *(n for n in SEATS if n != "hr"), newcomer="hr", key=SigningKey(b"g" * 32))
    assert refused(strange, notice=True).rule == "roster.newcomer"


def test_a_stricter_charter_makes_replacing_at_once_stricter():
    def all_of_them(tree):
        tree["widen"]["approve"] = 6
        return tree

    strict = changed(charter(), oversight=all_of_them)
    new = replaced("hr", *(name for name in SEATS if name != "hr"))
    assert isinstance(refused(new, notice=False, charters=[strict]), QuorumError)
    assert chain().follow(new, notice=True, charters=[strict])


def test_a_person_in_two_seats_counts_once_for_a_replacement():
    people = {"legal": "bob", "security": "bob"}
    old = roster(people)
    new = next_roster(old, seat="hr", person="eve", key=FRESH.public)
    four = by(new, "privacy", "employee_representative", "legal", "security", newcomer="hr")
    assert "several seats" in refused(four, notice=True, rosters=chain(people)).message


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
    ],
)
def test_a_version_follows_and_changes_one_thing(spoil, rule):
    new = spoil(next_roster(roster(), seat="hr", person="eve", key=FRESH.public))
    new = by(new, *SEATS, newcomer="hr")
    assert refused(new, notice=True).rule == rule


def test_a_new_holder_brings_a_key_of_their_own():
    with pytest.raises(InvalidError) as caught:
        next_roster(roster(), seat="hr", person="eve")
    assert caught.value.rule == "roster.old_key"


def test_a_renewal_takes_four_with_both_vetoes():
    new = next_roster(roster(), expires_s=NOW // 1_000_000 + 2 * YEAR_S)
    four = ("privacy", "employee_representative", "legal", "hr")
    assert chain().follow(by(new, *four), notice=False)[1].kind == "renew"
    for three in itertools.combinations(four, 3):
        assert isinstance(refused(by(new, *three), notice=True), QuorumError)
    without = ("privacy", "security", "legal", "hr", "ml_lead")
    assert isinstance(refused(by(new, *without), notice=True), QuorumError)
    with pytest.raises(InvalidError):
        next_roster(roster(), expires_s=roster().expires_s - 1)


# -- the chain ------------------------------------------------------------------------------------


def long_chain() -> Rosters:
    first = by(next_roster(roster(), seat="hr", key=FRESH.public), "hr", newcomer="hr")
    rosters, _ = chain().follow(first, notice=False)
    second = next_roster(
        rosters.present, seat="legal", person="lea", key=SigningKey(b"l" * 32).public
    )
    second = signed_roster(
        second,
        {s: KEYS[s] for s in ("privacy", "employee_representative", "security")},
        ("hr", FRESH),
        ("legal", SigningKey(b"l" * 32)),
    )
    return rosters.follow(second, notice=True)[0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tree: tree["rosters"].pop(1),
        lambda tree: tree["rosters"].pop(0),
        lambda tree: tree["rosters"].reverse(),
        lambda tree: tree["rosters"][1]["signatures"].pop(),
        lambda tree: tree["rosters"][2]["signatures"].pop(0),
        lambda tree: tree["rosters"][1]["seats"][0].update(person="mallory"),
        lambda tree: tree["rosters"][2].update(expires_s=2**40),
        lambda tree: tree["rosters"].append(tree["rosters"][2]),
        lambda tree: tree["rosters"].append(tree["rosters"][0]),
        lambda tree: tree["rosters"].clear(),
        lambda tree: tree.update(v="safehold-rosters/2"),
    ],
)
def test_a_chain_that_breaks_does_not_open(spoil):
    tree = long_chain().to_json()
    assert len(Rosters.open(tree)) == 3
    spoil(tree)
    with pytest.raises((TamperedError, InvalidError)):
        Rosters.open(tree)
