"""A keeper with people, data and one person in two seats: who tries to get more than was agreed to is refused here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests import keeper_desk
from tests.keeper_desk import CROWD, PURPOSE, Bench, found_bench, script_training
from tests.world import raised

from safehold.access import Grant, Holder, Human, PeopleFilter, Price, approve
from safehold.app.draft import draft_grant
from safehold.app.gate import EgressGatekeeper
from safehold.canonical import b64, unb64
from safehold.charter import Charter, Roster
from safehold.errors import SafeholdError
from safehold.keeper.messages import use_message
from safehold.keeper.ports import Frame
from safehold.keeper.recipes import ATTACK_VERB
from safehold.settings import Home
from safehold.signing import SigningKey

BOTH = "holds-two-seats"  # legal and hr


@dataclass(frozen=True)
class Asked:
    """A request and the key that may use what comes of it."""

    grant: Grant
    price: Price
    key: SigningKey


class Office:
    """The people around one keeper.

    Args:
        bench: The keeper.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.call = bench.call
        self._count = 0

    def draft(self, *, recipe: str = "train", people: PeopleFilter | None = None, **changes: Any):
        key = changes.pop("key", None) or SigningKey.generate()
        grant = draft_grant(
            self.bench.charter(),
            requester="ana",
            purpose=PURPOSE,
            reason="a test of who may",
            holder=key,
            minutes=60,
            recipe=recipe,
            people=people,
        )
        now = self.bench.clock.now_us()
        moved = {"asked_us": now, "expires_us": now + grant.expires_us - grant.asked_us}
        days = {"first_day": self.bench.today - 40, "last_day": self.bench.today + 1}
        return replace(grant, **moved | days | changes), key

    def ask(self, people: PeopleFilter | None = None, **changes: Any) -> Asked:
        grant, key = self.draft(people=people, **changes)
        answer = self.call(
            "request.new",
            grant=grant.to_json(),
            people=None if people is None else people.to_json(),
        )
        return Asked(grant, Price.from_json(answer["price"]), key)

    def vote(self, asked: Asked, seat: str, decision: str = "approve", **changes: Any):
        """Return the answer to one decision; ``changes`` spoil it after it was signed."""
        at_us = changes.pop("now_us", self.bench.clock.now_us())
        key = changes.pop("key", self.bench.seats.get(seat))
        price = changes.pop("price", asked.price)
        signed = approve(
            changes.pop("grant", asked.grant), price, seat, key, now_us=at_us, decision=decision
        )
        return self.call(
            "request.decide",
            request=asked.grant.id,
            approval=replace(signed, **changes).to_json(),
        )

    def enact(self, asked: Asked, **given: Any) -> Holder:
        answer = self.call("grant.enact", **{"grant": asked.grant.to_json()} | given)
        return Holder(answer["token"], asked.key)

    def holder(self, **changes: Any) -> Holder:
        """Return the holder of a grant that two seats approved of."""
        self._count += 1  # each of somebody else: nobody's review is overdue
        who = Human(id=f"ana-{self._count}", role="data_scientist")
        asked = self.ask(**{"requester": who} | changes)
        self.vote(asked, "privacy")
        self.vote(asked, "security")
        return self.enact(asked)

    def use(self, holder: Holder, verb: str = "train", purpose: str = PURPOSE, **spoilt: Any):
        nonce = unb64(self.call("nonce")["nonce"])
        message = use_message(verb, purpose)
        return {
            "purpose": purpose,
            "token": holder.token,
            "nonce": b64(nonce),
            "proof": b64(holder.prove(nonce, message)),
        } | spoilt

    def train(self, holder: Holder, **spoilt: Any) -> dict[str, Any]:
        return self.call("train", **self.use(holder, **spoilt))

    def attack(self, holder: Holder, **spoilt: Any) -> dict[str, Any]:
        """Use a grant for a recipe that spends no epsilon."""
        return self.call(
            ATTACK_VERB, **self.use(holder, ATTACK_VERB, **spoilt), stage="feature", dataset=None
        )

    def refused(self, act: Callable[[], Any], rule: str) -> SafeholdError:
        """Check that an act is refused by a rule, that the ledger says so, and that nothing else happened."""
        ledger, packed = self.bench.desk.ledger, len(self.bench.workshop.packed)
        before = ledger.size
        error = raised(act)
        assert error.rule == rule, f"{error.rule}: {error.message}"
        assert error.entry is not None
        assert error.entry >= before
        said = self.call("ledger.show", index=error.entry)
        assert said["leaf"]["k"] == "refusal"
        assert said["detail"]["rule"] == rule
        kinds = [(leaf["k"], leaf.get("pub")) for _, leaf in ledger.leaves(before)]
        assert not [kind for kind, _ in kinds if kind in ("access.intent", "grant", "review")]
        assert len(self.bench.workshop.packed) == packed
        return error


def found_office(path: Path, charter: Charter | None = None) -> Bench:
    """Make the keeper's home; one person holds the seats of law and of people."""

    def roster(home: Home, keys: Mapping[str, SigningKey], *, now_us: int) -> Roster:
        found = Roster.draft(
            {
                name: (BOTH if name in ("legal", "hr") else name, key.public)
                for name, key in keys.items()
            },
            home=home.id,
            now_s=now_us // 1_000_000,
            pinned=keeper_desk_roster(home, keys, now_us=now_us).pinned,
            several={BOTH},
        )
        for name, key in keys.items():
            found = found.sign(name, key)
        return found

    keeper_desk_roster = keeper_desk.first_roster
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper_desk, "first_roster", roster)
        bench = found_bench(path, people=CROWD, charter=charter).start()
    bench.take(*CROWD)
    bench.call("feature", purpose=PURPOSE)
    bench.stop()
    return bench


def scripted(bench: Bench) -> Bench:
    """Let training send a model, and the attack nothing."""
    script_training(bench)

    def attack(_spec: Mapping[str, Any]) -> Iterator[Frame]:
        yield from ()

    bench.workshop.scripts["reidentify"] = attack
    bench.desk.gatekeeper.reads = EgressGatekeeper().reads
    return bench
