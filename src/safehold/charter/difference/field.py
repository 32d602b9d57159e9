"""The declared order of every field of a charter: which of two values allows more.

Patterns are the documented keys of the language. A field of the model without an order here counts as wider
whatever its change, and a test fails until it has one.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from safehold.charter.difference.order import (
    Order,
    added_is_wider,
    bound,
    deadline,
    empty_means,
    fewer_is_wider,
    fixed,
    ladder,
    missing_is_narrower,
    missing_is_wider,
    more_is_wider,
    narrower_term,
    none_means,
    none_means_all,
    removed_is_wider,
    terms_removed,
    under,
    words,
)
from safehold.charter.participation import OPT_IN_BY
from safehold.charter.vocabulary import ASSURANCE, DLP_GROUPS
from safehold.telemetry.stream import Level

_LEVEL: Final = ladder(*(level.name for level in reversed(Level)), kind="level")
_NO_YES: Final = (False, None, True)  # what is not stated lies between
_YES_NO: Final = (True, False)
_SANDBOX: Final = ladder(*reversed(ASSURANCE), kind="level")

ORDERS: Final = MappingProxyType[
    str, Order
](
    {
        "charter": fixed(),
        "id": words("name"),
        "title": words("quote"),
        "summary": words("quote"),
        "controller.name": words("quote"),
        "controller.contact": words("name"),
        "controller.dpo": words("name"),
        "regimes": removed_is_wider("name"),
        "data_subjects.include": added_is_wider("term", readings=(under("subject"),)),
        "data_subjects.exclude": removed_is_wider("term", readings=(under("subject"),)),
        # no order of the law or of kinds of consent is ours to declare
        "participation.legal_basis": words("term"),
        "participation.opt_in": narrower_term("consent", "dpv"),
        "participation.default": fixed(),
        "participation.withdraw.any_time": ladder(*_YES_NO, kind="truth"),
        "participation.withdraw.detriment": fixed(),
        "participation.withdraw.effect": deadline(),
        "participation.pause.max": fixed(),
        "participation.pause.effect": fixed(),
        "participation.applies_equally_to": removed_is_wider("text"),
        "participation.manager_visibility_of_choice": fixed(),
        "participation.opt_in_by": ladder(*OPT_IN_BY, kind="entry"),
        "jurisdictions.collect_in": added_is_wider("place"),
        "jurisdictions.counterpart_rule": fixed(),
        "collect[].what": fixed("what"),
        # what a category is called decides what `never_collect` catches
        "collect[].category.fides": words("term"),
        "collect[].category.dpv": words("term"),
        "collect[].category.sh": words("term"),
        "collect[].minimise.level": _LEVEL,
        "collect[].minimise.drop": removed_is_wider("part"),
        "collect[].minimise.apps": added_is_wider("apps", readings=(none_means_all,)),
        "collect[].minimise.titles": ladder("dropped", "class_only", kind="titles"),
        # the charter says "no limit", the minimiser takes public channels alone: narrower only if both agree
        "collect[].minimise.channels": added_is_wider(
            "channels", readings=(none_means_all, none_means("public"))
        ),
        # an empty list names no group, and the minimiser then masks every one
        "collect[].minimise.dlp": removed_is_wider(
            "dlp", readings=(empty_means(), empty_means(*DLP_GROUPS))
        ),
        # a silo keeps its data in, but what lies in one is no telemetry to the rule that keeps the two apart
        "collect[].minimise.silo": words("silo"),
        "collect[].keep": more_is_wider("days"),
        "collect[].sensitivity": fewer_is_wider("number"),
        "never_collect": terms_removed("category", broader=True),
        "purposes.<name>.plain": words("quote"),
        "purposes.<name>.uses.fides": narrower_term("use", "fides"),
        "purposes.<name>.uses.dpv": narrower_term("use", "dpv"),
        "purposes.<name>.uses.sh": narrower_term("use", "sh"),
        "purposes.<name>.from": added_is_wider("what"),
        "purposes.<name>.stages": added_is_wider("stage"),
        "purposes.<name>.privacy": words(),  # without a budget nothing is released, or nothing is counted
        "purposes.<name>.privacy.unit": fixed(),
        "purposes.<name>.privacy.epsilon": more_is_wider("epsilon"),
        "purposes.<name>.privacy.delta": more_is_wider("delta"),
        "purposes.<name>.privacy.min_people": fewer_is_wider("people"),
        "purposes.<name>.releases": added_is_wider("release"),
        # without a term, what is derived ends with its sources: sooner or later than any number of days
        "purposes.<name>.derived_keep": more_is_wider("end"),
        "red_lines[].id": fixed("name"),
        "red_lines[].plain": words("quote"),
        "red_lines[].rule": words("quote"),
        "red_lines[].forbid": terms_removed("use"),
        "red_lines[].dpv": terms_removed("use", vocabulary="dpv"),
        "red_lines[].forbid_terms": terms_removed("use"),
        "red_lines[].forbid_actions": removed_is_wider("action"),
        "red_lines[].forbid_beside": removed_is_wider("silo"),
        "red_lines[].min_people": fewer_is_wider("people", none=0),
        "red_lines[].law": words("term"),
        "who_may.<name>.do": added_is_wider("action"),
        "who_may.<name>.stages": added_is_wider("stage"),
        "who_may.<name>.grant": missing_is_narrower("text"),
        "who_may.<name>.grant.max": more_is_wider("seconds"),
        "who_may.<name>.grant.token": more_is_wider("seconds"),
        "who_may.<name>.grant.approvers": fewer_is_wider("approvals"),
        "who_may.<name>.grant.reason": missing_is_wider("reason"),
        "who_may.<name>.grant.budget": missing_is_wider("limit"),
        "who_may.<name>.grant.budget.rows": more_is_wider("rows"),
        "who_may.<name>.grant.budget.bytes_out": more_is_wider("bytes"),
        "who_may.<name>.grant.budget.runs": more_is_wider("runs"),
        "who_may.<name>.sees_data": ladder(*_NO_YES, kind="truth"),
        "who_may.<name>.may_delegate": ladder(*_NO_YES, kind="truth"),
        "oversight.seats": words("seat"),
        "oversight.widen.approve": fewer_is_wider("seats"),
        "oversight.widen.must_include": removed_is_wider("seat"),
        "oversight.widen.notice": fewer_is_wider("seconds"),
        # whoever wants less must never wait: what makes tightening or stopping harder is wider
        "oversight.narrow.approve": more_is_wider("seats"),
        "oversight.narrow.must_include": added_is_wider("seat"),
        "oversight.narrow.notice": more_is_wider("seconds"),
        "oversight.stop.approve": more_is_wider("seats"),
        "oversight.stop.effect": deadline(),
        "oversight.restart_after_stop.approve": fewer_is_wider("seats"),
        "oversight.restart_after_stop.needs": removed_is_wider("part"),
        "oversight.break_glass": missing_is_narrower("text"),
        "oversight.break_glass.approvers": fewer_is_wider("approvals"),
        "oversight.break_glass.seats": added_is_wider("seat"),
        "oversight.break_glass.max": more_is_wider("seconds"),
        "oversight.break_glass.reviews": fewer_is_wider("number"),
        "set_aside": missing_is_narrower("text"),
        "set_aside.purpose": fixed(),
        "set_aside.keep": more_is_wider("days"),
        "set_aside.a_day": more_is_wider("number"),
        "promises[].id": fixed("name"),
        "promises[].says": words("quote"),
        "promises[].measure": words("name"),
        "promises[].must_be": bound(),
        "audit.independent": more_is_wider("days"),
        "audit.bundle": fixed(),
        "audit.witnesses.min": fewer_is_wider("witnesses"),
        "audit.witnesses.includes": words("seat"),
        "gates[].id": fixed("name"),
        "gates[].attack": words("name"),
        "gates[].level": words("level"),
        "gates[].measure": words("name"),
        "gates[].must_be": bound(),
        "assurance.sensitivity_1": _SANDBOX,
        "assurance.sensitivity_2": _SANDBOX,
        "assurance.sensitivity_3": _SANDBOX,
        "assurance.sensitivity_4": _SANDBOX,
    }
)

# an entry of these lists allows more by standing there (True), or protects (False)
LISTS: Final = MappingProxyType(
    {
        "collect": True,
        "purposes": True,
        "who_may": True,
        "red_lines": False,
        "promises": False,
        "gates": False,
    }
)
# what names an entry of a list
NAMED_BY: Final = MappingProxyType(
    {"collect": "what", "red_lines": "id", "promises": "id", "gates": "id"}
)
IGNORED: Final = frozenset(
    {"version"}
)  # the one thing that may differ between charters that are the same
