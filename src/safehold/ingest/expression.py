"""Values of a mapping: how one field of the wire form comes out of foreign columns.

An expression is evaluated for a whole table. Words are translated once per distinct value and
spread by index, so the cost does not grow with the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from safehold.errors import InvalidError
from safehold.ingest import keycode

KEEP: Final = "keep"
NONE: Final = "none"
REFUSE: Final = "refuse"
DROP: Final = "drop"
TABLES: Final = frozenset({"windows-key", "windows-code"})
_KNOWN: Final = frozenset(
    {"from", "with", "prefix", "constant", "translate", "otherwise", "case", "words", "table",
     "held", "empty", "scale", "host", "whole"}
)  # fmt: skip
REFUSED: Final = object()  # marks a value that the mapping does not allow


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One field's recipe, read from a mapping.

    Args:
        columns: Foreign columns it reads, joined with ``joiner`` when there is more than one.
        joiner: Text between joined columns.
        prefix: Text put before the result.
        constant: The value, when it reads no column.
        translate: Words to words (or numbers).
        otherwise: What happens to a word that ``translate`` does not know: ``keep``, ``none``,
            ``refuse``, ``drop``, or a literal.
        lower: Whether words become lower case.
        words: How many words of each column are kept, 0 for all.
        table: A built-in table of key codes.
        held: Whether the result is the bit mask of modifiers held down (``windows`` key codes).
        empty: The expression that fills in for an empty word.
        scale: A factor for numbers.
        host: Whether a URL is cut down to its host.
        whole: Whether nothing comes out unless every joined column is filled.
    """

    columns: tuple[str, ...] = ()
    joiner: str = ""
    prefix: str = ""
    constant: Any = None
    translate: Mapping[str, Any] | None = None
    otherwise: Any = KEEP
    lower: bool = False
    words: int = 0
    table: str = ""
    held: bool = False
    empty: Expression | None = None
    scale: float = 1.0
    host: bool = False
    whole: bool = False
    uses: frozenset[str] = field(default=frozenset())

    @property
    def plain(self) -> bool:
        """Whether the expression only hands a column on."""
        return (
            len(self.columns) == 1
            and not (
                self.prefix or self.lower or self.words or self.table or self.held or self.host
            )
            and self.translate is None
            and self.empty is None
            and self.otherwise == KEEP
        )


def parse_expression(value: Any, *, place: str) -> Expression:
    """Read an expression.

    Args:
        value: What the mapping says.
        place: Where it says so, for the error.

    Raises:
        InvalidError: A key is not known, or the keys do not fit together.
    """
    if not isinstance(value, Mapping) or not value:
        raise InvalidError(
            "a field of a mapping is {from: column} or {constant: value}",
            field=place,
            rule="mapping.expression",
        )
    unknown = [key for key in value if key not in _KNOWN]
    if unknown:
        raise InvalidError(
            f"key {str(unknown[0])[:40]!r} is not known in a mapping expression",
            field=place,
            rule="mapping.unknown_key",
        )
    if ("from" in value) == ("constant" in value):
        raise InvalidError(
            "an expression has exactly one of from and constant",
            field=place,
            rule="mapping.expression",
        )
    columns = value.get("from", [])
    columns = (columns,) if isinstance(columns, str) else tuple(columns)
    if not all(isinstance(column, str) and column for column in columns):
        raise InvalidError(
            "from names one column or a list of columns", field=place, rule="mapping.expression"
        )
    table = value.get("table", "")
    if table and table not in TABLES:
        raise InvalidError(
            f"a key table is one of {', '.join(sorted(TABLES))}", field=place, rule="mapping.table"
        )
    translate = value.get("translate")
    if translate is not None and not isinstance(translate, Mapping):
        raise InvalidError("translate is a table of words", field=place, rule="mapping.expression")
    if value.get("held", "windows") != "windows":
        raise InvalidError("held knows windows key codes", field=place, rule="mapping.table")
    if value.get("case", "lower") != "lower":
        raise InvalidError("case is lower", field=place, rule="mapping.expression")
    empty = value.get("empty")
    inner = None if empty is None else parse_expression(empty, place=f"{place}.empty")
    return Expression(
        columns=columns,
        joiner=str(value.get("with", "")),
        prefix=str(value.get("prefix", "")),
        constant=value.get("constant"),
        translate=None if translate is None else {str(k): v for k, v in translate.items()},
        otherwise=value.get("otherwise", KEEP if translate is None else REFUSE),
        lower="case" in value,
        words=int(value.get("words", 0)),
        table=table,
        held="held" in value,
        empty=inner,
        scale=float(value.get("scale", 1)),
        host=value.get("host") is True,
        whole=value.get("whole") is True,
        uses=frozenset(columns) | (inner.uses if inner else frozenset()),
    )


