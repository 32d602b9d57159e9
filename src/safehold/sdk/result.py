"""Results: Arrow tables that are asked for when they are first needed, once."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from safehold.errors import ConflictError, SafeholdError, UnavailableError, revive
from safehold.sdk import notebook
from safehold.sdk.border import Guarded, bare, guarded

Row = Mapping[str, Any]


class Result(Guarded):
    """What came through the egress gate, or what the keeper says of itself: one table.

    Nothing is asked before a ``to_*``, an ``__arrow_c_stream__`` or an iteration needs it; then it is asked once and
    kept. What was refused stays refused: a run that is tried again is another run, and another result. Any thread may
    use it; the first asks and the others wait.

    Args:
        name: What it is, in a word.
        schema: Its columns; nothing else of an answer is taken over.
        ask: Returns the rows.
        recorded: Whether its one row names the ledger entry that records it: whether it is a run.
    """

    __slots__ = (
        "__weakref__", "_ask", "_entry", "_error", "_lock", "_name", "_recorded", "_schema", "_table"
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        schema: pa.Schema,
        ask: Callable[[], Sequence[Row]],
        *,
        recorded: bool = False,
    ) -> None:
        self._name = name
        self._recorded = recorded
        self._schema = schema
        self._ask: Callable[[], Sequence[Row]] | None = ask
        self._lock = threading.RLock()
        self._table: pa.Table | None = None
        self._error: SafeholdError | None = None
        self._entry: int | None = None

    @property
    def schema(self) -> pa.Schema:
        """The columns; known before anything is asked."""
        return self._schema

    @property
    def state(self) -> str:
        """``waiting``, ``asking``, ``here`` or ``refused``; asks nothing."""
        if self._error is not None:
            return "refused"
        if self._table is not None:
            return "here"
        return "waiting" if self._ask is not None else "asking"

    @property
    def entry(self) -> int | None:
        """Index of the ledger entry that records it, once it is here or refused, where there is one."""
        return self._entry if self._error is None else self._error.entry

    @guarded
    def to_arrow(self) -> pa.Table:
        """Return it as an Arrow table.

        Raises:
            SafeholdError: Whatever the keeper refused, as it refused it.
        """
        return self._here()

    @guarded
    def to_dicts(self) -> list[dict[str, Any]]:
        """Return it as one dictionary a row."""
        rows: list[dict[str, Any]] = self._here().to_pylist()
        return rows

    @guarded
    def to_pandas(self) -> Any:
        """Return it as a pandas data frame.

        Raises:
            UnavailableError: There is no pandas here; nothing was asked.
        """
        _need("pandas")
        return self._here().to_pandas()

    @guarded
    def to_polars(self) -> Any:
        """Return it as a Polars data frame.

        Raises:
            UnavailableError: There is no Polars here; nothing was asked.
        """
        polars = _need("polars")
        return polars.from_arrow(self._here())

    @guarded
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return it as a stream of the Arrow PyCapsule interface."""
        return self._here().__arrow_c_stream__(requested_schema)

    @guarded
    def __arrow_c_schema__(self) -> object:
        """Return its columns by the Arrow PyCapsule interface; asks nothing."""
        return self._schema.__arrow_c_schema__()

    @guarded
    def _batches(self) -> list[pa.RecordBatch]:
        batches: list[pa.RecordBatch] = self._here().to_batches()
        return batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self._batches())

    def __repr__(self) -> str:
        return f"Result({self._name}: {self._said()}; columns {', '.join(self._schema.names)})"

    def _repr_html_(self) -> str:
        return notebook.draw_result(
            self._name, self._said(), [(one.name, str(one.type)) for one in self._schema]
        )

    def _said(self) -> str:
        """Say how it stands, in shapes and rules and never in values."""
        if self._error is not None:
            words = f"refused, rule {self._error.rule or self._error.code}"
        elif self._table is not None:
            rows = self._table.num_rows
            words = f"{rows} row{'' if rows == 1 else 's'} of {len(self._schema)} columns"
        else:
            words = "not asked yet" if self._ask is not None else "being asked"
        return words if self.entry is None else f"{words}, entry {self.entry}"

    def _here(self) -> pa.Table:
        with self._lock:
            if self._error is not None:
                raise revive(self._error.payload())
            if self._table is not None:
                return self._table
            if self._ask is None:  # this thread asks already: it was called back
                raise ConflictError(
                    "a result cannot be read while it is being asked for", rule="sdk.result"
                )
            ask, self._ask = self._ask, None
            try:
                rows = ask()
                table = pa.Table.from_pylist(list(rows), schema=self._schema)
                if self._recorded and table.num_rows == 1:
                    self._entry = table["entry"][0].as_py()
                self._table = table
            except BaseException as error:
                left = bare(error)
                self._error = left if isinstance(left, SafeholdError) else _interrupted()
                raise
            return self._table


def _interrupted() -> SafeholdError:
    return UnavailableError(
        "interrupted; what was asked may go on in the keeper",
        rule="sdk.interrupted",
        fix="look what came of it before you ask again: session.grants(), session.artifacts()",
    )


def _need(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UnavailableError(
            f"{package} is not installed",
            rule=f"sdk.{package}",
            fix=f"pip install {package}, or use to_arrow()",
        ) from error
