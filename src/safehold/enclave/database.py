"""DuckDB, locked down; the one file that imports it.

Holds: no file, no network, no extension, no setting, no Python variable is within reach of a statement, and one
statement that only reads is all that is run. Doesn't: count on that. A statement is rebuilt from a closed language
first (``grammar``), it runs in a sandbox, in a process that holds the rows of one person and nobody else's (``sql``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pyarrow as pa

from safehold.enclave.grammar import check_tree
from safehold.errors import InvalidError, UnavailableError

# in this order: what comes last can undo nothing, and nothing can be set after it
LOCKED: Final = (
    ("python_enable_replacements", "false"),
    ("temp_directory", "''"),
    ("memory_limit", "'512MB'"),
    ("threads", "1"),
    ("async_threads", "1"),
    ("TimeZone", "'UTC'"),
    ("autoinstall_known_extensions", "false"),
    ("autoload_known_extensions", "false"),
    ("allow_community_extensions", "false"),
    ("enable_external_access", "false"),
    ("lock_configuration", "true"),
)
DEEPEST: Final = 200  # levels of a tree


class Database:
    """One database in memory, empty until tables are given to it.

    Raises:
        UnavailableError: DuckDB is not installed.
    """

    def __init__(self) -> None:
        try:
            import duckdb  # noqa: PLC0415  (it comes with an extra)
        except ImportError as error:
            raise UnavailableError(
                "the query engine is not installed",
                rule="sql.engine",
                fix="pip install 'safehold[sql]'",
            ) from error
        self._errors: type[Exception] = duckdb.Error
        self._connection: Any = duckdb.connect(":memory:")
        for name, value in LOCKED:
            self._connection.execute(f"SET {name} = {value}")
        shown = self._connection.execute(
            "SELECT view_name FROM duckdb_views() UNION SELECT table_name FROM duckdb_tables()"
        )
        self._taken = frozenset(str(row[0]).lower() for row in shown.fetchall())

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def rebuild(self, sql: str, tables: Mapping[str, Any]) -> str:
        """Return a query, written anew from its own tree by whoever will run it.

        Args:
            sql: What somebody wrote.
            tables: Names of the tables that there will be.

        Raises:
            InvalidError: It is not one query, or not of the closed language; the rule says which.
        """
        try:
            text = self._connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
            tree = orjson.loads(text)
        except (self._errors, orjson.JSONDecodeError, RecursionError):
            raise _refused("sql.syntax") from None
        if tree.get("error"):
            words = str(tree.get("error_message", ""))
            parsed = tree.get("error_type") == "parser"
            raise _refused("sql.syntax" if parsed else "sql.statement", words)
        if len(tree["statements"]) != 1:
            raise _refused("sql.statement")
        check_tree(tree, frozenset(tables), taken=self._taken, deepest=DEEPEST)
        try:
            again = self._connection.execute("SELECT json_deserialize_sql(?)", [text])
            return str(again.fetchall()[0][0])
        except self._errors:
            raise _refused("sql.syntax") from None

    def give(self, tables: Mapping[str, pa.Table]) -> None:
        """Let queries read some tables, under their names."""
        for name, table in tables.items():
            self._connection.register(name, table)

    def take(self, tables: Mapping[str, Any]) -> None:
        """Let them read these no more."""
        for name in tables:
            self._connection.unregister(name)

    def columns(self, sql: str) -> list[str]:
        """Return the columns of a query over the tables as they are.

        Raises:
            InvalidError: It names what there is not, or mixes types.
        """
        try:
            rows = self._connection.execute(f"DESCRIBE ({sql})").fetchall()
        except self._errors as error:
            raise _refused("sql.bind", str(error)) from None
        return [str(row[0]) for row in rows]

    def rows(self, sql: str, *, most: int) -> list[tuple[Any, ...]]:
        """Return the first rows of a query.

        Raises:
            InvalidError: It failed; nothing is said about why.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = list(self._connection.execute(sql).fetchmany(most))
                self._connection.abort()  # what comes after is not wanted
            except self._errors:
                raise _refused("sql.run") from None
        return found


# what may be said of a query before any row was seen
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "sql.syntax": ("this is no SQL that can be read", "check it: safehold enclave sql --check"),
    "sql.statement": ("one query is run, and nothing but a query", "write one SELECT"),
    "sql.language": ("the query uses what has no place in an enclave", "docs/reference/sql.md"),
    "sql.function": ("the query calls a function that is not on the list", "docs/reference/sql.md"),
    "sql.table": ("the query reads a table that the grant does not have", "safehold request show"),
    "sql.bind": ("the query names what is not there", "check columns and types: --check"),
    "sql.columns": ("a query returns k, v or both, as its release needs", "docs/reference/sql.md"),
    "sql.engine": ("the query engine is not installed", "pip install 'safehold[sql]'"),
}


def _refused(rule: str, words: str = "") -> InvalidError:
    message, fix = REASONS.get(rule, ("the query failed", ""))
    return InvalidError(f"{message}: {words}" if words else message, rule=rule, fix=fix or None)
