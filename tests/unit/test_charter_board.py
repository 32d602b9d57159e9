"""Seats, signatures and quorum."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import boardroom

from safehold import charter as charters
from safehold.charter import Signature
from safehold.charter.vocabulary import SEATS
from safehold.errors import InvalidError, QuorumError, TamperedError
from safehold.signing import SigningKey

FIVE = ("privacy", "employee_representative", "legal", "hr", "security")


def signed(*seats, promise=None):
    promise = promise or boardroom.charter()
    return [
        charters.sign(promise, seat, boardroom.KEYS[seat], home=boardroom.HOME) for seat in seats
    ]


def refuse(signatures, roster=None, **options):
    with pytest.raises(QuorumError) as caught:
        charters.verify(boardroom.charter(), signatures, roster or boardroom.roster(), **options)
    assert caught.value.exit_code == 3
    return caught.value


def test_five_seats_with_privacy_and_the_employees_suffice():
    agreed = charters.verify(boardroom.charter(), signed(*FIVE), boardroom.roster())
    assert [made.seat for made in agreed.signatures] == sorted(FIVE)
    again = charters.SignedCharter.from_json(agreed.to_json(), boardroom.roster())
    assert again == agreed


def test_an_unsigned_charter_is_no_charter():
    assert refuse([]).rule == "charter.quorum.widen"


def test_four_seats_cannot_widen_and_one_can_narrow():
    refuse(signed(*FIVE[:4]))
    assert (
        charters.verify(
            boardroom.charter(), signed("hr"), boardroom.roster(), direction="narrow"
        ).direction
        == "narrow"
    )
    with pytest.raises(InvalidError):
        charters.verify(boardroom.charter(), signed("hr"), boardroom.roster(), direction="sideways")


@pytest.mark.parametrize("missing", ["privacy", "employee_representative"])
def test_five_seats_without_one_that_must_sign(missing):
    assert missing in refuse(signed(*(set(SEATS) - {missing}))).message


def test_a_seat_that_signs_twice_counts_once():
    refuse([*signed(*FIVE[:4]), *signed("privacy", "privacy")])


def test_a_person_in_two_seats_counts_once():
    board = boardroom.roster({"legal": "bob", "hr": "bob"})
    assert "several seats" in refuse(signed(*FIVE), board).message
    assert charters.verify(boardroom.charter(), signed(*SEATS), board)


def test_signatures_of_another_charter_key_seat_or_domain_do_not_count():
    other = charters.parse(
        charters.shipped("demo").read_text().replace("keep: 14d", "keep: 15d", 1)
    )
    refuse([*signed(*FIVE[:4]), *signed("security", promise=other)])
    stranger = SigningKey(b"x" * 32)
    refuse(
        [
            *signed(*FIVE[:4]),
            charters.sign(boardroom.charter(), "security", stranger, home=boardroom.HOME),
        ]
    )
    moved = Signature(seat="security", value=signed("hr")[0].value)
    refuse([*signed(*FIVE[:4]), moved])
    wrong = boardroom.KEYS["security"].sign("safehold.grant.v1", boardroom.charter().encode())
    refuse([*signed(*FIVE[:4]), Signature(seat="security", value=wrong)])
    refuse([*signed(*FIVE[:4]), replace(moved, seat="king")])


def test_a_bad_signature_beside_good_ones_changes_nothing():
    agreed = charters.verify(
        boardroom.charter(),
        [*signed(*FIVE), Signature(seat="hr", value=b"0" * 64)],
        boardroom.roster(),
    )
    assert len(agreed.signatures) == 5


def test_a_stored_signed_charter_is_checked_again():
    tree = charters.verify(boardroom.charter(), signed(*FIVE), boardroom.roster()).to_json()
    tree["charter"]["collect"][0]["keep_days"] = 3650
    with pytest.raises(QuorumError):
        charters.SignedCharter.from_json(tree, boardroom.roster())
    with pytest.raises(InvalidError):
        charters.SignedCharter.from_json({"v": "x"}, boardroom.roster())


def test_the_stricter_of_roster_and_charter_decides():
    tree = boardroom.charter().to_json()
    tree["oversight"]["widen"]["approve"] = 6
    stricter = charters.Charter.from_json(tree)
    with pytest.raises(QuorumError):
        charters.verify(stricter, signed(*FIVE, promise=stricter), boardroom.roster())


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda tree: tree["signatures"].pop(), TamperedError),
        (lambda tree: tree["seats"][0].update(person="mallory"), TamperedError),
        (lambda tree: tree["seats"].pop(), InvalidError),
        (lambda tree: tree["thresholds"]["widen"].update(approve=1), InvalidError),
        (lambda tree: tree["thresholds"].pop("stop"), InvalidError),
        (lambda tree: tree.update(extra=1), InvalidError),
        (lambda tree: tree.pop("seats"), InvalidError),
        (lambda tree: tree.update(version="1"), InvalidError),
        (lambda tree: tree["signatures"][0].update(seat="king"), InvalidError),
    ],
)
def test_a_spoilt_roster_does_not_open(spoil, error):
    tree = boardroom.roster().to_json()
    spoil(tree)
    with pytest.raises(error):
        charters.Roster.open(tree)


def test_a_roster_has_six_seats_and_no_shared_key():
    seats = {seat: (f"p-{seat}", key.public) for seat, key in boardroom.KEYS.items()}
    with pytest.raises(InvalidError):
        charters.Roster.draft(dict(list(seats.items())[:5]), home="h", now_s=0)
    with pytest.raises(InvalidError) as caught:
        charters.Roster.draft(seats | {"hr": ("p-hr", seats["legal"][1])}, home="h", now_s=0)
    assert caught.value.rule == "roster.shared_key"
    with pytest.raises(InvalidError):
        charters.Roster.draft(seats, home="h", now_s=0).sign("hr", boardroom.KEYS["legal"])


def test_a_first_charter_signed_for_another_home_counts_for_nothing():
    """The same people may hold the same keys in a home for a trial and in the real one."""
    elsewhere = [
        charters.sign(boardroom.charter(), seat, boardroom.KEYS[seat], home="home_of_a_trial")
        for seat in SEATS
    ]
    assert "0 of" in str(refuse(elsewhere))
