"""Who takes part: whose data it is, why that is lawful, and the choice each person has."""

# ruff: noqa: RUF009 - key() only wraps dataclasses.field
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from safehold.charter import value
from safehold.charter.record import key
from safehold.charter.value import Effect

OPT_IN_BY: Final = ("person", "person_or_operator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """Who answers for the study."""

    name: str = key(value.prose)
    contact: str = key(value.word)
    dpo: str = key(value.word)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSubjects:
    """Whose data this is about, and whose never."""

    include: tuple[str, ...] = key(value.word)
    exclude: tuple[str, ...] = key(value.word, default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """How somebody leaves."""

    any_time: bool = key()
    detriment: str = key(value.one_of("none"))
    effect: Effect = key(value.effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """How somebody stops for a while."""

    max: str = key(value.one_of("unlimited"))
    effect: str = key(value.one_of("nothing_is_recorded"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Participation:
    """Why it is lawful, and the choice each person has."""

    legal_basis: str = key(value.word)
    opt_in: str = key(value.word)
    default: str = key(value.one_of("not_participating"))
    withdraw: Withdrawal = key()
    pause: Pause = key()
    applies_equally_to: tuple[str, ...] = key(value.name)
    manager_visibility_of_choice: str = key(value.one_of("never"))
    # who may enter an opt-in; whatever narrows may be entered by an operator too, marked as such
    opt_in_by: str = key(value.one_of(*OPT_IN_BY), default="person", later=True)