@dataclass(frozen=True, slots=True)
class Words:
    """A column of few distinct values: each row an index into them.

    Args:
        index: Index of each row's value.
        values: The distinct values; ``None`` for null, ``REFUSED`` where the mapping does not
            allow one.
    """

    index: np.ndarray
    values: list[Any]

    def refused(self) -> np.ndarray:
        """Return which rows hold a value that is not allowed."""
        marked: np.ndarray = np.array([value is REFUSED for value in self.values], dtype=bool)
        return np.asarray(marked[self.index])

    def array(self, kind: pa.DataType) -> pa.Array:
        """Return the column; what is refused becomes null."""
        values = [None if value is REFUSED else value for value in self.values]
        return pa.array(values, kind).take(pa.array(self.index))


def encode_words(column: pa.Array) -> Words:
    """Return a column as indices and distinct values."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    values = column.dictionary.to_pylist()
    index = column.indices
    if index.null_count:
        values.append(None)
        index = index.cast(pa.int64()).fill_null(len(values) - 1)
    return Words(index.to_numpy(zero_copy_only=False).astype(np.int64), values)


def combine_words(parts: list[Words], join: Callable[[tuple[Any, ...]], Any]) -> Words:
    """Return one column out of several, joining each distinct combination once."""
    code = parts[0].index
    for part in parts[1:]:
        code = code * (len(part.values) + 1) + part.index
    distinct, first, index = np.unique(code, return_index=True, return_inverse=True)
    del distinct
    rows = [tuple(part.values[part.index[row]] for part in parts) for row in first.tolist()]
    return Words(index.astype(np.int64), [join(row) for row in rows])


def evaluate_words(expression: Expression, table: pa.Table, shift: np.ndarray | None) -> Words:
    """Evaluate an expression whose result is a word.

    Args:
        expression: What to evaluate.
        table: The foreign columns.
        shift: Whether Shift is held at each row, for tables of key codes.
    """
    if not expression.columns:
        return Words(np.zeros(len(table), dtype=np.int64), [expression.constant])
    parts = [encode_words(table.column(name)) for name in expression.columns]
    if expression.table == "windows-key" and shift is not None:
        parts.append(Words(shift.astype(np.int64), [False, True]))
        words = combine_words(parts, lambda row: _key(row[0], shift=row[1]))
    elif expression.table:
        spell = _key if expression.table == "windows-key" else _code
        words = Words(parts[0].index, [spell(value, shift=False) for value in parts[0].values])
    elif len(parts) == 1:
        words = Words(parts[0].index, [_text(expression, (v,)) for v in parts[0].values])
    else:
        words = combine_words(parts, lambda row: _text(expression, row))
    words = Words(words.index, [_finish(expression, value) for value in words.values])
    if expression.empty is None:
        return words
    blank = np.array([value in (None, "") for value in words.values], dtype=bool)[words.index]
    if not blank.any():
        return words
    other = evaluate_words(expression.empty, table, shift)
    index = np.where(blank, other.index + len(words.values), words.index)
    return Words(index, words.values + other.values)


def evaluate_number(expression: Expression, table: pa.Table) -> pa.Array:
    """Evaluate an expression that hands on one numeric column, as int64 or float64."""
    column = table.column(expression.columns[0])
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if expression.scale != 1.0:
        scaled = pc.round(pc.multiply(column.cast(pa.float64()), expression.scale))
        return scaled.cast(pa.int64(), safe=False)
    return column


def _text(expression: Expression, row: tuple[Any, ...]) -> str | None:
    if all(value is None for value in row) or (expression.whole and None in row):
        return None
    cells = ["" if value is None else str(value) for value in row]
    if expression.host:
        cells = [_host(cell) for cell in cells]
    if expression.lower:
        cells = [cell.lower() for cell in cells]
    if expression.words:
        cells = [" ".join(cell.split()[: expression.words]) for cell in cells]
    return expression.joiner.join(cells)


def _host(url: str) -> str:
    """Return the host of a URL (RFC 3986 3.2.2), lower case; nothing of what has none."""
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        return ""
    return rest.split("/")[0].split("?")[0].split("#")[0].rpartition("@")[2].split(":")[0].lower()


def _finish(expression: Expression, value: Any) -> Any:
    if expression.translate is not None:
        if value is not None and value in expression.translate:
            value = expression.translate[value]
        elif value == "" and expression.empty is not None:
            return ""
        elif expression.otherwise == REFUSE:
            return REFUSED
        elif expression.otherwise in (NONE, DROP):
            return None
        elif expression.otherwise != KEEP:
            value = expression.otherwise
    elif expression.otherwise == NONE and value == "":
        return None
    if expression.prefix and value is not None:
        return f"{expression.prefix}{value}"
    return value


def _key(number: Any, *, shift: bool) -> str:
    return "Unidentified" if number is None else keycode.key_name(int(number), shift=shift)


def _code(number: Any, *, shift: bool) -> str:
    del shift
    return "" if number is None else keycode.code_name(int(number))
