"""The verbs that only look: how incidents stand, the timeline, drafts, the report, what keeps everything stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from safehold.canonical import b64
from safehold.errors import MissingError
from safehold.incident.clocks import read_clocks
from safehold.incident.closing import missing
from safehold.incident.count import Counted
from safehold.incident.docket import Docket
from safehold.incident.notices import draft
from safehold.incident.picture import draw_timeline
from safehold.incident.reach import Finder, Reach
from safehold.incident.report import draw_report, to_html
from safehold.incident.severity import Facts, propose, scale, told
from safehold.incident.timeline import event_of, read_timeline, write_text
from safehold.keeper.incident import GATE, NEXT, Incident
from safehold.keeper.server import Report, Verb

LIMITS = (
    "the record tells which keys were used, not what a person remembered",
    "whoever opened an incident without signing in is known as a caller of this machine only",
    "texts of law are not checked by counsel; counsel decides which apply",
)


class Papers:
    """The verbs.

    Args:
        docket: The incidents.
        finder: Finds whom they reached.
        counted: How numbers of people may be told.
    """

    def __init__(self, docket: Docket, finder: Finder, counted: Counted) -> None:
        self._docket = docket
        self._desk = docket.desk
        self._finder = finder
        self._counted = counted

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            "incident.list": self.listing,
            "incident.show": self.show,
            "incident.clock": self.clock,
            "incident.timeline": self.timeline,
            "incident.draft": self.draft,
            "incident.report": self.report,
            "incident.restart": self.restart,
        }

    def listing(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the incidents, open ones first and the gravest of them first; the scale, if it is asked for."""
        found = sorted(self._docket.all(), key=lambda one: (not one.open, one.grave, -one.index))
        return {
            "incidents": [self._brief(one) for one in found],
            **({"scale": scale()} if arguments.get("scale") is True else {}),
        }

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return everything about an incident that may be told: no name, no text of anybody."""
        one, desk = self._docket.find(arguments), self._desk
        reach = self._finder.find(one)
        scope = self._docket.scope(one)
        level, why = propose(self._facts(one, reach, scoped=not scope.empty))
        return {
            **self._brief(one),
            "means": told(one.grave)["means"],
            "proposed": {"severity": level, "because": why},
            "aware_us": one.aware_ms * 1000,
            "contained_us": one.contained_ms * 1000 or None,
            "closed_us": one.closed_ms * 1000 or None,
            "alert": one.alert,
            "basis": one.basis,
            "next": list(NEXT[one.state]),
            "missing": missing(one, desk.trust.charter()),
            "agreed": [
                {"about": about, "seat": seat, "entry": leaf}
                for (about, seat), leaf in one.agreed.items()
            ],
            "reach": reach.counts(self._counted) if not scope.empty else None,
            "roles": {role: {"entry": leaf} for role, leaf in sorted(one.roles.items())},
            "containments": [
                {
                    "entry": leaf,
                    "what": self._docket.fold().containment(leaf)[0],
                    "in_force": in_force,
                }
                for leaf, in_force in one.held.items()
            ],
            "causes": [{"entry": leaf, "sha256": sha} for leaf, sha in one.causes.items()],
            "actions": [{"entry": leaf, "done": done} for leaf, done in one.actions.items()],
            "notices": {
                name: {"entry": leaf, "decision": decision, "at_us": at * 1000}
                for name, (leaf, decision, at) in one.notices.items()
            },
            "clocks": read_clocks(one, desk.trust.charter(), now_us=desk.now_us()),
            "steps": [
                {
                    "entry": step.index,
                    "at_us": step.at_ms * 1000,
                    "says": event_of(
                        step.index,
                        {"k": "incident", "t": step.at_ms, "pub": step.facts},
                        {},
                        self._counted,
                    ).sentence,
                }
                for step in one.steps
            ],
            "limits": list(LIMITS),
        }

    def clock(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the clocks of an incident, the most urgent first."""
        one, desk = self._docket.find(arguments), self._desk
        return {
            "incident": one.index,
            "aware_us": one.aware_ms * 1000,
            "clocks": read_clocks(one, desk.trust.charter(), now_us=desk.now_us()),
        }

    def timeline(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what happened: as entries, as text, and as a picture."""
        one, desk = self._docket.find(arguments), self._desk
        now = desk.now_us()
        events = read_timeline(one, desk.ledger, now_ms=now // 1000, counted=self._counted)
        clocks = read_clocks(one, desk.trust.charter(), now_us=now)
        return {
            "incident": one.index,
            "events": [event.to_json() for event in events],
            "text": write_text(events),
            "picture": draw_timeline(events, clocks),
        }

    def draft(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the draft of a notice."""
        one, desk = self._docket.find(arguments), self._desk
        now = desk.now_us()
        text = draft(
            str(arguments.get("notice", "")),
            one,
            desk.trust.charter(),
            reach=self._finder.find(one).counts(self._counted),
            scoped=not self._docket.scope(one).empty,
            clocks=read_clocks(one, desk.trust.charter(), now_us=now),
            events=read_timeline(one, desk.ledger, now_ms=now // 1000, counted=self._counted),
            now_us=now,
        )
        return {"incident": one.index, "notice": arguments["notice"], "text": text}

    def report(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Draw up the report of an incident, with a proof of every entry that it names."""
        one, desk = self._docket.find(arguments), self._desk
        desk.ledger.publish()  # a proof is in a published head
        now = desk.now_us()
        events = read_timeline(one, desk.ledger, now_ms=now // 1000, counted=self._counted)
        clocks = read_clocks(one, desk.trust.charter(), now_us=now)
        made = draw_report(
            one,
            desk.trust.charter(),
            desk.ledger,
            events=events,
            reach=self._finder.find(one).counts(self._counted),
            clocks=clocks,
        )
        picture = draw_timeline(events, clocks)
        return {
            "incident": one.index,
            "text": made.text,
            "html": to_html(made.text, title=f"Report of incident {one.index}", picture=picture),
            "picture": picture,
            "proofs": [self._proof(index) for index in made.entries],
        }

    def restart(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what keeps everything stopped, or would if the board had stopped it."""
        trust = self._desk.trust
        return {
            "stopped": trust.stopped,
            "missing": trust.restart(),
            "seats": trust.charter().oversight.restart_after_stop.approve,
            "waived": self._desk.home.synthetic,
        }

    def _proof(self, index: int) -> dict[str, Any]:
        ledger = self._desk.ledger
        try:
            return {"entry": index, "leaf": b64(ledger.leaf(index)), "proof": ledger.prove(index)}
        except MissingError:  # it came after the head that was published
            return {"entry": index, "leaf": b64(ledger.leaf(index)), "proof": None}

    def status(self) -> list[dict[str, Any]]:
        """Return how many incidents of each severity are open, the gravest first."""
        found = Counter(one.grave for one in self._docket.fold().all() if one.open)
        return [
            {"severity": grave, "name": told(grave)["name"], "count": count}
            for grave, count in sorted(found.items())
        ]

    def told(self, since: int, stop: int, *, most: int) -> list[dict[str, Any]]:
        """Return the incidents whose standing was last changed by a leaf of a range, in order of that leaf.

        Args:
            since: First leaf.
            stop: Leaf after the last.
            most: How many at most, the oldest ones.
        """
        found = [one for one in self._docket.fold().all() if since <= one.turned.index < stop]
        found.sort(key=lambda one: one.turned.index)
        return [self._brief(one) for one in found[:most]]

    def _brief(self, one: Incident) -> dict[str, Any]:
        clocks = read_clocks(one, self._desk.trust.charter(), now_us=self._desk.now_us())
        return {
            "incident": one.index,
            "entry": one.turned.index,
            "changed_us": one.turned.at_ms * 1000,
            "state": one.state,
            "severity": one.grave,
            "name": told(one.grave)["name"],
            "said": one.severity is not None,
            "opened_us": one.opened_ms * 1000,
            "late": [str(clock["clock"]) for clock in clocks if clock["state"] == "late"],
            "stops_restart": one.open and (one.grave <= GATE or any(one.held.values())),
        }

    def _facts(self, one: Incident, reach: Reach, *, scoped: bool) -> Facts:
        if not scoped:
            return Facts(contained=bool(one.contained_ms))
        return Facts(
            read=bool(reach.finished),
            could=bool(reach.uses or reach.untold or reach.could),
            tried=bool(reach.refused),
            people=None if reach.untold else len(reach.told) + reach.erased[1],
            contained=bool(one.contained_ms),
        )
