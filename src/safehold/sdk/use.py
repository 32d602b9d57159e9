"""An open use of a grant: runs in the keeper's sandboxes, figures out of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from safehold.access import Grant, Holder
from safehold.access.code import read_code
from safehold.app.permit import Pass
from safehold.app.query import use_query
from safehold.errors import ConflictError, UnavailableError
from safehold.keeper.client import Progress
from safehold.keeper.signed import Line
from safehold.sdk import table
from safehold.sdk.border import Guarded, guarded
from safehold.sdk.line import LOST
from safehold.sdk.result import Result, Row
from safehold.signing import SigningKey


class Use(Guarded):
    """A grant in use, from ``Request.open`` until it is closed or the keeper is lost.

    Each run takes a capability of its own, minted when it begins, forgotten when it is over, and worth nothing without
    the holder's key. So a use lives as long as its grant, however short the charter keeps tokens. Any thread may use
    it.

    Args:
        line: The keeper.
        grant: What was approved.
        key: The holder's key.
        progress: Told how far a run is.
    """

    __slots__ = ("_closed", "_grant", "_key", "_line", "_lock", "_progress", "_runs_left")

    def __init__(self, line: Line, grant: Grant, key: SigningKey, progress: Progress) -> None:
        self._line = line
        self._grant = grant
        self._key: SigningKey | None = key
        self._progress = progress
        self._lock = threading.Lock()
        self._closed = ""
        self._runs_left = 0
        self._mint()  # whoever may not use it is told when it is opened

    @property
    def state(self) -> str:
        """``open``, ``closed`` or ``lost``; a lost one is opened again by its request."""
        return self._closed or "open"

    @property
    def runs_left(self) -> int:
        """Runs that the grant still covered when it was last asked."""
        return self._runs_left

    def features(self) -> Result:
        """Return what building the purpose's features will give; built when the result is read."""
        return self._run("features", table.FEATURES, self._features)

    def train(self) -> Result:
        """Return what training under this grant will give; trained, and paid for, when the result is read."""
        return self._run("train", table.TRAINED, self._train)

    def attack(self, dataset: str | None = None) -> Result:
        """Return how a dataset will stand before each gate; attacked when the result is read.

        Args:
            dataset: Its id; the newest of the purpose where none is given.
        """
        return self._run("attack", table.ATTACKED, lambda permit: self._attack(permit, dataset))

    def run(self, script: str | Path) -> Result:
        """Return what a script of one's own will give; run, and paid for, when the result is read.

        Args:
            script: The file of the script that this grant names, or its text.

        Raises:
            InvalidError: It is larger than a script may be.
        """
        source = read_code(script)
        return self._run("run", table.RAN, lambda permit: self._ran(permit, source))

    def sql(self, text: str) -> Result:
        """Return the noisy figures of a query; asked, and paid for, when the result is read.

        Args:
            text: A query file: its head says which figure, between which bounds, and for how much.
        """
        return self._run("sql", table.FIGURES, lambda permit: self._sql(permit, text))

    def close(self) -> None:
        """Forget the holder's key; results that were not read cannot be any more."""
        self._end("closed")

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
        return f"Use({self._grant.id}: {self.state}, {self._runs_left} of {self._grant.max_runs} runs left)"

    def _run(
        self, name: str, schema: pa.Schema, run: Callable[[Pass], list[dict[str, Any]]]
    ) -> Result:
        def ask() -> list[Row]:
            try:
                rows: list[Row] = list(run(self._mint()))
            except UnavailableError as error:
                if error.rule == LOST:
                    self._end("lost")
                raise
            return rows

        return Result(name, schema, ask, recorded=True)

    @guarded
    def _mint(self) -> Pass:
        """Return the right to one run: the keeper checks the approvals again and mints a fresh capability.

        Raises:
            DeniedError: The grant was revoked, is used up or has ended.
            QuorumError: Too few seats approved it.
        """
        with self._lock:
            key = self._key
        if key is None:
            raise ConflictError(
                f"this use is {self.state}", rule="sdk.use", fix="open it again: request.open()"
            )
        answer = self._line.call("grant.enact", grant=self._grant.to_json())
        self._runs_left = int(answer["runs_left"])
        return Pass(answer["grant"], Holder(answer["token"], key), self._grant.stages[0])

    def _features(self, permit: Pass) -> list[dict[str, Any]]:
        made = permit.feature(self._line, self._grant.purpose, self._progress)
        return [{**made, "left_out": table.left_out(made["left_out"])}]

    def _train(self, permit: Pass) -> list[dict[str, Any]]:
        made = permit.train(self._line, self._grant.purpose, self._progress)
        self._runs_left = max(self._runs_left - 1, 0)
        noisy: Mapping[str, Any] = made["noisy"]
        return [{**made, **noisy, "left_out": table.left_out(made["left_out"])}]

    def _ran(self, permit: Pass, source: bytes) -> list[dict[str, Any]]:
        made = permit.run(self._line, self._grant.purpose, source, self._progress)
        self._runs_left = max(self._runs_left - 1, 0)
        figure = made["figure"] or {}
        return [
            {
                **made,
                "figure": figure.get("value"),
                "error": figure.get("error"),
                "groups": figure.get("groups"),
                "counts": [
                    {"name": name, "count": n} for name, n in sorted(made["counts"].items())
                ],
                "left_out": table.left_out(made["left_out"]),
            }
        ]

    def _attack(self, permit: Pass, dataset: str | None) -> list[dict[str, Any]]:
        made = permit.attack(self._line, self._grant.purpose, dataset, self._progress)
        self._runs_left = max(self._runs_left - 1, 0)
        return [{"dataset": made["dataset"], **one} for one in made["gates"]]

    def _sql(self, permit: Pass, text: str) -> list[dict[str, Any]]:
        made = use_query(self._line, self._grant, permit.holder, text, self._progress)
        self._runs_left = max(self._runs_left - 1, 0)
        said = {name: made[name] for name in ("epsilon", "epsilon_left", "entry")}
        return [{**one, **said} for one in made["figures"]]

    def _end(self, state: str) -> None:
        with self._lock:
            self._closed = self._closed or state
            self._key = None
