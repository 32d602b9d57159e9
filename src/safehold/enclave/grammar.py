"""The closed language of queries: what may stand in the tree that DuckDB's own parser makes of one.

Everything here is a list of what is allowed; what is not named is refused, so a newer parser can add nothing. No
function on the lists reads a clock, draws a number, keeps a state, sees the engine or makes SQL out of a text: their
value follows from their arguments alone. A test holds the lists against what the installed engine says of each.

This is no guard of rows: a query runs where only one person's rows are (``sql``). It closes what processes of one
machine still share, which is time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from safehold.errors import InvalidError

NODES: Final = frozenset(
    {
        "SELECT_NODE", "SET_OPERATION_NODE", "BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST",
        "TABLE_FUNCTION", "LIMIT_MODIFIER", "ORDER_MODIFIER", "DISTINCT_MODIFIER", "ORDER_DEFAULT", "ASCENDING",
        "DESCENDING",
    }
)  # fmt: skip
CLASSES: Final = frozenset(
    {
        "BETWEEN", "CASE", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "LAMBDA",
        "OPERATOR", "STAR", "SUBQUERY", "TYPE", "WINDOW",
    }
)  # fmt: skip
TYPES: Final = frozenset(
    {
        "BIGINT", "BLOB", "BOOLEAN", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "INTEGER", "INTERVAL", "LIST",
        "SMALLINT", "STRUCT", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ", "TINYINT", "UBIGINT",
        "UINTEGER", "USMALLINT", "UTINYINT", "VARCHAR", "INT", "INT8", "INT4", "INT2", "TEXT", "STRING", "REAL", "LONG",
        "BOOL", "NUMERIC", "CHAR", "SHORT", "UHUGEINT",
    }
)  # fmt: skip
JOINS: Final = frozenset({"REGULAR", "NATURAL", "CROSS", "ASOF", "POSITIONAL"})
_SCHEMAS: Final = ("schema", "catalog", "schema_name", "catalog_name")
TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series"})
OPERATORS: Final = frozenset(
    {
        "+", "-", "*", "/", "//", "%", "**", "^", "&", "|", "<<", ">>", "~", "||", "!~~", "~~", "!~~*", "~~*", "~~~",
        "@>", "<@", "&&", "=", "!=", "<>", "<", "<=", ">", ">=",
    }
)  # fmt: skip
AGGREGATES: Final = frozenset(
    {
        "any_value", "approx_count_distinct", "arg_max", "arg_min", "array_agg", "avg", "bit_and", "bit_or", "bit_xor",
        "bool_and", "bool_or", "corr", "count", "count_if", "count_star", "countif", "covar_pop", "covar_samp",
        "entropy", "favg", "first", "fsum", "group_concat", "histogram", "kurtosis", "last", "list", "listagg", "mad",
        "max", "max_by", "mean", "median", "min", "min_by", "mode", "product", "quantile", "quantile_cont",
        "quantile_disc", "regr_count", "regr_intercept", "regr_r2", "regr_slope", "sem", "skewness", "stddev",
        "stddev_pop", "stddev_samp", "string_agg", "sum", "var_pop", "var_samp", "variance",
    }
)  # fmt: skip
WINDOWS: Final = AGGREGATES | {
    "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value",
    "last_value", "nth_value", "fill", "rank_dense",
}  # fmt: skip
SCALARS: Final = frozenset(
    {
        "abs", "acos", "add", "array_length", "ascii", "asin", "atan", "atan2", "bit_count", "bit_length",
        "cardinality", "cbrt", "ceil", "ceiling", "chr", "concat", "concat_ws", "constant_or_null", "contains",
        "cos", "cot", "damerau_levenshtein", "date_add", "date_diff", "date_part", "date_sub", "date_trunc",
        "datediff", "datepart", "datesub", "datetrunc", "day", "dayname", "dayofmonth", "dayofweek", "dayofyear",
        "decade", "degrees", "divide", "ends_with", "epoch", "epoch_ms", "epoch_ns", "epoch_us", "even", "exp",
        "factorial", "fdiv", "flatten", "floor", "fmod", "from_hex", "gamma", "gcd", "generate_series", "greatest",
        "hamming", "hash", "hex", "hour", "if", "ifnull", "instr", "isfinite", "isinf", "isnan", "isodow",
        "isoyear", "jaccard", "julian", "last_day", "lcase", "lcm", "least", "left", "len", "length", "levenshtein",
        "lgamma", "list_append", "list_avg", "list_concat", "list_contains", "list_count", "list_distinct",
        "list_element", "list_extract", "list_filter", "list_has_all", "list_has_any", "list_max", "list_median",
        "list_min", "list_position", "list_prepend", "list_reduce", "list_reverse", "list_reverse_sort",
        "list_slice", "list_sort", "list_sum", "list_transform", "list_unique", "list_value", "list_zip", "ln",
        "log", "log10", "log2", "lower", "lpad", "ltrim", "make_date", "make_time", "make_timestamp", "map",
        "map_extract", "map_keys", "map_values", "md5", "microsecond", "millisecond", "minute", "mod", "month",
        "monthname", "multiply", "nullif", "ord", "pi", "position", "pow", "power", "prefix", "quarter", "radians",
        "range", "regexp_extract", "regexp_full_match", "regexp_matches", "regexp_replace", "regexp_split_to_array",
        "repeat", "replace", "reverse", "right", "round", "round_even", "row", "rpad", "rtrim", "second", "sha256",
        "sign", "signbit", "sin", "split", "split_part", "sqrt", "starts_with", "strftime", "string_split",
        "strip_accents", "strlen", "strpos", "strptime", "struct_extract", "struct_pack", "substr", "substring",
        "subtract", "suffix", "tan", "time_bucket", "timezone", "to_days", "to_hours", "to_microseconds",
        "to_milliseconds", "to_minutes", "to_months", "to_seconds", "to_timestamp", "to_weeks", "to_years",
        "translate", "trim", "trunc", "try_strptime", "typeof", "ucase", "unhex", "unicode", "unnest", "upper",
        "week", "weekday", "weekofyear", "xor", "year", "yearweek",
    }
)  # fmt: skip
FUNCTIONS: Final = SCALARS | AGGREGATES | OPERATORS
# names that the engine reads as a function where no column has them
SPOKEN: Final = frozenset(
    {
        "current_catalog", "current_database", "current_date", "current_localtime", "current_localtimestamp",
        "current_query", "current_role", "current_schema", "current_schemas", "current_time", "current_timestamp",
        "current_user", "get_current_time", "get_current_timestamp", "localtime", "localtimestamp", "now", "random",
        "session_user", "system_user", "today", "transaction_timestamp", "txid_current", "user", "uuid",
    }
)  # fmt: skip


def check_tree(
    tree: Any, tables: frozenset[str], *, taken: frozenset[str] = frozenset(), deepest: int
) -> None:
    """Pass if everything in the tree of a query is on a list.

    Args:
        tree: What ``json_serialize_sql`` made, as JSON.
        tables: Tables that there are.
        taken: Names of what the engine itself shows as tables; no part of a query may have one, or the name would
            pass where it means the engine's.
        deepest: Most levels.

    Raises:
        InvalidError: Something is not; ``rule`` says what kind of thing, the message its name.
    """
    named = frozenset(name.lower() for name in _named(tree))
    if hidden := sorted(named & taken):
        raise _no("sql.table", hidden[0])
    known = tables | named
    for item, depth in _walk(tree):
        if depth > deepest:
            raise _no("sql.language", "it is nested too deeply")
        _check_item(item, known)


def _check_item(item: dict[str, Any], known: frozenset[str]) -> None:
    """Pass if one node is on the lists, whatever is below it."""
    kind, form = item.get("class"), item.get("type")
    if kind is None:
        if isinstance(form, str) and form not in NODES:
            raise _no("sql.language", form.lower())
    elif kind not in CLASSES:
        raise _no("sql.language", str(kind).lower())
    if any(item.get(name) is not None for name in ("sample", "at_clause")):
        raise _no("sql.language", "a sample")
    if form == "JOIN" and item.get("ref_type", "REGULAR") not in JOINS:
        raise _no("sql.language", "a join")
    path = (item.get("qualified_name") or {}).get("path")
    if any(item.get(name) for name in _SCHEMAS) or (path is not None and len(path) != 1):
        raise _no("sql.language", "a schema")
    if kind == "STAR" and item.get("columns"):
        raise _no("sql.language", "columns()")
    _check_names(item, known)


def _check_names(item: dict[str, Any], known: frozenset[str]) -> None:
    """Pass if the table, type or function that one node names is on the lists."""
    kind, form = item.get("class"), item.get("type")
    if form == "BASE_TABLE" and str(item.get("table_name", "")).lower() not in known:
        raise _no("sql.table", str(item.get("table_name")))
    if kind == "TYPE" and str(item.get("type_name", "")).upper() not in TYPES:
        raise _no("sql.language", f"type {item.get('type_name')}")
    if form == "TABLE_FUNCTION":
        name = str((item.get("function") or {}).get("function_name", "")).lower()
        if name not in TABLE_FUNCTIONS:
            raise _no("sql.function", name)
    elif "function_name" in item:
        name = str(item["function_name"]).lower()
        if name not in (WINDOWS if kind == "WINDOW" else FUNCTIONS | TABLE_FUNCTIONS):
            raise _no("sql.function", name)
    if kind == "COLUMN_REF" and SPOKEN & {str(one).lower() for one in item["column_names"]}:
        raise _no("sql.function", str(item["column_names"][-1]))


def _named(tree: Any) -> Iterator[str]:
    """Yield the names that the query gives to parts of itself (WITH)."""
    for item, _ in _walk(tree):
        if isinstance(entries := item.get("map"), list):
            for entry in entries:
                if isinstance(entry, dict) and "key" in entry:
                    yield str(entry["key"])


def _walk(tree: Any) -> Iterator[tuple[dict[str, Any], int]]:
    waiting: list[tuple[Any, int]] = [(tree, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, dict):
            yield item, depth
            waiting += [(value, depth + 1) for value in item.values()]
        elif isinstance(item, list):
            waiting += [(value, depth + 1) for value in item]


def _no(rule: str, what: str) -> InvalidError:
    return InvalidError(
        f"a query may not use this: {what}", rule=rule, fix="the language: docs/reference/sql.md"
    )
