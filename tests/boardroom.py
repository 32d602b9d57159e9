"""A board, a charter and one approved grant, for tests of charter and access."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from safehold import charter as charters
from safehold.access import (
    AccessRequest,
    Claims,
    Demand,
    Grant,
    Holder,
    Human,
    Price,
    approve,
    mint,
    verify_approvals,
    verify_capability,
)
from safehold.charter.vocabulary import SEATS
from safehold.signing import SigningKey

NOW = 1_800_000_000_000_000
HOUR = 3_600_000_000
HOME = "home_of_tests"
KEYS = {seat: SigningKey(bytes([n + 1]) * 32) for n, seat in enumerate(SEATS)}
HOLDER = SigningKey(b"h" * 32)
MINT = SigningKey(b"m" * 32)
NONCE = b"n" * 32
MESSAGE = b"release this"


@cache
def charter(name: str = "demo") -> charters.Charter:
    return charters.load(charters.shipped(name))


@cache
def policy(name: str = "demo") -> charters.Policy:
    return charters.compile(charter(name))


def roster(people: dict[str, str] | None = None) -> charters.Roster:
    people = people or {}
    board = charters.Roster.draft(
        {seat: (people.get(seat, f"person-{seat}"), key.public) for seat, key in KEYS.items()},
        home=HOME,
        now_s=NOW // 1_000_000,
        several={one for one in people.values() if list(people.values()).count(one) > 1},
    )
    for seat, key in KEYS.items():
        board = board.sign(seat, key)
    return charters.Roster.open(board.to_json())


def grant(**changes) -> Grant:
    base = Grant(
        id="grt_1",
        requester=Human(id="ana", role="data_scientist"),
        holder=HOLDER.public,
        purpose="train_ui_agent",
        segments=("team-1",),
        streams=("key", "feature"),
        columns=("key.key", "key.kind", "feature.token"),
        stages=("feature", "training"),
        recipes=("train",),
        people="",
        first_day=20_000,
        last_day=20_010,
        asked_us=NOW,
        expires_us=NOW + 4 * HOUR,
        minutes=240,
        max_runs=3,
        max_rows=1000,
        max_bytes=100_000,
        max_per_hour=3,
        epsilon_micro=4_000_000,
        reason="ticket 1234",
        charter=charter().digest().hex(),
    )
    return replace(base, **changes)


def price(asked: Grant, **changes) -> Price:
    base = Price(
        grant=asked.digest().hex(),
        people=70,
        classes=("feature", "keys"),
        days=11,
        models=(),
        epsilon_micro=asked.epsilon_micro,
        epsilon_left_micro=4_000_000,
        at_us=asked.asked_us,
    )
    return replace(base, **changes)


def approvals(asked: Grant, *seats: str, at_us: int = NOW + 1):
    return [approve(asked, price(asked), seat, KEYS[seat], now_us=at_us) for seat in seats]


def token(asked: Grant | None = None, *, now_us: int = NOW + 2) -> str:
    asked = asked or grant()
    agreed = verify_approvals(
        asked, price(asked), approvals(asked, "privacy", "legal"), roster(), charter()
    )
    return mint(agreed, MINT.seed(), begun_us=NOW, now_us=now_us)


def demand(**changes) -> Demand:
    base = Demand(
        purpose="train_ui_agent",
        segment="team-1",
        streams=("feature",),
        stage="training",
        recipe="train",
    )
    return replace(base, **changes)


def present(text: str, **changes) -> Claims:
    """Verify a token as its holder would present it; ``changes`` spoil one thing."""
    key = changes.pop("key", HOLDER)
    signed = changes.pop("signed", MESSAGE)
    options = {
        "nonce": NONCE,
        "message": MESSAGE,
        "revoked": frozenset(),
        "now_us": NOW + 3,
        "demand": demand(),
    } | changes
    options.setdefault("proof", Holder(text, key).prove(NONCE, signed))
    return verify_capability(text, MINT.public, **options)


@cache
def claims() -> Claims:
    return present(token())


def request(**changes) -> AccessRequest:
    base = AccessRequest(
        principal=claims().principal,
        action="run_approved_recipe",
        purpose="train_ui_agent",
        stage="training",
        now_us=NOW + 4,
        segment="team-1",
        streams=("feature",),
        purposes=("train_ui_agent",),
        jurisdictions=("US-CA",),
        expires_us=NOW + 100 * HOUR,
        people=50,
        consent=True,
        assurance="E3",
        claims=claims(),
        holder=HOLDER.public.text(),
    )
    return replace(base, **changes)
