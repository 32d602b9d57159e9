"""Whether all levels take part alike, as noisy counts: "executives let themselves off" cannot be hidden.

The unit is the person. Before anything is counted its price is in the ledger, under a purpose of the charter that
releases aggregates; a group with fewer people than the purpose asks for joins the next one, and what is shown of each
is its size, which whoever enrols people knows, and a noisy count of those who take part. No key is opened for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold.errors import DeniedError, InvalidError
from safehold.keeper.answers import Answers
from safehold.keeper.chosen import LEVELS
from safehold.keeper.contained import things
from safehold.keeper.desk import ENGINEER
from safehold.keeper.server import Report
from safehold.keeper.terms import silent_because
from safehold.ledger import Entry
from safehold.privacy.budget import Charge
from safehold.privacy.counting import merge_groups, release_counts

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

RECIPE: Final = "symmetry"
RELEASE: Final = "dp_aggregate"
ORDER: Final = tuple(reversed(LEVELS))


class Symmetry:
    """The verb, and the figures that were released last.

    Args:
        desk: What the keeper works with.
        answers: Writes the result.
    """

    def __init__(self, desk: Desk, answers: Answers) -> None:
        self._desk = desk
        self._answers = answers

    def publish(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Release how many of each level take part, with noise; it costs its epsilon, whatever comes of it.

        Raises:
            DeniedError: The purpose releases no aggregates, or too few people are enrolled.
            BudgetSpentError: The purpose's budget does not cover it.
        """
        desk = self._desk
        purpose, epsilon = str(arguments["purpose"]), arguments["epsilon_micro"]
        if type(epsilon) is not int or epsilon <= 0:
            raise InvalidError(
                "epsilon is above zero", field="epsilon_micro", rule="privacy.epsilon"
            )
        desk.trust.require_running()
        desk.check_time()
        if RELEASE not in desk.trust.charter().purpose(purpose).releases:
            raise DeniedError("this purpose releases no aggregates", rule="purpose.releases")
        least = max(desk.trust.least_people(purpose), self._red_line())
        with desk.lock:
            everybody = desk.people.everybody()
            sizes = Counter(one.level for one in everybody.values())
            groups = merge_groups(sizes, ORDER, least=least)
            if not groups:
                raise DeniedError(
                    "too few people are enrolled for any figure about them",
                    rule="purpose.min_people",
                )
            desk.trust.contained.require_free(things(purpose=purpose))
            charge = Charge(purpose=purpose, epsilon_micro=epsilon, delta_e12=0)
            intent = desk.trust.log_charged(
                Entry(
                    kind="access.intent",
                    actor="keeper",
                    object=RECIPE,
                    detail={"grant": "", "purpose": purpose, "role": ENGINEER, "blocks": 0},
                    charter=desk.trust.digest(),
                    public={"purpose": purpose},
                ),
                charge,
            )
            self._answers.begin(intent.index)
        with self._answers.expected(intent.index, actor="keeper", thing=RECIPE, opened={}):
            desk.confirm(intent)
            figures = self._count(groups, sizes, epsilon=epsilon)
            released = desk.trust.log_running(  # no figure follows the leaf of a stop
                Entry(
                    kind="release",
                    actor="keeper",
                    object=RECIPE,
                    detail={"figures": figures, "epsilon_micro": epsilon, "purpose": purpose},
                    charter=desk.trust.digest(),
                    subjects=desk.subjects([str(person) for person in everybody]),
                    ref=intent.index,
                )
            )
            self._answers.write(
                intent.index,
                actor="keeper",
                thing=RECIPE,
                outcome="ok",
                detail={"figures": len(figures), "blocks": 0},
            )
        return {"figures": figures, "epsilon": epsilon / 1e6, "entry": released.index}

    def _count(
        self, groups: Sequence[Sequence[str]], sizes: Counter[str], *, epsilon: int
    ) -> list[dict[str, Any]]:
        desk, now = self._desk, self._desk.now_us()
        charter = desk.trust.charter()
        taking_part = Counter(
            one.level
            for one in desk.people.everybody().values()
            if silent_because(charter, one, at_us=now) is None
        )
        exact = {
            " and ".join(group): sum(taking_part[level] for level in group) for group in groups
        }
        noisy = release_counts(exact, epsilon_micro=epsilon)
        return [
            {
                "group": name,
                "enrolled": (size := sum(sizes[level] for level in group)),
                "taking_part": min(noisy[name], size),
            }
            for group, name in zip(groups, exact, strict=True)
        ]

    def last(self) -> dict[str, Any] | None:
        """Return the figures that were released last, with their entry; nothing if there are none."""
        found = None
        for index, leaf in self._desk.ledger.leaves():
            if leaf["k"] == "release":
                said = self._desk.ledger.detail(index)
                if said["object"] == RECIPE:
                    found = {
                        "figures": said["detail"]["figures"],
                        "entry": index,
                        "at_ms": leaf["t"],
                    }
        return found

    def _red_line(self) -> int:
        """Return the fewest people that a red line lets any answer be about."""
        lines = self._desk.trust.charter().red_lines
        return max((line.min_people for line in lines if line.min_people is not None), default=0)
