"""Where a scenario plays: the deployment, its twin, and the plain lake; each is made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from safehold.app.drill.company import Company, found_company
from safehold.app.drill.lake import Lake, make_lake
from safehold.app.drill.scan import Scanner
from safehold.app.drill.terms import Terms, terms_of
from safehold.app.drill.twin import Twin, make_twin, train
from safehold.app.search import SHORTEST
from safehold.keeper.client import KeeperClient
from safehold.settings import Home
from safehold.workforce import Spec, roster, truth

SEED: Final = 20260618  # of the made-up people of a drill; anybody can make the same
SMALL: Final = 8  # people of the twins of control runs, where a few are enough to turn red


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a drill is.

    Args:
        people: Made-up people of the twin and the lake; fifty of one place are needed for a run over one segment.
        days: Days.
        seed: Their seed.
    """

    people: int = 120
    days: int = 1
    seed: int = SEED


@dataclass
class Place:
    """What a scenario may use.

    Args:
        home: The deployment; nothing is changed in it.
        client: A line to its keeper, as somebody who proved nothing.
        scratch: A folder of the drill's own, that ends with it.
        size: How large the twin is.
        planted: What was planted in the deployment, where it holds made-up people and that is known.
        say: Told what happens, for whoever waits.
        quick: Leave out repetitions that only make figures firmer.
    """

    home: Home
    client: KeeperClient
    scratch: Path
    size: Size = field(default_factory=Size)
    planted: pa.Table | None = None
    say: Callable[[str], None] = lambda _text: None
    quick: bool = False
    _number: int = 0

    @cached_property
    def terms(self) -> Terms:
        """What its twins run under."""
        return terms_of(self.home)

    @cached_property
    def spec(self) -> Spec:
        """The made-up company of the twin and the lake."""
        return self.fed_twin.spec

    @cached_property
    def full_twin(self) -> Twin:
        """The twin as it was made: days taken in, features built, a model trained. Copy it before you change it."""
        twin = self.fed_twin.copy(self.scratch / "full")
        self.say("training in the twin")
        train(twin)
        return twin

    @cached_property
    def fed_twin(self) -> Twin:
        """The twin before a model was trained: its privacy budget is unspent. Copy it before you change it."""
        self.say("making the twin")
        one = self.size
        return make_twin(
            self.scratch / "fed",
            people=one.people,
            days=one.days,
            seed=one.seed,
            charter=self.terms.charter,
        )

    @cached_property
    def bare_twin(self) -> Twin:
        """A small twin whose people are enrolled and of whom nothing was taken in yet."""
        self.say("making a bare twin")
        return make_twin(
            self.scratch / "bare",
            people=SMALL,
            days=1,
            seed=self.size.seed,
            full=False,
            charter=self.terms.charter,
        )

    @cached_property
    def full_company(self) -> Company:
        """A twin in the form of a home for real people; copy it before you change it."""
        self.say("making the company")
        return found_company(self.scratch / "company", seed=self.size.seed)

    @cached_property
    def strict_twin(self) -> Twin:
        """A small twin that does not say that its people are made up, so that nothing is let off."""
        return make_twin(
            self.scratch / "strict",
            people=SMALL,
            days=1,
            seed=self.size.seed,
            full=False,
            synthetic=False,
            charter=self.terms.charter,
        )

    @cached_property
    def values(self) -> list[str]:
        """What was planted in the made-up people of twin and lake."""
        return planted_values(truth(self.spec))

    @cached_property
    def names(self) -> list[str]:
        """The names of those people at their employer."""
        return [one.id for one in roster(self.spec)]

    @cached_property
    def scanner(self) -> Scanner:
        """Looks for what was planted in the twin."""
        return Scanner(self.values, self.names)

    @cached_property
    def home_scanner(self) -> Scanner:
        """Looks for what was planted in the deployment; without a truth, for readable rows alone."""
        if self.planted is None:
            return Scanner((), ())
        return Scanner(planted_values(self.planted), set(self.planted["person"].to_pylist()))

    @cached_property
    def plain_lake(self) -> Lake:
        """The same people in a plain lake, open by mistake."""
        self.say("making the lake")
        return make_lake(self.scratch / "lake", self.spec, self.values)

    def folder(self, name: str) -> Path:
        """Return a new place in the scratch folder; it does not exist yet."""
        self._number += 1
        return self.scratch / f"{self._number:03}-{name}"

    def twin(self, name: str, *, bare: bool = False, fed: bool = False) -> Twin:
        """Return a twin that may be changed: bare, fed but untrained, or full."""
        made = self.bare_twin if bare else self.fed_twin if fed else self.full_twin
        return made.copy(self.folder(name))

    def company(self, name: str) -> Company:
        """Return a company that may be changed."""
        return self.full_company.copy(self.folder(name))

    def bin(self, name: str) -> Path:
        """Return a new empty folder."""
        folder = self.folder(name)
        folder.mkdir()
        return folder

    @contextmanager
    def served(
        self,
        name: str,
        *,
        bare: bool = False,
        fed: bool = False,
        off: tuple[str, ...] = (),
        watched: bool = False,
    ) -> Iterator[tuple[Twin, KeeperClient]]:
        """Yield a twin that may be changed and a line to its keeper, some of whose guards may be off.

        Args:
            name: What its folder is called.
            bare: Its people are only enrolled.
            fed: No model was trained in it yet.
            off: Guards that are taken away.
            watched: Let a sentinel run beside its keeper.
        """
        twin = self.twin(name, bare=bare, fed=fed)
        with twin.watched() if watched else twin.keeper(off=off) as client:
            yield twin, client


def planted_values(table: pa.Table) -> list[str]:
    """Return what was planted and is long enough not to occur by chance."""
    return sorted(
        {
            value
            for value, decoy in zip(
                table["value"].to_pylist(), table["decoy"].to_pylist(), strict=True
            )
            if not decoy and len(value) >= SHORTEST
        }
    )


def read_truth(file: Path) -> pa.Table:
    """Read what ``safehold demo --truth`` wrote."""
    return pq.read_table(file)


__all__ = ["Place", "Size", "planted_values", "read_truth"]
