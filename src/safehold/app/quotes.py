"""What somebody may use and why not, and what a request would come to: told before anything is asked for.

Nothing is opened, kept or decided here, and no seat sees it. Whoever asks in earnest sends the grant that is returned
as a request, and everything is looked at again then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from safehold.access import Grant, PeopleFilter, check_people
from safehold.access.eligibility import check_eligible
from safehold.app.draft import Limits, draft_grant
from safehold.clock import SECOND_US, day_of
from safehold.errors import DeniedError, InvalidError, SafeholdError
from safehold.keeper.caller import caller
from safehold.keeper.desk import Desk
from safehold.keeper.pricing import price_grant, price_narrower
from safehold.keeper.recipes import EMBED, HEAD, NEAR
from safehold.keeper.server import Report, Verb
from safehold.signing import SigningKey, VerifyKey

# What is asked for with a form. The pipeline builds features without a grant; code, joins, federations and reviewed
# queries bring a file, and are asked for on the command line.
RECIPES: Final = ("train", "reidentify", "membership", "pull", EMBED, NEAR, HEAD)
TRIED: Final = "which purposes are there for"  # the reason on a draft that nobody sends
NOTHING: Final = "the purpose takes in nothing that this recipe reads"
MOST_MINUTES: Final = 60 * 24 * 366
MOST_DAYS: Final = 3660
MOST_RUNS: Final = 10_000


class Quotes:
    """The verbs ``purpose.explain`` and ``request.quote``.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._nobodys = SigningKey.generate()  # holds drafts that nobody sends

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {"purpose.explain": self.explain, "request.quote": self.quote}

    def explain(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return for each purpose and recipe whether the caller's role may ask for it, and why not."""
        charter, role = self._desk.trust.charter(), caller().role
        given = charter.who_may.get(role)
        rule = None if given is None else given.grant
        return {
            "role": role,
            "approvers": 0 if rule is None else rule.approvers,
            "longest_minutes": 0 if rule is None else rule.max_s // 60,
            "reason": "" if rule is None else str(rule.reason or ""),
            "places": sorted(charter.jurisdictions),
            "purposes": [
                {
                    "purpose": name,
                    "plain": purpose.plain,
                    "uses": [self._way(name, recipe, role) for recipe in RECIPES],
                }
                for name, purpose in sorted(charter.purposes.items())
            ],
        }

    def _way(self, purpose: str, recipe: str, role: str) -> dict[str, Any]:
        try:
            grant = self._draft(purpose=purpose, recipe=recipe, role=role, reason=TRIED, minutes=1)
            if not grant.streams:
                raise DeniedError(NOTHING, rule="request.streams")
            self._check(grant, PeopleFilter())
        except SafeholdError as error:
            return {"recipe": recipe, "may": False, "rule": error.rule, "why": error.message}
        return {
            "recipe": recipe,
            "may": True,
            "streams": list(grant.streams),
            "stage": grant.stages[0],
        }

    def quote(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Draw up a request for the caller, with its price and what it could leave out; nothing is asked for yet.

        Raises:
            InvalidError: Something of it is no such thing.
        """
        grant = self._draft(
            purpose=str(arguments["purpose"]),
            recipe=str(arguments["recipe"]),
            role=caller().role,
            reason=str(arguments["reason"]),
            minutes=_whole(arguments, "minutes", MOST_MINUTES),
            days=_whole(arguments, "days", MOST_DAYS),
            runs=_whole(arguments, "runs", MOST_RUNS),
            holder=str(arguments["holder"]),
            places=tuple(sorted({str(one) for one in arguments.get("places", ())})),
        )
        people = _people(arguments)
        answer: dict[str, Any] = {"grant": grant.to_json(), "people": people.to_json()}
        try:
            self._check(grant, people)
        except DeniedError as error:
            return answer | {
                "against": {"rule": error.rule, "why": error.message, "fix": error.fix}
            }
        price = price_grant(self._desk, grant, people)
        return answer | {
            "against": None,
            "price": price.to_json(),
            "reach": price.reach,
            "narrower": price_narrower(self._desk, grant, people),
        }

    def _check(self, grant: Grant, people: PeopleFilter) -> None:
        trust = self._desk.trust
        check_eligible(grant, trust.policy(), now_us=self._desk.now_us())
        privacy = trust.charter().purpose(grant.purpose).privacy
        check_people(
            people,
            digest=grant.people,
            charter=trust.charter(),
            least=0 if privacy is None else privacy.min_people,
        )

    def _draft(
        self,
        *,
        purpose: str,
        recipe: str,
        role: str,
        reason: str,
        minutes: int,
        days: int | None = None,
        runs: int = 1,
        holder: str | None = None,
        places: tuple[str, ...] = (),
    ) -> Grant:
        desk = self._desk
        charter = desk.trust.charter()
        if recipe not in RECIPES:
            raise InvalidError("no such recipe", rule="request.recipe", fix=", ".join(RECIPES))
        charter.purpose(purpose)
        people = PeopleFilter(jurisdictions=places)
        grant = draft_grant(
            charter,
            requester=caller().id,
            purpose=purpose,
            reason=reason,
            holder=self._nobodys,
            minutes=minutes,
            recipe=recipe,
            role=role,
            people=people,
            limits=Limits(runs=runs, per_hour=min(runs, Limits().per_hour)),
        )
        now = desk.now_us() // SECOND_US * SECOND_US
        today = day_of(now)
        if places:  # what nobody asked for is not in it
            kept = tuple(
                one
                for one in grant.segments
                if any(one.startswith(f"{place.lower()}.") for place in places)
            )
            grant = replace(grant, segments=kept or grant.segments)
        return replace(
            grant,
            holder=grant.holder if holder is None else VerifyKey.from_text(holder),
            asked_us=now,
            expires_us=now + grant.expires_us - grant.asked_us,
            first_day=grant.first_day if days is None else max(grant.first_day, today - days + 1),
        )


def _people(arguments: dict[str, Any]) -> PeopleFilter:
    places = arguments.get("places", ())
    if not isinstance(places, list | tuple):
        raise InvalidError("places are a list", field="places", rule="request.places")
    return PeopleFilter(jurisdictions=tuple(sorted({str(one) for one in places})))


def _whole(arguments: dict[str, Any], name: str, most: int) -> int:
    value = arguments[name]
    if type(value) is not int or not 0 < value <= most:
        raise InvalidError(f"a whole number from 1 to {most}", field=name, rule="request.number")
    return value
