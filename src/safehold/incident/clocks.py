"""Until when somebody has to be told: one clock for each duty, from the moment that anybody knew.

No clock can be paused, set back or begun later: the moment of awareness comes from the ledger and only moves earlier.
Which clocks there are, the charter's regimes say. Whether a duty exists in a case is a question of law: a clock runs
until people decide, and the decision is a leaf. Texts of law are given as they were read, and none was checked by
counsel: ``checked`` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from safehold.charter import Charter
from safehold.charter.value import MICRO
from safehold.clock import SECOND_US
from safehold.keeper.incident import Incident

HOUR_US: Final = 3600 * SECOND_US
DAY_H: Final = 24
CONTAIN: Final = "incident.p100_hours_to_contain"
COUNSEL: Final = "not checked by counsel; counsel decides whether it applies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One duty to tell somebody, or to do something.

    Args:
        id: What it is called.
        notice: The notice that meets it; empty if something else does.
        regime: Regime of the charter that brings it; ``charter`` for its own promises.
        hours: From awareness; None where the law says no number.
        says: In plain words.
        law: Where it stands.
        unless: When it does not apply, in plain words.
    """

    id: str
    notice: str
    regime: str
    hours: int | None
    says: str
    law: str
    unless: str = ""


DUTIES: Final = (
    Duty(
        id="gdpr-authority",
        notice="authority",
        regime="eu-gdpr",
        hours=72,
        says="tell the supervisory authority; what is not known yet follows in phases; later than that, say why",
        law="GDPR Art. 33(1), 33(4)",
        unless="it is unlikely to bring a risk to anybody's rights",
    ),
    Duty(
        id="gdpr-people",
        notice="people",
        regime="eu-gdpr",
        hours=None,
        says="tell the people, without undue delay, in plain words",
        law="GDPR Art. 34(1)",
        unless="there is no high risk, or the data is unintelligible to whoever has it (34(3)(a))",
    ),
    Duty(
        id="uk-authority",
        notice="authority",
        regime="uk-gdpr",
        hours=72,
        says="tell the Information Commissioner",
        law="UK GDPR Art. 33(1)",
        unless="it is unlikely to bring a risk to anybody's rights",
    ),
    Duty(
        id="uk-people",
        notice="people",
        regime="uk-gdpr",
        hours=None,
        says="tell the people, without undue delay",
        law="UK GDPR Art. 34(1)",
        unless="there is no high risk, or the data is unintelligible",
    ),
    Duty(
        id="california-people",
        notice="people",
        regime="ccpa",
        hours=30 * DAY_H,
        says="tell the residents of California whose data was taken",
        law="Cal. Civ. Code 1798.82(a)(2), as amended by SB 446 from 2026-01-01",
        unless="what was taken was encrypted and its key was not; other states have laws of their own",
    ),
    Duty(
        id="california-attorney",
        notice="attorney",
        regime="ccpa",
        hours=45 * DAY_H,
        says="give the Attorney General a sample of the notice, if more than 500 residents are told:"
        " within 15 days after telling them, which is 45 days at the latest",
        law="Cal. Civ. Code 1798.82(f)",
        unless="500 residents or fewer are told",
    ),
    Duty(
        id="ai-widespread",
        notice="regulator",
        regime="eu-aiact",
        hours=2 * DAY_H,
        says="report a widespread infringement, or a serious disruption of critical infrastructure",
        law="AI Act Art. 73(3)",
        unless="it is no such incident, or the system is not of high risk; then 10 days after a death, else 15",
    ),
    Duty(
        id="ai-death",
        notice="regulator",
        regime="eu-aiact",
        hours=10 * DAY_H,
        says="report a serious incident in which somebody died",
        law="AI Act Art. 73(4)",
        unless="nobody died, or the system is not of high risk",
    ),
    Duty(
        id="ai-serious",
        notice="regulator",
        regime="eu-aiact",
        hours=15 * DAY_H,
        says="report any other serious incident",
        law="AI Act Art. 73(2)",
        unless="it is no serious incident (Art. 3(49)), or the system is not of high risk",
    ),
)


def duties(charter: Charter) -> list[Duty]:
    """Return the duties of a charter's regimes, and those that the charter itself promises."""
    found = [one for one in DUTIES if one.regime in charter.regimes]
    found.append(
        Duty(
            id="board",
            notice="board",
            regime="charter",
            hours=DAY_H,
            says="tell the board",
            law=f"charter {charter.id}, version {charter.version}: oversight",
        )
    )
    found += [
        Duty(
            id="contain",
            notice="",
            regime="charter",
            hours=promise.must_be.micro // MICRO,
            says=promise.says,
            law=f"charter {charter.id}, version {charter.version}: promise {promise.id}",
        )
        for promise in charter.promises
        if promise.measure == CONTAIN and promise.must_be.op in ("<", "<=")
    ]
    return found


def read_clocks(one: Incident, charter: Charter, *, now_us: int) -> list[dict[str, Any]]:
    """Return every clock of an incident, the most urgent first.

    ``state`` is ``running``, ``late``, ``met``, ``met late``, ``not needed`` or ``decided late``.
    """
    found = [_read(duty, one, now_us=now_us) for duty in duties(charter)]
    order = {"late": 0, "running": 1}
    return sorted(
        found,
        key=lambda told: (
            order.get(str(told["state"]), 2),
            told["due_us"] if told["due_us"] is not None else 2**62,
        ),
    )


def _read(duty: Duty, one: Incident, *, now_us: int) -> dict[str, Any]:
    aware = one.aware_ms * 1000
    due = None if duty.hours is None else aware + duty.hours * HOUR_US
    met_ms, decision, entry = _met(duty, one)
    if not met_ms:
        state = "late" if due is not None and now_us > due else "running"
    else:
        in_time = due is None or met_ms * 1000 <= due
        state = {
            (True, True): "met",
            (True, False): "met late",
            (False, True): "not needed",
            (False, False): "decided late",
        }[decision == "sent", in_time]
    until = met_ms * 1000 if met_ms else now_us
    return {
        "clock": duty.id,
        "notice": duty.notice or None,
        "regime": duty.regime,
        "state": state,
        "aware_us": aware,
        "due_us": due,
        "left_s": None if due is None or met_ms else (due - now_us) // SECOND_US,
        "took_s": (until - aware) // SECOND_US,
        "entry": entry,
        "says": duty.says,
        "law": duty.law,
        "unless": duty.unless or None,
        "checked": None if duty.regime == "charter" else COUNSEL,
    }


def _met(duty: Duty, one: Incident) -> tuple[int, str, int | None]:
    """Return when a duty was met or decided about, milliseconds, how, and by which leaf."""
    if not duty.notice:
        return one.contained_ms, "sent", None
    known = one.notices.get(duty.notice)
    return (0, "", None) if known is None else (known[2], known[1], known[0])


def late(one: Incident, charter: Charter, *, now_us: int) -> list[str]:
    """Return the clocks of an incident that are past their time with nothing decided."""
    clocks = read_clocks(one, charter, now_us=now_us)
    return [str(told["clock"]) for told in clocks if told["state"] == "late"]


def undecided(one: Incident, charter: Charter) -> list[str]:
    """Return the notices that somebody still has to decide about."""
    wanted = dict.fromkeys(duty.notice for duty in duties(charter) if duty.notice)
    settled = one.settled()
    return [name for name in wanted if name not in settled]
