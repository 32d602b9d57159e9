"""The privacy budget: a fold over what the ledger already says.

Nothing here stores anything. What is left is computed from the public facts of ledger leaves each
time, so a restored database cannot refund, and a run that failed after its charge stays charged.
Epsilon and delta add up (basic composition), in whole millionths and 10^-12, so no order of
folding and no rounding changes the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from safehold.errors import BudgetSpentError, InvalidError, TamperedError

FIELDS: Final = ("purpose", "epsilon_micro", "delta_e12", "unit")
_LARGEST: Final = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one release costs each unit of privacy.

    Args:
        purpose: The one purpose it is made for.
        epsilon_micro: Epsilon in millionths, positive.
        delta_e12: Delta in 10^-12.
        unit: Privacy unit; only ``person`` is taken.
    """

    purpose: str
    epsilon_micro: int
    delta_e12: int
    unit: str = "person"

    def __post_init__(self) -> None:
        if not self.purpose or self.unit != "person":
            raise InvalidError(
                "a charge names a purpose and the unit person",
                rule="privacy.charge",
                fix="protect people, never rows",
            )
        _check_amounts(self.epsilon_micro, self.delta_e12, least=1)

    def public(self) -> dict[str, int | str]:
        """Return the facts that stay readable in the ledger leaf."""
        return {name: getattr(self, name) for name in FIELDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What the charter allows a purpose in all.

    Args:
        purpose: The purpose.
        epsilon_micro: Epsilon in millionths.
        delta_e12: Delta in 10^-12.
        unit: Privacy unit; only ``person`` is taken.
    """

    purpose: str
    epsilon_micro: int
    delta_e12: int
    unit: str = "person"

    def __post_init__(self) -> None:
        _check_amounts(self.epsilon_micro, self.delta_e12, least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """An amount of privacy loss: spent, or left.

    Args:
        epsilon_micro: Epsilon in millionths.
        delta_e12: Delta in 10^-12.
    """

    epsilon_micro: int = 0
    delta_e12: int = 0


def fold_charges(leaves: Iterable[Mapping[str, int | str]]) -> dict[tuple[str, str], Amount]:
    """Return what each (purpose, unit) has spent.

    Args:
        leaves: Public facts of ledger leaves. Leaves without any budget amount are passed over.

    Raises:
        TamperedError: A leaf holds half a charge, or one that would give something back.
    """
    spent: dict[tuple[str, str], Amount] = {}
    for leaf in leaves:
        if "epsilon_micro" not in leaf and "delta_e12" not in leaf:
            continue
        try:
            charge = Charge(**{name: leaf[name] for name in FIELDS})  # type: ignore[arg-type]
        except (KeyError, InvalidError) as error:
            raise TamperedError(
                "a ledger leaf holds a charge that is not one",
                rule="privacy.budget.leaf",
                fix="verify the ledger; nothing is released until it holds",
            ) from error
        key = (charge.purpose, charge.unit)
        before = spent.get(key, Amount())
        spent[key] = Amount(
            epsilon_micro=before.epsilon_micro + charge.epsilon_micro,
            delta_e12=before.delta_e12 + charge.delta_e12,
        )
    return spent


def remaining(allowed: Allowed, leaves: Iterable[Mapping[str, int | str]]) -> Amount:
    """Return what is left of a budget, never below zero.

    Raises:
        TamperedError: See ``fold_charges``.
    """
    spent = fold_charges(leaves).get((allowed.purpose, allowed.unit), Amount())
    return Amount(
        epsilon_micro=max(0, allowed.epsilon_micro - spent.epsilon_micro),
        delta_e12=max(0, allowed.delta_e12 - spent.delta_e12),
    )


def reserve(
    allowed: Allowed, charge: Charge, leaves: Iterable[Mapping[str, int | str]]
) -> dict[str, int | str]:
    """Return the public facts to append to the ledger before the release.

    The caller holds the one writer's lock from reading the leaves to appending these facts.

    Raises:
        BudgetSpentError: The budget does not cover the charge, or is for something else.
        TamperedError: See ``fold_charges``.
    """
    if (charge.purpose, charge.unit) != (allowed.purpose, allowed.unit):
        raise BudgetSpentError(
            "the charge is for another purpose than the budget", rule="privacy.budget.purpose"
        )
    left = remaining(allowed, leaves)
    if charge.epsilon_micro > left.epsilon_micro or charge.delta_e12 > left.delta_e12:
        raise BudgetSpentError(
            f"the privacy budget of {charge.purpose} does not cover this: "
            f"epsilon {charge.epsilon_micro / 1e6:g} asked, {left.epsilon_micro / 1e6:g} left",
            rule="privacy.budget",
            fix="ask for less, or have the board widen the purpose; nothing is given back",
        )
    return charge.public()


def _check_amounts(epsilon_micro: int, delta_e12: int, *, least: int) -> None:
    for name, value, low in (("epsilon_micro", epsilon_micro, least), ("delta_e12", delta_e12, 0)):
        if type(value) is not int or not low <= value <= _LARGEST:
            raise InvalidError(
                f"{name} must be a whole number of at least {low}",
                rule="privacy.charge",
                field=name,
            )
