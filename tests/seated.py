"""A board at work in tests: charters proposed, voted on and enacted through the keeper's verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from safehold import canonical
from safehold.access import Grant, Price
from safehold.canonical import b64, unb64
from safehold.charter import Charter, Roster, load, shipped, sign
from safehold.charter.proposal import Proposal, Question, Vote, propose, vote
from safehold.charter.roster import ROSTER_DOMAIN
from safehold.charter.turnover import change_of, next_roster
from safehold.errors import SafeholdError
from safehold.ledger import Entry
from safehold.signing import SigningKey

Call = Callable[..., dict[str, Any]]
Keys = Mapping[str, SigningKey]
DAY_S = 86_400
REPLAY = "blast-radius"  # a promise that a replay measures


def founding(*, notice_s: int = 0, needs: bool = False) -> Charter:
    """Return the demo's charter with another notice; by default a change counts at once, and so does a restart."""
    tree = canonical.decode(canonical.encode(load(shipped("demo")).to_json()))
    tree["oversight"]["widen"]["notice_s"] = notice_s
    if needs:
        tree["promises"] = [one for one in tree["promises"] if "replay." not in one["measure"]]
        tree["promises"].append(
            {
                "id": REPLAY,
                "says": "One stolen grant reveals at most one segment",
                "measure": "replay.max_segments_exposed",
                "must_be": tree["promises"][0]["must_be"],
            }
        )
    else:
        tree["oversight"]["restart_after_stop"]["needs"] = []
    return Charter.from_json(tree)


def priced(call: Call, grant: Grant) -> Price:
    """Put a request before the keeper and return its price; a made-up one for what it refuses."""
    try:
        return Price.from_json(call("request.new", grant=grant.to_json())["price"])
    except SafeholdError:
        return Price(
            grant=grant.digest().hex(),
            people=1,
            classes=(),
            days=1,
            models=(),
            epsilon_micro=0,
            epsilon_left_micro=0,
            at_us=0,
        )


def changed(charter: Charter, **changes: Any) -> Charter:
    """Return a charter with the next version and some replaced parts of its JSON."""
    tree = canonical.decode(canonical.encode(charter.to_json()))
    tree["version"] += 1
    for name, value in changes.items():
        tree[name] = value(tree[name]) if callable(value) else value
    return Charter.from_json(tree)


def wider(charter: Charter, days: int = 31) -> Charter:
    """Return a charter that keeps keys longer."""

    def longer(collect: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [collect[0] | {"keep_days": days}, *collect[1:]]

    return changed(charter, collect=longer)


def stated(
    charter: Charter,
    *,
    home: str,
    base: bytes,
    roster: Roster,
    seat: str,
    key: SigningKey,
    at_us: int,
) -> dict[str, Any]:
    """Return the arguments of ``charter.propose``."""
    said = Proposal(
        home=home,
        about="charter",
        digest=charter.digest().hex(),
        version=charter.version,
        base=base.hex(),
        roster=roster.digest().hex(),
        seat=seat,
        at_us=at_us,
    )
    return {
        "charter": charter.to_json(),
        "proposal": said.to_json(),
        "signature": b64(propose(said, key)),
    }


def stated_roster(
    new: Roster, *, old: Roster, seat: str, key: SigningKey, at_us: int
) -> dict[str, Any]:
    """Return the arguments of ``board.propose``."""
    change = change_of(old, new)
    said = Proposal(
        home=old.home,
        about="roster",
        digest=change.digest(old.home).hex(),
        version=new.version,
        base=old.standing().hex(),
        roster=old.digest().hex(),
        seat=seat,
        at_us=at_us,
    )
    return {
        "change": change.to_json(),
        "proposal": said.to_json(),
        "signature": b64(propose(said, key)),
    }


def voted(
    old: Roster, new: Roster, *keys: tuple[str, SigningKey], proposal: int = 7, **changes: Any
) -> list[Vote]:
    """Return votes on a change of the roster, as if it had been proposed in some home."""
    facts = {
        "home": old.home,
        "proposal": proposal,
        "leaf": "00" * 32,
        "digest": change_of(old, new).digest(old.home).hex(),
        "base": old.standing().hex(),
        "roster": old.digest().hex(),
    }
    return [vote(Question(**facts | changes), seat, key) for seat, key in keys]


def say(
    call: Call, question: Mapping[str, Any], seat: str, key: SigningKey, decision: str = "sign"
) -> dict[str, Any]:
    """Hand in one seat's vote."""
    made = vote(Question.from_json(dict(question)), seat, key, decision=decision)
    return call("charter.vote", vote=made.to_json())


def asked(call: Call, index: int) -> dict[str, Any]:
    """Return the open proposal with an index, as the keeper describes it now."""
    found = [one for one in call("charter.proposals")["proposals"] if one["proposal"] == index]
    assert found, "no such open proposal"
    return found[0]


def enact(
    call: Call, trust: Any, charter: Charter, keys: Keys, seats: Iterable[str], *, at_us: int
) -> dict[str, Any]:
    """Put a charter in force with these seats, all the way; the first of them proposes."""
    names = list(seats)
    if (
        not trust.digest()
        or charter.digest() == trust.digest()
        or charter.version <= trust.charter().version
    ):
        return call(
            "charter.enact",
            charter=charter.to_json(),
            signatures=[
                sign(charter, name, keys[name], home=trust.roster.home).to_json() for name in names
            ],
        )
    proposer = names[0] if names else "hr"
    said = stated(
        charter,
        home=trust.roster.home,
        base=trust.digest(),
        roster=trust.roster,
        seat=proposer,
        key=keys[proposer],
        at_us=at_us,
    )
    made = call("charter.propose", **said)
    for name in names:
        say(call, made["question"], name, keys[name])
    return call("charter.enact", proposal=made["proposal"])


def signed_roster(
    new: Roster, keys: Mapping[str, SigningKey], *also: tuple[str, SigningKey]
) -> Roster:
    """Return a roster with signatures of some seats, whether or not their keys are in it."""
    from safehold.charter import Signature

    for seat, key in (*keys.items(), *also):
        new = new.add(Signature(seat=seat, value=key.sign(ROSTER_DOMAIN, new.message())))
    return new


def rotate(call: Call, trust: Any, seat: str, old: SigningKey, fresh: SigningKey) -> dict[str, Any]:
    """Give a seat another key, as its holder does."""
    new = next_roster(trust.roster, seat=seat, key=fresh.public)
    return call("board.rotate", roster=signed_roster(new, {seat: old}, (seat, fresh)).to_json())


def milestone(ledger: Any, promise: str = REPLAY, state: str = "kept") -> None:
    """Append what a measurement found under the charter in force, as the schedule of a served keeper does."""
    *_, charter = (unb64(leaf["chr"]) for _, leaf in ledger.leaves() if leaf["k"] == "charter")
    ledger.append(
        [
            Entry(
                kind="milestone",
                actor="keeper",
                object=promise,
                detail={},
                charter=charter,
                public={
                    "promise": promise,
                    "state": state,
                    "op": "le",
                    "bound": 1_000_000,
                    "micro": 0,
                },
            )
        ]
    )
