"""Which rows are taken at all, and columns that each become a row of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from safehold.errors import InvalidError
from safehold.ingest.expression import encode_words

PRESENT: Final = "present"  # any value, but one
_SPREAD: Final = frozenset({"name", "value", "columns"})


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions on columns; a row that meets all of them is taken.

    Args:
        allowed: For each column, the values that are taken (None for an empty cell); no values for any but empty.
    """

    allowed: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    def keep(self, table: pa.Table) -> np.ndarray:
        """Return which rows are taken."""
        result = np.ones(len(table), dtype=bool)
        for column, allowed in self.allowed.items():
            words = encode_words(table.column(column))
            fits = [
                (str(value) if value not in (None, "") else None) in allowed
                if allowed
                else value not in (None, "")
                for value in words.values
            ]
            result &= np.array(fits, dtype=bool)[words.index]
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Columns of a wide table that become rows: one for each that is filled.

    Args:
        name: The column that will hold the name of each.
        value: The column that will hold its value.
        columns: The columns.
    """

    name: str
    value: str
    columns: tuple[str, ...]

    def rows(self, table: pa.Table, rows: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        """Return the long table, and for each row its number in the source.

        Args:
            table: The wide table.
            rows: Number of each row in the source.
        """
        count = len(self.columns)
        index = np.repeat(np.arange(len(table)), count)
        wide = [
            pc.fill_null(table.column(name).cast(pa.float64(), safe=False), np.nan).to_numpy()
            for name in self.columns
        ]
        values = np.stack(wide, axis=1).reshape(-1) if len(table) else np.zeros(0)
        filled = np.flatnonzero(~np.isnan(values))
        long = table.take(pa.array(index[filled]))
        names = pa.DictionaryArray.from_arrays(
            pa.array((filled % count).astype(np.int32)), pa.array(list(self.columns))
        )
        long = long.append_column(self.name, names)
        return long.append_column(self.value, pa.array(values[filled])), rows[index[filled]]


def parse_where(value: Any) -> Where:
    """Read the conditions of a mapping.

    Raises:
        InvalidError: One is neither ``present`` nor a list of values.
    """
    if not isinstance(value, Mapping):
        raise _wrong("where", "where names columns, and the values that are taken")
    allowed: dict[str, tuple[str | None, ...]] = {}
    for column, values in value.items():
        if values == PRESENT:
            allowed[str(column)] = ()
        elif isinstance(values, list) and values:
            allowed[str(column)] = tuple(_word(one) for one in values)
        else:
            raise _wrong(f"where.{column}", "a condition is present, or a list of values")
    return Where(allowed)


def _word(value: Any) -> str | None:
    if value is None:
        return None
    return str(value)


def parse_spread(value: Any) -> Spread:
    """Read which columns become rows.

    Raises:
        InvalidError: A part is missing, or a name is taken.
    """
    if not isinstance(value, Mapping) or set(value) != _SPREAD:
        raise _wrong("spread", "spread has name, value and columns")
    columns = value["columns"]
    if not isinstance(columns, list) or not all(isinstance(one, str) for one in columns):
        raise _wrong("spread.columns", "columns is a list of columns")
    names = (str(value["name"]), str(value["value"]))
    if (
        len(set(columns)) != len(columns)
        or not columns
        or {*names} & {*columns}
        or len(set(names)) < 2
    ):
        raise _wrong("spread", "each column is named once, and name and value are new names")
    return Spread(name=names[0], value=names[1], columns=tuple(columns))


def _wrong(place: str, message: str) -> InvalidError:
    return InvalidError(message, field=place, rule="mapping.spread")
