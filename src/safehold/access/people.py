"""Which people a grant is for: a small closed expression, carried out at every release.

All that is said must hold at once. What is not said does not narrow. The grant carries the hash; the text is in the
sealed record of the request, because a list of people is about people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.charter import Charter
from safehold.errors import DeniedError, InvalidError

VERSION: Final = "safehold-people/1"
MOST: Final = 10_000  # people of a list
_ID: Final = re.compile(r"psn_[0-9a-z]{26}")
_PLACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleFilter:
    """Who is meant; without anything said, everybody who takes part.

    Args:
        jurisdictions: Places of the charter, sorted; whoever works in one of them. Empty: every place.
        people: Opaque ids, sorted; only these. Empty: everybody.
    """

    jurisdictions: tuple[str, ...] = ()
    people: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field, form in (("jurisdictions", _PLACE), ("people", _ID)):
            names = getattr(self, field)
            if (
                not isinstance(names, tuple)
                or len(names) > MOST
                or not all(isinstance(one, str) and form.fullmatch(one) for one in names)
                or list(names) != sorted(set(names))
            ):
                raise InvalidError(
                    "not a sorted list of different names", field=field, rule="people.shape"
                )

    def to_json(self) -> dict[str, Any] | None:
        """Return the canonical tree; nothing for everybody."""
        if not self.jurisdictions and not self.people:
            return None
        return {
            "v": VERSION,
            "jurisdictions": list(self.jurisdictions),
            "people": list(self.people),
        }

    @classmethod
    def from_json(cls, tree: Any) -> PeopleFilter:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no filter, or one in another than its only form.
        """
        match tree:
            case None:
                return cls()
            case {
                "v": "safehold-people/1",
                "jurisdictions": list(places),
                "people": list(people),
            } if len(tree) == 3 and (places or people):
                return cls(jurisdictions=tuple(places), people=tuple(people))
            case _:
                raise InvalidError("not a filter of people", rule="people.shape")

    def digest(self) -> str:
        """Return what the grant carries: the SHA-256 of the canonical bytes, hex; nothing for everybody."""
        tree = self.to_json()
        return "" if tree is None else canonical.digest(tree).hex()

    def chooses(self, person: str, jurisdiction: str) -> bool:
        """Return whether somebody is meant.

        Args:
            person: Their opaque id.
            jurisdiction: Where they work.
        """
        return (not self.jurisdictions or jurisdiction in self.jurisdictions) and (
            not self.people or person in self.people
        )


EVERYBODY: Final = PeopleFilter()


def check_people(people: PeopleFilter, *, digest: str, charter: Charter, least: int) -> None:
    """Pass if a filter is the grant's and no wider than the charter.

    Args:
        people: The filter.
        digest: What the grant carries.
        charter: The charter in force.
        least: Fewest people the purpose may be about.

    Raises:
        DeniedError: It is another filter, names a place beyond the charter, or too few people.
    """
    if people.digest() != digest:
        raise DeniedError(
            "this is not the filter of people that the grant names", rule="grant.people"
        )
    if not set(people.jurisdictions) <= set(charter.jurisdictions):
        raise DeniedError("people of a place beyond the charter", rule="grant.people")
    if people.people and len(people.people) < least:
        raise DeniedError(
            f"a list of {len(people.people)} people, of at least {least}",
            rule="grant.people_few",
            fix="ask for more people; no answer and no model is about so few",
        )
