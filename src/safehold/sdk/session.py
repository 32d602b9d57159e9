"""A session: who asks, of which home, on a line to its keeper."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from safehold.access import PeopleFilter
from safehold.access.code import CODE, read_code
from safehold.app.cells import Cells
from safehold.app.draft import Limits, draft_grant
from safehold.app.query import Ask, check_query, draft_query
from safehold.charter import Charter
from safehold.errors import InvalidError
from safehold.keeper.client import Progress
from safehold.keeper.recipes import ATTACK_STAGES
from safehold.sdk import notebook, table
from safehold.sdk.border import Guarded, Secret, guarded
from safehold.sdk.place import Place
from safehold.sdk.request import Request
from safehold.sdk.result import Result, Row
from safehold.signing import SigningKey

MICRO: Final = 1_000_000


class Session(Guarded):
    """A line to the keeper of one home, for one requester; any thread may use it.

    Closing it ends the keeper that it started; one that ran before goes on. A session that is forgotten closes itself.

    Args:
        place: Where the keeper is.
        key: The holder's key.
        requester: Who asks.
        role: In which role.
        secret: Asks for what opens the root, or holds nothing.
        progress: Told how far waits and runs are.
    """

    __slots__ = ("__weakref__", "_as", "_end", "_key", "_line", "_place", "_progress", "_role", "_secret")  # fmt: skip

    def __init__(
        self,
        place: Place,
        *,
        key: SigningKey,
        requester: str,
        role: str,
        secret: Secret,
        progress: Progress,
    ) -> None:
        self._place = place
        self._key = key
        self._as = requester
        self._role = role
        self._secret = secret
        self._progress = progress
        self._line = place.line
        self._end: weakref.finalize[..., Session] | None = None

    @property
    def state(self) -> str:
        """``open`` or ``closed``."""
        return "open" if self._end is not None and self._end.alive else "closed"

    @guarded
    def close(self) -> None:
        """End the keeper that this session started, if it did."""
        if self._end is not None:
            self._end()

    @guarded
    def reconnect(self, passphrase: Callable[[], str] | None = None) -> Session:
        """Start a keeper again where none answers any more, and return the session; requests are opened again.

        Args:
            passphrase: Asks for what opens the root; else what ``connect`` was given to ask with, else the environment.

        Raises:
            UnavailableError: None runs, and nothing was given that opens the root.
        """
        self.close()
        return self._begin(self._secret if passphrase is None else Secret(passphrase))

    def purposes(self) -> Result:
        """Return what the charter in force lets this role ask for, in its own plain words."""

        def ask() -> list[Row]:
            charter = self._charter()
            may = charter.role(self._role)
            rule = may.grant
            rows: list[Row] = []
            for name, purpose in sorted(charter.purposes.items()):
                stages = [one for one in purpose.stages if one in may.stages]
                recipes = ["train"] if "training" in stages else []
                recipes += ["reidentify"] if set(ATTACK_STAGES) & set(stages) else []
                recipes += ["sql"] if "query" in stages else []
                if rule is None or not recipes:
                    continue
                privacy = purpose.privacy
                rows.append(
                    {
                        "purpose": name,
                        "plain": purpose.plain,
                        "recipes": recipes,
                        "streams": list(purpose.covers()),
                        "stages": stages,
                        "epsilon": None if privacy is None else privacy.epsilon_micro / MICRO,
                        "delta": None if privacy is None else privacy.delta_pico / 1e12,
                        "min_people": None if privacy is None else privacy.min_people,
                        "minutes": rule.max_s // 60,
                        "runs": None if rule.budget is None else rule.budget.runs,
                        "approvers": rule.approvers,
                    }
                )
            return rows

        return Result("purposes", table.PURPOSES, ask)

    @guarded
    def request(
        self,
        purpose: str,
        *,
        reason: str,
        recipe: str = "train",
        columns: Sequence[str] = (),
        people: Mapping[str, Sequence[str]] | None = None,
        minutes: int = 60,
        epsilon: float | None = None,
        rows: int | None = None,
        runs: int | None = None,
        script: str | Path | None = None,
        query: str | None = None,
    ) -> Request:
        """Put a request before the board and return it with its price; it is in the ledger before any seat sees it.

        Args:
            purpose: The one purpose, from the charter.
            reason: Why, in a sentence; a ticket number.
            recipe: ``train``; ``reidentify`` to attack what a dataset was made from; ``sql``: any query.
            columns: As ``stream.column``; all that the recipe reads where none is named.
            people: ``{"jurisdictions": [...], "people": [...]}``, either or both; everybody who takes part else.
            minutes: How long the grant may be used, from the first time it is opened.
            epsilon: Most epsilon that all runs may spend; rounded down to millionths. What they cost else.
            rows: Most rows that all runs may open.
            runs: Most runs.
            script: The file of a script of one's own, or its text: it alone may run, and the recipe is ``code``.
            query: Text of a query file: for that query alone.

        Raises:
            DeniedError: The charter does not give it, and no approval could; the message says all that is missing.
            InvalidError: It is not well formed.
        """
        chosen = _people(people)
        caps = {"rows": rows, "runs": runs, "epsilon_micro": _micro(epsilon)}
        limits = replace(Limits(), **{name: cap for name, cap in caps.items() if cap is not None})
        if query is not None or recipe == "sql":
            asked = Ask(
                requester=self._as,
                purpose=purpose,
                reason=reason,
                minutes=minutes,
                query=None if query is None else check_query(query),
                role=self._role,
                columns=tuple(columns),
                limits=limits,
            )
            grant = draft_query(self._charter(), asked, holder=self._key, people=chosen)
        else:
            grant = draft_grant(
                self._charter(),
                requester=self._as,
                role=self._role,
                purpose=purpose,
                reason=reason,
                holder=self._key,
                minutes=minutes,
                recipe=recipe if script is None else CODE,
                script=None if script is None else read_code(script),
                people=chosen,
                columns=tuple(columns),
                limits=limits,
            )
        self._line.call("request.new", grant=grant.to_json(), people=chosen.to_json())
        return self._find(grant.id)

    @guarded
    def find(self, request: str) -> Request:
        """Return a request of this home by its id; it opens where this session holds its key.

        Raises:
            MissingError: There is no such request, or it is long over.
        """
        return self._find(request)

    @guarded
    def cells(self, file: str | Path | None = None) -> Cells:
        """Return a sandbox in which cells run one after the other over a file of one's own; nothing of the home.

        Args:
            file: Arrow file or stream; no data at all where none is named.

        Raises:
            UnavailableError: This machine confines too little.
        """
        return Cells(None if file is None else Path(file))

    def requests(self) -> Result:
        """Return the requests of the last days and how they stand."""
        return self._listed("requests", table.REQUESTS, "request.list")

    def grants(self) -> Result:
        """Return the grants and how often each was used."""
        return self._listed(
            "grants", table.GRANTS, "grant.list", lambda one: {**one, "expires": one["expires_us"]}
        )

    def budget(self) -> Result:
        """Return what each purpose may spend of its privacy budget, and what is left."""
        return self._listed("budgets", table.BUDGET, "budget.show")

    def datasets(self) -> Result:
        """Return the datasets with their labels and what they were made from."""
        return self._listed(
            "datasets", table.DATASETS, "dataset.list", lambda one: {**one, **(one["label"] or {})}
        )

    def artifacts(self) -> Result:
        """Return the models that were trained; ids, never weights."""
        return self._listed("artifacts", table.ARTIFACTS, "artifact.list")

    def gates(self) -> Result:
        """Return how each dataset stands before each gate on re-identification."""
        return self._listed("gates", table.GATES, "gate.list")

    @property
    def ledger(self) -> LedgerView:
        """The home's ledger, which is verified here and not by the keeper."""
        return LedgerView(self._place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Session({self._place.id}: {self.state}, asks as {self._role})"

    def _repr_html_(self) -> str:
        return notebook.draw_list(
            self._place.id, [f"session {self.state}", f"asks as {self._role}"]
        )

    def _begin(self, secret: Secret) -> Self:
        """Start a keeper if none answers, or sign in; and end that with this session."""
        self._end = weakref.finalize(self, self._place.begin(secret).close)
        return self

    def _charter(self) -> Charter:
        """Return the charter in force."""
        return self._place.charter()

    def _find(self, request: str) -> Request:
        shown = self._line.call("request.show", request=request)
        return Request(self._line, shown, self._key, self._progress)

    def _listed(
        self,
        name: str,
        schema: Any,
        verb: str,
        shape: Callable[[dict[str, Any]], Row] = lambda one: one,
    ) -> Result:
        line = self._line
        return Result(name, schema, lambda: [shape(one) for one in line.call(verb)[name]])


class LedgerView(Guarded):
    """The ledger of a home, as anybody can check it.

    Args:
        place: Where it is.
    """

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    def verify(self) -> Result:
        """Return what the offline verifier finds: size, root and witnesses, or the place where it does not hold.

        Raises:
            TamperedError: When the result is read: the ledger does not hold.
        """
        return Result("ledger", table.VERIFIED, lambda: [self._place.verify()])

    def __repr__(self) -> str:
        return f"Ledger({self._place.id})"


def _people(chosen: Mapping[str, Sequence[str]] | None) -> PeopleFilter:
    given = dict(chosen or {})
    found = PeopleFilter(
        jurisdictions=tuple(sorted(set(given.pop("jurisdictions", ())))),
        people=tuple(sorted(set(given.pop("people", ())))),
    )
    if given:
        raise InvalidError(
            "people are chosen by jurisdictions, people or both",
            field="people",
            rule="people.shape",
        )
    return found


def _micro(epsilon: float | None) -> int | None:
    """Return epsilon in millionths, rounded down: never more than was said."""
    if epsilon is None:
        return None
    exact = Decimal(str(epsilon))
    if not exact.is_finite() or exact < 0:
        raise InvalidError("not an epsilon", field="epsilon", rule="grant.shape")
    return int((exact * MICRO).to_integral_value(ROUND_FLOOR))
