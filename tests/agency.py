"""A person, the grant a board gave them, and agents that act under it, in a keeper of tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tests.identities import Somebody, agent, human
from tests.keeper_desk import Bench
from tests.seated import founding
from tests.world import PURPOSE

from safehold import canonical
from safehold.access import Grant, Holder, Price, approve
from safehold.app.draft import draft_grant
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.clock import SECOND_US
from safehold.keeper.messages import use_message

SEATS = ("privacy", "legal")


def with_agents(*, delegate: bool = True, **rule: Any) -> Charter:
    """Return the demo's charter with a role for agents."""
    tree = canonical.decode(canonical.encode(founding().to_json()))
    role = {
        **tree["who_may"]["data_scientist"],
        "do": ["run_approved_recipe"],
        "stages": ["feature", "training"],
    }
    role["grant"] = {**role["grant"], "max_s": 1800, "token_s": 900, "reason": None}
    tree["who_may"]["agent"] = role | {"may_delegate": delegate} | rule
    return Charter.from_json(tree)


@dataclass
class Agency:
    """People and agents of one keeper; each has signed in."""

    bench: Bench

    def person(self, name: str) -> Somebody:
        return human(self.bench.call, name)

    def agent(self, name: str, operator: str, **policy: Any) -> Somebody:
        return agent(self.bench.call, name, operator, **policy)

    def draft(self, who: Somebody, *, recipe: str = "train", **changes: Any) -> Grant:
        """Return what a person asks for."""
        bench = self.bench
        now = bench.clock.now_us()
        asked = draft_grant(
            bench.charter(),
            requester=who.id,
            purpose=PURPOSE,
            reason="a test of agents",
            holder=who.key,
            minutes=60,
            recipe=recipe,
        )
        days = {"first_day": bench.today - 40, "last_day": bench.today + 1}
        times = {"asked_us": now, "expires_us": now + 7200 * SECOND_US}
        privacy = bench.charter().purpose(PURPOSE).privacy
        assert privacy is not None
        # one run of training spends it all
        once = {"epsilon_micro": privacy.epsilon_micro} if recipe == "train" else {}
        return replace(asked, **(times | days | once | changes))

    def approvals(self, grant: Grant, price: Any, *seats: str) -> list[dict[str, Any]]:
        bench = self.bench
        return [
            approve(
                grant, Price.from_json(price), seat, bench.seats[seat], now_us=bench.clock.now_us()
            ).to_json()
            for seat in seats or SEATS
        ]

    def give(self, who: Somebody, grant: Grant, people: Any = None) -> Holder:
        """Ask as somebody, let the seats approve, enact as them."""
        answer = who.ask(
            "request.new", grant=grant.to_json(), **({"people": people} if people else {})
        )
        approvals = self.approvals(grant, answer["price"])
        made = who.ask("grant.enact", grant=grant.to_json(), approvals=approvals)
        return Holder(made["token"], who.key)

    def operator(self, who: Somebody, **changes: Any) -> tuple[Grant, Holder]:
        grant = self.draft(who, **changes)
        return grant, self.give(who, grant)

    def below(self, who: Somebody, parent: str, *, recipe: str = "train", **changes: Any) -> Grant:
        """Return what an agent asks for under a grant."""
        answer = who.ask(
            "agent.draft",
            parent=parent,
            recipe=recipe,
            minutes=30,
            reason="a test of agents",
            holder=who.key.public.text(),
        )
        return replace(Grant.from_json(answer["grant"]), **changes)

    def use(self, holder: Holder, verb: str = "train") -> dict[str, Any]:
        nonce = unb64(self.bench.call("nonce")["nonce"])
        return {
            "purpose": PURPOSE,
            "token": holder.token,
            "nonce": b64(nonce),
            "proof": b64(holder.prove(nonce, use_message(verb, PURPOSE))),
        }

    def train(self, who: Somebody, holder: Holder) -> dict[str, Any]:
        return who.ask("train", **self.use(holder))
