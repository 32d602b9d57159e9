"""Around one keeper: a board that engages auditors, and auditors who have only the verifier and their key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.access_desk import Office
from tests.keeper_desk import Bench

from safehold import canonical
from safehold.assurance.engagement.order import DISMISS, DOMAIN, ENGAGE, write_order
from safehold.canonical import unb64
from safehold.charter import Signature
from safehold.clock import DAY_US, day_of
from safehold.signing import SigningKey
from safehold_verify.auditor import Auditor
from safehold_verify.opinion import Engaged, make_word, opinion_facts
from safehold_verify.recompute import recompute

HELD = {"organisation": "Outside & Sons", "lead": "dora"}


def auditor(name: str = "auditor.example", seed: int = 7) -> Auditor:
    return Auditor(name, bytes([seed]) * 32)


class Audited(Office):
    """A company that is audited.

    Args:
        bench: The keeper.
    """

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.who = auditor()

    # -- the board ----------------------------------------------------------------------------------

    def ordered(self, what: str, *seats: str, seat: str = "privacy", **said: Any) -> dict[str, Any]:
        home, at_us = said.pop("home", self.bench.home.id), said.pop("at_us", None)
        keys: Mapping[str, SigningKey] = said.pop("keys", self.bench.seats)
        text = write_order(
            what, home=home, at_us=at_us or self.bench.clock.now_us(), seat=seat, **said
        )
        return {
            "order": text.decode(),
            "signatures": [
                Signature(seat=one, value=keys[one].sign(DOMAIN, text)).to_json()
                for one in (seats or tuple(self.bench.seats))
            ],
        }

    def engage(self, *seats: str, **changes: Any) -> int:
        self.call("ledger.close-epoch")
        due, today = self.call("audit.due"), day_of(self.bench.clock.now_us())
        vkey, opening = changes.pop("who", self.who).public.splitlines()
        said = {
            **HELD,
            "vkey": vkey,
            "opening": opening,
            "scope": {**due["scope"], "controls": []},
            "starts": today,
            "ends": today + 59,
        } | changes
        return int(self.call("audit.engage", **self.ordered(ENGAGE, *seats, **said))["engagement"])

    def dismiss(self, engagement: int, *seats: str) -> dict[str, Any]:
        said = {"engagement": engagement, "reason": "they ask too much"}
        return self.call("audit.dismiss", **self.ordered(DISMISS, *seats, **said))

    # -- the auditor --------------------------------------------------------------------------------

    def engaged(self, engagement: int) -> Engaged:
        text = self.call("audit.show", engagement=engagement)["paper"]["order"]
        said = {"v": "safehold.engaged/1", "index": engagement, "order": text}
        return Engaged.read(canonical.encode(said))

    def word(self, engagement: int, state: str, /, **said: Any) -> dict[str, Any]:
        who, about = said.pop("who", self.who), said.pop("about", None)
        text = said.pop("text", "")
        facts = {"at": self.bench.clock.now_us() // 1000} | said
        made = make_word(who, self.engaged(engagement), state, facts, ref=about, text=text)
        return json.loads(made)

    def hear(self, word: dict[str, Any]) -> int:
        return int(self.call("audit.hear", word=word)["entry"])

    def begin(self, engagement: int, **said: Any) -> int:
        return self.hear(self.word(engagement, "begun", **said))

    def found(self, engagement: int, number: int = 1, **changes: Any) -> dict[str, Any]:
        said = {
            "number": number,
            "severity": "medium",
            "control": "ledger.grants",
            "owner": "engineer",
            "due": day_of(self.bench.clock.now_us()) + 20,
            "text": f"something was found: {number}",
        } | changes
        return self.word(engagement, "finding", **said)

    def papers(self, engagement: int, who: Auditor | None = None) -> dict[str, Any]:
        """Return what the keeper hands out, opened."""
        told, who = self.call("audit.counters", engagement=engagement), who or self.who
        epochs = range(told["scope"]["first"], told["scope"]["last"] + 1)
        bundles = [
            self.call("ledger.audit", epoch=one, auditor=told["opening"])["bundle"]
            for one in epochs
        ]
        return {
            "counters": who.open(unb64(told["counters"])),
            "bundles": [who.open(unb64(one)) for one in bundles],
            "scope": (epochs[0], epochs[-1]),
        }

    def recount(self, engagement: int, **papers: Any) -> dict[str, Any]:
        """Return the report of a recount; ``papers`` put others in the place of some."""
        who = papers.pop("who", None)
        given = self.papers(engagement, who) | papers
        return recompute(self.bench.home.ledger, self.bench.home.policy_file, **given).payload()

    def opinion(
        self,
        engagement: int,
        opinion: str = "unqualified",
        findings: list[dict[str, Any]] | None = None,
        report: dict[str, Any] | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """Return an opinion, signed; ``changes`` spoil a fact before."""
        who = changes.pop("who", self.who)
        report = report or self.recount(engagement, who=who)
        facts = opinion_facts(
            report,
            opinion,
            [canonical.encode(one) for one in findings or []],
            self.bench.clock.now_us() // 1000,
        )
        return self.word(engagement, "opinion", who=who, **facts | changes)

    def close(self, finding: int, engagement: int, **changes: Any) -> dict[str, Any]:
        one = self.finding(finding)
        said = {"engagement": engagement, "how": "fixed", "about": finding}
        if one["answers"]:
            said["answer"] = one["answers"][-1]
        return self.word(engagement, "finding.closed", **said | changes)

    # -- looking ------------------------------------------------------------------------------------

    def finding(self, entry: int) -> dict[str, Any]:
        told = self.call("audit.list")["audits"]
        return next(one for each in told for one in each["findings"] if one["finding"] == entry)

    def due(self) -> dict[str, Any]:
        return self.call("audit.due")

    def hold(self, opinion: str = "unqualified", *severities: str, **changes: Any) -> list[int]:
        """Hold a whole audit; return its engagement and its findings."""
        engagement = self.engage(**changes)
        who = {"who": changes["who"]} if "who" in changes else {}
        self.begin(engagement, **who)
        words = [
            self.found(engagement, number, severity=severity, **who)
            for number, severity in enumerate(severities, 1)
        ]
        found = [self.hear(one) for one in words]
        self.hear(self.opinion(engagement, opinion, words, **who))
        return [engagement, *found]

    def pass_days(self, days: float) -> None:
        self.bench.clock.at_us += int(days * DAY_US)

    @property
    def log(self) -> tuple[Path, Path]:
        self.bench.desk.ledger.publish()
        return self.bench.home.ledger, self.bench.home.policy_file
